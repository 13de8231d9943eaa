import type { DataFile } from '../iceberg/index.ts'
import type { Target } from './guard.ts'
import type { FileTotals, RowsChanged } from './result.ts'

interface FilesChanged {
  readonly snapshotId: bigint | null
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

export function changedOf(statement: RowsChanged['statement'], target: Target, change: FilesChanged): RowsChanged {
  return {
    kind: 'changed',
    statement,
    ...target,
    snapshotId: change.snapshotId,
    added: totalsOf(change.added),
    removed: totalsOf(change.removed),
  }
}

function totalsOf(files: readonly DataFile[]): FileTotals {
  return {
    files: files.length,
    rows: files.reduce((sum, file) => sum + Number(file.recordCount), 0),
    bytes: files.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0),
  }
}
