import { invariant, type TableId } from '../../base/index.ts'
import {
  addUnits,
  alignTo,
  type Edge,
  floorTo,
  type Interval,
  IntervalSet,
  type IntervalUnit,
} from '../../dataset/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import type { DatasetLedger } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'

/** Why a dataset or interval is in the plan. A closed set; the first that applies is named. */
export type Reason =
  | 'new-delivery'
  | 'withdrawn-delivery'
  | 'asked-at-run'
  | 'full-rebuild'
  | 'definition-changed'
  | 'never-built'
  | 'input-changed'
  | 'checks-changed'
  /** Built by a backfill, `because` names it. */
  | 'backfill'

export interface PlanItem {
  readonly dataset: TableId
  /** Null: the whole dataset, or, with `atMost`, any interval of it. */
  readonly interval: Interval | null
  readonly unit: IntervalUnit | null
  readonly reason: Reason
  /** What exactly changed: a path, an input's name. */
  readonly because: string
  /** An upper bound: an input of it has yet to be built. */
  readonly atMost: boolean
}

/** What a run would do, in topological order. The planner, `--explain` and the executor read this one value. */
export interface Plan {
  readonly items: readonly PlanItem[]
}

/** A file or cursor a source would hand over. */
export interface DeliveryCandidate {
  readonly path: string
  readonly sha256: string
  readonly bytes: number
  readonly change: 'new' | 'changed'
}

/** What probing a file source found. */
export interface Probe {
  readonly candidates: readonly DeliveryCandidate[]
  /** Paths whose latest delivery is live and which are gone, where the source says `remove`. */
  readonly withdrawn: readonly string[]
  /** Of an Iceberg source: what is to be read. Absent when the latest delivery is of the snapshot the table has. */
  readonly external?: ExternalRead
}

/** A snapshot of a table outside, pinned when it was probed. */
export interface ExternalRead {
  readonly pin: PinnedTable
  /** Only the rows appended after this snapshot are new; null: all rows of the pinned one replace what was landed. */
  readonly since: bigint | null
}

/** The snapshot a dataset's readers would get. `staged`: this run has built it, so it will not change again. */
export interface Head {
  readonly snapshotId: bigint | null
  readonly staged: boolean
}

/** Output times touched by the rows of an input that differ between two of its snapshots. */
export type Touched = { readonly kind: 'all' } | { readonly kind: 'times'; readonly times: IntervalSet }

/** All that planning depends on. Facts that are not known yet are absent, and the plan is then an upper bound. */
export interface PlanFacts {
  readonly order: readonly TableId[]
  readonly nodes: ReadonlyMap<TableId, Node>
  readonly selected: ReadonlySet<TableId>
  readonly ledger: ReadonlyMap<TableId, DatasetLedger>
  readonly heads: ReadonlyMap<TableId, Head>
  readonly probes: ReadonlyMap<TableId, Probe>
  /** By `touchedKey`. */
  readonly touched: ReadonlyMap<string, Touched>
  /** Bounds of what pending deliveries of an input touch, by `boundKey`. */
  readonly bounds: ReadonlyMap<string, IntervalSet>
  /** The domain of an interval dataset over its inputs' present heads, aligned to its unit; null when it is empty. */
  readonly domains: ReadonlyMap<TableId, Interval | null>
  readonly request: { readonly full: boolean; readonly range: Interval | null }
}

export function touchedKey(dataset: TableId, input: TableId, from: bigint | null, to: bigint | null): string {
  return `${dataset}<${input}:${from}..${to}`
}

export function boundKey(dataset: TableId, input: TableId): string {
  return `${dataset}<${input}`
}

/** Pure: the same facts give the same plan. Call it again with staged heads to narrow it. */
export function plan(facts: PlanFacts): Plan {
  const items: PlanItem[] = []
  const pending = new Map<TableId, readonly PlanItem[]>()
  for (const id of facts.order) {
    const node = facts.nodes.get(id)
    invariant(node, `no node for ${id}`)
    if (!facts.selected.has(id) || facts.heads.get(id)?.staged) continue
    const own = planDataset(node, facts, pending)
    if (own.some((item) => item.reason !== 'checks-changed')) pending.set(id, own)
    items.push(...own)
  }
  return { items }
}

