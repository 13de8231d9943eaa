import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { timingOf } from '../../packages/limn/src/dataset/index.ts'
import { criticalPath, pathOfRun } from '../../packages/limn/src/pipeline/schedule/critical-path.ts'
import { freshnessOf, historyOf, outlookOf } from '../../packages/limn/src/pipeline/schedule/outlook.ts'
import { ledgerRow, projectOf } from '../support/projects.ts'

const id = tableId
const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => `x.${name}`)
const noInputs: Record<string, string[]> = Object.fromEntries(names.map((name) => [name, []]))
const graphs = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 })), { maxLength: 12 })
  .map((pairs) => {
    const inputs: Record<string, string[]> = Object.fromEntries(names.map((name) => [name, []]))
    for (const [a, b] of pairs) {
      const [reader, input] = [names[Math.max(a, b)] ?? '', names[Math.min(a, b)] ?? '']
      if (a !== b && !inputs[reader]?.includes(input)) inputs[reader]?.push(input)
    }
    return inputs
  })
const times = fc.dictionary(fc.constantFrom(...names), fc.integer({ min: 0, max: 9 }), { noNullPrototype: true })

/** Every way through the graph, written down one by one. */
function allPaths(inputs: Readonly<Record<string, readonly string[]>>): readonly (readonly string[])[] {
  const readers = (name: string) => names.filter((other) => inputs[other]?.includes(name))
  const from = (name: string): readonly (readonly string[])[] => [
    [name],
    ...readers(name).flatMap((next) => from(next).map((rest) => [name, ...rest])),
  ]
  return names.flatMap(from)
}

