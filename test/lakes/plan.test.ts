import { readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limn } from '../support/lake.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

describe('limn plan', () => {
  const lake = smallLake('plan')
  const silver = join(lake.folder, 'datasets/silver/event.ts')
  const gold = join(lake.folder, 'datasets/gold/day.ts')
  const edit = (file: string, from: string, to: string) => {
    const text = readFileSync(file, 'utf8')
    expect(text).toContain(from)
    writeFileSync(file, text.replace(from, to))
  }
  const plan = async (...args: readonly string[]) => {
    const ended = await limn(lake.folder, 'plan', ...args)
    expect(ended.stderr).toBe('')
    return ended.stdout.trimEnd()
  }
  /** Without what a machine's speed decides. */
  const steady = (text: string) => text.replaceAll(/, [\d.]+ s\b/g, ', … s').replaceAll(/[\d.]+ k?B\b/g, '… B')
  beforeAll(async () => {
    expect((await limn(lake.folder, 'run')).code).toBe(0)
  })
  afterAll(() => lake[Symbol.dispose]())

  it('says as a tree what a delivery makes stale, how many rows, and what it will take', async () => {
    deliver(lake.folder, 'b', [
      ['4', '2026-01-03 09:00:00', '5'],
      ['5', '2026-01-05 09:00:00', '5'],
    ])
    expect(steady(await plan())).toBe(`bronze.event  new delivery: inbox/b.csv new
│    reaches silver.event, gold.day
│    about 3 rows, … B, … s
└─ silver.event  at most 2026-01-03, 2026-01-05 (2 days)  data changed: bronze.event, at most 2 rows added or removed
   │    at most 2026-01-04  never built
   │    about 3 rows, … B, … s
   └─ gold.day  at most 2026-01-03 … 2026-01-05 (3 days)  data changed: silver.event
           about 3 rows, … B, … s

Together about 9 rows, … B, … s of work.`)
    expect((await limn(lake.folder, 'plan', '--exit-code')).code).toBe(4)
    expect((await limn(lake.folder, 'run')).code).toBe(0)
    expect(await plan()).toBe('Nothing to do.')
  })

  it('names what differs in a definition and the columns it reaches, also as JSON', async () => {
    edit(
      silver,
      'SELECT DISTINCT id, happened_at, amount',
      'SELECT id, happened_at, any_value(amount * 2)::INTEGER AS amount',
    )
    edit(silver, 'happened_at < ${interval.end}', 'happened_at < ${interval.end} GROUP BY ALL')
    expect(steady(await plan())).toContain('~ column amount: amount → CAST(any_value((amount * 2)) AS INTEGER)')
    const { datasets } = JSON.parse(await plan('--json')) as { readonly datasets: readonly Record<string, unknown>[] }
    expect(datasets.map((one) => [one.dataset, one.parents, one.breaks])).toEqual([
      ['silver.event', [], [{ dataset: 'gold.day', columns: null }]],
      ['gold.day', ['silver.event'], []],
    ])
    expect(datasets[0]).toMatchObject({ causes: [{ reason: 'definition-changed', units: 5, atMost: false }] })
  })

  it('lets a definition apply to new intervals only, restates on demand, and a source never', async () => {
    expect((await limn(lake.folder, 'run', '--forward-only')).code).toBe(0)
    expect(await plan()).toBe('Nothing to do.')
    const restated = await plan('--restate', 'silver.event', '--date', '2026-01-02')
    expect(steady(restated)).toContain('silver.event  2026-01-02  restated')
    expect(steady(restated)).toContain('gold.day  at most 2026-01-02  data changed: silver.event')
    const refused = await limn(lake.folder, 'plan', '--restate', 'bronze.event')
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('usage/argument')])
    const ran = await limn(lake.folder, 'run', '--json', '--restate', 'silver.event', '--date', '2026-01-02')
    const { datasets } = JSON.parse(ran.stdout) as {
      readonly datasets: readonly {
        readonly dataset: string
        readonly ranges: readonly { readonly outcome: string; readonly interval: unknown }[]
      }[]
    }
    const day = { start: '2026-01-02T00:00:00', end: '2026-01-03T00:00:00' }
    expect(
      datasets.map((one) => [one.dataset, one.ranges.map(({ outcome, interval }) => [outcome, interval])]),
    ).toEqual([
      ['silver.event', [['built', day]]],
      ['gold.day', [['built', day]]],
    ])
    expect(await plan()).toBe('Nothing to do.')
  })

  it('leaves out what was stale already at a time, and does not take it for up to date', async () => {
    const past = new Date(Date.now() - 3_600_000)
    edit(silver, 'amount * 2', 'amount * 3')
    utimesSync(silver, past, past)
    const since = new Date(Date.now() - 60_000).toISOString().slice(0, 19)
    edit(gold, 'count(*) AS events', 'count(id) AS events')
    const planned = steady(await plan('--since', since))
    expect(planned).toContain('gold.day  2026-01-01 … 2026-01-05 (5 days)  code changed')
    expect(planned).not.toContain('silver.event  2026')
    expect((await limn(lake.folder, 'run', '--since', since)).code).toBe(0)
    expect(steady(await plan())).toContain('silver.event  2026-01-01 … 2026-01-05 (5 days)  code changed')
  })
})
