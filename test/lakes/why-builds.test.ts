import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { limn } from '../support/lake.ts'
import { deliver, smallLake, writeLake } from '../support/small-lake.ts'
import { headOf, named, pathsOf, runLake, type WhyJson, whyOf } from '../support/why.ts'

interface TrailStepJson {
  readonly dataset: string
  readonly run: { readonly id: string; readonly reason: string; readonly approval: string | null } | null
  readonly rows: number
  readonly deliveries: readonly { readonly path: string }[]
}

interface TrailJson {
  readonly steps: readonly TrailStepJson[]
  readonly unknown: readonly string[]
  readonly history: readonly { readonly rows: readonly (readonly string[])[] }[]
}

async function trailOf(folder: string, ...args: readonly string[]): Promise<TrailJson> {
  const ended = await limn(folder, 'why', ...args, '--json')
  expect([ended.code, ended.stderr]).toEqual([0, ''])
  return JSON.parse(ended.stdout) as TrailJson
}

function edit(folder: string, file: string, from: string, to: string): void {
  const path = join(folder, file)
  const text = readFileSync(path, 'utf8')
  expect(text).toContain(from)
  writeFileSync(path, text.replaceAll(from, to))
}

const silver = 'datasets/silver/event.ts'
const gold = 'datasets/gold/day.ts'
const corrected = [
  ['1', '2026-01-01 08:00:00', '10'],
  ['2', '2026-01-02 08:00:00', '21'],
  ['3', '2026-01-03 08:00:00', '30'],
]
const isDelivery = ['corrected-rows', 'bronze.event', 'amount']

describe('why, of intervals that a backfill built', () => {
  it('names the backfill and how it was approved, and the code it was for', async () => {
    using lake = smallLake('why-backfill')
    const { folder } = lake
    await runLake(folder)
    const before = await headOf(folder, 'gold.day')
    edit(folder, silver, ', amount FROM', ', amount * 2 AS amount FROM')
    const waiting = await limn(folder, 'backfill', 'silver.event+', '--date', '2026-01-02', '--json')
    const { backfill } = JSON.parse(waiting.stdout) as { backfill: string }
    expect((await limn(folder, 'backfill', 'approve', backfill)).code).toBe(0)
    const steps = (await trailOf(folder, 'gold.day', '--date', '2026-01-02')).steps
    expect(steps.map((one) => [one.dataset, one.run?.reason, one.run?.approval])).toEqual([
      ['gold.day', `backfill: ${backfill}`, 'as-seen'],
      ['silver.event', `backfill: ${backfill}`, 'as-seen'],
      ['bronze.event', 'new-delivery: inbox/a.csv new', null],
    ])
    const found = await whyOf(folder, 'gold.day', before)
    expect(named(found)).toEqual([['code-changed', 'silver.event', 'amount']])
    expect(found.findings[0]?.intervals).toEqual([{ start: '2026-01-02T00:00:00', end: '2026-01-03T00:00:00' }])
    expect(found.findings[0]?.origin).toMatchObject({ kind: 'code', built: { because: `backfill: ${backfill}` } })
    // The other days are built by it in the next backfill, approved in advance.
    expect((await limn(folder, 'backfill', 'silver.event+', '--date', '2026-01', '--approve')).code).toBe(0)
    const [top] = (await trailOf(folder, 'gold.day', '--date', '2026-01-03')).steps
    expect(top?.run?.approval).toBe('in-advance')
    expect(named(await whyOf(folder, 'gold.day', before))).toEqual([['unit-change', 'silver.event', 'amount']])
  })
})

