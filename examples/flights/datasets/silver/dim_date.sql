-- The calendar; a holiday on a weekend is observed on the nearest weekday, which may lie in the year before.
WITH days AS (
  SELECT unnest(generate_series(DATE '2000-01-01', DATE '2002-12-31', INTERVAL 1 DAY))::DATE AS date
)
SELECT
  days.date,
  year(days.date)::INTEGER AS year,
  quarter(days.date)::INTEGER AS quarter,
  month(days.date)::INTEGER AS month,
  day(days.date)::INTEGER AS day,
  isodow(days.date)::INTEGER AS day_of_week,
  isoyear(days.date)::INTEGER AS iso_year,
  weekofyear(days.date)::INTEGER AS iso_week,
  (year(days.date) + CASE WHEN month(days.date) >= 10 THEN 1 ELSE 0 END)::INTEGER AS fiscal_year,
  ((month(days.date) + 2) % 12 // 3 + 1)::INTEGER AS fiscal_quarter,
  actual.name AS holiday,
  observed.name AS observed_holiday,
  (isodow(days.date) <= 5 AND observed.name IS NULL) AS is_business_day
FROM days
LEFT JOIN bronze.federal_holiday AS actual ON actual.date = days.date
LEFT JOIN bronze.federal_holiday AS observed ON observed.observed_date = days.date
ORDER BY days.date
