import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { type Edge, IntervalSet, noTiming, parseMicros } from '../../packages/limn/src/dataset/index.ts'
import { emptyLedger } from '../../packages/limn/src/pipeline/ledger/ledger.ts'
import { acceptedEntries } from '../../packages/limn/src/pipeline/plan/accepted.ts'
import { batchesOf, boundKey, type PlanFacts, plan, touchedKey } from '../../packages/limn/src/pipeline/plan/plan.ts'
import type { Node, Shape } from '../../packages/limn/src/pipeline/project/node.ts'

const [bronze, silver, gold] = ['bronze.x', 'silver.x', 'gold.x'].map(tableId) as [TableId, TableId, TableId]
const span = (from: string, to: string) => ({ start: parseMicros(from), end: parseMicros(to) })
const byDay: Shape = {
  kind: 'interval',
  column: 't',
  columnType: 'timestamp',
  unit: 'day',
  batch: 'day',
  start: null,
  end: null,
}

function node(id: TableId, shape: Shape, edges: Readonly<Record<string, Edge>>, fingerprint = 'f'): Node {
  const source = shape.kind === 'files' || shape.kind === 'function'
  return {
    id,
    file: 'x',
    shape,
    query: null,
    fingerprint,
    checksHash: 'c',
    checkInputs: [],
    lineage: null,
    reads: new Map(),
    timing: noTiming,
    edges: new Map(Object.entries(edges).map(([name, edge]) => [tableId(name), edge])),
    contract: {
      id,
      doc: '',
      owner: '',
      grain: [],
      keys: [],
      columns: {},
      partition: [],
      checks: [],
      rejects: [],
      rejectBudget: {},
      tags: [],
    },
    producer: source
      ? {
          kind: 'source',
          input: {
            kind: 'files',
            glob: '',
            format: 'csv',
            withdrawn: 'error',
            csv: { delimiter: ',', header: true, quote: '"' },
          },
        }
      : { kind: 'model', build: { kind: 'whole', query: () => ({ kind: 'sql', text: '' }) }, edges: {} },
  }
}

const same: Edge = { reads: { kind: 'same' }, touches: null }
const shifted: Edge = { reads: { kind: 'shift', before: 2 * 86_400_000_000, after: 86_400_000_000 }, touches: null }
const nodes = (change: Partial<Record<string, Node>> = {}) =>
  new Map(
    [
      node(bronze, { kind: 'files' }, {}),
      node(silver, byDay, { 'bronze.x': { ...same, touches: 't' } }),
      node(gold, byDay, { 'silver.x': shifted }),
    ].map((one) => [one.id, change[one.id] ?? one]),
  )

const week = span('2026-01-01', '2026-01-08')
const builtFrom = (inputs: Readonly<Record<string, bigint>>, interval = week) => ({
  ...emptyLedger,
  built: [{ interval, fingerprint: 'f', inputs }],
  checksHash: 'c',
})

/** Everything built and nothing changed. */
function settled(change: Partial<PlanFacts> = {}): PlanFacts {
  return {
    order: [bronze, silver, gold],
    nodes: nodes(),
    selected: new Set([bronze, silver, gold]),
    ledger: new Map([
      [bronze, { ...emptyLedger, checksHash: 'c' }],
      [silver, builtFrom({ 'bronze.x': 1n })],
      [gold, builtFrom({ 'silver.x': 1n })],
    ]),
    heads: new Map([bronze, silver, gold].map((id) => [id, { snapshotId: 1n, staged: false }])),
    probes: new Map([[bronze, { candidates: [], withdrawn: [] }]]),
    touched: new Map(),
    bounds: new Map(),
    domains: new Map([
      [silver, week],
      [gold, week],
    ]),
    request: { full: false, range: null },
    ...change,
  }
}
const show = (facts: PlanFacts) =>
  plan(facts).items.map(
    (item) =>
      `${item.dataset} ${item.interval ? `${new Date(item.interval.start / 1000).toISOString().slice(5, 10)}…${new Date(item.interval.end / 1000).toISOString().slice(5, 10)}` : 'any'} ${item.reason}${item.atMost ? ' at most' : ''}`,
  )
const delivery = new Map([
  [bronze, { candidates: [{ path: 'a', sha256: 'h', bytes: 1, change: 'changed' as const }], withdrawn: [] }],
])

