import { byInterval, model, same, sql } from 'limn'
import { flight } from '../silver/flight.ts'

export const airportDay = model('gold.airport_day', {
  doc: 'One row per origin airport and scheduled day.',
  owner: 'analytics',
  tags: ['daily'],
  grain: ['day', 'origin'],
  keys: ['day', 'origin'],
  columns: {
    day: { type: 'timestamp', doc: 'Scheduled day, local at the origin.' },
    origin: { type: 'string', doc: 'IATA code of the origin.' },
    flights: { type: 'long', doc: 'Flights scheduled.', unit: 'flight', additivity: 'additive' },
    delayed: {
      type: 'long',
      doc: 'Flights 15 minutes late or more; numerator of the delay rate over flights.',
      unit: 'flight',
      additivity: 'additive',
    },
    delay_sum: {
      type: 'long',
      doc: 'Sum of delays; numerator of the mean over delay_count.',
      unit: 'min',
      additivity: 'additive',
    },
    delay_count: {
      type: 'long',
      doc: 'Flights with a delay stated; denominator of the mean.',
      unit: 'flight',
      additivity: 'additive',
    },
    p50: { type: 'int', doc: 'Median delay (discrete).', unit: 'min', additivity: 'non-additive' },
    p95: { type: 'int', doc: '95th percentile of delay (discrete).', unit: 'min', additivity: 'non-additive' },
  },
  partition: ['day(day)'],
  build: byInterval(
    'day',
    'day',
    { batch: 'month' },
    ({ interval }) => sql`
      SELECT
        date_trunc('day', scheduled_at)::TIMESTAMP AS day,
        origin,
        count(*) AS flights,
        count(*) FILTER (delay_min >= 15) AS delayed,
        sum(delay_min)::BIGINT AS delay_sum,
        count(delay_min) AS delay_count,
        quantile_disc(delay_min, 0.5) AS p50,
        quantile_disc(delay_min, 0.95) AS p95
      FROM ${flight}
      WHERE scheduled_at >= ${interval.start} AND scheduled_at < ${interval.end}
      GROUP BY ALL`,
  ),
  edges: { 'silver.flight': { reads: same, touches: 'scheduled_at' } },
  checks: (check) => [
    check.reconcile('sum(flights)', {
      with: flight,
      right: 'count(*)',
      by: { left: 'day', right: "date_trunc('day', scheduled_at)::TIMESTAMP" },
    }),
    check.reconcile('sum(delay_sum)', { with: flight, right: 'sum(delay_min)' }),
    check.between('flights', 1, 2000, { severity: 'soft' }),
  ],
})
