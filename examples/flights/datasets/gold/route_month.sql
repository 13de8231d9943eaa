SELECT
  date_trunc('month', scheduled_at)::TIMESTAMP AS month,
  origin,
  destination,
  count(*) AS flights,
  count(*) FILTER (delay_min >= 15) AS delayed,
  sum(delay_min)::BIGINT AS delay_sum,
  sum(distance_mi)::BIGINT AS distance_sum
FROM silver.flight
WHERE scheduled_at >= $interval_start AND scheduled_at < $interval_end
GROUP BY ALL