describe('why, of a dataset that was renamed', () => {
  it('goes on through the name it had: rows, history, definitions and deliveries', async () => {
    using lake = smallLake('why-rename')
    const { folder } = lake
    await runLake(folder)
    const before = await headOf(folder, 'gold.day')
    edit(folder, silver, ', amount FROM', ', amount + 5 AS amount FROM')
    await runLake(folder)
    const later = await headOf(folder, 'gold.day')
    const text = readFileSync(join(folder, silver), 'utf8')
    rmSync(join(folder, silver))
    writeLake(folder, {
      'datasets/silver/happening.ts': text.replace(
        "model('silver.event', {",
        "model('silver.happening', { renamedFrom: 'silver.event',",
      ),
    })
    edit(folder, gold, '../silver/event.ts', '../silver/happening.ts')
    edit(folder, gold, 'silver.event', 'silver.happening')
    await runLake(folder)
    expect(named(await whyOf(folder, 'gold.day', later))).toEqual([])
    const code = ['code-changed', 'silver.happening', 'amount']
    expect(named(await whyOf(folder, 'gold.day', before))).toEqual([code])
    const found = await trailOf(folder, 'silver.happening', '--key', '2')
    expect(found.history.map((one) => one.rows[0]?.[2])).toEqual(['25', '20'])
    expect(found.steps.at(-1)?.deliveries.map((one) => one.path)).toEqual(['inbox/a.csv'])
    expect(found.unknown).toEqual([])
    // A delivery after the rename, and code before it: each is tried alone on the former state, by the former definition.
    deliver(folder, 'a', corrected)
    edit(folder, gold, 'sum(amount)::BIGINT AS', 'sum(amount + 0)::BIGINT AS')
    await runLake(folder)
    expect(named(await whyOf(folder, 'gold.day', later))).toEqual([isDelivery])
    expect(named(await whyOf(folder, 'gold.day', before))).toEqual([code, isDelivery])
  })
})

describe('why, of a column that was renamed', () => {
  it('accuses nobody while the values are the same, and finds what changed under the new name', async () => {
    using lake = smallLake('why-column')
    const { folder } = lake
    await runLake(folder)
    const before = await headOf(folder, 'gold.day')
    const silverBefore = await headOf(folder, 'silver.event')
    edit(folder, silver, "amount: { type: 'int', doc: 'Amount.' }", "value: { type: 'int', doc: 'Amount.' }")
    edit(folder, silver, ', amount FROM', ', amount AS value FROM')
    edit(folder, gold, 'sum(amount)::BIGINT', 'sum(value)::BIGINT')
    edit(folder, gold, "right: 'sum(amount)'", "right: 'sum(value)'")
    await runLake(folder)
    expect(named(await whyOf(folder, 'gold.day', before))).toEqual([])
    expect((await whyOf(folder, 'silver.event', silverBefore)).findings.map((one) => one.dataset)).toEqual([])
    deliver(folder, 'a', corrected)
    await runLake(folder)
    expect(named(await whyOf(folder, 'gold.day', before))).toEqual([isDelivery])
  })
})

const kinds = `import { mergeByKey, model, sql } from 'limn'
import { eventReport } from '../bronze/event.ts'
export const kind = model('gold.kind', {
  doc: 'One row per kind of event.', owner: 'test', grain: ['kind'], keys: ['kind'],
  columns: {
    kind: { type: 'long', doc: 'The kind.' },
    events: { type: 'long', doc: 'Events of it.', additivity: 'additive' },
    amount: { type: 'long', doc: 'Sum of their amounts.', additivity: 'additive' },
  },
  build: mergeByKey({ keys: ['kind'], touches: { 'bronze.event': 'id % 7' } },
    sql\`SELECT (id % 7)::BIGINT AS kind, count(*) AS events, sum(amount)::BIGINT AS amount FROM \${eventReport} GROUP BY ALL\`),
})
`

const log = `import { appendChanges, model, sql } from 'limn'
import { eventReport } from '../bronze/event.ts'
export const log = model('gold.log', {
  doc: 'One row per event handed over.', owner: 'test', grain: ['id'], keys: [],
  columns: { id: { type: 'long', doc: 'The event.' }, amount: { type: 'int', doc: 'Its amount.', additivity: 'additive' } },
  build: appendChanges('bronze.event', sql\`SELECT id, amount FROM \${eventReport}\`, { removed: 'rebuild' }),
})
`

describe('why, of a dataset built by increments', () => {
  it('names the delivery whatever increments came between, and accuses none that changed nothing', async () => {
    using lake = smallLake('why-increments')
    const { folder } = lake
    writeLake(folder, { 'datasets/gold/kind.ts': kinds, 'datasets/gold/log.ts': log })
    await runLake(folder)
    const [kind, rows] = [await headOf(folder, 'gold.kind'), await headOf(folder, 'gold.log')]
    deliver(folder, 'b', [['9', '2026-01-04 08:00:00', '4']])
    await runLake(folder)
    const between = [await headOf(folder, 'gold.kind'), await headOf(folder, 'gold.log')] as const
    deliver(folder, 'c', [['10', '2026-01-04 09:00:00', '6']])
    await runLake(folder)
    const news = (found: WhyJson) => found.findings.map((one) => [one.kind, ...pathsOf(one)])
    for (const [table, first, second] of [
      ['gold.kind', kind, between[0]],
      ['gold.log', rows, between[1]],
    ] as const) {
      expect(news(await whyOf(folder, table, first))).toEqual([
        ['new-rows', 'inbox/b.csv'],
        ['new-rows', 'inbox/c.csv'],
      ])
      expect(news(await whyOf(folder, table, second))).toEqual([['new-rows', 'inbox/c.csv']])
    }
    // Built whole once, by increments the other time: the rows are the same, and so are the reasons.
    await runLake(folder, '--full')
    expect(named(await whyOf(folder, 'gold.kind', between[0]))).toEqual([['new-rows', 'bronze.event', null]])
    const found = await trailOf(folder, 'gold.log', '--key', '10')
    expect(found.steps.at(-1)?.deliveries.map((one) => one.path)).toEqual(['inbox/c.csv'])
  })
})

