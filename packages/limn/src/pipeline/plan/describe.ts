import type { TableId } from '../../base/index.ts'
import { countUnits, type Interval, IntervalSet, type IntervalUnit } from '../../dataset/index.ts'
import type { Node } from '../project/node.ts'
import { type Change, reachedBy, unionOfChanges } from './change.ts'
import type { DefinitionDiff } from './definition-diff.ts'
import { type Estimate, estimateOf } from './estimate.ts'
import { isBuild, isFollower, type Plan, type PlanFacts, type PlanItem, type Reason } from './plan.ts'
import { touchedKey } from './reach.ts'

/** One reason for which a dataset is in the plan, with the times it holds for. */
export interface PlannedCause {
  readonly reason: Reason
  /** Paths, the name of an input, or words. */
  readonly because: readonly string[]
  readonly atMost: boolean
  /** Empty: the whole dataset or, of one built by interval, any of it. */
  readonly intervals: readonly Interval[]
  /** How many intervals of the dataset's unit those are; null when it is not known or not built by interval. */
  readonly units: number | null
  /** Columns whose values may change where the rows stay; null: anything may. */
  readonly columns: readonly string[] | null
  /** Of `input-changed`: how many rows of the input differ at most, when known. */
  readonly rows: number | null
  readonly diff: DefinitionDiff | null
}

/** A dataset that a change reaches. */
export interface Reached {
  readonly dataset: TableId
  /** Columns reached; null: anything of it. */
  readonly columns: readonly string[] | null
}

/** What a plan says of one dataset. */
export interface PlannedDataset {
  readonly dataset: TableId
  readonly unit: IntervalUnit | null
  /** Planned inputs because of which it is planned. */
  readonly parents: readonly TableId[]
  readonly causes: readonly PlannedCause[]
  /** Of a dataset with a cause of its own: what it reaches downstream, directly or not. */
  readonly breaks: readonly Reached[]
  /** Datasets that read it and that it does not reach. */
  readonly unbroken: readonly TableId[]
  readonly estimate: Estimate
}

/** Rows delivered and not yet landed, by source, where they were counted. */
export type DeliveredRows = ReadonlyMap<TableId, number>

/** A plan told dataset by dataset, in graph order. Pure. */
export function describePlan(plan: Plan, facts: PlanFacts, delivered: DeliveredRows): readonly PlannedDataset[] {
  const byDataset = new Map<TableId, PlanItem[]>()
  for (const item of plan.items) {
    const items = byDataset.get(item.dataset)
    if (items) items.push(item)
    else byDataset.set(item.dataset, [item])
  }
  const readers = readersOf(facts)
  return [...byDataset].flatMap(([dataset, items]): PlannedDataset[] => {
    const node = facts.nodes.get(dataset)
    if (!node) return []
    const first = items.some((item) => item.reason === 'never-built')
    const parents = [...node.edges.keys()].filter(
      (input) => byDataset.get(input)?.some(isBuild) && (first || items.some((item) => item.because === input)),
    )
    const own = items.filter(
      (item) =>
        isBuild(item) &&
        !isFollower(item) &&
        !parents.some((one) => one === item.because) &&
        !(first && parents.length > 0),
    )
    const { breaks, unbroken } =
      own.length > 0 ? reachOfChange(node, own, facts, readers) : { breaks: [], unbroken: [] }
    return [
      {
        dataset,
        unit: node.shape.kind === 'interval' ? node.shape.unit : null,
        parents,
        causes: causesOf(node, items, facts, delivered),
        breaks,
        unbroken,
        estimate: estimateOf(node, items, facts.ledger.get(dataset)),
      },
    ]
  })
}

function readersOf(facts: PlanFacts): ReadonlyMap<TableId, readonly Node[]> {
  const out = new Map<TableId, Node[]>()
  for (const id of facts.order) {
    const node = facts.nodes.get(id)
    if (!node) continue
    for (const input of node.edges.keys()) {
      const readers = out.get(input)
      if (readers) readers.push(node)
      else out.set(input, [node])
    }
  }
  return out
}

function listOf(change: Change): readonly string[] | null {
  return change === 'all' ? null : [...change].sort()
}

