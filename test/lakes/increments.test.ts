import { rmSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { oneValue, writeDirectly } from '../support/hooked.ts'
import { limn } from '../support/lake.ts'
import { bronzeEvent, deliver, smallLake, writeLake } from '../support/small-lake.ts'

const perGroup = (name: string, build: string) => `import { appendChanges, mergeByKey, model, sql, whole } from 'limn'
import { eventReport } from '../bronze/event.ts'
const query = sql\`SELECT (id % 7)::BIGINT AS kind, count(*) AS events, sum(amount)::BIGINT AS amount FROM \${eventReport} GROUP BY ALL\`
export const total = model('${name}', {
  doc: 'One row per kind of event.', owner: 'test', grain: ['kind'], keys: ['kind'],
  columns: {
    kind: { type: 'long', doc: 'The kind.' },
    events: { type: 'long', doc: 'Events of it.' },
    amount: { type: 'long', doc: 'Sum of their amounts.' },
  },
  partition: ['bucket(3, kind)'],
  build: ${build},
})
`
const merged = "mergeByKey({ keys: ['kind'], touches: { 'bronze.event': 'id % 7' } }, query)"

const eventLog = (removed: string) => `import { appendChanges, model, sql } from 'limn'
import { eventReport } from '../bronze/event.ts'
export const log = model('gold.log', {
  doc: 'One row per event handed over.', owner: 'test', grain: ['id'], keys: [],
  columns: { id: { type: 'long', doc: 'The event.' }, amount: { type: 'int', doc: 'Its amount.' } },
  build: appendChanges('bronze.event', sql\`SELECT id, amount FROM \${eventReport}\`, { removed: '${removed}' }),
})
`

interface Ran {
  readonly outcome: string
  readonly error?: { readonly kind: string; readonly message: string }
  readonly datasets: readonly {
    readonly dataset: string
    readonly ranges: readonly {
      readonly outcome: string
      readonly because: string
      readonly rows: number
      readonly files: number
    }[]
  }[]
}
const run = async (folder: string, ...args: readonly string[]): Promise<Ran> =>
  JSON.parse((await limn(folder, 'run', ...args, '--json')).stdout)
const rangeOf = (ran: Ran, dataset: string) => ran.datasets.find((one) => one.dataset === dataset)?.ranges[0]
const sumOf = (folder: string, table: string) =>
  oneValue(folder, `SELECT string_agg(kind || ':' || events || ':' || amount, ' ' ORDER BY kind) FROM ${table}`)

/** The small lake with what is under test in place of its silver and gold. */
function lakeWith(files: Readonly<Record<string, string>>) {
  const lake = smallLake('increments')
  for (const part of ['silver', 'gold']) rmSync(join(lake.folder, 'datasets', part), { recursive: true })
  writeLake(lake.folder, {
    'datasets/bronze/event.ts': bronzeEvent.replace("format: 'csv' }", "format: 'csv', withdrawn: 'remove' }"),
    ...files,
  })
  return lake
}

describe('a dataset merged by key', () => {
  it('equals the one that is built whole, whatever is delivered, changed and withdrawn', async () => {
    const row = fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 9 }))
    const step = fc.record({
      file: fc.constantFrom('a', 'b', 'c'),
      rows: fc.oneof(
        { weight: 4, arbitrary: fc.array(row, { minLength: 1, maxLength: 6 }) },
        { weight: 1, arbitrary: fc.constant(null) },
      ),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 6 }), async (steps) => {
        using lake = lakeWith({
          'datasets/gold/merged.ts': perGroup('gold.merged', merged),
          'datasets/gold/whole.ts': perGroup('gold.whole', 'whole(query)'),
        })
        const { folder } = lake
        deliver(folder, 'z', [['100', '2026-01-01 08:00:00', '1']])
        await using opened = await Lake.open({ cwd: folder })
        await opened.run()
        for (const { file, rows } of steps) {
          if (rows === null) rmSync(join(folder, 'inbox', `${file}.csv`), { force: true })
          else
            deliver(
              folder,
              file,
              rows.map(([id, amount]) => [String(id), '2026-01-01 08:00:00', String(amount)]),
            )
          await opened.run()
          expect(await sumOf(folder, 'gold.merged')).toBe(await sumOf(folder, 'gold.whole'))
        }
        // One build of each kind was whole: the first.
        const built =
          "SELECT count(*)::INTEGER FROM limn.run WHERE dataset = 'gold.merged' AND outcome = 'built' AND reason NOT LIKE '%merged by key'"
        expect(await oneValue(folder, built)).toBe(1)
      }),
      { numRuns: 6 },
    )
  })

  it('writes only files that have keys that changed, and nothing when what changed makes no difference', async () => {
    using lake = lakeWith({ 'datasets/gold/merged.ts': perGroup('gold.merged', merged) })
    const { folder } = lake
    deliver(
      folder,
      'a',
      Array.from({ length: 21 }, (_, i) => [String(i), '2026-01-01 08:00:00', '1']),
    )
    const first = rangeOf(await run(folder), 'gold.merged')
    expect([first?.rows, first?.files]).toEqual([7, 3])
    deliver(folder, 'b', [['7', '2026-01-01 08:00:00', '5']])
    const second = rangeOf(await run(folder), 'gold.merged')
    expect(second).toMatchObject({ outcome: 'built', because: 'bronze.event, merged by key', files: 1 })
    expect(await sumOf(folder, 'gold.merged')).toBe('0:4:8 1:3:3 2:3:3 3:3:3 4:3:3 5:3:3 6:3:3')
    // Another event of the same kind and amount in its place.
    rmSync(join(folder, 'inbox', 'b.csv'))
    deliver(folder, 'c', [['14', '2026-01-02 08:00:00', '5']])
    expect(rangeOf(await run(folder), 'gold.merged')).toMatchObject({ outcome: 'kept', rows: 0 })
  })

  it('is built whole when its definition changed, when that is asked for, and when others wrote to its table', async () => {
    using lake = lakeWith({ 'datasets/gold/merged.ts': perGroup('gold.merged', merged) })
    const { folder } = lake
    await run(folder)
    expect(rangeOf(await run(folder, '--full'), 'gold.merged')?.because).toBe('asked for')
    await writeDirectly(folder, 'gold.merged', {
      kind: 'append',
      sql: 'SELECT 99::BIGINT AS kind, 1::BIGINT AS events, 1::BIGINT AS amount',
    })
    deliver(folder, 'b', [['7', '2026-01-01 08:00:00', '5']])
    expect(rangeOf(await run(folder), 'gold.merged')?.because).toBe('bronze.event')
    expect(await oneValue(folder, 'SELECT count(*)::INTEGER FROM gold.merged WHERE kind = 99')).toBe(0)
    writeLake(folder, {
      'datasets/gold/merged.ts': perGroup('gold.merged', merged).replace('count(*)', 'count(*) + 1'),
    })
    expect(rangeOf(await run(folder), 'gold.merged')?.because).toBe('its definition')
  })

  it('names what it is merged by, or is refused', async () => {
    using lake = lakeWith({
      'datasets/gold/merged.ts': perGroup('gold.merged', "mergeByKey({ keys: ['kind'] }, query)"),
    })
    const { folder } = lake
    const said = await run(folder)
    expect(said.error).toMatchObject({
      kind: 'dataset/invalid',
      message: 'gold.merged is merged by "kind", which bronze.event has no column of.',
    })
    writeLake(folder, { 'datasets/gold/merged.ts': perGroup('gold.merged', "mergeByKey({ keys: ['sort'] }, query)") })
    expect((await run(folder)).error?.message).toContain('is merged by "sort", which is not a column of it')
    for (const [touches, said] of [
      ['kin % 7', 'Referenced column "kin" not found'],
      ['id %', 'syntax error'],
      ["'kind ' || id", 'the key "kind" that a row of bronze.event affects is VARCHAR, and long in the contract'],
    ] as const) {
      const build = `mergeByKey({ keys: ['kind'], touches: { 'bronze.event': ${JSON.stringify(touches)} } }, query)`
      writeLake(folder, { 'datasets/gold/merged.ts': perGroup('gold.merged', build) })
      expect((await run(folder)).error?.message).toContain(said)
      expect((await limn(folder, 'check')).code).toBe(2)
    }
  })
})

