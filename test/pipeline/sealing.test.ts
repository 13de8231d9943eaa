import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import {
  type Edge,
  IntervalSet,
  noTiming,
  parseMicros,
  type SealFacts,
  timingOf,
} from '../../packages/limn/src/dataset/index.ts'
import { isBuild, type PlanItem } from '../../packages/limn/src/pipeline/plan/plan.ts'
import type { Node } from '../../packages/limn/src/pipeline/project/node.ts'
import {
  holdAfterGaps,
  holdFollowers,
  holdUnsealed,
  unsealedText,
} from '../../packages/limn/src/pipeline/schedule/sealing.ts'
import { projectOf } from '../support/projects.ts'

const dayMicros = 86_400_000_000
const first = parseMicros('2026-01-10')
const days = 12
const dayOf = (i: number) => ({ start: first + i * dayMicros, end: first + (i + 1) * dayMicros })
const byDay = {
  kind: 'interval',
  column: 't',
  columnType: 'timestamp',
  unit: 'day',
  batch: 'day',
  start: null,
  end: null,
} as const

/** A source, a model of it, and a model of that; each edge reads some days before and after, or without regard to time. */
const edge = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ before: fc.integer({ min: 0, max: 2 }), after: fc.integer({ min: 0, max: 1 }) }),
  },
  { weight: 1, arbitrary: fc.constant(null) },
)
type Span = { readonly before: number; readonly after: number } | null

function edgeOf(span: Span, touches: string | null): Edge {
  if (span === null) return { reads: { kind: 'all' }, touches: null }
  if (span.before + span.after === 0) return { reads: { kind: 'same' }, touches }
  return { reads: { kind: 'shift', before: span.before * dayMicros, after: span.after * dayMicros }, touches }
}

function nodesOf(spans: readonly [Span, Span], ownSeal: boolean): ReadonlyMap<TableId, Node> {
  const { nodes } = projectOf({ 'a.source': [], 'b.model': ['a.source'], 'c.model': ['b.model'] })
  const marked = timingOf({ seal: { marker: 'x/%Y-%m-%d/_SUCCESS' } })
  const late = timingOf({ seal: { after: '3d' } })
  return new Map(
    [...nodes].map(([id, node]): [TableId, Node] => {
      if (id === 'a.source') return [id, { ...node, shape: { kind: 'files' }, timing: marked }]
      const [input] = node.edges.keys()
      const span = id === 'b.model' ? spans[0] : spans[1]
      const edges = new Map(input ? [[input, edgeOf(span, id === 'b.model' ? 't' : null)]] : [])
      return [id, { ...node, shape: byDay, edges, timing: ownSeal && id === 'c.model' ? late : noTiming }]
    }),
  )
}

