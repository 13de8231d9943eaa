import { byInterval, hashKey, model, same, sql } from 'limn'
import { flightReport } from '../bronze/flight_report.ts'
import { dimAirport } from './dim_airport.ts'

export const flight = model('silver.flight', {
  doc: 'One row per distinct flight record delivered.',
  owner: 'ops',
  grain: ['scheduled_at', 'delay_min', 'distance_mi', 'origin', 'destination'],
  keys: ['flight_key'],
  columns: {
    flight_key: { type: 'uuid', doc: 'Hash of the grain, 16 bytes.' },
    scheduled_at: { type: 'timestamp', doc: 'Scheduled departure, local at the origin; the source states no zone.' },
    delay_min: { type: 'int', doc: 'Arrival delay; negative is early.', unit: 'min', additivity: 'additive' },
    distance_mi: { type: 'int', doc: 'Distance flown.', unit: 'mi', additivity: 'additive' },
    origin: { type: 'string', doc: 'IATA code of the origin.' },
    destination: { type: 'string', doc: 'IATA code of the destination.' },
    copies: {
      type: 'int',
      doc: 'How often the record was delivered; all but one are duplicates.',
      unit: 'row',
      additivity: 'additive',
    },
  },
  partition: ['month(scheduled_at)'],
  build: byInterval(
    'scheduled_at',
    'month',
    ({ interval }) => sql`
      SELECT
        ${hashKey({ date: 'timestamp', delay: 'long', distance: 'long', origin: 'string', destination: 'string' })} AS flight_key,
        date AS scheduled_at,
        delay::INTEGER AS delay_min,
        distance::INTEGER AS distance_mi,
        origin,
        destination,
        count(*)::INTEGER AS copies
      FROM ${flightReport}
      WHERE date >= ${interval.start} AND date < ${interval.end}
      GROUP BY date, delay, distance, origin, destination`,
  ),
  edges: { 'bronze.flight_report': { reads: same, touches: 'date' } },
  checks: (check) => [
    check.reconcile(
      'sum(copies)',
      {
        with: flightReport,
        right: 'count(*)',
        by: { left: "date_trunc('month', scheduled_at)", right: "date_trunc('month', date)" },
      },
      { name: 'read = kept + duplicates + quarantined' },
    ),
    check.reference('origin', dimAirport, 'iata'),
    check.reference('destination', dimAirport, 'iata'),
    // What gold.airport_day_by_report reads around a day rests on this range.
    check.between('delay_min', -1440, 4320, { name: 'delay within a day early and three days late' }),
    check.between('distance_mi', 1, 6000, { severity: 'soft' }),
    check.volume({ min: 400_000, max: 600_000, partial: ['2001-07-01'] }, { severity: 'soft' }),
  ],
})
