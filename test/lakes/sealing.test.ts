import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { oneValue } from '../support/hooked.ts'
import { limn } from '../support/lake.ts'
import { bronzeEvent, deliver, smallLake, writeLake } from '../support/small-lake.ts'

interface Held {
  readonly dataset: string
  readonly interval: { readonly start: string }
  readonly until: string | null
  readonly missing: string | null
  readonly by: string
}
interface Said {
  readonly outcome?: string
  readonly held: readonly Held[]
  readonly carriedOut: readonly {
    readonly dataset: string
    readonly because: string
    readonly interval: object | null
  }[]
  readonly error?: { readonly kind: string; readonly message: string }
}
const say = async (folder: string, ...args: readonly string[]): Promise<Said> =>
  JSON.parse((await limn(folder, ...args, '--json')).stdout)
const days = async (folder: string) =>
  oneValue(folder, "SELECT string_agg(strftime(day, '%d'), ' ' ORDER BY day) FROM gold.day")

/** The small lake, its source sealed by a marker per day. */
function markedLake(seal: string) {
  const lake = smallLake('sealing')
  writeLake(lake.folder, {
    'datasets/bronze/event.ts': bronzeEvent
      .replace("format: 'csv' }),", `format: 'csv' }),\n  seal: ${seal},`)
      .replace('{ files, ingest }', '{ files, ingest, manifest, source }'),
  })
  return lake
}
const mark = (folder: string, day: string) => writeLake(folder, { [`done/${day}/_SUCCESS`]: '' })

describe('an interval that is not complete', () => {
  it('is not built, nor what reads it, and is told with the marker it lacks', async () => {
    using lake = markedLake("{ marker: 'done/%Y-%m-%d/_SUCCESS' }")
    const { folder } = lake
    mark(folder, '2026-01-01')
    mark(folder, '2026-01-03')
    const first = await say(folder, 'run')
    expect(first.outcome).toBe('published')
    expect(first.held.map((one) => [one.dataset, one.interval.start, one.missing, one.by])).toEqual([
      ['silver.event', '2026-01-02T00:00:00', 'done/2026-01-02/_SUCCESS', 'bronze.event'],
      ['gold.day', '2026-01-02T00:00:00', 'done/2026-01-02/_SUCCESS', 'bronze.event'],
    ])
    expect(await days(folder)).toBe('01 03')
    expect((await say(folder, 'run')).outcome).toBe('idle')
    expect((await say(folder, 'plan')).held).toHaveLength(2)
    const shown = await limn(folder, 'plan')
    expect(shown.stdout).toMatch(
      /silver\.event {2}2026-01-02 {2}held: .*not complete without done\/2026-01-02\/_SUCCESS/,
    )
    mark(folder, '2026-01-02')
    expect(await say(folder, 'run')).toMatchObject({ outcome: 'published', held: [] })
    expect(await days(folder)).toBe('01 02 03')
  })

  it('that was built before stays as it was when its rows change, until it is complete', async () => {
    using lake = smallLake('sealing')
    const { folder } = lake
    await say(folder, 'run')
    writeLake(folder, {
      'datasets/bronze/event.ts': bronzeEvent.replace(
        "format: 'csv' }),",
        "format: 'csv' }),\n  seal: { after: '5000w' },",
      ),
    })
    deliver(folder, 'b', [['9', '2026-01-02 10:00:00', '100']])
    const held = await say(folder, 'run')
    expect([held.outcome, held.held.map((one) => one.dataset)]).toEqual(['published', ['silver.event']])
    const sum = () => oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')
    expect(await sum()).toBe(60)
    // Moved inputs do not count as seen: the interval is built when it is complete.
    writeLake(folder, { 'datasets/bronze/event.ts': bronzeEvent })
    expect((await say(folder, 'run')).outcome).toBe('published')
    expect(await sum()).toBe(160)
  })

  it('is built when that is asked for, and the ledger says that it was not complete', async () => {
    using lake = markedLake("{ after: '2h', marker: manifest('done/%Y-%m-%d.json') }")
    const { folder } = lake
    writeLake(folder, {
      'done/2026-01-01.json': JSON.stringify({ files: ['inbox/a.csv', { path: 'inbox/b.csv', bytes: 3 }] }),
    })
    expect((await say(folder, 'plan')).held.map((one) => one.dataset)).toEqual(['silver.event'])
    const first = await say(folder, 'run')
    expect(first.held[0]).toMatchObject({
      missing: 'inbox/b.csv, which done/2026-01-01.json lists',
      by: 'bronze.event',
    })
    const forced = await say(folder, 'run', '--unsealed')
    expect(forced.outcome).toBe('published')
    expect(await days(folder)).toBe('01 02 03')
    const reasons = await oneValue(folder, "SELECT min(reason) FROM limn.run WHERE dataset = 'silver.event'")
    expect(reasons).toContain('not complete without')
  })
})