describe('the critical path', () => {
  it('is the longest of all paths, and slack is what the longest path through a dataset falls short of it', () => {
    fc.assert(
      fc.property(graphs, times, (inputs, takes) => {
        const lengthOf = (path: readonly string[]) => path.reduce((sum, name) => sum + (takes[name] ?? 0), 0)
        const paths = allPaths(inputs)
        const longest = Math.max(0, ...paths.map(lengthOf))
        const found = criticalPath(
          projectOf(inputs),
          new Map(Object.entries(takes).map(([name, time]) => [id(name), time])),
        )
        expect(found.totalMs).toBe(longest)
        for (const name of Object.keys(takes)) {
          const through = Math.max(...paths.filter((path) => path.includes(name)).map(lengthOf))
          expect(found.slackMs.get(id(name))).toBe(longest - through)
        }
        // The chain is a path of that length, those that take no time left out.
        expect(lengthOf(found.chain)).toBe(longest)
        const working = (path: readonly string[]) => path.filter((name) => (takes[name] ?? 0) > 0)
        if (longest > 0) expect(paths.map(working)).toContainEqual(found.chain)
      }),
      // Of two readers the first takes longer, and of two inputs.
      {
        numRuns: 150,
        examples: [
          [
            { ...noInputs, 'x.e': ['x.d'], 'x.f': ['x.d'] },
            { 'x.d': 0, 'x.e': 1 },
          ],
          [
            { ...noInputs, 'x.e': ['x.d'], 'x.f': ['x.d'] },
            { 'x.d': 0, 'x.f': 1 },
          ],
          [
            { ...noInputs, 'x.c': ['x.a', 'x.b'] },
            { 'x.a': 2, 'x.b': 1, 'x.c': 1 },
          ],
        ],
      },
    )
  })

  it('of a run is told with what waited for others, and the judging', () => {
    const project = projectOf({ 'x.a': [], 'x.b': ['x.a'], 'x.c': [] })
    const row = (dataset: string, began: number, seconds: number) =>
      ledgerRow({ run: '19700101T000001-000001', dataset, startedAtMs: began, seconds, judgedAtMs: 20_000 })
    const found = pathOfRun(project, [
      row('x.a', 1000, 2),
      row('x.a', 3000, 4),
      row('x.b', 9000, 5),
      row('x.c', 1000, 3),
      ledgerRow({ dataset: 'x.c', outcome: 'carried', startedAtMs: 0, judgedAtMs: 20_000 }),
    ])
    expect(found?.path.chain).toEqual(['x.a', 'x.b'])
    expect(found?.path.totalMs).toBe(11_000)
    expect([...(found?.path.slackMs ?? [])]).toEqual([
      ['x.a', 0],
      ['x.b', 0],
      ['x.c', 8000],
    ])
    expect([found?.waitedMs.get(id('x.b')), found?.judgingMs]).toEqual([2000, 6000])
    expect(pathOfRun(project, [ledgerRow({ dataset: '*', outcome: 'failed' })])).toBeNull()
  })

  it('counts no time in which what was staged waited to be taken over', () => {
    const project = projectOf({ 'x.a': [], 'x.b': ['x.a'], 'x.c': ['x.b'] })
    const day = 86_400_000
    const run = '19700103T000000-000001'
    const row = (dataset: string, began: number, seconds: number) =>
      ledgerRow({ run, dataset, startedAtMs: began, seconds, judgedAtMs: 2 * day + 9000 })
    // `x.a` of the first day and part of `x.b` of the second were taken over; the rest of it was built by the run.
    const partly = [
      row('x.a', 1000, 4),
      row('x.b', day, 5),
      row('x.b', 2 * day + 1000, 2),
      row('x.c', 2 * day + 3000, 1),
    ]
    const found = pathOfRun(project, partly)
    expect(found?.work).toEqual([
      { dataset: 'x.a', beganMs: 2 * day - 9000, endedMs: 2 * day - 5000, firstMs: 1000 },
      { dataset: 'x.b', beganMs: 2 * day - 5000, endedMs: 2 * day + 3000, firstMs: day },
      { dataset: 'x.c', beganMs: 2 * day + 3000, endedMs: 2 * day + 4000, firstMs: 2 * day + 3000 },
    ])
    expect([found?.path.totalMs, found?.judgingMs]).toEqual([13_000, 5000])
    const whole = [row('x.a', 1000, 4), row('x.b', 5000, 5), row('x.c', 10_000, 1)]
    expect([pathOfRun(project, whole)?.path.totalMs, pathOfRun(project, whole)?.judgingMs]).toEqual([10_000, 9000])
    // What is expected of the next run follows.
    expect(historyOf(project, whole).judging).toEqual({ typicalMs: 9000, slowMs: 9000 })
    expect(historyOf(project, partly).datasets.get(id('x.b'))).toEqual({ typicalMs: 8000, slowMs: 8000 })
  })
})

