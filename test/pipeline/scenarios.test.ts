import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseRange } from '../../packages/limn/src/cli/arguments.ts'
import {
  IntervalSet,
  nextTick,
  parseMicros,
  type ScheduleText,
  scheduleOf,
} from '../../packages/limn/src/dataset/index.ts'
import { lineageDifference, lineageOf } from '../../packages/limn/src/sql/index.ts'
import { temporaryEngine } from '../support/duckdb.ts'
import { tables } from '../support/query-specs.ts'
import { accounts, page } from './scenarios/all.ts'
import { categoryFacts } from './scenarios/categories.ts'

const span = (from: string, to: string) => ({ start: parseMicros(from), end: parseMicros(to) })
const set = (...parts: readonly (readonly [string, string])[]) =>
  IntervalSet.of(parts.map(([from, to]) => span(from, to)))

describe('scenarios of another planner', () => {
  let made: Awaited<ReturnType<typeof temporaryEngine>>
  beforeAll(async () => {
    made = await temporaryEngine()
  })
  afterAll(() => made[Symbol.asyncDispose]())

  it('are all of those of its four files, restated or left with a reason, each once', () => {
    const all = accounts.map(({ origin }) => `${origin.file} ${origin.test}`)
    const counts = new Map<string, number>()
    for (const one of new Set(all)) {
      const file = one.split(' ')[0] ?? ''
      counts.set(file, (counts.get(file) ?? 0) + 1)
    }
    expect(new Set(all).size).toBe(all.length)
    expect(Object.fromEntries([...counts].sort())).toEqual({
      'test_change_scenarios.py': 33,
      'test_plan.py': 64,
      'test_restatement.py': 18,
      'test_snapshot.py': 80,
    })
  })

  it('are counted and told in the documentation as they are', async () => {
    await expect(page()).toMatchFileSnapshot('../../docs/scenarios.md')
  })

  it('of clocks: what is run by the hour is next, before what is run by the day and what nothing runs', () => {
    const now = parseMicros('2023-01-01T01:00') / 1000
    const next = ['@daily in UTC', '@hourly in UTC'].map((text) => {
      const schedule = scheduleOf(text as ScheduleText)
      return schedule.kind === 'cron' ? nextTick(schedule, now + 1) : Number.NaN
    })
    expect(Math.min(...next)).toBe(parseMicros('2023-01-01T02:00') / 1000)
  })

  it('of ranges: dates, in order; no words, and no end before the start', () => {
    expect(parseRange({})).toBeNull()
    expect(parseRange({ from: '2020-01-01', to: '2020-01-05' })).toEqual(span('2020-01-01', '2020-01-05'))
    expect(() => parseRange({ from: '2020-01-05', to: '2020-01-01' })).toThrow('is not before')
    expect(() => parseRange({ from: '2 days ago', to: '2020-01-05' })).toThrow()
    expect(parseRange({ from: '2020-01-05', to: '2999-01-01' })).toEqual(span('2020-01-05', '2999-01-01'))
  })

  it.each(categoryFacts.map((fact) => [fact.says, fact] as const))('of changes: %s', async (_, fact) => {
    const read = async (sql: string) => lineageOf((await made.engine.parse(sql)).canonical, tables)
    const found = lineageDifference(await read(fact.before), await read(fact.after))
    const changed = [...found.added, ...found.removed, ...found.changed.map((one) => one.name)]
    expect(found.rowsDiffer).toBe(fact.expect.rows)
    if (!fact.expect.rows) expect(changed).toEqual(fact.expect.changed)
  })

  it('of sets of times: days are added, join, and are cut out of one another', () => {
    let built = set(['2020-01-01', '2020-01-02']).union(set(['2020-01-02', '2020-01-03']))
    expect(built).toEqual(set(['2020-01-01', '2020-01-03']))
    built = built.union(set(['2020-01-04', '2020-01-06'])).union(set(['2019-12-31', '2020-01-01']))
    expect(built).toEqual(set(['2019-12-31', '2020-01-03'], ['2020-01-04', '2020-01-06']))
    expect(built.union(set(['2020-01-03', '2020-01-04']))).toEqual(set(['2019-12-31', '2020-01-06']))
    expect(built.union(set(['2019-01-01', '2020-01-31']))).toEqual(set(['2019-01-01', '2020-01-31']))
    const two = set(['2020-01-01', '2020-01-06'], ['2020-01-07', '2020-01-11'])
    expect(two.minus(set(['2020-01-03', '2020-01-05']))).toEqual(
      set(['2020-01-01', '2020-01-03'], ['2020-01-05', '2020-01-06'], ['2020-01-07', '2020-01-11']),
    )
    expect(two.minus(set(['2020-01-06', '2020-01-22']))).toEqual(set(['2020-01-01', '2020-01-06']))
    expect(two.minus(set(['2019-01-01', '2022-01-01'])).isEmpty).toBe(true)
    expect(IntervalSet.of([0, 3, 4, 6].map((at) => ({ start: at, end: at + 1 }))).intervals).toEqual([
      { start: 0, end: 1 },
      { start: 3, end: 5 },
      { start: 6, end: 7 },
    ])
  })
})
