import { type ChangedFiles, type ChangeResult, sumsOf } from '../table/index.ts'
import type { Target } from './names.ts'
import type { RowCounts, RowsChanged } from './result.ts'

const nothing = { files: 0, rows: 0, bytes: 0 }

/** The result of an append or overwrite. */
export function insertedOf(statement: RowsChanged['statement'], target: Target, change: ChangeResult): RowsChanged {
  return {
    kind: 'changed',
    statement,
    ...target,
    snapshotId: change.snapshotId,
    rows: { inserted: change.inserted },
    added: sumsOf(change.added),
    removed: sumsOf(change.removed),
    deletes: { added: nothing, removed: nothing },
  }
}

/** The result of a change of rows. */
export function changedOf(
  statement: RowsChanged['statement'],
  target: Target,
  change: ChangedFiles & { readonly snapshotId: bigint | null },
  rows: RowCounts,
): RowsChanged {
  const { added, removed, deletesAdded, deletesRemoved } = change.sums
  return {
    kind: 'changed',
    statement,
    ...target,
    snapshotId: change.snapshotId,
    rows,
    added,
    removed,
    deletes: { added: deletesAdded, removed: deletesRemoved },
  }
}
