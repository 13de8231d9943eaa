import { invariant, LimnError, type RunId, type TableId } from '../../base/index.ts'
import type { Interval, IntervalSet } from '../../dataset/index.ts'
import type { ScanPlan } from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { type PinnedTable, readPinned } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { DatasetLedger, Delivery, Outcome } from '../ledger/ledger.ts'
import type { PlanItem, Reason } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import type { StagedTable } from './staged-table.ts'
import { type DatasetView, viewOf } from './view.ts'

/** What a run did to one interval range of a dataset, as the ledger will say it. */
export interface RangeResult {
  readonly outcome: Outcome
  readonly reason: Reason
  readonly because: string
  readonly interval: Interval | null
  readonly rows: number
  readonly files: number
  readonly bytes: number
  readonly quarantined: number
  readonly deliveries: readonly Delivery[]
  readonly startedAtMs: number
  readonly seconds: number
}

/** What pruning did for one build: shown by `--explain`. */
export interface ScanReport {
  readonly dataset: TableId
  readonly interval: Interval | null
  readonly input: TableId
  readonly scan: Pick<ScanPlan, 'considered' | 'pruned' | 'read'>
}

/** A dataset after staging. `table` is null when nothing had to be written and main stands as it is. */
export interface StagedDataset {
  readonly node: Node
  /** The items of the plan that were carried out. */
  readonly items: readonly PlanItem[]
  readonly table: StagedTable | null
  readonly quarantine: StagedTable | null
  readonly ranges: readonly RangeResult[]
  /** Snapshots of the inputs this was built from. */
  readonly inputs: Readonly<Record<string, bigint>>
  readonly scans: readonly ScanReport[]
  /** The run whose staged files these are, when they were taken over instead of being built again. */
  readonly takenFrom?: RunId
  /** Which of its intervals those are, when others were built. */
  readonly taken?: IntervalSet
}

/** What staging reads: pinned inputs and this run's own staged tables. */
export interface StageInputs {
  readonly run: RunId
  /** The table as this run's readers see it; null when it does not exist. Pins main's snapshot the first time. */
  pinOf(id: TableId): Promise<PinnedTable | null>
  /** Where a dataset stands by the ledger this run began with; undefined when it has none, or nobody knows. */
  standingOf?(id: TableId): DatasetLedger | undefined
  /** Remembers for a retry what was staged of a dataset whose building failed. */
  keepPart?(part: StagedDataset): void
}

/** The view of an input that must exist. */
export async function requireView(
  context: PipelineContext,
  inputs: StageInputs,
  reader: TableId,
  id: TableId,
): Promise<DatasetView> {
  const pin = await inputs.pinOf(id)
  if (!pin) {
    throw new LimnError('usage/empty-selection', {
      message: `${reader} reads ${id}, which has not been built yet.`,
      notDone: 'Nothing was published.',
      remedy: `Select it too: limn run +${reader}`,
    })
  }
  return viewOf(context.project.nodes.get(id), pin)
}

/**
 * The snapshots a dataset's inputs have, for the ledger. What it read of itself is what `own` holds: an interval stands on earlier
 * ones that were settled when it was built, in the snapshot that the same run made of them.
 */
export async function inputSnapshots(
  inputs: StageInputs,
  node: Node,
  own: bigint | null,
): Promise<Readonly<Record<string, bigint>>> {
  const out: Record<string, bigint> = node.self && own !== null ? { [node.id]: own } : {}
  for (const id of node.edges.keys()) {
    const snapshotId = (await inputs.pinOf(id))?.snapshotId
    if (snapshotId !== null && snapshotId !== undefined) out[id] = snapshotId
  }
  return out
}

/**
 * Binds views for a query, pruned by what the query can use. Order of `views` is kept. `own`: a table that the query reads too, and
 * that is bound by others.
 */
export async function bindViews(
  context: PipelineContext,
  views: readonly DatasetView[],
  sql: string,
  own: { readonly id: TableId; readonly schema: Schema } | null = null,
): Promise<
  AsyncDisposable & {
    readonly readings: readonly { readonly id: TableId; readonly reading: Awaited<ReturnType<typeof readPinned>> }[]
  }
> {
  const tables = new Map(
    views.map((view) => {
      const schema = view.pin.metadata.schemas.find((one) => one.schemaId === view.pin.schemaId)
      invariant(schema, `schema of ${view.pin.id}`)
      return [view.pin.id, { columns: schema.fields }] as const
    }),
  )
  if (own) tables.set(own.id, { columns: own.schema.fields })
  const predicates = await context.engine.filters(sql, tables)
  const stack = new AsyncDisposableStack()
  const readings: { id: TableId; reading: Awaited<ReturnType<typeof readPinned>> }[] = []
  try {
    for (const view of views) {
      const predicate = predicates.get(view.pin.id) ?? { kind: 'true' }
      const reading = await readPinned(context, view.pin, { predicate, keep: view.keep })
      stack.use(reading)
      readings.push({ id: view.pin.id, reading })
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
  return { readings, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}
