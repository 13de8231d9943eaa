import { byInterval, model, shift, sql } from 'limn'
import { flight } from '../silver/flight.ts'

const reportedAt = 'scheduled_at + to_minutes(delay_min)'

export const airportDayByReport = model('gold.airport_day_by_report', {
  doc: 'One row per origin airport and day on which the delay was known: schedule plus delay.',
  owner: 'analytics',
  tags: ['daily'],
  grain: ['report_day', 'origin'],
  keys: ['report_day', 'origin'],
  columns: {
    report_day: { type: 'timestamp', doc: 'Day the delay was known, local at the origin.' },
    origin: { type: 'string', doc: 'IATA code of the origin.' },
    flights: {
      type: 'long',
      doc: 'Flights whose delay was known on this day.',
      unit: 'flight',
      additivity: 'additive',
    },
    delayed: { type: 'long', doc: 'Flights 15 minutes late or more.', unit: 'flight', additivity: 'additive' },
    delay_sum: { type: 'long', doc: 'Sum of delays.', unit: 'min', additivity: 'additive' },
    delay_count: { type: 'long', doc: 'Flights with a delay stated.', unit: 'flight', additivity: 'additive' },
    p50: { type: 'int', doc: 'Median delay (discrete).', unit: 'min', additivity: 'non-additive' },
    p95: { type: 'int', doc: '95th percentile of delay (discrete).', unit: 'min', additivity: 'non-additive' },
  },
  partition: ['day(report_day)'],
  build: byInterval(
    'report_day',
    'day',
    { batch: 'month' },
    // A flight scheduled up to three days earlier, or up to one day later, may have become known on the day.
    ({ interval }) => sql`
      WITH known AS (
        SELECT scheduled_at + to_minutes(delay_min) AS known_at, origin, delay_min
        FROM ${flight}
        WHERE scheduled_at >= ${interval.start} - INTERVAL 3 DAY AND scheduled_at < ${interval.end} + INTERVAL 1 DAY
      )
      SELECT
        date_trunc('day', known_at)::TIMESTAMP AS report_day,
        origin,
        count(*) AS flights,
        count(*) FILTER (delay_min >= 15) AS delayed,
        sum(delay_min)::BIGINT AS delay_sum,
        count(delay_min) AS delay_count,
        quantile_disc(delay_min, 0.5) AS p50,
        quantile_disc(delay_min, 0.95) AS p95
      FROM known
      WHERE known_at >= ${interval.start} AND known_at < ${interval.end}
      GROUP BY ALL`,
  ),
  edges: { 'silver.flight': { reads: shift({ before: '3 days', after: '1 day' }), touches: reportedAt } },
  checks: (check) => [
    check.reconcile('sum(flights)', { with: flight, right: 'count(*)' }),
    check.reconcile('sum(delay_sum)', { with: flight, right: 'sum(delay_min)' }),
  ],
})
