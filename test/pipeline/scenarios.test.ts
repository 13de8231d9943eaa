import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { IntervalSet, parseMicros } from '../../packages/limn/src/dataset/index.ts'
import { lineageDifference, lineageOf } from '../../packages/limn/src/sql/index.ts'
import { temporaryEngine } from '../support/duckdb.ts'
import { tables } from '../support/query-specs.ts'
import { categoryFacts, categoryOrigins } from './scenarios/categories.ts'
import { environmentScenarios } from './scenarios/environments.ts'
import { lakeScenarios } from './scenarios/lakes.ts'
import { left } from './scenarios/left.ts'
import type { Origin } from './scenarios/scenario.ts'
import { shapeScenarios } from './scenarios/shapes.ts'

/** Restated from SQLMesh, `tests/core/test_snapshot.py` (Apache-2.0): sets of times grow, join and are cut. */
const intervalOrigins: readonly Origin[] = [
  'test_add_interval',
  'test_remove_intervals',
  'test_contiguous_intervals',
].map((test) => ({ file: 'test_snapshot.py', test }))

const span = (from: string, to: string) => ({ start: parseMicros(from), end: parseMicros(to) })
const set = (...parts: readonly (readonly [string, string])[]) =>
  IntervalSet.of(parts.map(([from, to]) => span(from, to)))

const onLakes = [...lakeScenarios, ...environmentScenarios, ...shapeScenarios]

describe('scenarios of another planner', () => {
  let made: Awaited<ReturnType<typeof temporaryEngine>>
  beforeAll(async () => {
    made = await temporaryEngine()
  })
  afterAll(() => made[Symbol.asyncDispose]())

  it('are all of those of its four files, restated or left with a reason, each once', () => {
    const all = [
      ...[...categoryOrigins, ...intervalOrigins, ...onLakes.flatMap((one) => one.origins)].map(
        ({ file, test }) => `${file} ${test}`,
      ),
      ...left.flatMap(({ tests }) =>
        Object.entries(tests).flatMap(([file, names]) => names.split(/\s+/).map((name) => `${file} ${name}`)),
      ),
    ]
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
