import { files, ingest } from 'limn'

export const airportReport = ingest('bronze.airport', {
  doc: 'One row per airport, as delivered.',
  owner: 'ops',
  from: files('inbox/airports.csv', { format: 'csv' }),
  rejectBudget: { rows: 10 },
  columns: {
    iata: { type: 'string', doc: 'IATA code.' },
    name: { type: 'string', doc: 'Name of the airport.' },
    city: { type: 'string', doc: 'City served.', nulls: 'not stated', nullSentinels: ['NA'] },
    state: { type: 'string', doc: 'State or territory, two letters.', nulls: 'not in a state', nullSentinels: ['NA'] },
    country: { type: 'string', doc: 'Country.' },
    latitude: { type: 'double', doc: 'Degrees north.', unit: 'deg', additivity: 'non-additive' },
    longitude: { type: 'double', doc: 'Degrees east.', unit: 'deg', additivity: 'non-additive' },
  },
})
