import { unreachable } from '../../base/index.ts'
import type { Predicate } from '../../expr/index.ts'
import type { Schema } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { DeleteIndex, isDeletionVector, partitionKey, referencedFile } from '../scan/deletes.ts'
import { mightMatch } from '../scan/prune.ts'
import { specById } from '../spec/lookup.ts'
import { partitionPath } from '../spec/transforms.ts'
import type { DataFile, ManifestEntry, Snapshot, TableMetadata } from '../spec/types.ts'

/**
 * Whether a change that was worked out on one snapshot still holds on a later one. Pure: what happened in between comes
 * in as `HistoryStep`s (see `changesSince`). What is not certain counts as a conflict.
 */

/** `serializable`: no row that the change would have seen may have appeared. `snapshot`: only rows it changed must be as they were. */
export type IsolationLevel = 'serializable' | 'snapshot'

/** Rows a change relied on. */
export type Region =
  /** Rows for which the predicate may be true. */
  | { readonly kind: 'rows'; readonly predicate: Predicate }
  /** Rows of these partitions, by `partitionKey`; of every partition where the other change is of another spec. */
  | { readonly kind: 'partitions'; readonly specId: number; readonly keys: ReadonlySet<string> }

/** A data file as a change saw it. */
export interface SeenFile {
  readonly file: DataFile
  readonly dataSequenceNumber: bigint
}

/** What a change relied on. */
export type CommitCheck =
  /** No data file was added within the region, rewrites of the same rows aside. */
  | { readonly kind: 'noAddedData'; readonly within: Region }
  /** No data file within the region was removed, rewrites of the same rows aside. */
  | { readonly kind: 'noRemovedData'; readonly within: Region }
  /**
   * No delete file was added that may hide rows within the region. `deleted: 'ignore'` where rows that are just gone do not
   * matter: then only those count that other rows came with, in place of the hidden ones.
   */
  | { readonly kind: 'noAddedDeletes'; readonly within: Region; readonly deleted?: 'ignore' }
  /** No new delete file applies to these files. `equality: 'ignore'` where the rewritten rows keep their sequence number. */
  | { readonly kind: 'noDeletesFor'; readonly files: readonly SeenFile[]; readonly equality?: 'ignore' }
  /** No deletion vector was added for these data files: a file has at most one. */
  | { readonly kind: 'noVectorsFor'; readonly paths: ReadonlySet<StorePath> }
  /** These files, of any content, are still there. `deleted: 'ignore'` where a file whose rows were all deleted may be gone. */
  | { readonly kind: 'stillLive'; readonly files: readonly DataFile[]; readonly deleted?: 'ignore' }
  /** No data file is of another partition spec, compacted ones included: equality deletes meet files of their spec alone. */
  | { readonly kind: 'noOtherSpecs'; readonly specIds: ReadonlySet<number> }
  /** The partitions as a whole: nothing was added, removed or deleted in them. */
  | { readonly kind: 'untouched'; readonly within: Region }

/** What one snapshot added and removed. */
export interface HistoryStep {
  readonly snapshot: Snapshot
  readonly added: readonly ManifestEntry[]
  readonly removed: readonly ManifestEntry[]
}

export type Conflict =
  | {
      readonly kind: 'data-added' | 'data-removed' | 'deletes-added' | 'file-deleted-from' | 'file-gone'
      readonly snapshotId: bigint
      readonly path: StorePath
      /** As in folder names; empty where the table is not partitioned. */
      readonly partition: string
    }
  /** The branch no longer descends from the snapshot the change began with, or the way back has been expired. */
  | { readonly kind: 'history-lost'; readonly snapshotId: bigint | null }

/** A conflict as a clause: "a data file was added to day=2026-01-01 (…)". */
export function conflictText(conflict: Conflict): string {
  if (conflict.kind === 'history-lost')
    return `its branch no longer descends from ${conflict.snapshotId === null ? 'the empty table' : `snapshot ${conflict.snapshotId}`}, which the change began with`
  const where = conflict.partition === '' ? '' : ` in ${conflict.partition}`
  const by = `by snapshot ${conflict.snapshotId}`
  const { kind } = conflict
  switch (kind) {
    case 'data-added':
      return `rows were added${where} ${by} (${conflict.path})`
    case 'data-removed':
      return `rows were removed${where} ${by} (${conflict.path})`
    case 'deletes-added':
      return `rows were deleted${where} ${by} (${conflict.path})`
    case 'file-deleted-from':
      return `rows of ${conflict.path}${where} were deleted ${by}`
    case 'file-gone':
      return `${conflict.path}${where} was replaced ${by}`
    default:
      return unreachable(kind)
  }
}

