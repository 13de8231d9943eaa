import type { TableId } from '../base/index.ts'
import type { Contract } from '../contract/index.ts'
import type { Value } from '../schema/index.ts'
import type { IntervalUnit } from './interval.ts'
import type { IntervalParameters, SqlQuery } from './sql-template.ts'
import type { Timing } from './timing.ts'

/**
 * What an output interval `[s, e)` reads of an input: the input rows whose time lies in `[s, e)` (`same`), in
 * `[s - before, e + after)` (`shift`), or any row (`all`). An input row's time is the input's own interval column.
 */
export type Reads =
  | { readonly kind: 'same' }
  /** Both in microseconds, at least 0. */
  | { readonly kind: 'shift'; readonly before: number; readonly after: number }
  | { readonly kind: 'all' }
  | EarlierReads

/**
 * Of a dataset's own table alone: rows of its own intervals before `s`, as far back as `[s - back, s)`; null: all of them. Never
 * a row of the interval itself or of a later one.
 */
export interface EarlierReads {
  readonly kind: 'earlier'
  readonly back: { readonly count: number; readonly unit: IntervalUnit } | null
}

export interface Edge {
  readonly reads: Reads
  /**
   * An SQL expression over the input's columns that gives the output time (or a list of times) which a row affects.
   * Null means: none. When absent, a changed row affects all that `reads` implies.
   */
  readonly touches: string | null
}

/** Files under the lake's folder, by a glob; each path is a delivery, again whenever its content changes. */
export interface FileSource {
  readonly kind: 'files'
  readonly glob: string
  readonly format: 'parquet' | 'csv'
  /** What a path that vanished means: an error, nothing, or the removal of its rows. */
  readonly withdrawn: 'error' | 'keep' | 'remove'
  readonly csv: { readonly delimiter: string; readonly header: boolean; readonly quote: string }
}

export type SourceRow = Readonly<Record<string, Value | Date | null | undefined>>

/** One hand-over of a function source: rows, and the cursor from which the next call continues. */
export interface SourceBatch {
  readonly rows: Iterable<SourceRow>
  /** JSON-safe; stored in the ledger with the rows, atomically. */
  readonly cursor: unknown
  /**
   * All rows before this time have been handed over: a time as the intervals of its readers have it, `2026-01-31T06:00` or
   * a Date. Published with the rows; a seal with `marker: 'watermark'` goes by it.
   */
  readonly watermark?: string | Date
}

export interface SourceContext {
  /**
   * Where to read from: the cursor of the last published batch, moved back by the safety window if the source states one;
   * null at the first run.
   */
  readonly cursor: unknown
  readonly signal: AbortSignal
}

/** An async generator function; each yielded batch is one delivery, published together or not at all. */
export interface FunctionSource {
  readonly kind: 'function'
  /** Part of the fingerprint: the author changes it when the function's meaning changes. */
  readonly version: string
  readonly read: (context: SourceContext) => AsyncIterable<SourceBatch>
  /** How far behind its cursor, a time, each run reads again, and by which columns it knows a row; null: not at all. */
  readonly safety: { readonly windowMs: number; readonly keys: readonly string[] } | null
}

/**
 * An Iceberg table that no dataset makes. Each of its snapshots is a delivery: readers get the rows it has, deletes applied
 * and columns found by id. After commits that only append, the added rows alone are landed.
 */
export interface IcebergSource {
  readonly kind: 'iceberg'
  /** `namespace.name` of the lake's catalog; else the table's folder or a metadata.json, relative to the lake. */
  readonly table: string
  /** The branch or tag whose snapshots are delivered. */
  readonly ref: string
}

export type SourceInput = FileSource | FunctionSource | IcebergSource

/**
 * How a dataset that is built whole is brought up to date from what changed in its inputs since it was built. Where that
 * cannot be told (the first build, a changed definition, a table that others wrote to) it is built whole all the same.
 */
export type Increment =
  /**
   * Its rows of the keys that changed input rows affect are built anew, and merged by key. `touches` gives, by input, the
   * keys that a row of it affects, as SQL expressions in the order of `keys`; by default the columns of their names.
   */
  | {
      readonly kind: 'merge'
      readonly keys: readonly string[]
      readonly touches: Readonly<Record<string, readonly string[]>>
    }
  /** The query over the rows that came to one input, appended. `removed` says what rows that left it, or changed, mean. */
  | { readonly kind: 'append'; readonly input: string; readonly removed: 'rebuild' | 'ignore' | 'error' }

/** Built whole: every build replaces all rows, or, with an increment, brings them up to date. */
export interface WholeBuild {
  readonly kind: 'whole'
  readonly query: () => SqlQuery
  readonly increment?: Increment
}

/** Built interval by interval of the output's own time column. */
export interface IntervalBuild {
  readonly kind: 'interval'
  readonly column: string
  readonly unit: IntervalUnit
  /** Ends of the domain in microseconds; null: the first or last interval that an input row reaches. */
  readonly start: number | null
  readonly end: number | null
  /**
   * Consecutive intervals may be built by one query, as many as one unit of `batch` holds; the query over several
   * intervals must equal the union of the queries over each. Equal to `unit` when the author promises nothing.
   */
  readonly batch: IntervalUnit
  readonly query: (parameters: { readonly interval: IntervalParameters }) => SqlQuery
}

export type Producer =
  | { readonly kind: 'source'; readonly input: SourceInput }
  | {
      readonly kind: 'model'
      readonly build: WholeBuild | IntervalBuild
      readonly edges: Readonly<Record<string, Edge>>
    }

/** A dataset definition: contract and producer. A value; builds are callbacks so that files may import each other. */
export interface Dataset {
  readonly id: TableId
  /** Called once all files are loaded; checks may name other datasets. */
  readonly contract: () => Contract
  readonly producer: Producer
  /** Called once all files are loaded. Throws `dataset/invalid` where it cannot be read. */
  readonly timing: () => Timing
  /** Former names, latest first. */
  readonly renamedFrom?: readonly TableId[]
}

const brand = Symbol.for('limn.dataset')

/** True for what `model` and `ingest` return, whichever copy of limn made it. */
export function isDataset(value: unknown): value is Dataset {
  return typeof value === 'object' && value !== null && brand in value
}

export function brandDataset<T extends Dataset>(dataset: T): T {
  Object.defineProperty(dataset, brand, { value: true })
  return dataset
}

/** Columns limn adds to every ingested dataset: which delivery a row came with, and which run landed it. */
export const deliveryColumns = {
  _delivery: { type: 'int', doc: 'Ordinal of the delivery within this dataset, from 1.' },
  _path: { type: 'string', doc: 'Path of the delivered file, or the cursor of a function source.' },
  _run: { type: 'string', doc: 'The run that landed the row.' },
} as const