describe('why, of a source with a safety window', () => {
  it('names the batch that a late row came with, and accuses none of rows that were read again', async () => {
    using lake = smallLake('why-window')
    const { folder } = lake
    const bronze = 'datasets/bronze/event.ts'
    const read = `source(async function* () {
      const rows = JSON.parse(readFileSync('feed.json', 'utf8'))
      yield { rows, cursor: rows.at(-1).happened_at + 'Z' }
    }, { safetyWindow: '72h', keys: ['id'] })`
    edit(
      folder,
      bronze,
      'import { files, ingest }',
      "import { readFileSync } from 'node:fs'\nimport { ingest, source }",
    )
    edit(folder, bronze, "files('inbox/*.csv', { format: 'csv' })", read)
    const feed = (...rows: readonly (readonly [number, string, number])[]) =>
      writeFileSync(
        join(folder, 'feed.json'),
        JSON.stringify(rows.map(([id, happened_at, amount]) => ({ id, happened_at, amount }))),
      )
    const first = [1, '2026-01-01T08:00:00', 10] as const
    const second = [2, '2026-01-02T08:00:00', 20] as const
    feed(first, second)
    await runLake(folder)
    const before = await headOf(folder, 'gold.day')
    feed(first, [3, '2026-01-01T09:00:00', 5], second, [4, '2026-01-03T08:00:00', 7])
    await runLake(folder)
    const found = await whyOf(folder, 'gold.day', before)
    expect(found.findings.map((one) => [one.kind, one.dataset, one.rows]).sort()).toEqual([
      ['late-rows', 'bronze.event', 1],
      ['new-rows', 'bronze.event', 1],
    ])
    expect(found.unknown).toEqual([])
  })
})

describe('why, in an environment', () => {
  it('compares with production, with what it stands on, and with what production published since', async () => {
    using lake = smallLake('why-env')
    const { folder } = lake
    await runLake(folder)
    const made = await headOf(folder, 'gold.day')
    const dev = ['--env', 'dev'] as const
    expect((await limn(folder, 'env', 'create', 'dev')).code).toBe(0)
    expect(named(await whyOf(folder, 'gold.day', 'prod', ...dev))).toEqual([])
    edit(folder, silver, ', amount FROM', ', amount * 3 AS amount FROM')
    await runLake(folder, ...dev)
    const code = ['unit-change', 'silver.event', 'amount']
    expect(named(await whyOf(folder, 'gold.day', 'prod', ...dev))).toEqual([code])
    expect(named(await whyOf(folder, 'gold.day', made, ...dev))).toEqual([code])
    // Production lands what the environment has not, with the code that it has.
    edit(folder, silver, ', amount * 3 AS amount FROM', ', amount FROM')
    deliver(folder, 'b', [['4', '2026-01-02 09:00:00', '8']])
    await runLake(folder)
    edit(folder, silver, ', amount FROM', ', amount * 3 AS amount FROM')
    const found = await whyOf(folder, 'gold.day', 'prod', ...dev)
    expect(found.findings.map((one) => [one.kind, one.dataset]).sort()).toEqual([
      ['not-landed', 'bronze.event'],
      ['unit-change', 'silver.event'],
    ])
    expect(found.unknown).toEqual([])
    const shown = await limn(folder, 'why', 'gold.day', '--against', 'prod', '--json')
    expect(shown.code).toBe(2)
    expect((await trailOf(folder, 'gold.day', '--date', '2026-01-02', ...dev)).steps.map((one) => one.rows)).toEqual([
      1, 1, 1,
    ])
  })
})
