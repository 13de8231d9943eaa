import { LimnError, type TableId } from '../base/index.ts'
import type { FileSource } from '../dataset/index.ts'
import type { Session } from '../engine/index.ts'
import type { PrimitiveType } from '../schema/index.ts'
import { duckType, quoteFile, quoteIdentifier, quoteText } from '../sql/index.ts'
import { compressionFault, type Fault, headFault, textFault } from './text-fault.ts'

/** A column a source must hand over. */
export interface SourceColumn {
  readonly name: string
  readonly type: PrimitiveType
  readonly nullSentinels: readonly string[]
}

export interface DeliveredFile {
  readonly source: FileSource
  readonly local: string
  /** As people know it: relative to the lake. */
  readonly path: string
  readonly dataset: TableId
  readonly columns: readonly SourceColumn[]
}

/** A file opened for landing, as queries of the session that opened it. */
export interface OpenedDelivery {
  /** The rows, with the contract's columns in order. */
  readonly rows: string
  /** Rejected rows (`position`, `reason`, `row`), to be asked after `rows` was read to its end; null: the format has none. */
  readonly rejects: string | null
  /** What an error means that reading `rows` ended with: `source/unreadable` where it is the file's, else itself. */
  explain(error: unknown): Promise<unknown>
}

/**
 * Checks that a delivered file is whole as far as its format can tell, and its columns against the contract. Throws
 * `source/unreadable` or `source/schema`.
 */
export async function openDelivery(
  session: Session,
  file: DeliveredFile,
  options: { readonly signal: AbortSignal },
): Promise<OpenedDelivery> {
  if (file.source.format === 'parquet') return openParquet(session, file)
  const fault = (await headFault(file.local)) ?? (await compressionFault(file.local, options.signal))
  if (fault) throw faulty(file, fault, undefined)
  return openCsv(session, file, options.signal)
}

/** Does what reads a delivery's rows; an error that is the file's doing says so. */
export async function whileReading<T>(opened: OpenedDelivery, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    throw await opened.explain(error)
  }
}

async function openParquet(session: Session, file: DeliveredFile): Promise<OpenedDelivery> {
  const scan = `read_parquet(${quoteFile(file.local)})`
  const found = await readable(file, () => session.rows(`DESCRIBE SELECT * FROM ${scan}`))
  const types = new Map(found.rows.map((row) => [String(row[0]), String(row[1])]))
  requireColumns(file, [...types.keys()])
  for (const column of file.columns) {
    const wanted = duckType(column.type)
    const actual = types.get(column.name) ?? ''
    if (actual !== wanted && !widens(actual, wanted)) {
      throw schemaError(file, `column ${column.name} is ${actual}; the contract says ${column.type}`)
    }
  }
  const columns = file.columns.map((column) => quoteIdentifier(column.name)).join(', ')
  const explain = async (error: unknown) => (isOfFile(error) ? unreadable(file, reasonOf(error), error) : error)
  return { rows: `SELECT ${columns} FROM ${scan}`, rejects: null, explain }
}

const widening: Readonly<Record<string, readonly string[]>> = {
  BIGINT: ['TINYINT', 'SMALLINT', 'INTEGER', 'UTINYINT', 'USMALLINT', 'UINTEGER'],
  INTEGER: ['TINYINT', 'SMALLINT', 'UTINYINT', 'USMALLINT'],
  DOUBLE: ['FLOAT'],
}

function widens(from: string, to: string): boolean {
  return widening[to]?.includes(from) ?? false
}