/** The first of the checks that the history breaks, as a conflict; null when all hold. `history` null: see `history-lost`. */
export function conflictOf(input: {
  readonly metadata: TableMetadata
  /** The schema whose names the predicates use. */
  readonly schema: Schema
  readonly history: readonly HistoryStep[]
  readonly checks: readonly CommitCheck[]
}): Conflict | null {
  if (input.history.length === 0) return null
  for (const check of input.checks) {
    const found = broken(input, check)
    if (found) return found
  }
  return null
}

type Input = Parameters<typeof conflictOf>[0]

function broken(input: Input, check: CommitCheck): Conflict | null {
  switch (check.kind) {
    case 'noAddedData':
      return find(input, 'data-added', addsRows, 'added', (file) => isData(file) && within(input, file, check.within))
    case 'noRemovedData':
      return find(
        input,
        'data-removed',
        removesRows,
        'removed',
        (file) => isData(file) && within(input, file, check.within),
      )
    case 'noAddedDeletes':
      return find(
        input,
        'deletes-added',
        check.deleted === 'ignore' ? (step) => step.snapshot.operation === 'overwrite' : removesRows,
        'added',
        (file) => !isData(file) && within(input, file, check.within),
      )
    case 'untouched':
      return (
        broken(input, { kind: 'noAddedData', within: check.within }) ??
        broken(input, { kind: 'noRemovedData', within: check.within }) ??
        broken(input, { kind: 'noAddedDeletes', within: check.within })
      )
    case 'noDeletesFor':
      return deletesFor(input, check.files, check.equality === 'ignore')
    case 'noVectorsFor':
      return find(
        input,
        'file-deleted-from',
        () => true,
        'added',
        (file) => isDeletionVector(file) && check.paths.has(referencedFile(file) ?? file.path),
      )
    case 'noOtherSpecs':
      return find(
        input,
        'data-added',
        () => true,
        'added',
        (file) => isData(file) && !check.specIds.has(file.specId),
      )
    case 'stillLive': {
      const keys = new Set(check.files.map(identity))
      const counts =
        check.deleted === 'ignore' ? (step: HistoryStep) => step.snapshot.operation !== 'delete' : () => true
      return find(input, 'file-gone', counts, 'removed', (file) => keys.has(identity(file)))
    }
    default:
      return unreachable(check)
  }
}

/** Snapshots of operation `replace` keep the table's rows as they are (specification, "Snapshots"). */
function addsRows(step: HistoryStep): boolean {
  return step.snapshot.operation === 'append' || step.snapshot.operation === 'overwrite'
}

function removesRows(step: HistoryStep): boolean {
  return step.snapshot.operation === 'delete' || step.snapshot.operation === 'overwrite'
}

function isData(file: DataFile): boolean {
  return file.content === 0
}

/** Several deletion vectors share one Puffin file. */
function identity(file: DataFile): string {
  return file.contentOffset === undefined ? file.path : `${file.path}@${file.contentOffset}`
}

function find(
  input: Input,
  kind: Exclude<Conflict['kind'], 'history-lost'>,
  counts: (step: HistoryStep) => boolean,
  list: 'added' | 'removed',
  matches: (file: DataFile) => boolean,
): Conflict | null {
  for (const step of input.history) {
    if (!counts(step)) continue
    const entry = step[list].find((one) => matches(one.file))
    if (!entry) continue
    const { file } = entry
    const path = kind === 'file-deleted-from' ? (referencedFile(file) ?? file.path) : file.path
    return conflictAt(input, kind, step.snapshot.snapshotId, file, path)
  }
  return null
}

function conflictAt(
  input: Input,
  kind: Exclude<Conflict['kind'], 'history-lost'>,
  snapshotId: bigint,
  file: DataFile,
  path: StorePath,
): Conflict {
  const partition = partitionPath(specById(input.metadata, file.specId), input.schema, file.partition)
  return { kind, snapshotId, path, partition }
}

function within(input: Input, file: DataFile, region: Region): boolean {
  switch (region.kind) {
    case 'rows':
      return mightMatch(file, region.predicate, input.schema, specById(input.metadata, file.specId))
    case 'partitions':
      return file.specId !== region.specId || region.keys.has(partitionKey(file))
    default:
      return unreachable(region)
  }
}

/** Rewritten deletes (`replace`) hide nothing new: only those of snapshots that remove rows count. */
function deletesFor(input: Input, files: readonly SeenFile[], ignoreEquality: boolean): Conflict | null {
  for (const step of input.history) {
    if (!removesRows(step)) continue
    const deletes = step.added.filter(({ file }) => file.content === 1 || (file.content === 2 && !ignoreEquality))
    if (deletes.length === 0) continue
    const index = new DeleteIndex(deletes, input.schema, (specId) => specById(input.metadata, specId))
    for (const { file, dataSequenceNumber } of files) {
      if (index.of(file, dataSequenceNumber).length === 0) continue
      return conflictAt(input, 'file-deleted-from', step.snapshot.snapshotId, file, file.path)
    }
  }
  return null
}