function causesOf(
  node: Node,
  items: readonly PlanItem[],
  facts: PlanFacts,
  delivered: DeliveredRows,
): readonly PlannedCause[] {
  const groups = new Map<string, PlanItem[]>()
  for (const item of items) {
    const isDelivery = item.reason === 'new-delivery' || item.reason === 'withdrawn-delivery'
    const key = `${item.reason}\n${isDelivery ? '' : item.because}\n${item.atMost}`
    const group = groups.get(key)
    if (group) group.push(item)
    else groups.set(key, [item])
  }
  return [...groups.values()].flatMap((group): PlannedCause[] => {
    const [first] = group
    if (!first) return []
    const times = IntervalSet.of(group.flatMap((item) => (item.interval ? [item.interval] : [])))
    const isOpen = group.some((item) => item.interval === null)
    const unit = node.shape.kind === 'interval' ? node.shape.unit : null
    const changes = group.reduce<Change>((all, item) => unionOfChanges(all, item.changes ?? 'all'), new Set())
    const hasDiff = ['definition-changed', 'contract-changed', 'accepted', 'checks-changed'].includes(first.reason)
    return [
      {
        reason: first.reason,
        because: [...new Set(group.map((item) => item.because))],
        atMost: first.atMost,
        intervals: isOpen ? [] : times.intervals,
        units: isOpen || unit === null ? null : times.intervals.reduce((sum, one) => sum + countUnits(unit, one), 0),
        columns: listOf(changes),
        rows: first.reason === 'input-changed' ? rowsOf(node, first, facts, delivered) : null,
        diff: hasDiff ? diffOf(node, facts, first.reason === 'checks-changed') : null,
      },
    ]
  })
}

/** Of several definitions that intervals were built with, the one that differs in most; of the present one, its checks. */
function diffOf(node: Node, facts: PlanFacts, ofChecks: boolean): DefinitionDiff | null {
  const built = facts.ledger.get(node.id)?.built ?? []
  const found = [...new Set(built.map((entry) => entry.fingerprint))].flatMap((fingerprint) => {
    if ((fingerprint === node.fingerprint) !== ofChecks) return []
    const diff = facts.diffs?.get(`${node.id} ${fingerprint}`)
    return diff ? [diff] : []
  })
  return found.reduce<DefinitionDiff | null>(
    (most, one) => (most === null || one.changes.length > most.changes.length ? one : most),
    null,
  )
}

function rowsOf(node: Node, item: PlanItem, facts: PlanFacts, delivered: DeliveredRows): number | null {
  const input = [...node.edges.keys()].find((one) => one === item.because)
  if (input === undefined) return null
  if (item.atMost) return delivered.get(input) ?? null
  const head = facts.heads.get(input)?.snapshotId ?? null
  const before = new Set((facts.ledger.get(node.id)?.built ?? []).map((entry) => entry.inputs[input] ?? null))
  let rows = 0
  for (const from of before) {
    const then = facts.since ? facts.since.inputThen(input, from) : from
    if (then === head) continue
    const touched = facts.touched.get(touchedKey(node.id, input, then, head))
    if (touched?.rows === undefined) return null
    rows += touched.rows
  }
  return rows
}

/** Follows a dataset's own changes through all that reads it. */
function reachOfChange(
  node: Node,
  items: readonly PlanItem[],
  facts: PlanFacts,
  readers: ReadonlyMap<TableId, readonly Node[]>,
): { readonly breaks: readonly Reached[]; readonly unbroken: readonly TableId[] } {
  const start = items.reduce<Change>((all, item) => unionOfChanges(all, item.changes ?? 'all'), new Set())
  const reached = new Map<TableId, Change>([[node.id, start]])
  const seen = new Set<TableId>()
  // Each dataset is come to when all that stands before it has been.
  for (const id of facts.order) {
    const change = reached.get(id)
    if (change === undefined) continue
    for (const reader of readers.get(id) ?? []) {
      seen.add(reader.id)
      const before = reached.get(reader.id)
      if (before === 'all') continue
      const found = reachedBy(reader, id, facts.nodes.get(id), change)
      if (found !== null) reached.set(reader.id, before === undefined ? found : unionOfChanges(before, found))
    }
  }
  reached.delete(node.id)
  const breaks: Reached[] = []
  const unbroken: TableId[] = []
  for (const dataset of facts.order) {
    const change = reached.get(dataset)
    if (change !== undefined) breaks.push({ dataset, columns: listOf(change) })
    else if (seen.has(dataset)) unbroken.push(dataset)
  }
  return { breaks, unbroken }
}