describe('the plan', () => {
  it('is empty when nothing changed, and the same for the same facts', () => {
    expect(show(settled())).toEqual([])
    const facts = settled({ probes: delivery })
    expect(plan(facts)).toEqual(plan(facts))
  })

  it('bounds what lies below a new delivery, through edges that read other days', () => {
    const bounds = new Map([[boundKey(silver, bronze), IntervalSet.of([span('2026-01-03', '2026-01-04')])]])
    expect(show(settled({ probes: delivery, bounds }))).toEqual([
      'bronze.x any new-delivery',
      'silver.x 01-03…01-04 input-changed at most',
      'gold.x 01-02…01-06 input-changed at most',
    ])
    expect(show(settled({ probes: delivery }))).toEqual([
      'bronze.x any new-delivery',
      'silver.x any input-changed at most',
      'gold.x any input-changed at most',
    ])
  })

  it('says of what was never built that it never was', () => {
    const ledger = new Map(settled().ledger)
    ledger.delete(gold)
    const bounds = new Map([[boundKey(silver, bronze), IntervalSet.of([span('2026-01-03', '2026-01-04')])]])
    expect(show(settled({ probes: delivery, bounds, ledger })).slice(-3)).toEqual([
      'gold.x 01-01…01-02 never-built at most',
      'gold.x 01-02…01-06 never-built at most',
      'gold.x 01-06…01-08 never-built at most',
    ])
  })

  it('narrows to what is touched once the input is staged', () => {
    const heads = new Map([
      [bronze, { snapshotId: 2n, staged: true }],
      [silver, { snapshotId: 1n, staged: false }],
      [gold, { snapshotId: 1n, staged: false }],
    ])
    const touched = new Map([
      [
        touchedKey(silver, bronze, 1n, 2n),
        { kind: 'times' as const, times: IntervalSet.of([span('2026-01-03', '2026-01-04')]) },
      ],
    ])
    expect(show(settled({ heads, touched }))).toEqual([
      'silver.x 01-03…01-04 input-changed',
      'gold.x 01-02…01-06 input-changed at most',
    ])
    expect(
      show(
        settled({
          heads,
          touched: new Map([
            [touchedKey(silver, bronze, 1n, 2n), { kind: 'times' as const, times: IntervalSet.empty }],
          ]),
        }),
      ),
    ).toEqual([])
  })

  it('builds what is missing, also in the middle, and days at the edges of a grown domain', () => {
    const ledger = new Map(settled().ledger).set(silver, {
      ...emptyLedger,
      built: [
        { interval: span('2026-01-01', '2026-01-03'), fingerprint: 'f', inputs: { 'bronze.x': 1n } },
        { interval: span('2026-01-04', '2026-01-08'), fingerprint: 'f', inputs: { 'bronze.x': 1n } },
      ],
    })
    const domains = new Map([
      [silver, span('2025-12-31', '2026-01-08')],
      [gold, week],
    ])
    expect(show(settled({ ledger, domains })).slice(0, 2)).toEqual([
      'silver.x 12-31…01-01 never-built',
      'silver.x 01-03…01-04 gap',
    ])
  })

  it('rebuilds all that a changed definition built, and names each interval once', () => {
    const changed = nodes({ 'silver.x': node(silver, byDay, { 'bronze.x': { ...same, touches: 't' } }, 'g') })
    expect(show(settled({ nodes: changed }))).toEqual([
      'silver.x 01-01…01-08 definition-changed',
      'gold.x 12-31…01-10 input-changed at most',
    ])
    expect(show(settled({ nodes: changed, request: { full: true, range: null } }))).toEqual([
      'silver.x 01-01…01-08 full-rebuild',
      'gold.x 12-31…01-01 input-changed at most',
      'gold.x 01-01…01-08 full-rebuild',
      'gold.x 01-08…01-10 input-changed at most',
    ])
  })

  it('keeps to the range asked for, whole units', () => {
    expect(show(settled({ request: { full: true, range: span('2026-01-02T05:00', '2026-01-03T01:00') } }))).toEqual([
      'silver.x 01-02…01-04 full-rebuild',
      'gold.x 01-02…01-04 full-rebuild',
    ])
  })

  it('asks for changed checks to be judged on what is published', () => {
    const ledger = new Map(settled().ledger).set(silver, { ...builtFrom({ 'bronze.x': 1n }), checksHash: 'old' })
    expect(show(settled({ ledger }))).toEqual(['silver.x any checks-changed'])
  })

  it('joins stale intervals into batches that never cross a batch boundary', () => {
    const stale = IntervalSet.of([span('2026-01-30', '2026-02-03'), span('2026-02-05', '2026-02-06')])
    expect(batchesOf(stale, 'month').map((one) => [one.start, one.end])).toEqual(
      [span('2026-01-30', '2026-02-01'), span('2026-02-01', '2026-02-03'), span('2026-02-05', '2026-02-06')].map(
        (one) => [one.start, one.end],
      ),
    )
  })
})