describe('intervals that are not complete', () => {
  it('are those that a walk from day to day finds: of the source, of what reads it, and of what reads that', () => {
    const marks = fc.uniqueArray(fc.integer({ min: 0, max: days + 3 }), { minLength: 1, maxLength: days })
    fc.assert(
      fc.property(
        edge,
        edge,
        marks,
        fc.boolean(),
        fc.integer({ min: 0, max: days + 4 }),
        (one, two, marked, own, today) => {
          const nodes = nodesOf([one, two], own)
          const nowMs = dayOf(today).start / 1000
          const facts = (set: IntervalSet): SealFacts => ({
            nowMs,
            marked: set,
            incomplete: new Map(),
            watermark: null,
          })
          const seals = new Map([
            [tableId('a.source'), facts(IntervalSet.of(marked.map(dayOf)))],
            [tableId('c.model'), facts(IntervalSet.empty)],
          ])
          // Day by day: marked and over; read by the first; read by the second, whose own days take three more.
          const start = Math.min(...marked)
          const sealed = (day: number) => day < start || (marked.includes(day) && day + 1 <= today)
          const over = (day: number) => day + 1 <= today
          const range = (day: number, span: Span) =>
            span === null ? [] : Array.from({ length: span.before + span.after + 1 }, (_, i) => day - span.before + i)
          const source = (day: number) => sealed(day) && over(day)
          const model = (day: number) => range(day, one).every((each) => source(each))
          const second = (day: number) => (!own || day + 4 <= today) && range(day, two).every((each) => model(each))
          for (const [name, complete] of [
            ['b.model', model],
            ['c.model', second],
          ] as const) {
            const node = nodes.get(tableId(name))
            if (!node) throw new Error(name)
            const items: readonly PlanItem[] = [
              {
                dataset: node.id,
                interval: { start: dayOf(0).start, end: dayOf(days - 1).end },
                unit: 'day',
                reason: 'input-changed',
                because: 'x',
                atMost: false,
              },
            ]
            const found = holdUnsealed(node, items, { nodes, seals, request: {} })
            const expected = Array.from({ length: days }, (_, i) => i).filter((i) => complete(i))
            const timesOf = (some: readonly PlanItem[]) =>
              IntervalSet.of(some.flatMap((item) => (item.interval ? [item.interval] : [])))
            const built = timesOf(found.filter(isBuild))
            expect(built.intervals).toEqual(IntervalSet.of(expected.map(dayOf)).intervals)
            // What is not built is held, and nothing is both.
            const held = timesOf(found.filter((item) => item.reason === 'unsealed'))
            expect(held.intersect(built).isEmpty).toBe(true)
            expect(held.union(built).intervals).toEqual([items[0]?.interval])
            // Forced, all of it is built, and what is not complete says so.
            const forced = holdUnsealed(node, items, { nodes, seals, request: { unsealed: true } })
            expect(forced.filter((item) => !isBuild(item))).toEqual([])
            const open = forced.filter((item) => item.because.includes('not complete'))
            expect(IntervalSet.of(open.flatMap((item) => (item.interval ? [item.interval] : []))).intervals).toEqual(
              held.intervals,
            )
          }
        },
      ),
      // The first, or the second, looks a day ahead of its own, and only that day is not complete.
      {
        numRuns: 150,
        examples: [
          [{ before: 0, after: 1 }, { before: 0, after: 0 }, [0], false, 1],
          [{ before: 0, after: 0 }, { before: 0, after: 1 }, [0], false, 1],
        ],
      },
    )
  })

  it('are found among tens of thousands without asking for each', () => {
    const nodes = nodesOf(
      [
        { before: 1, after: 0 },
        { before: 0, after: 0 },
      ],
      false,
    )
    const node = nodes.get(tableId('c.model'))
    if (!node) throw new Error('c.model')
    const marks = Array.from({ length: 20_000 }, (_, i) => i).filter((i) => i % 5000 !== 4999)
    const marked = IntervalSet.of(marks.map(dayOf))
    const facts: SealFacts = { nowMs: Number.MAX_SAFE_INTEGER, marked, incomplete: new Map(), watermark: null }
    const interval = { start: dayOf(0).start, end: dayOf(19_999).end }
    const item: PlanItem = { dataset: node.id, interval, unit: 'day', reason: 'gap', because: '', atMost: false }
    const began = performance.now()
    const found = holdUnsealed(node, [item], { nodes, seals: new Map([[tableId('a.source'), facts]]), request: {} })
    expect(performance.now() - began).toBeLessThan(500)
    // A day without its marker holds itself and the day that reads it too.
    expect(
      found.map((one) => [one.reason, one.interval && (one.interval.end - one.interval.start) / dayMicros]),
    ).toEqual([
      ['gap', 4999],
      ['unsealed', 2],
      ['gap', 4998],
      ['unsealed', 2],
      ['gap', 4998],
      ['unsealed', 2],
      ['gap', 4998],
      ['unsealed', 1],
    ])
  })

  it('are told with the time that they wait for, or the marker', () => {
    expect(unsealedText({ untilMs: Date.parse('2026-01-04T02:00Z'), missing: null })).toBe(
      'not complete until 2026-01-04T02:00:00 UTC',
    )
    expect(unsealedText({ untilMs: null, missing: 'x/_SUCCESS' })).toBe('not complete without x/_SUCCESS')
  })
})

describe('intervals that would read own earlier ones which are not built', () => {
  it('are those that a walk from day to day finds, and what follows them in the plan', () => {
    const some = fc.uniqueArray(fc.integer({ min: 0, max: days - 1 }), { maxLength: days })
    fc.assert(
      fc.property(some, some, fc.option(fc.integer({ min: 1, max: 3 })), (built, planned, count) => {
        const { nodes } = projectOf({ 'b.model': [] })
        const id = tableId('b.model')
        const plain = nodes.get(id)
        if (!plain) throw new Error('no node')
        const back = count === null ? null : ({ count, unit: 'day' } as const)
        const node: Node = { ...plain, shape: byDay, self: { kind: 'earlier', back } }
        const setOf = (of: readonly number[]) => IntervalSet.of(of.map(dayOf))
        const items = setOf(planned).intervals.map(
          (interval): PlanItem => ({
            dataset: id,
            interval,
            unit: 'day',
            reason: 'never-built',
            because: '',
            atMost: false,
          }),
        )
        const facts = {
          ledger: new Map([[id, { built: built.map((i) => ({ interval: dayOf(i) })) }]]),
          domains: new Map([[id, { start: dayOf(0).start, end: dayOf(days).start }]]),
          request: {},
        }
        const found = holdFollowers(node, holdAfterGaps(node, items, facts))
        const held = new Set<number>()
        for (let i = 0; i < days; i++) {
          if (!planned.includes(i)) continue
          for (let j = Math.max(0, i - (count ?? days)); j < i; j++)
            if (held.has(j) || !(built.includes(j) || planned.includes(j))) held.add(i)
        }
        const heldThere = found.filter((item) => item.reason === 'unsealed').flatMap((item) => item.interval ?? [])
        expect(IntervalSet.of(heldThere)).toEqual(setOf([...held]))
        expect(IntervalSet.of(found.flatMap((item) => item.interval ?? []))).toEqual(setOf(planned))
      }),
      { numRuns: 300 },
    )
  })
})
