import { files, ingest } from 'limn'

export const flightReport = ingest('bronze.flight_report', {
  doc: 'One row per flight record, as delivered in monthly files.',
  owner: 'ops',
  from: files('inbox/flights/*.parquet', { format: 'parquet' }),
  columns: {
    date: { type: 'timestamp', doc: 'Scheduled departure, local at the origin; the source states no zone.' },
    delay: { type: 'long', doc: 'Arrival delay; negative is early.', unit: 'min', additivity: 'additive' },
    distance: { type: 'long', doc: 'Distance flown.', unit: 'mi', additivity: 'additive' },
    origin: { type: 'string', doc: 'IATA code of the origin.' },
    destination: { type: 'string', doc: 'IATA code of the destination.' },
  },
})
