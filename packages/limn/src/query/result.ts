import type { TableId } from '../base/index.ts'
import type { ResultSet } from '../engine/index.ts'

/** How a statement ended. Numbers of rows and bytes are of data files. */
export type StatementResult =
  | { readonly kind: 'rows'; readonly result: ResultSet }
  | RowsChanged
  | {
      /** A table or view was made, replaced, dropped, renamed or altered; or, with `unchanged`, was as wanted already. */
      readonly kind: 'altered'
      readonly change: 'created' | 'replaced' | 'dropped' | 'renamed' | 'altered' | 'unchanged'
      readonly of: 'table' | 'view' | 'branch' | 'tag'
      readonly name: string
      readonly snapshotId: bigint | null
    }

export interface RowsChanged {
  readonly kind: 'changed'
  readonly statement: 'insert' | 'update' | 'delete' | 'truncate' | 'merge' | 'create' | 'replace'
  readonly table: TableId
  readonly branch: string
  /** Null: no row was concerned, and nothing was committed. */
  readonly snapshotId: bigint | null
  readonly rows: RowCounts
  readonly added: FileTotals
  readonly removed: FileTotals
  /** Delete files and deletion vectors; `rows` are positions or keys. */
  readonly deletes: { readonly added: FileTotals; readonly removed: FileTotals }
}

/** Rows of the table, as far as the statement tells them apart. */
export interface RowCounts {
  readonly inserted?: number
  readonly updated?: number
  readonly deleted?: number
  /** Stayed as they were, and were written again with others of their file. */
  readonly copied?: number
}

export interface FileTotals {
  readonly files: number
  readonly rows: number
  readonly bytes: number
}