const polled = (body: string, options: string) => `import { readFileSync } from 'node:fs'
import { ingest, source } from 'limn'
export const eventReport = ingest('bronze.event', {
  doc: 'One row per event, as polled.', owner: 'test',
  seal: { marker: 'watermark' },
  from: source(async function* ({ cursor }) {
    const all = JSON.parse(readFileSync(new URL('../../feed.json', import.meta.url), 'utf8'))
${body}
  }, ${options}),
  columns: {
    id: { type: 'long', doc: 'Number of the event.' },
    happened_at: { type: 'timestamp', doc: 'When it happened.' },
    amount: { type: 'int', doc: 'Amount.' },
  },
})
`

describe('a high-watermark source', () => {
  const feed = polled(
    `    const since = all.filter((row) => cursor === null || row.updated > cursor).sort((a, b) => (a.updated < b.updated ? -1 : 1))
    if (since.length === 0) return
    const rows = since.map((row) => ({ id: row.id, happened_at: new Date(row.at + 'Z'), amount: row.amount }))
    const last = since.at(-1).updated
    yield { rows, cursor: last, watermark: last.slice(0, 10) }`,
    "{ safetyWindow: '1d', keys: ['id'] }",
  )
  const row = (id: number, at: string, amount: number, updated: string) => ({ id, at, amount, updated })

  it('reads its safety window again, keeps what is new, and builds what its committed watermark has passed', async () => {
    using lake = smallLake('sealing')
    const { folder } = lake
    const write = (rows: readonly object[]) => writeFileSync(join(folder, 'feed.json'), JSON.stringify(rows))
    writeLake(folder, { 'datasets/bronze/event.ts': feed })
    const first = [
      row(1, '2026-01-01T08:00:00', 10, '2026-01-01T09:00:00Z'),
      row(2, '2026-01-02T08:00:00', 20, '2026-01-02T09:00:00Z'),
    ]
    write(first)
    const begun = await say(folder, 'run')
    expect(begun.error).toBeUndefined()
    expect(begun.held.map((one) => [one.dataset, one.interval.start, one.missing])).toEqual([
      ['silver.event', '2026-01-02T00:00:00', 'the watermark'],
    ])
    expect(await days(folder)).toBe('01')
    // Read again and found as it was: nothing is landed, and nothing is run.
    expect((await say(folder, 'run')).outcome).toBe('idle')
    // One came late, with a time of change before the cursor; another changed; time went on.
    write([
      ...first,
      row(3, '2026-01-02T07:00:00', 5, '2026-01-02T08:00:00Z'),
      row(4, '2026-01-03T07:00:00', 7, '2026-01-03T08:00:00Z'),
    ])
    expect((await say(folder, 'run')).outcome).toBe('published')
    expect(await days(folder)).toBe('01 02')
    expect(await oneValue(folder, 'SELECT sum(amount)::INTEGER FROM gold.day')).toBe(35)
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM bronze.event')).toBe(4)
    const counts = await oneValue(
      folder,
      "SELECT string_agg(json_extract_string(deliveries, '$[0].read') || '/' || json_extract_string(deliveries, '$[0].kept'), ' ' ORDER BY seq) FROM limn.run WHERE outcome = 'landed'",
    )
    expect(counts).toBe('2/2 3/2')
  })

  it('lands a row again when it changed back, and says which cursor is no time', async () => {
    using lake = smallLake('sealing')
    const { folder } = lake
    writeLake(folder, { 'datasets/bronze/event.ts': feed })
    const amounts = [10, 11, 10]
    for (const amount of amounts) {
      writeFileSync(
        join(folder, 'feed.json'),
        JSON.stringify([row(1, '2026-01-01T08:00:00', amount, '2026-01-01T09:00:00Z')]),
      )
      await say(folder, 'run', 'bronze.event')
    }
    expect(await oneValue(folder, "SELECT string_agg(amount::VARCHAR, ' ' ORDER BY _delivery) FROM bronze.event")).toBe(
      '10 11 10',
    )
    const file = join(folder, 'datasets', 'bronze', 'event.ts')
    writeFileSync(file, readFileSync(file, 'utf8').replace('cursor: last,', 'cursor: { last },'))
    writeFileSync(join(folder, 'feed.json'), JSON.stringify([row(2, '2026-01-02T08:00:00', 1, '2026-01-03T09:00:00Z')]))
    expect((await say(folder, 'run', 'bronze.event')).error?.message).toContain(
      'its cursor {"last":"2026-01-03T09:00:00Z"} is not a time',
    )
  })
})