async function openCsv(session: Session, file: DeliveredFile, signal: AbortSignal): Promise<OpenedDelivery> {
  const { delimiter, header, quote } = file.source.csv
  const dialect = `delim=${quoteText(delimiter)}, quote=${quoteText(quote)}, escape=${quoteText(quote)}, auto_detect=false`
  let names = file.columns.map((column) => column.name)
  if (header) {
    try {
      names = await headerOf(session, file, dialect)
    } catch (error) {
      throw await explainCsv(file, error, signal)
    }
    requireColumns(file, names)
  }
  const byName = new Map(file.columns.map((column) => [column.name, column]))
  const types = names.map((name) => `${quoteText(name)}: ${quoteText(csvType(byName.get(name)))}`).join(', ')
  const scan = `read_csv(${quoteFile(file.local)}, ${dialect}, header=${header}, columns={${types}}, store_rejects=true, rejects_table='limn_rejects', rejects_scan='limn_reject_scans', strict_mode=true, nullstr='')`
  const rejects = `SELECT min(line)::BIGINT AS position, arg_min(error_type || ': ' || error_message, column_idx) AS reason, any_value(csv_line) AS "row" FROM limn_rejects GROUP BY line`
  const explain = (error: unknown) => explainCsv(file, error, signal)
  const converted = file.columns.filter(isConverted)
  const columns = file.columns.map(csvColumn).join(', ')
  if (converted.length === 0)
    return { rows: `SELECT ${columns} FROM ${scan}`, rejects: `${rejects} ORDER BY position`, explain }
  // DuckDB names the line of what it rejects itself; of what is converted after, it is not known.
  const bad = converted.map((column) => `WHEN ${isBad(column)} THEN ${quoteText(badReason(column))}`).join(' ')
  const again = scan.replace(/store_rejects=.*strict_mode/, 'ignore_errors=true, strict_mode')
  const line = `concat_ws(${quoteText(delimiter)}, ${names.map((name) => `coalesce(${quoteIdentifier(name)}::VARCHAR, '')`).join(', ')})`
  const unconverted = `SELECT NULL::BIGINT AS position, reason, "row" FROM (SELECT CASE ${bad} END AS reason, ${line} AS "row" FROM ${again}) WHERE reason IS NOT NULL`
  return {
    rows: `SELECT ${columns} FROM ${scan} WHERE NOT coalesce(${converted.map(isBad).join(' OR ')}, false)`,
    rejects: `${rejects} UNION ALL ${unconverted} ORDER BY position NULLS LAST, "row"`,
    explain,
  }
}

/** A column with sentinels of its own is read as text and converted after they became null. */
function csvType(column: SourceColumn | undefined): string {
  return column === undefined || column.nullSentinels.length > 0 ? 'VARCHAR' : duckType(column.type)
}

function csvColumn(column: SourceColumn): string {
  const name = quoteIdentifier(column.name)
  if (column.nullSentinels.length === 0) return name
  const sentinels = column.nullSentinels.map(quoteText).join(', ')
  return `TRY_CAST(CASE WHEN ${name} IN (${sentinels}) THEN NULL ELSE ${name} END AS ${duckType(column.type)}) AS ${name}`
}

/** Whether a column is read as text and converted by limn, which may fail for a row. */
function isConverted({ nullSentinels, type }: SourceColumn): boolean {
  return nullSentinels.length > 0 && duckType(type) !== 'VARCHAR'
}

function isBad({ name, type, nullSentinels }: SourceColumn): string {
  const column = quoteIdentifier(name)
  const sentinels = nullSentinels.map(quoteText).join(', ')
  return `(${column} IS NOT NULL AND ${column} NOT IN (${sentinels}) AND TRY_CAST(${column} AS ${duckType(type)}) IS NULL)`
}

function badReason({ name, type }: SourceColumn): string {
  return `CAST: ${name} cannot be converted to ${type}`
}

