import type { BoundTable } from '../../engine/index.ts'
import { always, type Predicate } from '../../expr/index.ts'
import {
  type DataFile,
  type LoadedTable,
  liveFiles,
  liveTasks,
  planOf,
  planScan,
  type ScanPlan,
  type ScanTask,
} from '../../iceberg/index.ts'
import type { FileLease } from '../../storage/index.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from '../context.ts'
import { type BindableFile, bindFiles, pathsOf } from './bind.ts'

/** A table bound for DuckDB: the files that may matter, leased to local names, and what pruning left out. */
export interface Reading extends AsyncDisposable {
  readonly bound: BoundTable
  readonly scan: ScanPlan
}

export interface ReadOptions {
  /** Rows that matter; files that cannot hold one are not opened. Not a filter on rows. */
  readonly predicate?: Predicate
  /** Whole files to leave out, whatever they hold. */
  readonly keep?: (file: DataFile) => boolean
  /** The bound table also has `_file`, `_pos`, `_spec_id`, `_row_id`, `_last_updated_sequence_number`. */
  readonly metadataColumns?: boolean
}

/** Plans a scan of a pinned table and leases its files. Rows that the snapshot's deletes remove are not in what is bound. */
export async function readPinned(context: TableContext, pin: PinnedTable, options: ReadOptions = {}): Promise<Reading> {
  const plan = await scanOf(context, pin, options)
  const lease = await leaseFiles(context, plan.tasks)
  try {
    return {
      bound: bindFiles(pin, plan.tasks, lease, options),
      scan: plan,
      [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
    }
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

/** Leases data files and the delete files that apply to them: what `bindFiles` needs. */
export function leaseFiles(context: TableContext, files: readonly BindableFile[]): Promise<FileLease> {
  return context.store.lease(pathsOf(files), { signal: context.signal })
}

/** The files of a pinned table that may matter, without leasing them. */
export async function scanOf(context: TableContext, pin: PinnedTable, options: ReadOptions = {}): Promise<ScanPlan> {
  const { manifests, signal } = context
  if (pin.snapshotId === null) return planOf([], { manifests: 0, files: 0, bytes: 0 }, 0)
  const plan = await planScan({
    manifests,
    metadata: pin.metadata,
    snapshotId: pin.snapshotId,
    predicate: options.predicate ?? always,
    schema: schemaOfPin(pin),
    signal,
  })
  const keep = options.keep
  return keep ? restrictScan(plan, keep) : plan
}

/** Leaves whole files out of a planned scan and counts them as pruned. */
export function restrictScan(plan: ScanPlan, keep: (file: DataFile) => boolean): ScanPlan {
  return planOf(
    plan.tasks.filter((task) => keep(task.file)),
    plan.considered,
    plan.pruned.manifests,
  )
}

export function sumBytes(files: readonly DataFile[]): number {
  return files.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0)
}

/** The live data files of a table's main branch, in order of paths, whatever deletes apply to them. */
export async function liveTableFiles(context: TableContext, loaded: LoadedTable): Promise<readonly DataFile[]> {
  const { metadata } = loaded
  if (metadata.currentSnapshotId === null) return []
  const { manifests, signal } = context
  return liveFiles({ manifests, metadata, snapshotId: metadata.currentSnapshotId, signal })
}

/** The live data files of a pinned table with the deletes that apply to them, in order of paths. */
export async function liveTableTasks(context: TableContext, pin: PinnedTable): Promise<readonly ScanTask[]> {
  if (pin.snapshotId === null) return []
  const { manifests, signal } = context
  return liveTasks({ manifests, metadata: pin.metadata, snapshotId: pin.snapshotId, signal })
}
