import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limn } from '../support/lake.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

interface TrailJson {
  readonly rows: readonly (readonly (string | null)[])[]
  readonly steps: readonly {
    readonly dataset: string
    readonly depth: number
    readonly snapshotId: string
    readonly run: { readonly id: string; readonly outcome: string } | null
    readonly code: { readonly present: boolean } | null
    readonly rows: number
    readonly moved: boolean
    readonly deliveries: readonly {
      readonly path: string
      readonly ordinal: number
      readonly rows: number
      readonly run: string
    }[]
  }[]
  readonly history: readonly { readonly run: string; readonly rows: readonly (readonly (string | null)[])[] }[]
  readonly column: readonly { readonly dataset: string; readonly column: string; readonly expression: string | null }[]
  readonly unknown: readonly string[]
}

describe('where a number comes from', () => {
  const lake = smallLake('trail')
  const { folder } = lake
  const runs: string[] = []

  async function run(): Promise<void> {
    const ended = await limn(folder, 'run', '--json')
    expect(ended.code).toBe(0)
    runs.push((JSON.parse(ended.stdout) as { run: string }).run)
  }

  async function why(...args: readonly string[]): Promise<TrailJson> {
    const ended = await limn(folder, 'why', ...args, '--json')
    expect([ended.code, ended.stderr]).toEqual([0, ''])
    return JSON.parse(ended.stdout) as TrailJson
  }

  beforeAll(async () => {
    await run()
    // The second day's amount is corrected by a delivery of its own path, and one more day comes.
    deliver(folder, 'b', [
      ['4', '2026-01-02 09:00:00', '5'],
      ['5', '2026-01-04 08:00:00', '40'],
    ])
    await run()
    deliver(folder, 'b', [
      ['4', '2026-01-02 09:00:00', '7'],
      ['5', '2026-01-04 08:00:00', '40'],
    ])
    await run()
  })
  afterAll(() => lake[Symbol.dispose]())

  it('is told for a date, down to the deliveries with their rows of that date', async () => {
    const found = await why('gold.day', '--date', '2026-01-02')
    expect(found.rows).toEqual([['2026-01-02 00:00:00', '2', '27']])
    expect(found.steps.map((one) => [one.dataset, one.depth, one.rows, one.run?.id])).toEqual([
      ['gold.day', 0, 1, runs[2]],
      ['silver.event', 1, 2, runs[2]],
      ['bronze.event', 2, 2, runs[2]],
    ])
    expect(found.steps[2]?.deliveries).toMatchObject([
      { path: 'inbox/a.csv', ordinal: 1, rows: 1, run: runs[0] },
      { path: 'inbox/b.csv', ordinal: 3, rows: 1, run: runs[2] },
    ])
    expect(found.unknown).toEqual([])
  })

  it('names the run that built an interval which later runs left alone', async () => {
    const found = await why('gold.day', '--date', '2026-01-01')
    expect(found.steps.slice(0, 2).map((one) => [one.run?.id, one.run?.outcome])).toEqual([
      [runs[0], 'built'],
      [runs[0], 'built'],
    ])
  })

  it('follows a key through its history and down by columns handed through', async () => {
    const found = await why('silver.event', '--key', '4')
    expect(found.history.map((one) => [one.run, one.rows.map((row) => row[2])])).toEqual([
      [runs[2], ['7']],
      [runs[1], ['5']],
      [runs[0], []],
    ])
    expect(found.steps.at(-1)).toMatchObject({ dataset: 'bronze.event', rows: 1 })
    expect(found.steps.at(-1)?.deliveries).toMatchObject([{ path: 'inbox/b.csv', ordinal: 3, rows: 1 }])
  })

  it('says by which columns it could not go on', async () => {
    const found = await why('gold.day', '--where', 'amount > 20 AND events = 2')
    expect(found.unknown).toEqual([
      'Which rows of silver.event made them is not known by (amount > 20 AND events = 2 ), only by time.',
    ])
  })

  it('says how a column is computed, layer by layer', async () => {
    const found = await why('gold.day', '--column', 'amount')
    expect(found.column.map((one) => [`${one.dataset}.${one.column}`, one.expression])).toEqual([
      ['gold.day.amount', 'CAST(sum(amount) AS BIGINT)'],
      ['silver.event.amount', 'amount'],
      ['bronze.event.amount', null],
    ])
  })

  it('tells a definition that has changed since, and a state that main has left behind', async () => {
    const path = join(folder, 'datasets/gold/day.ts')
    writeFileSync(path, readFileSync(path, 'utf8').replace('sum(amount)::BIGINT AS', 'sum(amount + 0)::BIGINT AS'))
    const found = await why('gold.day', '--date', '2026-01-02')
    expect(found.steps[0]?.code).toMatchObject({ present: false })
    deliver(folder, 'c', [['9', '2026-01-03 10:00:00', '1']])
    expect((await limn(folder, 'run', '+silver.event', '--json')).code).toBe(0)
    const later = await why('gold.day', '--date', '2026-01-03')
    expect(later.steps.map((one) => [one.dataset, one.moved, one.rows])).toEqual([
      ['gold.day', false, 1],
      ['silver.event', true, 1],
      ['bronze.event', true, 1],
    ])
  })

  it('refuses a key of the wrong length and a column that is not there', async () => {
    for (const args of [
      ['silver.event', '--key', '1,2'],
      ['silver.event', '--column', 'amunt'],
      ['silver.evnt', '--date', '2026-01-01'],
    ]) {
      const ended = await limn(folder, 'why', ...args, '--json')
      expect([args, ended.code]).toEqual([args, 2])
    }
  })
})