async function headerOf(session: Session, file: DeliveredFile, dialect: string): Promise<string[]> {
  const scan = `read_csv(${quoteFile(file.local)}, ${dialect}, header=false, columns={'line': 'VARCHAR'}, null_padding=true, ignore_errors=true)`
  const plain = `read_csv(${quoteFile(file.local)}, delim=${quoteText(file.source.csv.delimiter)}, quote=${quoteText(file.source.csv.quote)}, header=false, all_varchar=true, sample_size=1, null_padding=true, strict_mode=false)`
  const found = await readable(file, async () => {
    const first = await session.rows(`SELECT * FROM ${plain} LIMIT 1`)
    return first.rows.length > 0 ? first : session.rows(`SELECT * FROM ${scan} LIMIT 1`)
  })
  const [row] = found.rows
  if (!row) throw unreadable(file, 'it is empty', undefined)
  return row.map((cell) => String(cell ?? '')).filter((name, i, all) => name !== '' || i < all.length - 1)
}

function requireColumns(file: DeliveredFile, names: readonly string[]): void {
  const twice = names.filter((name, i) => names.indexOf(name) !== i)
  if (twice.includes('')) throw schemaError(file, 'columns of its header have no name')
  if (twice.length > 0) throw schemaError(file, `column ${twice.join(', ')} is there twice`)
  const wanted = file.columns.map((column) => column.name)
  const missing = wanted.filter((name) => !names.includes(name))
  if (missing.length > 0) throw schemaError(file, `column ${missing.join(', ')} is missing`)
  const added = names.filter((name) => !wanted.includes(name))
  if (added.length > 0)
    throw schemaError(file, `column ${added.map((name) => name || 'without a name').join(', ')} is not in the contract`)
}

function schemaError(file: DeliveredFile, why: string): LimnError {
  return new LimnError('source/schema', {
    message: `${file.path} does not fit the contract of ${file.dataset}: ${why}.`,
    notDone: 'The file was not landed; nothing was published.',
    remedy: 'Correct the file, or change the contract if the source has changed for good.',
    context: { dataset: file.dataset, path: file.path },
  })
}

async function readable<T>(file: DeliveredFile, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (cause) {
    if (!isOfFile(cause)) throw cause
    throw unreadable(file, reasonOf(cause), cause)
  }
}

/** Whether an error that a query over one file ended with can be the file's doing. */
function isOfFile(error: unknown): boolean {
  if (!(error instanceof LimnError)) return true
  switch (error.kind) {
    case 'sql/failed':
    case 'sql/invalid':
      return !/out of memory|memory limit|failed to allocate/i.test(error.message)
    case 'internal':
      return true
    default:
      return false
  }
}

/** Bytes tell what is wrong, and in which line, where DuckDB says neither. */
async function explainCsv(file: DeliveredFile, error: unknown, signal: AbortSignal): Promise<unknown> {
  if (error instanceof LimnError && error.kind === 'source/unreadable' && error.location?.line) return error
  const own = error instanceof LimnError && error.kind === 'source/unreadable'
  if (!own && !isOfFile(error)) return error
  const fault = await textFault(file.local, file.source.csv.quote, signal)
  if (fault) return faulty(file, fault, error)
  if (own) return error
  const line = /CSV Error on Line: (\d+)/.exec(reasonOf(error))?.[1]
  return line
    ? faulty(file, { why: reasonOf(error), line: Number(line) }, error)
    : unreadable(file, reasonOf(error), error)
}

/** DuckDB's words, without limn's around them. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/^The query failed: /, '')
}

function faulty(file: DeliveredFile, { why, line }: Fault, cause: unknown): LimnError {
  return unreadable(file, why, cause, line)
}

function unreadable(file: DeliveredFile, why: string, cause: unknown, line: number | null = null): LimnError {
  const text = why.replaceAll(file.local, file.path)
  return new LimnError('source/unreadable', {
    message: `${file.path} cannot be read as ${file.source.format}: ${text}${/[.!?]$/.test(text) ? '' : '.'}`,
    notDone: 'The file was not landed; nothing was published.',
    remedy: 'Deliver the file again, whole.',
    location: { file: file.path, ...(line === null ? {} : { line }) },
    context: { dataset: file.dataset, path: file.path },
    cause,
  })
}
