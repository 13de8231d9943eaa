import { model, sql, whole } from 'limn'
import { airportReport } from '../bronze/airport.ts'

export const dimAirport = model('silver.dim_airport', {
  doc: 'One row per airport, and one for the airport nobody knows.',
  owner: 'ops',
  grain: ['iata'],
  keys: ['iata'],
  columns: {
    iata: { type: 'string', doc: 'Natural key; ??? is the unknown member.' },
    name: { type: 'string', doc: 'Name of the airport.' },
    city: { type: 'string', doc: 'City served.', nulls: 'not stated' },
    state: { type: 'string', doc: 'State or territory.', nulls: 'not in a state, or unknown' },
    country: { type: 'string', doc: 'Country.', nulls: 'unknown member' },
    latitude: {
      type: 'double',
      doc: 'Degrees north.',
      unit: 'deg',
      nulls: 'unknown member',
      additivity: 'non-additive',
    },
    longitude: {
      type: 'double',
      doc: 'Degrees east.',
      unit: 'deg',
      nulls: 'unknown member',
      additivity: 'non-additive',
    },
  },
  build: whole(
    () => sql`
      SELECT iata, name, city, state, country, latitude, longitude FROM ${airportReport}
      UNION ALL
      SELECT '???', 'Unknown airport', NULL, NULL, NULL, NULL, NULL
      ORDER BY iata`,
  ),
  checks: (check) => [
    check.between('latitude', -90, 90, { severity: 'soft' }),
    check.between('longitude', -180, 180, { severity: 'soft' }),
  ],
})
