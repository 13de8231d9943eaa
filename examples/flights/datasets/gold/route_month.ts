import { byInterval, model, same, sqlFile } from 'limn'
import { flight } from '../silver/flight.ts'

export const routeMonth = model('gold.route_month', {
  doc: 'One row per month, origin and destination.',
  owner: 'analytics',
  grain: ['month', 'origin', 'destination'],
  keys: ['month', 'origin', 'destination'],
  columns: {
    month: { type: 'timestamp', doc: 'First day of the scheduled month.' },
    origin: { type: 'string', doc: 'IATA code of the origin.' },
    destination: { type: 'string', doc: 'IATA code of the destination.' },
    flights: { type: 'long', doc: 'Flights scheduled.', unit: 'flight', additivity: 'additive' },
    delayed: {
      type: 'long',
      doc: 'Flights 15 minutes late or more; numerator over flights.',
      unit: 'flight',
      additivity: 'additive',
    },
    delay_sum: { type: 'long', doc: 'Sum of delays.', unit: 'min', additivity: 'additive' },
    distance_sum: { type: 'long', doc: 'Miles flown on the route.', unit: 'mi', additivity: 'additive' },
  },
  partition: ['month(month)'],
  build: byInterval('month', 'month', sqlFile('route_month.sql')),
  edges: { 'silver.flight': { reads: same } },
  checks: (check) => [
    check.reconcile('sum(flights)', {
      with: flight,
      right: 'count(*)',
      by: { left: 'month', right: "date_trunc('month', scheduled_at)::TIMESTAMP" },
    }),
  ],
})
