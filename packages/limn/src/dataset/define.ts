import { LimnError, tableId } from '../base/index.ts'
import type {
  Additivity,
  Check,
  ColumnContract,
  Contract,
  MaintainPolicy,
  RejectBudget,
  RejectRule,
  Severity,
  Tolerance,
} from '../contract/index.ts'
import {
  brandDataset,
  type Dataset,
  deliveryColumns,
  type EarlierReads,
  type Edge,
  type FileSource,
  type FunctionSource,
  type IcebergSource,
  type IntervalBuild,
  type SourceBatch,
  type SourceContext,
  type SourceInput,
  type WholeBuild,
} from './dataset.ts'
import { durationMs } from './duration.ts'
import { type IntervalUnit, parseMicros } from './interval.ts'
import type { DatasetReference, IntervalParameters, SqlQuery, SqlText } from './sql-template.ts'
import { type TimingSpec, timingOf } from './timing.ts'

type ColumnsSpec = Readonly<Record<string, ColumnContract>>
type Name<C> = Extract<keyof C, string>
type TransformName = 'year' | 'month' | 'day' | 'hour'
/** A column (identity), a transform of a column, or `bucket(n, column)` / `truncate(n, column)`. */
type Partition<C> =
  | Name<C>
  | `${TransformName}(${Name<C>})`
  | `bucket(${number}, ${Name<C>})`
  | `truncate(${number}, ${Name<C>})`

interface SeverityOption {
  /** Default `hard`. */
  readonly severity?: Severity
  /** Default: derived from the check. */
  readonly name?: string
}

/** Builders for the vocabulary of checks, typed by the dataset's columns. */
export interface CheckBuilder<C> {
  unique(columns: Name<C> | readonly Name<C>[], options?: SeverityOption): Check
  notNull(column: Name<C>, options?: SeverityOption): Check
  /** `min ≤ value ≤ max`, both ends included; nulls pass. */
  between(column: Name<C>, min: number | string, max: number | string, options?: SeverityOption): Check
  /** Every non-null value of `columns` occurs among `toColumns` of `to` (default: the same names). */
  reference(
    columns: Name<C> | readonly Name<C>[],
    to: DatasetReference,
    toColumns?: string | readonly string[],
    options?: SeverityOption,
  ): Check
  /** An SQL aggregate over this dataset equals one over another, in all or group by group (`by`). */
  reconcile(
    left: string,
    to: {
      readonly with: DatasetReference
      readonly right: string
      readonly by?: { readonly left: string; readonly right: string }
      readonly tolerance?: number
    },
    options?: SeverityOption,
  ): Check
  /** Row count of each built interval within `[min, max]`; those in `partial` (ISO dates of starts) only need `≤ max`. */
  volume(
    band: { readonly min: number; readonly max: number; readonly partial?: readonly string[] },
    options?: SeverityOption,
  ): Check
  /** Rows of the query are failures. */
  sql(name: string, query: SqlText, options?: Omit<SeverityOption, 'name'>): Check
}

interface SharedSpec<C extends ColumnsSpec> extends TimingSpec {
  /** One sentence: what one row is. */
  readonly doc: string
  readonly owner: string
  readonly grain: readonly Name<C>[]
  readonly columns: C
  readonly checks?: (check: CheckBuilder<C>) => readonly Check[]
  readonly tags?: readonly string[]
  readonly rejectBudget?: RejectBudget
  /**
   * What the dataset was called before, latest first. Its table, history and standing are then taken over under the present
   * name, and nothing that reads it is built again. Keep the line: without it readers are built once more.
   */
  readonly renamedFrom?: string | readonly string[]
  /** How `limn maintain` keeps the table in order; sensible defaults where left out. */
  readonly maintain?: MaintainPolicy
  /** What a backfill may change of an interval without being asked about. Default: nothing. */
  readonly tolerance?: { readonly rows?: number; readonly sums?: { readonly [K in Name<C>]?: number } }
}

export interface ModelSpec<C extends ColumnsSpec> extends SharedSpec<C> {
  readonly keys: readonly Name<C>[]
  readonly partition?: readonly Partition<C>[]
  readonly build: WholeBuild | (IntervalBuild & { readonly column: Name<C> })
  /**
   * What each input contributes, by dataset name. Default for an input not named: `reads: all`; for the dataset itself,
   * which one built by interval may read: `reads: earlier()`.
   */
  readonly edges?: Readonly<Record<string, { readonly reads?: Edge['reads']; readonly touches?: string | SqlText }>>
  /** Rows for which `when` is true go to quarantine. */
  readonly rejects?: readonly RejectRule[]
}

