import { byInterval, model, same, sql } from 'limn'
import { quake } from '../silver/quake.ts'

export const quakeDay = model('gold.quake_day', {
  doc: 'One row per day (UTC) with earthquakes.',
  owner: 'seismology',
  grain: ['day'],
  keys: ['day'],
  columns: {
    day: { type: 'date', doc: 'The day, UTC.' },
    quakes: { type: 'long', doc: 'Earthquakes.', additivity: 'additive' },
    strong: { type: 'long', doc: 'Of magnitude 4.5 or more.', additivity: 'additive' },
    largest: { type: 'double', doc: 'The largest magnitude.', additivity: 'non-additive', nulls: 'none known yet' },
    reviewed: { type: 'long', doc: 'Looked at by a person.', additivity: 'additive' },
  },
  build: byInterval(
    'day',
    'day',
    { batch: 'month' },
    ({ interval }) => sql`
      SELECT time::DATE AS day, count(*) AS quakes, count(*) FILTER (mag >= 4.5) AS strong, max(mag) AS largest,
        count(*) FILTER (status = 'reviewed') AS reviewed
      FROM ${quake}
      WHERE type = 'earthquake' AND time::DATE >= ${interval.start} AND time::DATE < ${interval.end}
      GROUP BY ALL`,
  ),
  edges: { 'silver.quake': { reads: same } },
  checks: (check) => [
    check.reconcile('sum(quakes)', { with: quake, right: "count(*) FILTER (type = 'earthquake')" }),
    check.between('largest', -3, 10),
  ],
})
