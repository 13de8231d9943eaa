import { byInterval, model, sql } from 'limn'
import { quakeReport } from '../bronze/quake_report.ts'

/** The feed holds the last 24 hours: what a version or a deletion follows on arrived within a day before it. */
export const quakeVersion = model('silver.quake_version', {
  doc: 'One row per version of an event, by day of arrival; a deletion carries the time of the version it ends.',
  owner: 'seismology',
  grain: ['id', 'scrape_seq'],
  keys: ['id', 'scrape_seq'],
  columns: {
    id: { type: 'string', doc: 'The feed’s identifier of the event.' },
    scrape_seq: { type: 'long', doc: 'Order of versions.' },
    arrived_at: { type: 'timestamptz', doc: 'When it was first seen.' },
    gone: { type: 'boolean', doc: 'Whether the event left the feed.' },
    time: { type: 'timestamptz', doc: 'When the ground moved.' },
    time_before: { type: 'timestamptz', doc: 'As the version before had it.', nulls: 'the first version' },
    latitude: { type: 'double', doc: 'Degrees north.', nulls: 'gone' },
    longitude: { type: 'double', doc: 'Degrees east.', nulls: 'gone' },
    depth: { type: 'double', doc: 'Depth in km.', nulls: 'gone, or not known' },
    mag: { type: 'double', doc: 'Magnitude.', nulls: 'gone, or not yet known' },
    place: { type: 'string', doc: 'In words.', nulls: 'gone, or not known' },
    type: { type: 'string', doc: 'earthquake, quarry blast, …', nulls: 'gone' },
    status: { type: 'string', doc: 'automatic or reviewed.', nulls: 'gone' },
  },
  partition: ['day(arrived_at)'],
  build: byInterval(
    'arrived_at',
    'day',
    { batch: 'month' },
    ({ interval }) => sql`
      WITH seen AS (
        SELECT *, lag(time IGNORE NULLS) OVER (PARTITION BY id ORDER BY scrape_seq) AS time_before
        FROM ${quakeReport}
        WHERE arrived_at >= ${interval.start} - INTERVAL 1 DAY AND arrived_at < ${interval.end}
      )
      SELECT id, scrape_seq, arrived_at, op = 'd' AS gone, coalesce(time, time_before) AS time, time_before,
        latitude, longitude, depth, mag, place, type, status
      FROM seen
      WHERE arrived_at >= ${interval.start}`,
  ),
  edges: { 'bronze.quake_report': { touches: '[arrived_at, arrived_at + INTERVAL 1 DAY]' } },
})