export interface IngestSpec<C extends ColumnsSpec> extends Omit<SharedSpec<C>, 'grain'> {
  /** Default: none; bronze keeps what came. */
  readonly grain?: readonly Name<C>[]
  readonly from: SourceInput
}

/** A definition that remembers its columns in its type: `Row<typeof flight>`. */
export interface TypedDataset<C extends ColumnsSpec> extends Dataset {
  readonly columns: C
}

/** A dataset computed by SQL. Throws `dataset/invalid` for a name that is not `namespace.name`. */
export function model<const C extends ColumnsSpec>(name: string, spec: ModelSpec<C>): TypedDataset<C> {
  const id = tableId(name)
  const edges: Record<string, Edge> = {}
  for (const [input, edge] of Object.entries(spec.edges ?? {})) {
    const touches = edge.touches
    edges[input] = {
      reads: edge.reads ?? (input === id ? earlier() : { kind: 'same' }),
      touches: touches === undefined ? null : typeof touches === 'string' ? touches : touches.text,
    }
  }
  return brandDataset({
    id,
    ...formerNames(spec),
    columns: spec.columns,
    contract: () =>
      contractOf(id, spec, { keys: spec.keys, partition: spec.partition ?? [], rejects: spec.rejects ?? [] }),
    producer: { kind: 'model', build: spec.build, edges },
    timing: () => timingOf(spec),
  })
}

/** A dataset that lands what a source hands over: every delivery as delivered, append-only, partitioned by delivery. */
export function ingest<const C extends ColumnsSpec>(
  name: string,
  spec: IngestSpec<C>,
): TypedDataset<C & typeof deliveryColumns> {
  const id = tableId(name)
  const columns = { ...spec.columns, ...deliveryColumns }
  return brandDataset({
    id,
    ...formerNames(spec),
    columns,
    contract: () => ({
      ...contractOf<C>(id, { ...spec, grain: spec.grain ?? [] }, { keys: [], partition: ['_delivery'], rejects: [] }),
      columns,
    }),
    producer: { kind: 'source', input: spec.from },
    timing: () => timingOf(spec),
  })
}

function formerNames(spec: { readonly renamedFrom?: string | readonly string[] }): Pick<Dataset, 'renamedFrom'> {
  return spec.renamedFrom === undefined ? {} : { renamedFrom: listOf(spec.renamedFrom).map(tableId) }
}

/** Names a dataset without importing it. */
export function ref(name: string): DatasetReference {
  return { id: tableId(name) }
}

/** Built as a whole each time. */
export function whole(query: (() => SqlQuery) | SqlQuery): WholeBuild {
  return { kind: 'whole', query: typeof query === 'function' ? query : () => query }
}

/**
 * Brought up to date key by key: of the rows that changed in its inputs since the last build, the keys they affect are built
 * anew by the query and merged; other rows stay. The result equals that of `whole`, as long as a row of the output depends
 * on input rows of its key alone. Inputs whose key has other names say so: `touches: { 'silver.order': 'customer_id' }`.
 */
export function mergeByKey(
  options: {
    readonly keys: readonly string[]
    readonly touches?: Readonly<Record<string, string | readonly string[]>>
  },
  query: (() => SqlQuery) | SqlQuery,
): WholeBuild {
  const touches = Object.entries(options.touches ?? {}).map(([input, given]) => [
    input,
    typeof given === 'string' ? [given] : given,
  ])
  return {
    ...whole(query),
    increment: { kind: 'merge', keys: options.keys, touches: Object.fromEntries(touches) },
  }
}

/**
 * Appended to: the query is run over the rows that came to one input since the last build, and its rows are added. Rows that
 * left the input, or changed, are no appends: the dataset is then built whole (`rebuild`, default), they are an error, or
 * are ignored. Other inputs are read as they are at that moment.
 */
export function appendChanges(
  input: DatasetReference | string,
  query: (() => SqlQuery) | SqlQuery,
  options: { readonly removed?: 'rebuild' | 'ignore' | 'error' } = {},
): WholeBuild {
  const name = typeof input === 'string' ? input : input.id
  return { ...whole(query), increment: { kind: 'append', input: name, removed: options.removed ?? 'rebuild' } }
}

interface IntervalOptions {
  /** First day of the domain, `YYYY-MM-DD`; inclusive. Default: the first interval an input row reaches. */
  readonly start?: string
  /** End of the domain, exclusive. Default: the last interval an input row reaches. */
  readonly end?: string
  /** Build up to this much at once; promises that a query over several intervals is the union of the single ones. */
  readonly batch?: IntervalUnit
}

type IntervalQuery = ((parameters: { readonly interval: IntervalParameters }) => SqlQuery) | SqlQuery

