import type { TableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import { deliveryColumns, type Interval, type IntervalUnit } from '../../dataset/index.ts'
import type { Bound, BoundFile } from '../../engine/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { decimalOf, type PrimitiveType, type Schema } from '../../schema/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { PinnedTable } from '../../table/index.ts'

/** One of two states whose rows are compared. */
export type RowSide =
  /** A pinned table, or those of its files that its readers see. */
  | { readonly kind: 'table'; readonly pin: PinnedTable; readonly keep?: (file: DataFile) => boolean }
  /** Files written and not yet any table's. */
  | { readonly kind: 'files'; readonly schema: Schema; readonly files: readonly BoundFile[] }
  /** A query over what is bound with it; both sides share one session, so a name stands for one thing on both. */
  | { readonly kind: 'query'; readonly sql: string; readonly bound: readonly Bound[] }
  /** A table that does not exist: no columns, no rows. */
  | { readonly kind: 'none' }

/** A number of each side: an SQL aggregate over the columns of both. A column that a side lacks is null there. */
export interface Measure {
  readonly name: string
  readonly sql: string
}

export interface RowDiffOptions {
  /** Columns that tell rows apart, null-safe: a row of one key on both sides is one that was changed. Default: none. */
  readonly keys?: readonly string[]
  /** With `unit`: a time column of both sides; rows are compared interval by interval. Default: as one whole. */
  readonly column?: string
  readonly unit?: IntervalUnit
  /** Default: the sum of every numeric column that both have and that is no key. */
  readonly measures?: readonly Measure[]
  /** How many rows of each kind are shown. Default 10. */
  readonly sample?: number
  /** Only rows of which this SQL condition, over the columns of both, is true. */
  readonly where?: string
}

export interface MeasureDelta {
  readonly name: string
  /** Exact text; null: no rows, or nothing but nulls. */
  readonly before: string | null
  readonly after: string | null
  /** After less before, null counting as 0; null when the measure is no number. */
  readonly delta: string | null
  /** `delta` as a fraction of `before`; null when `before` is 0 or null. */
  readonly relative: number | null
  /** A sum of binary fractions: its last digits depend on the order of the rows. */
  readonly inexact: boolean
}

/** Per column, in how many changed rows its value differs. */
export interface ColumnDelta {
  readonly name: string
  readonly rows: number
  /** Of a number: the greatest difference as a fraction of the larger value; null for others, and where one is null. */
  readonly greatest: number | null
}

export interface RowDelta {
  readonly before: number
  readonly after: number
  /** Rows that only one side has, each as often as it is there. A row that moved to another interval is one of each. */
  readonly added: number
  readonly removed: number
  /** Rows of one key on both sides that differ elsewhere. 0 without keys: a changed row is then one of each above. */
  readonly changed: number
  /** Columns that differ in changed rows, in order of the table's columns. */
  readonly columns: readonly ColumnDelta[]
  readonly measures: readonly MeasureDelta[]
}

export interface IntervalDelta extends RowDelta {
  /** Null: rows without a time. */
  readonly interval: Interval | null
}

export type SampleRow =
  | {
      readonly kind: 'added' | 'removed'
      /** As text, in the order of `columns.compared`. */
      readonly values: readonly (string | null)[]
      readonly times: number
    }
  | {
      readonly kind: 'changed'
      readonly key: readonly (string | null)[]
      readonly columns: readonly {
        readonly name: string
        readonly before: string | null
        readonly after: string | null
      }[]
    }

export interface NamedColumn {
  readonly name: string
  readonly type: string
}

export interface RowDiff {
  /** Same columns of the same types, and the same rows as often. */
  readonly same: boolean
  readonly columns: {
    readonly added: readonly NamedColumn[]
    readonly removed: readonly NamedColumn[]
    /** Of states of one table: the same field under another name. */
    readonly renamed: readonly { readonly before: string; readonly after: string }[]
    /** Columns of other types; their values are compared as `compared`. */
    readonly retyped: readonly {
      readonly name: string
      readonly before: string
      readonly after: string
      readonly compared: string
    }[]
    /** By which rows are compared: what both have, under its name after. */
    readonly compared: readonly string[]
  }
  readonly keys: readonly string[]
  readonly unit: IntervalUnit | null
  /** Of all intervals shown; without a unit, of all rows. */
  readonly total: RowDelta
  /** Those that differ, in order; empty without a unit. */
  readonly intervals: readonly IntervalDelta[]
  readonly sample: readonly SampleRow[]
  /** Files whose rows were compared, and those that both sides have, which were not. */
  readonly files: { readonly compared: number; readonly equal: number }
}

/** The sums of a contract's measures: numeric columns that may be added up. Keys, times and what limn says of deliveries are none. */
export function measuresOf(contract: Contract): readonly Measure[] {
  return Object.entries(contract.columns).flatMap(([name, column]) =>
    isNumber(column.type) &&
    column.additivity !== 'non-additive' &&
    !contract.keys.includes(name) &&
    !(name in deliveryColumns)
      ? [{ name, sql: `sum(${quoteIdentifier(name)})` }]
      : [],
  )
}

function isNumber(type: PrimitiveType): boolean {
  return ['int', 'long', 'float', 'double'].includes(type) || decimalOf(type) !== null
}

/** Names under which the sides are bound. */
export const beforeRows = 'limn_rows.before' as TableId
export const afterRows = 'limn_rows.after' as TableId
export const equalBefore = 'limn_rows.equal_before' as TableId
export const equalAfter = 'limn_rows.equal_after' as TableId