type Pending = ReadonlyMap<TableId, readonly PlanItem[]>

function planDataset(node: Node, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  const items = node.producer.kind === 'source' ? planSource(node, facts) : planModel(node, facts, pending)
  const ledger = facts.ledger.get(node.id)
  const judgedBefore = ledger !== undefined && ledger.checksHash !== null
  if (items.length === 0 && judgedBefore && ledger.checksHash !== node.checksHash) {
    return [item(node, null, 'checks-changed', 'its checks', false)]
  }
  return items
}

function item(node: Node, interval: Interval | null, reason: Reason, because: string, atMost: boolean): PlanItem {
  const unit = node.shape.kind === 'interval' ? node.shape.unit : null
  return { dataset: node.id, interval, unit, reason, because, atMost }
}

function planSource(node: Node, facts: PlanFacts): readonly PlanItem[] {
  if (node.shape.kind === 'function') return [item(node, null, 'asked-at-run', 'a function source', true)]
  const probe = facts.probes.get(node.id)
  if (!probe) return []
  return [
    ...probe.candidates.map((one) => item(node, null, 'new-delivery', `${one.path} ${one.change}`, false)),
    ...probe.withdrawn.map((path) => item(node, null, 'withdrawn-delivery', `${path} withdrawn`, false)),
  ]
}

function planModel(node: Node, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  return node.shape.kind === 'interval' ? planIntervals(node, facts, pending) : planWhole(node, facts, pending)
}

function planWhole(node: Node, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  const built = facts.ledger.get(node.id)?.built[0]
  if (facts.request.full) return [item(node, null, 'full-rebuild', 'asked for', false)]
  if (!built) return [item(node, null, 'never-built', 'first build', false)]
  if (built.fingerprint !== node.fingerprint) return [item(node, null, 'definition-changed', 'its definition', false)]
  for (const input of node.edges.keys()) {
    if (pending.has(input)) return [item(node, null, 'input-changed', input, true)]
    const head = facts.heads.get(input)?.snapshotId ?? null
    const before = built.inputs[input] ?? null
    if (before === head) continue
    const touched = facts.touched.get(touchedKey(node.id, input, before, head))
    if (touched?.kind === 'times' && touched.times.isEmpty) continue
    return [item(node, null, 'input-changed', input, false)]
  }
  return []
}

/** Stale times per reason, subtracted from one another so that each interval is named once. */
class StaleSets {
  private covered = IntervalSet.empty
  readonly found: {
    readonly times: IntervalSet
    readonly reason: Reason
    readonly because: string
    readonly atMost: boolean
  }[] = []

  add(times: IntervalSet, reason: Reason, because: string, atMost: boolean): void {
    const fresh = times.minus(this.covered)
    if (fresh.isEmpty) return
    this.covered = this.covered.union(fresh)
    this.found.push({ times: fresh, reason, because, atMost })
  }
}