/** Built interval by interval of the output's own time column; the query sees `[interval.start, interval.end)`. */
export function byInterval<const N extends string>(
  column: N,
  unit: IntervalUnit,
  query: IntervalQuery,
): IntervalBuild & { readonly column: N }
export function byInterval<const N extends string>(
  column: N,
  unit: IntervalUnit,
  options: IntervalOptions,
  query: IntervalQuery,
): IntervalBuild & { readonly column: N }
export function byInterval<const N extends string>(
  column: N,
  unit: IntervalUnit,
  second: IntervalOptions | IntervalQuery,
  third?: IntervalQuery,
): IntervalBuild & { readonly column: N } {
  const options = third === undefined ? {} : (second as IntervalOptions)
  const query = third ?? (second as IntervalQuery)
  return {
    kind: 'interval',
    column,
    unit,
    start: options.start === undefined ? null : parseMicros(options.start),
    end: options.end === undefined ? null : parseMicros(options.end),
    batch: options.batch ?? unit,
    query: typeof query === 'function' ? query : () => query,
  }
}

/** Reads the input rows of the same interval. */
export const same: Edge['reads'] = { kind: 'same' }
/** Reads any input row. */
export const all: Edge['reads'] = { kind: 'all' }

/** Reads input rows from `before` ahead of the interval to `after` behind it: `shift({ before: '2 days', after: '19 hours' })`. */
export function shift(span: { readonly before?: string; readonly after?: string }): Edge['reads'] {
  return {
    kind: 'shift',
    before: durationMicros(span.before ?? '0 days'),
    after: durationMicros(span.after ?? '0 days'),
  }
}

/**
 * How a dataset built by interval reads its own table: the rows of its earlier intervals, all of them, or those of the span
 * right before the interval: `earlier({ back: '1 day' })`. Months and years need a dataset built by month or year.
 */
export function earlier(options: { readonly back?: string } = {}): EarlierReads {
  if (options.back === undefined) return { kind: 'earlier', back: null }
  const match = /^(\d+) (hour|day|month|year)s?$/.exec(options.back.trim())
  const count = Number(match?.[1] ?? 0)
  if (!match || count === 0)
    throw new TypeError(`"${options.back}" is not how far back; write "1 day", "7 days", "1 hour" or "1 month".`)
  return { kind: 'earlier', back: { count, unit: match[2] as IntervalUnit } }
}

const spanUnits: Readonly<Record<string, number>> = { minute: 60_000_000, hour: 3_600_000_000, day: 86_400_000_000 }

function durationMicros(text: string): number {
  const match = /^(\d+) (minute|hour|day)s?$/.exec(text.trim())
  const unit = spanUnits[match?.[2] ?? '']
  if (!match || unit === undefined)
    throw new TypeError(`"${text}" is not a span; write "2 days", "19 hours" or "30 minutes".`)
  return Number(match[1]) * unit
}

/** Files under the lake's folder as deliveries. `glob` is relative to the lake, with `*`, `**` and `?`. */
export function files(
  glob: string,
  options: {
    readonly format: 'parquet' | 'csv'
    readonly withdrawn?: 'keep' | 'remove'
    readonly delimiter?: string
    readonly header?: boolean
    readonly quote?: string
  },
): FileSource {
  return {
    kind: 'files',
    glob,
    format: options.format,
    withdrawn: options.withdrawn ?? 'error',
    csv: { delimiter: options.delimiter ?? ',', header: options.header ?? true, quote: options.quote ?? '"' },
  }
}

/**
 * An Iceberg table outside the lake's datasets as a source: `namespace.name` of the catalog, the folder of a table, or a
 * metadata.json (paths relative to the lake). Its columns that the contract names are taken; a run lands a snapshot that
 * main has not had, and nothing when there is none.
 */
export function iceberg(
  table: string,
  options: {
    /** A branch or tag of the table. Default `main`. */
    readonly ref?: string
  } = {},
): IcebergSource {
  return { kind: 'iceberg', table, ref: options.ref ?? 'main' }
}

/**
 * Any npm client as a source: an async generator that yields `{ rows, cursor }`. It gets the last published cursor and
 * an abort signal. State `version` anew when the function's meaning changes: it is part of the fingerprint.
 *
 * With a `safetyWindow` the cursor is a time (an ISO text, or milliseconds), and each run begins that much before it, for
 * rows that came late. Of what is then read again, rows that equal the latest landed row of their key are left out.
 */
