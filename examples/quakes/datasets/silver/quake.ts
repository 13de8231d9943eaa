import { byInterval, model, sql } from 'limn'
import { quakeVersion } from './quake_version.ts'

export const quake = model('silver.quake', {
  doc: 'One row per event that the feed last had, as it last was.',
  owner: 'seismology',
  grain: ['id'],
  keys: ['id'],
  columns: {
    id: { type: 'string', doc: 'The feed’s identifier of the event.' },
    time: { type: 'timestamptz', doc: 'When the ground moved.' },
    latitude: { type: 'double', doc: 'Degrees north.' },
    longitude: { type: 'double', doc: 'Degrees east.' },
    depth: { type: 'double', doc: 'Depth in km.', nulls: 'not known' },
    mag: { type: 'double', doc: 'Magnitude.', nulls: 'not yet known' },
    place: { type: 'string', doc: 'In words.', nulls: 'not known' },
    type: { type: 'string', doc: 'earthquake, quarry blast, …' },
    status: { type: 'string', doc: 'automatic or reviewed.' },
    versions: { type: 'long', doc: 'Versions seen, deletions included.' },
  },
  partition: ['day(time)'],
  build: byInterval(
    'time',
    'day',
    { batch: 'month' },
    ({ interval }) => sql`
      SELECT id, time, latitude, longitude, depth, mag, place, type, status, versions
      FROM (
        SELECT *, count(*) OVER (PARTITION BY id) AS versions
        FROM ${quakeVersion}
        WHERE arrived_at >= ${interval.start} - INTERVAL 1 DAY AND arrived_at < ${interval.end} + INTERVAL 2 DAY
        QUALIFY row_number() OVER (PARTITION BY id ORDER BY scrape_seq DESC) = 1
      )
      WHERE NOT gone AND time >= ${interval.start} AND time < ${interval.end}`,
  ),
  edges: { 'silver.quake_version': { touches: '[time, time_before]' } },
})
