import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { temporaryFolder } from './lake.ts'

/** A lake of three datasets by day: events landed, distinct events, and a count per day. */
export function smallLake(name: string): ReturnType<typeof temporaryFolder> {
  const lake = temporaryFolder(name)
  writeLake(lake.folder, {
    'limn.config.ts': "import { defineLake } from 'limn'\nexport default defineLake({ name: 'small' })\n",
    'datasets/bronze/event.ts': bronzeEvent,
    'datasets/silver/event.ts': silverEvent,
    'datasets/gold/day.ts': goldDay,
  })
  deliver(lake.folder, 'a', [
    ['1', '2026-01-01 08:00:00', '10'],
    ['2', '2026-01-02 08:00:00', '20'],
    ['3', '2026-01-03 08:00:00', '30'],
  ])
  return lake
}

export function writeLake(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
}

/** Writes a delivery of events: id, time, amount. */
export function deliver(folder: string, name: string, rows: readonly (readonly string[])[]): void {
  writeLake(folder, {
    [`inbox/${name}.csv`]: `id,happened_at,amount\n${rows.map((row) => row.join(',')).join('\n')}\n`,
  })
}

export const bronzeEvent = `import { files, ingest } from 'limn'
export const eventReport = ingest('bronze.event', {
  doc: 'One row per event, as delivered.', owner: 'test',
  from: files('inbox/*.csv', { format: 'csv' }),
  columns: {
    id: { type: 'long', doc: 'Number of the event.' },
    happened_at: { type: 'timestamp', doc: 'When it happened.' },
    amount: { type: 'int', doc: 'Amount.' },
  },
})
`

export const silverEvent = `import { byInterval, model, same, sql } from 'limn'
import { eventReport } from '../bronze/event.ts'
export const event = model('silver.event', {
  doc: 'One row per event.', owner: 'test', grain: ['id'], keys: ['id'],
  columns: {
    id: { type: 'long', doc: 'Number of the event.' },
    happened_at: { type: 'timestamp', doc: 'When it happened.' },
    amount: { type: 'int', doc: 'Amount.' },
  },
  build: byInterval('happened_at', 'day', ({ interval }) => sql\`
    SELECT DISTINCT id, happened_at, amount FROM \${eventReport} WHERE happened_at >= \${interval.start} AND happened_at < \${interval.end}\`),
  edges: { 'bronze.event': { reads: same, touches: 'happened_at' } },
})
`

export const goldDay = `import { byInterval, model, same, sql } from 'limn'
import { event } from '../silver/event.ts'
export const day = model('gold.day', {
  doc: 'One row per day.', owner: 'test', grain: ['day'], keys: ['day'],
  columns: {
    day: { type: 'timestamp', doc: 'The day.' },
    events: { type: 'long', doc: 'Events.' },
    amount: { type: 'long', doc: 'Sum of amounts.' },
  },
  build: byInterval('day', 'day', ({ interval }) => sql\`
    SELECT date_trunc('day', happened_at)::TIMESTAMP AS day, count(*) AS events, sum(amount)::BIGINT AS amount FROM \${event}
    WHERE happened_at >= \${interval.start} AND happened_at < \${interval.end} GROUP BY ALL\`),
  edges: { 'silver.event': { reads: same } },
  checks: (check) => [check.reconcile('sum(amount)', { with: event, right: 'sum(amount)' })],
})
`