export function source(
  read: (context: SourceContext) => AsyncIterable<SourceBatch>,
  options: {
    readonly version?: string
    readonly safetyWindow?: string
    /** With a safety window: the columns that say which row it is. */
    readonly keys?: readonly string[]
  } = {},
): FunctionSource {
  const { version = '1', safetyWindow, keys = [] } = options
  if ((safetyWindow === undefined) !== (keys.length === 0)) {
    throw new LimnError('dataset/invalid', {
      message: 'A source states a safety window without keys, or keys without a safety window.',
      notDone: 'Nothing was run.',
      remedy: "State both: source(read, { safetyWindow: '24h', keys: ['id'] }).",
    })
  }
  const safety = safetyWindow === undefined ? null : { windowMs: durationMs(safetyWindow), keys }
  return { kind: 'function', version, read, safety }
}

interface ContractParts {
  readonly doc: string
  readonly owner: string
  readonly grain: readonly string[]
  readonly columns: ColumnsSpec
  readonly checks?: (check: never) => readonly Check[]
  readonly tags?: readonly string[]
  readonly rejectBudget?: RejectBudget
  readonly maintain?: MaintainPolicy
  readonly tolerance?: { readonly rows?: number; readonly sums?: object }
}

function contractOf<C extends ColumnsSpec>(
  id: Dataset['id'],
  spec: ContractParts & { readonly checks?: (check: CheckBuilder<C>) => readonly Check[] },
  rest: {
    readonly keys: readonly string[]
    readonly partition: readonly string[]
    readonly rejects: readonly RejectRule[]
  },
): Contract {
  return {
    id,
    doc: spec.doc,
    owner: spec.owner,
    grain: spec.grain,
    keys: rest.keys,
    columns: spec.columns,
    partition: rest.partition,
    checks: spec.checks?.(checkBuilder<C>()) ?? [],
    rejects: rest.rejects,
    rejectBudget: spec.rejectBudget ?? {},
    tags: spec.tags ?? [],
    ...(spec.maintain ? { maintain: spec.maintain } : {}),
    ...(spec.tolerance ? { tolerance: spec.tolerance as Tolerance } : {}),
  }
}

function listOf<T extends string>(value: T | readonly T[]): readonly T[] {
  return typeof value === 'string' ? [value] : value
}

function checkBuilder<C>(): CheckBuilder<C> {
  const base = (derived: string, options?: SeverityOption) => ({
    name: options?.name ?? derived,
    severity: options?.severity ?? 'hard',
  })
  return {
    unique: (columns, options) => ({
      kind: 'unique',
      columns: listOf(columns),
      ...base(`unique(${listOf(columns).join(', ')})`, options),
    }),
    notNull: (column, options) => ({ kind: 'notNull', column, ...base(`not_null(${column})`, options) }),
    between: (column, min, max, options) => ({
      kind: 'between',
      column,
      min,
      max,
      ...base(`between(${column}, ${min}, ${max})`, options),
    }),
    reference: (columns, to, toColumns, options) => ({
      kind: 'reference',
      columns: listOf(columns),
      to: to.id,
      toColumns: toColumns === undefined ? listOf(columns) : listOf(toColumns),
      ...base(`reference(${listOf(columns).join(', ')} → ${to.id})`, options),
    }),
    reconcile: (left, to, options) => ({
      kind: 'reconcile',
      left,
      with: to.with.id,
      right: to.right,
      ...(to.by ? { by: to.by } : {}),
      tolerance: to.tolerance ?? 0,
      ...base(`reconcile(${left} = ${to.with.id}: ${to.right}${to.by ? ` by ${to.by.left}` : ''})`, options),
    }),
    volume: (band, options) => ({
      kind: 'volume',
      min: band.min,
      max: band.max,
      partial: band.partial ?? [],
      ...base(`volume(${band.min} … ${band.max})`, options),
    }),
    sql: (name, query, options) => ({ kind: 'sql', sql: query.text, ...base(name, options) }),
  }
}

/** What TypeScript sees of a column's value when rows leave limn. */
type ValueOf<T> = T extends 'boolean'
  ? boolean
  : T extends 'int' | 'float' | 'double'
    ? number
    : T extends 'long'
      ? bigint
      : T extends 'timestamptz'
        ? Temporal.Instant
        : T extends 'timestamp'
          ? Temporal.PlainDateTime
          : T extends 'date'
            ? Temporal.PlainDate
            : T extends 'time'
              ? Temporal.PlainTime
              : T extends 'binary' | `fixed[${number}]`
                ? Uint8Array
                : string

/** The row type of a dataset: null where the contract says what null means. */
export type Row<D> = D extends { readonly columns: infer C }
  ? {
      readonly [K in keyof C]: C[K] extends { readonly type: infer T; readonly nulls: string }
        ? ValueOf<T> | null
        : C[K] extends { readonly type: infer T }
          ? ValueOf<T>
          : never
    }
  : never

export type { Additivity }
