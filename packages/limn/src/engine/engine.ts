import type { TableId } from '../base/index.ts'
import type { Predicate } from '../expr/index.ts'
import type { MetricsMode, PartitionSpec, SortOrder } from '../iceberg/index.ts'
import type { PrimitiveType, Schema, Type, Value } from '../schema/index.ts'
import type { TableReference } from '../sql/index.ts'
import type { Bound, BoundTable } from './bound.ts'

/** Where SQL text stands in a file: the place of its first character, from 1. */
export interface TextOrigin {
  readonly file: string
  readonly line: number
  readonly column: number
}

export interface ParsedQuery {
  /** The syntax tree without positions. */
  readonly canonical: string
  readonly tables: readonly TableReference[]
  readonly parameters: readonly string[]
}

export interface ColumnShape {
  readonly name: string
  readonly type: Type
}

export interface OutputColumn {
  readonly name: string
  /** The engine's own type name. */
  readonly type: string
}

/** A Parquet file as written, before it has its final path. */
export interface WrittenFile {
  readonly local: string
  readonly partition: readonly (Value | null)[]
  readonly recordCount: bigint
  readonly fileSizeInBytes: bigint
  readonly columnSizes: ReadonlyMap<number, bigint>
  readonly valueCounts: ReadonlyMap<number, bigint>
  readonly nullValueCounts: ReadonlyMap<number, bigint>
  readonly nanValueCounts: ReadonlyMap<number, bigint>
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
  readonly splitOffsets: readonly bigint[]
  /** The order its rows are really in; null: none that the table names. */
  readonly sortOrderId: number | null
}

/** Codecs of Parquet pages that limn writes. */
export type Compression = 'uncompressed' | 'snappy' | 'gzip' | 'zstd' | 'lz4_raw' | 'brotli'

/** How a column's Bloom filters are made, one per row group. */
export interface BloomFilterWish {
  /** About how many of the values that are not there it fails to exclude, between 0 and 1. */
  readonly falseRate: number
  /** Distinct values it is sized for. Default: as many as there are. */
  readonly distinct?: number
  /** It does not become larger, whatever that costs. */
  readonly bytesMax: number
}

export interface WriteTarget {
  readonly schema: Schema
  readonly spec: PartitionSpec
  /** A local folder; made if missing. */
  readonly folder: string
  readonly compression: Compression
  /** For zstd. Default: DuckDB's. */
  readonly compressionLevel?: number
  /** Rows. */
  readonly rowGroupSize: number
  readonly rowGroupBytes?: number
  /** Columns that get a Bloom filter, by field id. Default: none. */
  readonly bloomFilters?: ReadonlyMap<number, BloomFilterWish>
  /** About how large a file may become; one up to half again as large is left. Default: no limit. */
  readonly fileSizeBytes?: number
  /** Files are sorted so. Default: unsorted. */
  readonly sortOrder?: SortOrder
  /**
   * Another order than tables know, for a spec without fields: ORDER BY's list, over the columns of the query. Overrides
   * `sortOrder`.
   */
  readonly orderBy?: string
  /**
   * How rows reach the files of partitions: `none` as they come, with several files for a partition where there are many;
   * `hash` (default) joined, one file per partition; `range` sorted by partition first, which is faster for thousands.
   */
  readonly distribution?: 'none' | 'hash' | 'range'
  /** What manifests keep of each column. Default: bounds of up to 16 code points or bytes. */
  readonly metrics?: (fieldId: number) => MetricsMode
  /** Null in a required column is an error (`source/schema`). Default: it is written, to be judged later. */
  readonly requireValues?: boolean
}

/** A cell as JavaScript sees it: bigint for 64-bit and wider integers, ISO text for dates, times and decimals. */
export type Cell = boolean | number | bigint | string | Uint8Array | null

export interface ResultSet {
  readonly columns: readonly OutputColumn[]
  readonly rows: readonly (readonly Cell[])[]
}

/** Rows of a result; a cell becomes a value when it is asked for. */
export interface ResultPart {
  readonly rowCount: number
  /** Of a row and a column, both from 0. */
  cell(row: number, column: number): Cell
}

/** Tables bound under their names, for queries. */
export interface Session extends AsyncDisposable {
  rows(sql: string): Promise<ResultSet>
  /**
   * A query's rows in parts of some thousands, in the query's order; the next is read when it is asked for. Reading a text
   * costs some hundred bytes for a moment: of many rows, ask for numbers, or for one text that stands for many rows.
   */
  parts(sql: string): AsyncIterable<ResultPart>
  /** Runs statements without a result. */
  exec(sql: string): Promise<void>
  /** Writes a query's rows as Parquet files, cast to the schema; one file per partition. No rows: no files. */
  write(sql: string, target: WriteTarget): Promise<readonly WrittenFile[]>
  /** Makes a temporary table of JavaScript values. Throws `source/schema` for a value that does not fit its column. */
  ingest(
    name: string,
    columns: readonly { readonly name: string; readonly type: PrimitiveType }[],
    rows: readonly (readonly unknown[])[],
  ): Promise<void>
}

/** A file engine takes pruned scans and returns data files for limn to commit. */
export interface FileEngine {
  /** Parses one SELECT. Throws `sql/syntax` with its place, `sql/not-read-only` for anything else. */
  parse(sql: string, origin?: TextOrigin): Promise<ParsedQuery>
  /** The SQL text of an expression out of a syntax tree (`ParsedQuery.canonical`), in the engine's own spelling. */
  printExpression(tree: Readonly<Record<string, unknown>>): Promise<string>
  /**
   * Binds a query against empty tables: its columns, or `sql/unknown-column`, `sql/unknown-table`, `sql/invalid`. `parsed`: the
   * query was parsed and `tables` are all that it names, so that it may be bound beside tables of other questions.
   */
  describe(
    sql: string,
    tables: ReadonlyMap<TableId, readonly ColumnShape[]>,
    origin?: TextOrigin,
    parameters?: Readonly<Record<string, string>>,
    options?: { readonly parsed?: boolean },
  ): Promise<readonly OutputColumn[]>
  /**
   * For each table, a condition that every row the query can use satisfies. What is not understood is `true`. An entry with
   * a `query` is a view over the entries before it, and looked through.
   */
  filters(
    sql: string,
    tables: ReadonlyMap<TableId, { readonly columns: readonly ColumnShape[]; readonly query?: string }>,
  ): Promise<ReadonlyMap<TableId, Predicate>>
  /** For each table, the columns a query speaks of, `*` and whole rows included. Absent: it cannot be told. */
  columnsUsed(
    sql: string,
    tables: ReadonlyMap<TableId, { readonly columns: readonly ColumnShape[]; readonly query?: string }>,
  ): Promise<ReadonlyMap<TableId, ReadonlySet<string>>>
  /**
   * A condition on a table, from both sides. Every row that satisfies it satisfies `atMost`; every row that satisfies
   * `atLeast` satisfies it. Its columns may be qualified by `alias`; `tables` are those that its subqueries name. Throws as `describe`.
   */
  condition(
    filter: string,
    table: { readonly id: TableId; readonly alias: string; readonly columns: readonly ColumnShape[] },
    tables?: ReadonlyMap<TableId, readonly ColumnShape[]>,
  ): Promise<{ readonly atMost: Predicate; readonly atLeast: Predicate }>
  session(tables: readonly Bound[], options?: { readonly signal?: AbortSignal }): Promise<Session>
  /** The statements that bind a table, as `session` runs them. */
  viewSql(table: BoundTable): Promise<string>
  close(): void
}
