import type { TableId } from '../../base/index.ts'
import type { Interval } from '../../dataset/index.ts'

/**
 * What may set two numbers apart. The list is closed: whoever reads findings can answer each.
 *
 * Data: `late-rows` came for intervals that were built already · `new-rows` for those that were not · `partial-delivery`
 * lacks rows it had · `double-delivery` repeats rows · `withdrawn-delivery` is gone · `not-landed` never was there · `corrected-rows` have other values ·
 * `duplicate-key` has one key twice · `value-dropped` lost all rows of one value · `time-shift` moved times by one offset ·
 * `column-null` lost a column's values · `unit-change` multiplied them by one factor · `rounding` rounded them.
 * Code: `filter-changed` keeps other rows · `fan-out` joins a row to several · `unmatched-rows` joins a row to none ·
 * `code-changed` computes otherwise; `unit-change`, `rounding`, `time-shift` and `column-null` too may come of code.
 * `renamed-delivery` has the same rows under another name, and `delivered-again` under the same, and the query looks at which
 * delivery a row came with.
 * Else: `not-rebuilt` is built from an older state · `direct-write` was made by no run · `not-deterministic` came out
 * otherwise of the same · `unexplained`.
 */
export const findingKinds = [
  'late-rows',
  'new-rows',
  'partial-delivery',
  'double-delivery',
  'withdrawn-delivery',
  'not-landed',
  'renamed-delivery',
  'delivered-again',
  'corrected-rows',
  'duplicate-key',
  'value-dropped',
  'time-shift',
  'column-null',
  'unit-change',
  'rounding',
  'filter-changed',
  'fan-out',
  'unmatched-rows',
  'code-changed',
  'not-rebuilt',
  'direct-write',
  'not-deterministic',
  'unexplained',
] as const

export type FindingKind = (typeof findingKinds)[number]

/** Where a difference begins. */
export type Origin =
  /** A delivery that only one side has. */
  | {
      readonly kind: 'delivery'
      /** The source that landed it. */
      readonly source: TableId
      readonly path: string
      readonly ordinal: number
      readonly sha256: string | null
      readonly run: string
      /** Others of which the same holds, by path; empty: it is this one alone. */
      readonly also: readonly { readonly path: string; readonly ordinal: number; readonly run: string }[]
    }
  /** Two definitions of the dataset; null: that one is not remembered. */
  | {
      readonly kind: 'code'
      readonly before: string
      readonly after: string
      readonly changes: readonly CodeChange[]
      /** The run that built the newer rows by it, and why; null: not known. */
      readonly built: { readonly run: string; readonly because: string } | null
    }
  /** The state of an input that the dataset was built from. */
  | { readonly kind: 'state'; readonly input: TableId; readonly before: bigint | null; readonly after: bigint | null }
  | { readonly kind: 'unknown' }

/** One part of a query that differs, as SQL; null: there is none. */
export interface CodeChange {
  /** `column NAME`, `where`, `from`, … */
  readonly part: string
  readonly before: string | null
  readonly after: string | null
}

export interface EvidenceRows {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | null)[])[]
}

export interface Finding {
  readonly kind: FindingKind
  /** Where the difference begins. */
  readonly dataset: TableId
  readonly origin: Origin
  /** The column concerned, where it is one. */
  readonly column: string | null
  /** One sentence for people. */
  readonly sentence: string
  /** Rows concerned in `dataset`. */
  readonly rows: number
  readonly intervals: readonly Interval[]
  readonly evidence: EvidenceRows
}

export const noEvidence: EvidenceRows = { columns: [], rows: [] }
