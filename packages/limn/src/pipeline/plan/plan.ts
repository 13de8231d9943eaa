import { invariant, type TableId } from '../../base/index.ts'
import {
  type EarlierReads,
  type Interval,
  IntervalSet,
  type IntervalUnit,
  readsEarlier,
  type SealFacts,
} from '../../dataset/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import type { DatasetLedger } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'
import { holdAfterGaps, holdFollowers, holdUnsealed, type Open } from '../schedule/sealing.ts'
import type { Change } from './change.ts'
import type { DefinitionDiff } from './definition-diff.ts'
import { planModel } from './plan-model.ts'

export { batchesOf, boundKey, impliedBy, touchedKey } from './reach.ts'

/**
 * Why a dataset or interval is in the plan. A closed set; the first that applies is named. A `gap` is an interval never built
 * between two that are; `contract-changed` is a changed definition whose query and producer are the same. `checks-changed`,
 * `accepted` (left as an earlier definition built it, because only later intervals follow the new one) and `unsealed` (stale,
 * and not complete yet) build nothing.
 */
export type Reason =
  | 'new-delivery'
  | 'withdrawn-delivery'
  | 'asked-at-run'
  | 'full-rebuild'
  | 'restated'
  | 'definition-changed'
  | 'contract-changed'
  | 'never-built'
  | 'gap'
  | 'input-changed'
  /** Earlier intervals that it reads of its own table changed, or, with `atMost`, are built again and may. */
  | 'reads-itself'
  | 'checks-changed'
  | 'accepted'
  | 'unsealed'
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
  /** What of its rows may become another. Absent: anything. */
  readonly changes?: Change
  /** Of `unsealed`: what it waits for. */
  readonly open?: Open
}

/** Whether an item stands for rows to be built or landed. */
export function isBuild(item: Pick<PlanItem, 'reason'>): boolean {
  return item.reason !== 'checks-changed' && item.reason !== 'accepted' && item.reason !== 'unsealed'
}

/** Whether an item is built only if earlier intervals, which it reads of its own table and which are built before it, change. */
export function isFollower(item: Pick<PlanItem, 'reason' | 'atMost'>): boolean {
  return item.reason === 'reads-itself' && item.atMost
}

/** Times that a plan builds whatever becomes of others. */
export function certainTimes(items: readonly PlanItem[]): IntervalSet {
  return IntervalSet.of(items.filter((item) => !isFollower(item)).flatMap((item) => item.interval ?? []))
}

/**
 * Whether the next interval of a dataset that reads itself is to be built, when those before it were: in any case, or because it
 * reads one whose rows have `changed`.
 */
export function isDue(self: EarlierReads, interval: Interval, certain: IntervalSet, changed: IntervalSet): boolean {
  return certain.overlaps(interval) || readsEarlier(self, interval, changed)
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

/**
 * Output times touched by the rows of an input that differ, in what the reader reads of them, between two of its snapshots;
 * `rows`, when known, is how many differ at most.
 */
export type Touched =
  | { readonly kind: 'all'; readonly rows?: number }
  | { readonly kind: 'times'; readonly times: IntervalSet; readonly rows?: number }

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
  /** How present definitions differ from those that intervals were built with, by `dataset fingerprint`. Absent: unknown. */
  readonly diffs?: ReadonlyMap<string, DefinitionDiff>
  readonly request: PlanRequest
  /** Of a request with `since`: what was so already then. */
  readonly since?: Since
  /** Of every dataset that states when an interval is complete. */
  readonly seals?: ReadonlyMap<TableId, SealFacts>
}

/** What a person asked to plan. */
export interface PlanRequest {
  readonly full: boolean
  readonly range: Interval | null
  /** Rebuilt in the range although fresh; the range then bounds these alone, not what is downstream of them. */
  readonly restate?: ReadonlySet<TableId>
  /** Intervals built by an earlier definition are accepted as they are. */
  readonly forwardOnly?: boolean
  /** Intervals that are not complete are built all the same. */
  readonly unsealed?: boolean
}

/** The state of things at a time before: what was stale then already is left out of a plan. */
export interface Since {
  /** The snapshot an input had then, or `before` when that is the later one. */
  readonly inputThen: (input: TableId, before: bigint | null) => bigint | null
  /** Domains over the inputs of then. */
  readonly domains: ReadonlyMap<TableId, Interval | null>
  /** Datasets whose files were changed after. */
  readonly redefined: ReadonlySet<TableId>
}

/** Pure: the same facts give the same plan. Call it again with staged heads to narrow it. */
export function plan(facts: PlanFacts): Plan {
  const items: PlanItem[] = []
  const pending = new Map<TableId, readonly PlanItem[]>()
  for (const id of facts.order) {
    const own = planOf(id, facts, pending)
    if (own.some(isBuild)) pending.set(id, own)
    items.push(...own)
  }
  return { items }
}

/** Items of datasets that are planned and have yet to be built. */
export type Pending = ReadonlyMap<TableId, readonly PlanItem[]>

/** The items of one dataset, given those of the datasets before it. */
export function planOf(id: TableId, facts: PlanFacts, pending: Pending): readonly PlanItem[] {
  const node = facts.nodes.get(id)
  invariant(node, `no node for ${id}`)
  if (!facts.selected.has(id) || facts.heads.get(id)?.staged) return []
  const found = node.producer.kind === 'source' ? planSource(node, facts) : planModel(node, facts, pending)
  const items = holdFollowers(node, holdUnsealed(node, holdAfterGaps(node, found, facts), facts))
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