describe('the outlook', () => {
  const bare = projectOf({ 'x.a': [], 'x.b': ['x.a'], 'x.c': [] })
  const timing = timingOf({ schedule: '0 6 * * * in UTC', deadline: '08:00 in UTC', freshness: '26h' })
  const project = {
    order: bare.order,
    nodes: new Map([...bare.nodes].map(([name, node]) => [name, name === 'x.b' ? { ...node, timing } : node])),
  }
  const tick = Date.parse('2026-01-10T06:00Z')
  const hour = 3_600_000
  const awaited = { schedule: 'x.*', promising: bare.order, runs: [bare.order] }
  /** Ten runs, one of them slow: `x.a` and `x.b` after each other, and a minute of judging. */
  const rows = Array.from({ length: 10 }, (_, i) => i).flatMap((i) => {
    const began = tick - (10 - i) * 24 * hour
    const [a, b] = i === 4 ? [60, 90] : i === 5 ? [40, 60] : [30, 50]
    const common = { run: `r${i}`, judgedAtMs: began + (a + b + 1) * 60_000 }
    return [
      ledgerRow({ ...common, dataset: 'x.a', startedAtMs: began, seconds: a * 60 }),
      ledgerRow({ ...common, dataset: 'x.b', startedAtMs: began + a * 60_000, seconds: b * 60 }),
    ]
  })
  const history = historyOf(project, rows)
  const at = (nowMs: number, staged: readonly string[] = []) =>
    outlookOf(
      project,
      history,
      [{ ...awaited, tickMs: tick, staged: new Set(staged.map(id)) }],
      new Map([['x.b', tick - 24 * hour]]),
      nowMs,
    ).map((one) => [one.promise, one.verdict])

  it('knows how long things take: in the middle, and when they are slow', () => {
    expect(history.datasets.get(id('x.a'))).toEqual({ typicalMs: 30 * 60_000, slowMs: 40 * 60_000 })
    expect(history.judging).toEqual({ typicalMs: 60_000, slowMs: 60_000 })
  })

  it('says before it is so that a deadline will be missed, and takes it back when it is met after all', () => {
    // 81 minutes as a rule, 101 when slow; two hours are left.
    expect(at(tick - 5 * hour)).toEqual([
      ['deadline', 'on-time'],
      ['freshness', 'on-time'],
    ])
    expect(at(tick + 20 * 60_000)[0]).toEqual(['deadline', 'at-risk'])
    expect(at(tick + 40 * 60_000)[0]).toEqual(['deadline', 'will-be-late'])
    // The run has staged the first: what is left is in time.
    expect(at(tick + 40 * 60_000, ['x.a'])[0]).toEqual(['deadline', 'on-time'])
    expect(at(tick + 60 * 60_000, ['x.a'])[0]).toEqual(['deadline', 'at-risk'])
    expect(at(tick + 121 * 60_000)).toEqual([
      ['deadline', 'late'],
      ['freshness', 'late'],
    ])
  })

  it('of a dataset that no schedule runs is whether it is as fresh as it promises', () => {
    const published = new Map([['x.b', tick]])
    const fresh = (nowMs: number) =>
      freshnessOf(project, project.order, published, nowMs).map((one) => [one.dataset, one.schedule, one.verdict])
    expect(fresh(tick + 26 * hour)).toEqual([['x.b', null, 'on-time']])
    expect(fresh(tick + 26 * hour + 1)).toEqual([['x.b', null, 'late']])
    expect(freshnessOf(project, project.order, new Map(), tick)).toEqual([])
  })

  it('of a dataset that runs after its inputs begins when these are published, by the last tick that leads to it', () => {
    const told = (nowMs: number, ...awaited: readonly [runs: readonly string[], tickMs: number][]) =>
      outlookOf(
        project,
        history,
        awaited.map(([runs, tickMs]) => ({
          schedule: `after ${runs[0]}`,
          promising: [id('x.b')],
          runs: runs.map((one) => [id(one)]),
          tickMs,
          staged: new Set<never>(),
        })),
        new Map(),
        nowMs,
      ).map((one) => [one.schedule, one.verdict, ((one.expectedMs ?? 0) - tick) / 60_000, one.chain.join(' ')])
    // Half an hour and a minute of judging, then fifty minutes and a minute.
    expect(told(tick, [['x.a', 'x.b'], tick])).toEqual([['after x.a', 'on-time', 82, 'x.a x.b']])
    expect(told(tick + 30 * 60_000, [['x.a', 'x.b'], tick])).toEqual([['after x.a', 'at-risk', 112, 'x.a x.b']])
    expect(told(tick + 30 * 60_000, [['x.b'], tick])).toEqual([['after x.b', 'on-time', 81, 'x.b']])
    expect(told(tick, [['x.b'], tick], [['x.a', 'x.b'], tick + 40 * 60_000])).toEqual([
      ['after x.a', 'will-be-late', 122, 'x.a x.b'],
    ])
  })

  it('promises nothing where nothing is known', () => {
    const [first] = outlookOf(
      project,
      historyOf(project, []),
      [{ ...awaited, tickMs: tick, staged: new Set() }],
      new Map(),
      tick,
    )
    expect([first?.verdict, first?.expectedMs]).toEqual(['on-time', null])
  })
})