describe('a change for new intervals only, by which a dataset reads what it did not read', () => {
  const reads = { 'silver.x': shifted, 'bronze.x': { reads: { kind: 'all' as const }, touches: null } }
  const after = node(gold, byDay, reads, 'g')
  const change = { kind: 'producer-changed' as const, path: 'edge to bronze.x', before: null, after: '{}' }
  const noTimes = { kind: 'times' as const, times: IntervalSet.empty, rows: 0 }
  const remembered = new Map([[`${gold} f`, { changes: [change], change: 'all' as const, contractOnly: false }]])
  const forward = (over: Partial<PlanFacts> = {}) =>
    settled({
      nodes: nodes({ [gold]: after }),
      diffs: remembered,
      request: { full: false, range: null, forwardOnly: true },
      ...over,
    })

  it('lets stand what was built without it, and holds that to what it is now', () => {
    expect(show(forward())).toEqual(['gold.x 01-01…01-08 accepted'])
    expect(acceptedEntries(after, plan(forward()).items, forward())).toEqual([
      { interval: week, inputs: { 'silver.x': 1n, 'bronze.x': 1n } },
    ])
  })

  it('lets it stand too where the input is still to be built, as far as another input does not reach', () => {
    const bounds = new Map([
      [boundKey(silver, bronze), IntervalSet.of([span('2026-01-03', '2026-01-04')])],
      [boundKey(gold, bronze), IntervalSet.of([span('2026-01-07', '2026-01-08')])],
    ])
    const expected = [
      'bronze.x any new-delivery',
      'silver.x 01-03…01-04 input-changed at most',
      'gold.x 01-01…01-02 accepted',
      'gold.x 01-02…01-06 input-changed at most',
      'gold.x 01-06…01-08 accepted',
    ]
    expect(show(forward({ probes: delivery, bounds }))).toEqual(expected)
    expect(show(forward({ probes: delivery, bounds: new Map([...bounds].slice(0, 1)) }))).toEqual(expected)
  })

  it('holds what stands to what the input is now, also where an earlier definition had read it before', () => {
    const inputs = { 'silver.x': 1n, 'bronze.x': 1n }
    const ledger = new Map(settled().ledger).set(gold, builtFrom(inputs))
    const heads = new Map(settled().heads).set(bronze, { snapshotId: 9n, staged: false })
    const facts = forward({ ledger, heads, touched: new Map([[touchedKey(silver, bronze, 1n, 9n), noTimes]]) })
    expect(show(facts)).toEqual(['gold.x 01-01…01-08 accepted'])
    expect(acceptedEntries(after, plan(facts).items, facts)).toEqual([
      { interval: week, inputs: { 'silver.x': 1n, 'bronze.x': 9n } },
    ])
  })

  it('leaves open what an input built by interval brings that is not there, where nothing bounds it', () => {
    const nearby = node(gold, byDay, { 'silver.x': shifted, 'bronze.y': same }, 'g')
    const other = tableId('bronze.y')
    const source = node(other, byDay, { 'bronze.x': { reads: { kind: 'all' }, touches: null } })
    const named = new Map([
      [`${gold} f`, { ...remembered.get(`${gold} f`), changes: [{ ...change, path: `edge to ${other}` }] }],
    ])
    const facts = forward({
      order: [bronze, silver, other, gold],
      nodes: new Map([...nodes({ [gold]: nearby }), [other, source]]),
      selected: new Set([bronze, other, gold]),
      ledger: new Map([...settled().ledger, [other, builtFrom({ 'bronze.x': 1n })]]),
      heads: new Map([...settled().heads, [other, { snapshotId: 1n, staged: false }]]),
      diffs: named as typeof remembered,
      probes: delivery,
    })
    expect(show(facts).at(-1)).toBe('gold.x any input-changed at most')
  })

  it('is only for those who ask for it: since when a change counts is another question', () => {
    const since = {
      redefined: new Set<TableId>(),
      inputThen: (_input: TableId, before: bigint | null) => before,
      domains: new Map(),
    }
    const request = { full: false, range: null }
    expect(show(forward({ request, since }))).toContain('gold.x 01-01…01-08 input-changed at most')
  })

  it('builds again what was built by a definition that is not remembered: it may have read it', () => {
    const unknown = new Map([
      [`${gold} f`, { changes: [{ kind: 'unknown' as const, why: '' }], change: 'all' as const, contractOnly: false }],
    ])
    expect(show(forward({ diffs: unknown }))).toEqual(['gold.x 01-01…01-08 input-changed at most'])
  })

  it('builds again what the input touches when it has changed since', () => {
    const ledger = new Map(settled().ledger).set(gold, {
      ...emptyLedger,
      built: [{ interval: week, fingerprint: 'g', inputs: { 'silver.x': 1n, 'bronze.x': 1n } }],
      checksHash: 'c',
    })
    const heads = new Map(settled().heads).set(bronze, { snapshotId: 2n, staged: false })
    const day = IntervalSet.of([span('2026-01-03', '2026-01-04')])
    const touched = new Map([
      [touchedKey(silver, bronze, 1n, 2n), noTimes],
      [touchedKey(gold, bronze, 1n, 2n), { kind: 'times' as const, times: day, rows: 1 }],
    ])
    expect(show(forward({ ledger, heads, touched }))).toEqual(['gold.x 01-03…01-04 input-changed'])
  })
})