describe('a dataset that is appended to', () => {
  const ids = (folder: string) => oneValue(folder, "SELECT string_agg(id::VARCHAR, ' ' ORDER BY id) FROM gold.log")

  it('gets each row that came once, over compaction, idle runs and runs that failed', async () => {
    using lake = lakeWith({ 'datasets/gold/log.ts': eventLog('rebuild') })
    const { folder } = lake
    await run(folder)
    expect(await ids(folder)).toBe('1 2 3')
    deliver(folder, 'b', [['4', '2026-01-01 08:00:00', '1']])
    expect(rangeOf(await run(folder), 'gold.log')).toMatchObject({
      because: 'bronze.event, appended',
      rows: 1,
      files: 1,
    })
    await limn(folder, 'table', 'compact', 'bronze.event', '--all')
    expect(rangeOf(await run(folder), 'gold.log')).toBeUndefined()
    deliver(folder, 'c', [['5', '2026-01-01 08:00:00', '1']])
    await expect(
      (async () => {
        await using broken = await Lake.open({
          cwd: folder,
          steps: {
            reach: (name, edge, detail) => {
              if (name === 'state.change' && edge === 'before' && detail.endsWith('publishing'))
                throw new Error('power')
            },
          },
        })
        await broken.run()
      })(),
    ).rejects.toThrow('power')
    expect(rangeOf(await run(folder), 'gold.log')).toMatchObject({ rows: 1 })
    expect(await ids(folder)).toBe('1 2 3 4 5')
  })

  it('gets of a file that has grown, and is handed over again, what is new in it', async () => {
    using lake = lakeWith({ 'datasets/gold/log.ts': eventLog('error') })
    const { folder } = lake
    const rows = [
      ['1', '2026-01-01 08:00:00', '10'],
      ['2', '2026-01-02 08:00:00', '20'],
      ['2', '2026-01-02 08:00:00', '20'],
    ]
    deliver(folder, 'a', rows)
    await run(folder)
    expect(await ids(folder)).toBe('1 2 2')
    deliver(folder, 'a', [...rows, ['2', '2026-01-02 08:00:00', '20'], ['4', '2026-01-04 08:00:00', '40']])
    expect(rangeOf(await run(folder), 'gold.log')).toMatchObject({ because: 'bronze.event, appended', rows: 2 })
    expect(await ids(folder)).toBe('1 2 2 2 4')
  })

  for (const [removed, left] of [
    ['rebuild', '1 9'],
    ['ignore', '1 2 3 9'],
    ['error', '1 2 3'],
  ] as const) {
    it(`says what rows that changed mean: ${removed}`, async () => {
      using lake = lakeWith({ 'datasets/gold/log.ts': eventLog(removed) })
      const { folder } = lake
      await run(folder)
      deliver(folder, 'a', [
        ['1', '2026-01-01 08:00:00', '10'],
        ['9', '2026-01-01 08:00:00', '1'],
      ])
      const ran = await run(folder)
      expect(ran.error?.kind).toBe(removed === 'error' ? 'run/not-append' : undefined)
      expect(await ids(folder)).toBe(left)
    })
  }
})