function planIntervals(node: Node, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  const shape = node.shape
  invariant(shape.kind === 'interval', 'an interval dataset')
  const ledger = facts.ledger.get(node.id)
  const built = ledger?.built ?? []
  const everything = IntervalSet.of(built.flatMap((entry) => (entry.interval ? [entry.interval] : [])))
  const unsettled = [...node.edges.keys()].filter((input) => pending.has(input))
  const domainKnown = unsettled.length === 0 && facts.domains.has(node.id)
  const domainHull = facts.domains.get(node.id) ?? null
  const domain = domainKnown ? IntervalSet.of(domainHull ? [domainHull] : []) : everything
  const clip = (times: IntervalSet) => clipToRequest(times, shape.unit, facts.request.range)
  const stale = new StaleSets()

  if (facts.request.full) stale.add(clip(domain.union(everything)), 'full-rebuild', 'asked for', false)
  for (const entry of built) {
    if (entry.interval && entry.fingerprint !== node.fingerprint) {
      stale.add(clip(IntervalSet.of([entry.interval])), 'definition-changed', 'its definition', false)
    }
  }
  if (domainKnown) {
    stale.add(clip(domain.minus(everything)), 'never-built', 'in the domain, not yet built', false)
    // An interval that fell out of the domain has no input rows left; it is rebuilt, to be empty.
  }
  let unbounded: { because: string; reason: Reason } | null = null
  for (const [input, edge] of node.edges) {
    if (pending.has(input)) {
      const bound = boundOf(node, input, edge, facts, pending)
      const reason: Reason = built.length === 0 ? 'never-built' : 'input-changed'
      if (bound) stale.add(clip(bound), reason, input, true)
      else unbounded ??= { because: input, reason }
      continue
    }
    const head = facts.heads.get(input)?.snapshotId ?? null
    for (const entry of built) {
      const before = entry.inputs[input] ?? null
      if (!entry.interval || before === head) continue
      const own = IntervalSet.of([entry.interval])
      const touched = facts.touched.get(touchedKey(node.id, input, before, head))
      const times = !touched || touched.kind === 'all' ? own : touched.times.intersect(own)
      stale.add(clip(times), 'input-changed', input, touched === undefined)
    }
  }
  const items = stale.found.flatMap(({ times, reason, because, atMost }) =>
    times.intervals.map((interval) => item(node, interval, reason, because, atMost)),
  )
  const range = facts.request.range
  if (unbounded) {
    const interval = range ? alignTo(shape.unit, range) : null
    items.push(item(node, interval, unbounded.reason, unbounded.because, true))
  }
  return items.sort((a, b) => (a.interval?.start ?? Infinity) - (b.interval?.start ?? Infinity))
}

/** What an input that is itself pending can reach at most; null when nothing bounds it. */
function boundOf(node: Node, input: TableId, edge: Edge, facts: PlanFacts, pending: Pending): IntervalSet | null {
  const shape = node.shape
  invariant(shape.kind === 'interval', 'an interval dataset')
  const known = facts.bounds.get(boundKey(node.id, input))
  if (known) return known.map((interval) => alignTo(shape.unit, interval))
  const items = pending.get(input) ?? []
  const intervals = items.flatMap((one) => (one.interval ? [one.interval] : []))
  if (edge.reads.kind === 'all' || intervals.length < items.length) return null
  return impliedBy(edge, shape.unit, IntervalSet.of(intervals))
}

/** Output intervals that can depend on input rows with times in `changed`, whole units. */
export function impliedBy(edge: Edge, unit: IntervalUnit, changed: IntervalSet): IntervalSet | null {
  switch (edge.reads.kind) {
    case 'all':
      return null
    case 'same':
      return changed.map((interval) => alignTo(unit, interval))
    case 'shift': {
      // [s, e) reads [s - before, e + after), so an input row at t reaches outputs in (t - after, t + before].
      const { before, after } = edge.reads
      return changed.map((interval) => alignTo(unit, { start: interval.start - after, end: interval.end + before }))
    }
  }
}

/** The input times an output interval reads; null means any. */
export function readBy(edge: Edge, interval: Interval): Interval | null {
  switch (edge.reads.kind) {
    case 'all':
      return null
    case 'same':
      return interval
    case 'shift':
      return { start: interval.start - edge.reads.before, end: interval.end + edge.reads.after }
  }
}

/** Whole units inside the requested range: a unit the range covers only in part is built whole. */
function clipToRequest(times: IntervalSet, unit: IntervalUnit, range: Interval | null): IntervalSet {
  return range ? times.intersect(IntervalSet.of([alignTo(unit, range)])) : times
}

/** Stale intervals of one dataset, joined into builds of at most one `batch` unit each, in order. */
export function batchesOf(stale: IntervalSet, batch: IntervalUnit): readonly Interval[] {
  return stale.intervals.flatMap((interval) => {
    const parts: Interval[] = []
    for (let start = interval.start; start < interval.end; ) {
      const end = Math.min(interval.end, addUnits(batch, floorTo(batch, start), 1))
      parts.push({ start, end })
      start = end
    }
    return parts
  })
}
