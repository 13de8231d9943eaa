/** A number per day and state, which joins a dimension: what the causes are injected below or into. */
export const stateDay = `import { byInterval, model, same, sql } from 'limn'
import { dimAirport } from '../silver/dim_airport.ts'
import { flight } from '../silver/flight.ts'

export const stateDay = model('gold.state_day', {
  doc: 'One row per scheduled day and state of the origin.',
  owner: 'analytics',
  grain: ['day', 'state'],
  keys: ['day', 'state'],
  columns: {
    day: { type: 'timestamp', doc: 'Scheduled day.' },
    state: { type: 'string', doc: 'State of the origin, ? where there is none.' },
    flights: { type: 'long', doc: 'Flights.', unit: 'flight', additivity: 'additive' },
    reported: { type: 'long', doc: 'Records delivered, duplicates too.', unit: 'row', additivity: 'additive' },
    delay_sum: { type: 'long', doc: 'Sum of delays.', unit: 'min', additivity: 'additive' },
    distance_sum: { type: 'long', doc: 'Miles flown.', unit: 'mi', additivity: 'additive' },
    mean_distance: { type: 'double', doc: 'Mean distance.', unit: 'mi', additivity: 'non-additive' },
  },
  build: byInterval(
    'day',
    'day',
    { batch: 'month' },
    ({ interval }) => sql\`
      SELECT date_trunc('day', f.scheduled_at)::TIMESTAMP AS day, coalesce(a.state, '?') AS state, count(*) AS flights,
        sum(f.copies)::BIGINT AS reported, sum(f.delay_min)::BIGINT AS delay_sum, sum(f.distance_mi)::BIGINT AS distance_sum,
        avg(f.distance_mi) AS mean_distance
      FROM \${flight} AS f
      JOIN \${dimAirport} AS a ON a.iata = f.origin
      WHERE f.scheduled_at >= \${interval.start} AND f.scheduled_at < \${interval.end} AND f.distance_mi >= 0
      GROUP BY ALL\`,
  ),
  edges: { 'silver.flight': { reads: same, touches: 'scheduled_at' } },
})
`

export const stateDayFile = 'datasets/gold/state_day.ts'
