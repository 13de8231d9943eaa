import { model, sqlFile, whole } from 'limn'

export const dimDate = model('silver.dim_date', {
  doc: 'One row per day from 2000 to 2002.',
  owner: 'calendar',
  grain: ['date'],
  keys: ['date'],
  columns: {
    date: { type: 'date', doc: 'The day.' },
    year: { type: 'int', doc: 'Calendar year.', additivity: 'non-additive' },
    quarter: { type: 'int', doc: 'Calendar quarter, 1 to 4.', additivity: 'non-additive' },
    month: { type: 'int', doc: 'Month, 1 to 12.', additivity: 'non-additive' },
    day: { type: 'int', doc: 'Day of the month.', additivity: 'non-additive' },
    day_of_week: { type: 'int', doc: 'ISO weekday, 1 is Monday.', additivity: 'non-additive' },
    iso_year: { type: 'int', doc: 'Year of the ISO week.', additivity: 'non-additive' },
    iso_week: { type: 'int', doc: 'ISO week, 1 to 53.', additivity: 'non-additive' },
    fiscal_year: {
      type: 'int',
      doc: 'US federal fiscal year: begins on 1 October of the year before.',
      additivity: 'non-additive',
    },
    fiscal_quarter: { type: 'int', doc: 'Quarter of the fiscal year, 1 to 4.', additivity: 'non-additive' },
    holiday: { type: 'string', doc: 'Name of the federal holiday on this day.', nulls: 'no holiday' },
    observed_holiday: {
      type: 'string',
      doc: 'Name of the federal holiday observed on this day.',
      nulls: 'none observed',
    },
    is_business_day: { type: 'boolean', doc: 'A weekday on which no federal holiday is observed.' },
  },
  build: whole(sqlFile('dim_date.sql')),
})
