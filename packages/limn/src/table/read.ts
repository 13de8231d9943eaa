import { LimnError } from '../base/index.ts'
import type { BoundTable } from '../engine/index.ts'
import { always, type Predicate } from '../expr/index.ts'
import { type DataFile, type LoadedTable, liveFiles, planScan, type ScanPlan } from '../iceberg/index.ts'
import type { FileLease } from '../storage/index.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from './context.ts'

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
}

/** Plans a scan of a pinned table and leases its files. */
export async function readPinned(context: TableContext, pin: PinnedTable, options: ReadOptions = {}): Promise<Reading> {
  const plan = await scanOf(context, pin, options)
  const lease = await context.store.lease(
    plan.files.map((file) => file.path),
    { signal: context.signal },
  )
  return {
    bound: bindFiles(pin, plan.files, lease),
    scan: plan,
    [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
  }
}

/** The files of a pinned table that may matter, without leasing them. */
export async function scanOf(context: TableContext, pin: PinnedTable, options: ReadOptions = {}): Promise<ScanPlan> {
  const { manifests, signal } = context
  if (pin.snapshotId === null) {
    const none = { manifests: 0, files: 0, bytes: 0 }
    return { files: [], considered: none, pruned: none, read: { files: 0, bytes: 0 } }
  }
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
  const files = plan.files.filter(keep)
  const bytes = sumBytes(files)
  const dropped = plan.files.length - files.length
  return {
    files,
    considered: plan.considered,
    pruned: {
      manifests: plan.pruned.manifests,
      files: plan.pruned.files + dropped,
      bytes: plan.pruned.bytes + sumBytes(plan.files) - bytes,
    },
    read: { files: files.length, bytes },
  }
}

export function sumBytes(files: readonly DataFile[]): number {
  return files.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0)
}

/** Binds given files of a table under its name. */
export function bindFiles(pin: PinnedTable, files: readonly DataFile[], lease: FileLease): BoundTable {
  for (const file of files) {
    if (file.format === 'parquet') continue
    throw new LimnError('iceberg/unsupported', {
      message: `${pin.id} has a data file in ${file.format}.`,
      notDone: 'The table was not read.',
      remedy: 'limn reads Parquet data files.',
    })
  }
  return {
    id: pin.id,
    schema: schemaOfPin(pin),
    files: files.map((file) => ({ local: lease.localOf(file.path) })),
  }
}

/** The live data files of a table's main branch, in order of paths. */
export async function liveTableFiles(context: TableContext, loaded: LoadedTable): Promise<readonly DataFile[]> {
  const { metadata } = loaded
  if (metadata.currentSnapshotId === null) return []
  return liveFiles({
    manifests: context.manifests,
    metadata,
    snapshotId: metadata.currentSnapshotId,
    signal: context.signal,
  })
}
