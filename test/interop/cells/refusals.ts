export type Reader = 'java' | 'spark' | 'pyiceberg' | 'duckdb'

/** A cell that a reader does not read, and its words; the Java reference reads all. A cell that starts to be read, or refuses otherwise, fails. */
export interface Refusal {
  readonly reader: Exclude<Reader, 'java'>
  readonly cell: RegExp
  /** By the summary of the snapshot that is read; empty where there is none. Default: at all of the cell's snapshots. */
  readonly where?: (summary: Readonly<Record<string, string>>) => boolean
  readonly message: RegExp
  /** At some of these states only, which the summary does not tell; at the others it has to read what limn does. */
  readonly sometimes?: true
}

export const refusals: readonly Refusal[] = [
  {
    reader: 'pyiceberg',
    cell: /^v[23] /,
    where: (summary) => Number(summary['total-equality-deletes'] ?? 0) > 0,
    message: /PyIceberg does not yet support equality deletes/,
  },
  {
    // Where the key of an equality delete is a column of another name or type by now, or none.
    reader: 'duckdb',
    cell: /^v[23] keys of upserts renamed/,
    message: /died of SIGSEGV|Expected unified vector format of type INT64, but found type INT32/,
    sometimes: true,
  },
  {
    // Where a file's spec partitions by a column that is dropped by now.
    reader: 'duckdb',
    cell: /^v[23] the source column of a former partition field dropped$/,
    message: /died of SIGABRT(.|\n)*Can't change source type/,
    sometimes: true,
  },
  {
    // Where a partition value that it compares an equality delete's with is null; the database is lost with it.
    reader: 'duckdb',
    cell: /^v[23] /,
    where: (summary) => Number(summary['total-equality-deletes'] ?? 0) > 0,
    message: /INTERNAL Error: Comparison on NULL values/,
    sometimes: true,
  },
  {
    reader: 'spark',
    cell: /^v[23] (every type of|(identity|bucket|truncate|year|month|day|hour) of|upserts by a key of every)/,
    message: /Spark does not support time fields/,
  },
  { reader: 'spark', cell: /^v3 nanoseconds/, message: /Cannot convert unsupported type to Spark: timestamp_ns/ },
  { reader: 'pyiceberg', cell: /^v3 variants/, message: /Unsupported field type: 'variant'/ },
  // Its hand-over to Python, Arrow, has no variants; those at the top are read as JSON.
  { reader: 'duckdb', cell: /^v3 variants in a struct/, message: /Unsupported Arrow type VARIANT/ },
  { reader: 'duckdb', cell: /^v3 a column of unknown/, message: /Unrecognized primitive type: unknown/ },
  { reader: 'duckdb', cell: /^v3 nanoseconds/, message: /Unrecognized primitive type: timestamp(tz)?_ns/ },
]

/**
 * Cells that limn itself refuses, by name, and its words: of tables that others write, and of its own writing. One that
 * it starts to do, or refuses otherwise, fails.
 */
export const ownRefusals: readonly { readonly cell: RegExp; readonly message: RegExp }[] = []

export function ownRefusal(cell: string): RegExp | undefined {
  return ownRefusals.find((one) => one.cell.test(cell))?.message
}
