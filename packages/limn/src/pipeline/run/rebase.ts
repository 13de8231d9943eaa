import type { TableId } from '../../base/index.ts'
import { followersOf, type Interval, IntervalSet, laterOf } from '../../dataset/index.ts'
import { type DataFile, diffFiles, type LoadedTable } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import type { FactBook } from '../plan/fact-book.ts'
import { touchedBetween } from '../plan/facts.ts'
import type { PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import type { StagedDataset, StageInputs } from '../stage/stage.ts'
import { stageModel } from '../stage/stage-model.ts'
import { type StagedTable, stageTable, targetOf } from '../stage/staged-table.ts'
import { timesOfFiles } from '../stage/view.ts'
import { Overtaken } from './takeover.ts'

/** What a rebase did. */
export interface Rebased {
  /** Datasets whose rows were built anew: their interval-scoped verdicts are void. */
  readonly rebuilt: ReadonlySet<TableId>
}

/**
 * Brings what a run staged onto the present main of its tables, in graph order. A staged change is applied again as it
 * is when its preconditions still hold: no file came or went within its intervals, schema and spec are unchanged; else
 * the intervals are rebuilt. If rows that others committed to an upstream output fall within what a staged dataset
 * reads, those intervals are rebuilt too. Where nothing may be built anew, `Overtaken` is thrown instead.
 */
export async function rebase(
  context: PipelineContext,
  registered: PipelineContext,
  inputs: StageInputs,
  book: FactBook,
  staged: Map<TableId, StagedDataset>,
  mayRebuild: boolean,
): Promise<Rebased> {
  const ids = [...staged.values()].flatMap((one) =>
    [one.table, one.quarantine].flatMap((table) => (table ? [table.target.id] : [])),
  )
  const fresh = await registered.catalog.loadTables(ids, { signal: context.signal })
  const rebuilt = new Set<TableId>()
  /** Snapshot an upstream output had for its readers before it was rebased. */
  const earlier = new Map<TableId, bigint>()
  for (const id of context.project.order) {
    const one = staged.get(id)
    if (!one) continue
    const quarantine =
      one.quarantine &&
      (await reapplyIfMoved(context, inputs, one.quarantine, fresh.get(one.quarantine.target.id) ?? null))
    if (!one.table) {
      staged.set(id, { ...one, quarantine })
      continue
    }
    const main = fresh.get(id) ?? null
    const moved = hasMoved(one.table, main)
    const touched = await touchedByUpstream(context, book, one, earlier)
    if (!moved && touched !== 'all' && touched.isEmpty) {
      staged.set(id, { ...one, quarantine })
      continue
    }
    const before = one.table.snapshotId
    if (moved) book.mains.set(id, main)
    const foreign = moved ? withReaders(one.node, await foreignTimes(context, one, main)) : IntervalSet.empty
    if (!mayRebuild && one.node.producer.kind === 'model' && !reapplies(one, foreign, touched)) throw new Overtaken(id)
    const next =
      one.node.producer.kind === 'source' || reapplies(one, foreign, touched)
        ? { ...one, table: await reapply(context, inputs, one.table, main), quarantine }
        : await rebuild(
            context,
            inputs,
            { ...one, quarantine },
            main ?? one.table.target.base,
            touched,
            builtOf(book, id),
          )
    if (next.table === null || next.ranges !== one.ranges) rebuilt.add(id)
    staged.set(id, next)
    earlier.set(id, before)
    book.settle(id, next.table?.pin ?? null)
  }
  return { rebuilt }
}

function hasMoved(table: StagedTable, main: LoadedTable | null): boolean {
  return (
    (main?.metadata.currentSnapshotId ?? null) !== (table.target.base?.metadata.currentSnapshotId ?? null) ||
    (main === null) !== (table.target.base === null)
  )
}

/** Output times of a staged dataset that rows committed by others to its inputs reach. */
async function touchedByUpstream(
  context: PipelineContext,
  book: FactBook,
  one: StagedDataset,
  earlier: ReadonlyMap<TableId, bigint>,
): Promise<IntervalSet | 'all'> {
  let times = IntervalSet.empty
  for (const input of one.node.edges.keys()) {
    const from = earlier.get(input)
    const pin = book.pinOf(input)
    if (from === undefined || !pin) continue
    const touched = await touchedBetween(context, one.node, input, from, pin)
    if (touched.kind === 'all') return 'all'
    times = times.union(touched.times)
  }
  return times
}

/** Times of files that others added or removed since the run pinned main; `all` when they cannot be placed. */
async function foreignTimes(
  context: PipelineContext,
  one: StagedDataset,
  main: LoadedTable | null,
): Promise<IntervalSet | 'all'> {
  const base = one.table?.target.base
  if (!base || !main || one.node.shape.kind !== 'interval') return 'all'
  const current = main.metadata.currentSnapshotId
  if (current === null || main.metadata.currentSchemaId !== base.metadata.currentSchemaId) return 'all'
  if (main.metadata.defaultSpecId !== base.metadata.defaultSpecId) return 'all'
  const { added, removed } = await diffFiles({
    manifests: context.manifests,
    metadata: main.metadata,
    from: base.metadata.currentSnapshotId,
    to: current,
    signal: context.signal,
  })
  const files: readonly DataFile[] = [...added, ...removed]
  const schema = main.metadata.schemas.find((each) => each.schemaId === main.metadata.currentSchemaId)
  return (schema && timesOfFiles(files, main.metadata, schema, one.node.shape)) ?? 'all'
}

/** Times with those of the own intervals that read rows of them. */
function withReaders({ self, shape }: Node, times: IntervalSet | 'all'): IntervalSet | 'all' {
  return times === 'all' || !self || shape.kind !== 'interval' ? times : times.union(laterOf(self, shape.unit, times))
}

function reapplies(one: StagedDataset, foreign: IntervalSet | 'all', touched: IntervalSet | 'all'): boolean {
  if (foreign === 'all' || touched === 'all' || !touched.isEmpty) return false
  return foreign.intersect(stagedTimes(one)).isEmpty
}

function stagedTimes(one: StagedDataset): IntervalSet {
  return IntervalSet.of(one.items.flatMap((item) => (item.interval ? [item.interval] : [])))
}

/** The same files on a newer main. */
async function reapply(
  context: PipelineContext,
  inputs: StageInputs,
  table: StagedTable,
  main: LoadedTable | null,
): Promise<StagedTable> {
  const { target, added, removed, summary } = table
  const contract = context.project.nodes.get(target.id)?.contract
  const next = contract && main !== null ? targetOf(context, contract, main) : { ...target, base: main }
  return stageTable(context, inputs.run, next, { added, removed, summary }, table)
}

async function reapplyIfMoved(
  context: PipelineContext,
  inputs: StageInputs,
  table: StagedTable,
  main: LoadedTable | null,
): Promise<StagedTable> {
  if (!hasMoved(table, main)) return table
  const next = main === null ? table.target : { ...table.target, base: main, evolved: main.metadata }
  return stageTable(
    context,
    inputs.run,
    next,
    { added: table.added, removed: table.removed, summary: table.summary },
    table,
  )
}

/** The staged intervals, and those that others' rows reach, built anew on a newer main. */
async function rebuild(
  context: PipelineContext,
  inputs: StageInputs,
  one: StagedDataset,
  main: LoadedTable | null,
  touched: IntervalSet | 'all',
  built: IntervalSet,
): Promise<StagedDataset> {
  const { self, shape } = one.node
  const items: PlanItem[] = [...one.items]
  if (shape.kind === 'interval' && touched !== 'all') {
    for (const interval of touched.minus(stagedTimes(one)).intervals) items.push(itemFor(one, interval))
    const times = stagedTimes(one).union(touched)
    if (self)
      for (const { interval } of followersOf(self, shape.unit, times, built.union(times)))
        for (const part of IntervalSet.of([interval]).minus(times).intervals)
          items.push({ ...itemFor(one, part), reason: 'reads-itself', atMost: true })
  }
  return stageModel(context, inputs, one.node, items, targetOf(context, one.node.contract, main), one)
}

/** Intervals of a dataset that are built, by the ledger. */
function builtOf(book: FactBook, id: TableId): IntervalSet {
  return IntervalSet.of((book.ledger.get(id)?.built ?? []).flatMap((entry) => entry.interval ?? []))
}

function itemFor(one: StagedDataset, interval: Interval): PlanItem {
  return {
    dataset: one.node.id,
    interval,
    unit: one.node.shape.kind === 'interval' ? one.node.shape.unit : null,
    reason: 'input-changed',
    because: 'rows committed by others during the run',
    atMost: false,
  }
}
