import type { TableId } from '../base/index.ts'

/** A failed hard check stops the publish; a soft one is recorded and shown. */
export type Severity = 'hard' | 'soft'

interface CheckBase {
  /** Unique within the dataset; derived from the check when not given. */
  readonly name: string
  readonly severity: Severity
}

/** No two rows of the whole table agree in all these columns (nulls agree with nulls). Judged on the table. */
export interface UniqueCheck extends CheckBase {
  readonly kind: 'unique'
  readonly columns: readonly string[]
}
/** No null in the column. Judged on the staged rows. */
export interface NotNullCheck extends CheckBase {
  readonly kind: 'notNull'
  readonly column: string
}
/** `min ≤ value ≤ max`, both ends included; nulls pass. Bounds are numbers, or SQL literals as text. Judged on the staged rows. */
export interface BetweenCheck extends CheckBase {
  readonly kind: 'between'
  readonly column: string
  readonly min: number | string
  readonly max: number | string
}
/** Every non-null combination of `columns` occurs in `to`. Judged on the table. */
export interface ReferenceCheck extends CheckBase {
  readonly kind: 'reference'
  readonly columns: readonly string[]
  readonly to: TableId
  readonly toColumns: readonly string[]
}
/**
 * `left` (an SQL aggregate over this dataset) equals `right` (one over `with`), within `tolerance` (absolute, default 0).
 * `by` compares group by group: an SQL expression over each side; a group missing on one side counts as null and fails.
 * `where` restricts a side. Judged on the table.
 */
export interface ReconcileCheck extends CheckBase {
  readonly kind: 'reconcile'
  readonly left: string
  readonly with: TableId
  readonly right: string
  readonly by?: { readonly left: string; readonly right: string }
  readonly tolerance: number
}
/**
 * The row count of every built interval lies in `[min, max]`. Intervals starting at a time in `partial` (ISO dates)
 * are known to be incomplete and only need to be at most `max`. Judged on the staged intervals.
 */
export interface VolumeCheck extends CheckBase {
  readonly kind: 'volume'
  readonly min: number
  readonly max: number
  readonly partial: readonly string[]
}
/** A query over datasets by name whose rows are the failures. Judged on the table. */
export interface SqlCheck extends CheckBase {
  readonly kind: 'sql'
  readonly sql: string
}

export type Check = UniqueCheck | NotNullCheck | BetweenCheck | ReferenceCheck | ReconcileCheck | VolumeCheck | SqlCheck

/** What a verdict holds for: the staged intervals only (it survives a rebase of others) or the whole table. */
export function scopeOf(check: Check): 'interval' | 'table' {
  switch (check.kind) {
    case 'notNull':
    case 'between':
    case 'volume':
      return 'interval'
    case 'unique':
    case 'reference':
    case 'reconcile':
    case 'sql':
      return 'table'
  }
}

/** Datasets a check reads besides its own, in order of mention (an SQL check's are found by parsing). */
export function datasetsOf(check: Check): readonly TableId[] {
  switch (check.kind) {
    case 'reference':
      return [check.to]
    case 'reconcile':
      return [check.with]
    default:
      return []
  }
}
