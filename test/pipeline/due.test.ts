import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { cron, noTiming, onUpstream, ticksBetween } from '../../packages/limn/src/dataset/index.ts'
import type { LedgerRow } from '../../packages/limn/src/pipeline/ledger/ledger.ts'
import type { Node, Project } from '../../packages/limn/src/pipeline/project/node.ts'
import {
  dueTicks,
  independent,
  lastOfLedger,
  lastPublished,
  type ScheduleEntry,
  schedulesOf,
  triggeredBy,
} from '../../packages/limn/src/pipeline/schedule/due.ts'
import { ledgerRow, projectOf } from '../support/projects.ts'

const minute = 60_000
const day = 1440 * minute
const start = Date.parse('2026-10-20T00:00Z')
const id = tableId
const entry = (name: string, pattern: string, missed: 'each' | 'latest' = 'each'): ScheduleEntry => ({
  name,
  datasets: [id(name)],
  schedule: cron(pattern, { zone: 'Europe/Berlin', missed }),
})

describe('ticks', () => {
  const entries = [
    entry('a.hourly', '0 * * * *'),
    entry('b.night', '30 2 * * *'),
    entry('c.latest', '0 6 * * *', 'latest'),
  ]

  it('are each run once and in order, however the clock jumps and wherever it stops', () => {
    // Over the change of the clocks of 25 October 2026.
    const moves = fc.array(fc.integer({ min: -2 * 1440, max: 4 * 1440 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(moves, fc.integer({ min: 0, max: 3 }), (steps, crashEvery) => {
        const done = new Map<string, number>(entries.map((one) => [one.name, start]))
        const ran = new Map<string, number[]>(entries.map((one) => [one.name, []]))
        let now = start
        let highest = start
        for (const step of [...steps, 0]) {
          now += step * minute
          highest = Math.max(highest, now)
          let count = 0
          for (const tick of dueTicks(entries, (one) => done.get(one.name) ?? null, now)) {
            // A process may die between two ticks: what it had not done stays due.
            if (step !== 0 && crashEvery > 0 && ++count % (crashEvery + 1) === 0) break
            for (const one of tick.entries) {
              ran.get(one.name)?.push(tick.atMs)
              done.set(one.name, tick.atMs)
            }
          }
        }
        highest = Math.max(...[...done.values()], start)
        for (const one of entries.filter((each) => each.schedule.missed === 'each'))
          expect(ran.get(one.name)).toEqual(ticksBetween(one.schedule, start + 1, (done.get(one.name) ?? 0) + 1))
        const latest = ran.get('c.latest') ?? []
        expect(latest).toEqual([...new Set(latest)].sort((a, b) => a - b))
      }),
      // One that looks again without the clock having moved; one that dies after every tick.
      {
        numRuns: 25,
        examples: [
          [[0], 0],
          [[1440, 0, -60, 1440], 1],
        ],
      },
    )
  })

  it('come together when they fall together, and a missed one is told from the latest', () => {
    const now = Date.parse('2026-11-03T06:30Z')
    const both = [entry('a.x', '0 6 * * *'), entry('b.y', '0 6,7 * * *')]
    const found = dueTicks(both, () => Date.parse('2026-11-01T12:00Z'), now)
    expect(
      found.map((tick) => [new Date(tick.atMs).toISOString().slice(5, 16), tick.missed, tick.entries.length]),
    ).toEqual([
      ['11-02T05:00', true, 2],
      ['11-02T06:00', true, 1],
      ['11-03T05:00', false, 2],
      ['11-03T06:00', false, 1],
    ])
  })

  it('begin with the latest where none was ever run, and are not more than a few hundred after a jump of years', () => {
    const yearly = entry('a.x', '0 0 29 2 *')
    expect(dueTicks([yearly], () => null, start).map((tick) => new Date(tick.atMs).toISOString().slice(0, 10))).toEqual(
      ['2024-02-28'],
    )
    const minutely = entry('a.x', '* * * * *')
    const found = dueTicks([minutely], () => start - 20 * 365 * day, start)
    expect([found.length, found.at(-1)?.atMs]).toEqual([500, start])
  })
})

describe('what a schedule runs', () => {
  const project = projectOf({
    'bronze.a': [],
    'bronze.b': [],
    'silver.a': ['bronze.a'],
    'silver.b': ['bronze.b'],
    'gold.a': ['silver.a'],
  })
  const withSchedules = (of: Readonly<Record<string, Node['timing']['schedule']>>): Project => ({
    order: project.order,
    nodes: new Map(
      [...project.nodes].map(([name, node]) => [
        name,
        { ...node, timing: { ...noTiming, schedule: of[name] ?? null } },
      ]),
    ),
  })

  it('is a dataset by its own schedule, else by its group’s', () => {
    const own = cron('0 5 * * *', { zone: 'UTC' })
    const found = schedulesOf(withSchedules({ 'bronze.a': own, 'gold.a': onUpstream() }), {
      'bronze.*': '0 6 * * * in UTC',
      '+silver.b': '0 7 * * * in UTC',
    })
    expect(found.entries.map((one) => [one.name, one.datasets])).toEqual([
      ['bronze.a', ['bronze.a']],
      ['bronze.*', ['bronze.b']],
      ['+silver.b', ['bronze.b', 'silver.b']],
    ])
    expect(found.triggered).toEqual(['gold.a'])
    expect(() => schedulesOf(project, { 'bronze.*': '0 6 * * *' as '0 6 * * * in UTC' })).toThrow(
      'The schedule of bronze.*',
    )
    expect(() => schedulesOf(project, { 'brnze.a': '0 6 * * * in UTC' })).toThrow('selects no dataset')
  })

  it('falls back on the ledger when the state database is new', () => {
    const rows = [
      ledgerRow({ dataset: 'bronze.a', startedAtMs: 5 }),
      ledgerRow({ dataset: 'bronze.b', startedAtMs: 9 }),
    ]
    const pair = {
      name: 'bronze.*',
      datasets: [id('bronze.a'), id('bronze.b')],
      schedule: cron('@daily', { zone: 'UTC' }),
    }
    expect(lastOfLedger(lastPublished(rows), pair)).toBe(5)
    expect(
      lastOfLedger(
        lastPublished([...rows, ledgerRow({ dataset: 'bronze.a', startedAtMs: 20, outcome: 'refused' })]),
        pair,
      ),
    ).toBe(5)
    expect(lastOfLedger(lastPublished(rows.slice(1)), pair)).toBeNull()
  })

  it('after its inputs is what has something to read that it was not built from, and was not tried with', () => {
    const built = (seq: number, dataset: string, output: bigint, inputs: LedgerRow['inputs']): LedgerRow =>
      ledgerRow({ seq, dataset, outcome: 'built', outputSnapshot: output, inputs })
    const rows = [
      ledgerRow({ seq: 1, dataset: 'bronze.a', outcome: 'landed', outputSnapshot: 10n }),
      built(2, 'silver.a', 20n, { 'bronze.a': 10n }),
      built(3, 'gold.a', 30n, { 'silver.a': 20n }),
    ]
    const all = [id('silver.a'), id('gold.a')]
    const due = (more: readonly LedgerRow[], tried = 0) => triggeredBy(all, project, [...rows, ...more], () => tried)
    expect(due([])).toEqual([])
    const landed = ledgerRow({ seq: 4, dataset: 'bronze.a', outcome: 'landed', outputSnapshot: 11n })
    expect(due([landed])).toEqual([{ dataset: 'silver.a', seq: 4 }])
    expect(due([landed], 4)).toEqual([])
    // Rows changed by hand are read like any others.
    const edited = ledgerRow({ seq: 4, dataset: 'silver.a', outcome: 'edited', outputSnapshot: 22n })
    expect(due([edited])).toEqual([{ dataset: 'gold.a', seq: 4 }])
    // Refused, then tried again only when something else was published.
    const refused = ledgerRow({ seq: 5, dataset: 'silver.a', outcome: 'refused', outputSnapshot: 21n })
    expect(due([landed, refused], 4)).toEqual([])
    const again = ledgerRow({ seq: 6, dataset: 'bronze.a', outcome: 'landed', outputSnapshot: 12n })
    expect(due([landed, refused, again], 4)).toEqual([{ dataset: 'silver.a', seq: 6 }])
  })

  it('together is what depends on each other, and nothing else', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `x.${name}`)
    const edges = fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 5 })), { maxLength: 6 })
    fc.assert(
      fc.property(edges, fc.subarray(names), (pairs, chosen) => {
        const inputs: Record<string, string[]> = Object.fromEntries(names.map((name) => [name, []]))
        for (const [a, b] of pairs) if (a > b) inputs[names[a] ?? '']?.push(names[b] ?? '')
        const graph = projectOf(inputs)
        const groups = independent(graph, chosen.map(id))
        expect(groups.flat().sort()).toEqual([...chosen].sort())
        // Naively: whoever can be walked to over edges between chosen ones.
        const near = (name: string) =>
          chosen.filter((other) => inputs[name]?.includes(other) || inputs[other]?.includes(name))
        for (const name of chosen) {
          const reached = new Set([name])
          for (const each of reached) for (const other of near(each)) reached.add(other)
          const group: readonly TableId[] = groups.find((one) => one.includes(id(name))) ?? []
          expect([...group].sort()).toEqual([...reached].sort())
        }
      }),
      { numRuns: 80 },
    )
  })
})
