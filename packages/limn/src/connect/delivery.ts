import { LimnError, type TableId } from '../base/index.ts'
import type { FileSource } from '../dataset/index.ts'
import type { Session } from '../engine/index.ts'
import type { PrimitiveType } from '../schema/index.ts'
import { duckType, quoteFile, quoteIdentifier, quoteText } from '../sql/index.ts'

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
}

/** Checks a delivered file's columns against the contract. Throws `source/unreadable` or `source/schema`. */
export function openDelivery(session: Session, file: DeliveredFile): Promise<OpenedDelivery> {
  return file.source.format === 'parquet' ? openParquet(session, file) : openCsv(session, file)
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
  return { rows: `SELECT ${columns} FROM ${scan}`, rejects: null }
}

const widening: Readonly<Record<string, readonly string[]>> = {
  BIGINT: ['TINYINT', 'SMALLINT', 'INTEGER', 'UTINYINT', 'USMALLINT', 'UINTEGER'],
  INTEGER: ['TINYINT', 'SMALLINT', 'UTINYINT', 'USMALLINT'],
  DOUBLE: ['FLOAT'],
}

function widens(from: string, to: string): boolean {
  return widening[to]?.includes(from) ?? false
}

async function openCsv(session: Session, file: DeliveredFile): Promise<OpenedDelivery> {
  const { delimiter, header, quote } = file.source.csv
  const dialect = `delim=${quoteText(delimiter)}, quote=${quoteText(quote)}, escape=${quoteText(quote)}, auto_detect=false`
  let names = file.columns.map((column) => column.name)
  if (header) {
    names = await headerOf(session, file, dialect)
    requireColumns(file, names)
  }
  const byName = new Map(file.columns.map((column) => [column.name, column]))
  const types = names.map((name) => `${quoteText(name)}: ${quoteText(csvType(byName.get(name)))}`).join(', ')
  const scan = `read_csv(${quoteFile(file.local)}, ${dialect}, header=${header}, columns={${types}}, store_rejects=true, rejects_table='limn_rejects', rejects_scan='limn_reject_scans', strict_mode=true, nullstr='')`
  return {
    rows: `SELECT ${file.columns.map(csvColumn).join(', ')} FROM ${scan}`,
    rejects: `SELECT min(line)::BIGINT AS position, arg_min(error_type || ': ' || error_message, column_idx) AS reason, any_value(csv_line) AS "row" FROM limn_rejects GROUP BY line ORDER BY line`,
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
  return `CAST(CASE WHEN ${name} IN (${sentinels}) THEN NULL ELSE ${name} END AS ${duckType(column.type)}) AS ${name}`
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
  const wanted = file.columns.map((column) => column.name)
  const missing = wanted.filter((name) => !names.includes(name))
  if (missing.length > 0) throw schemaError(file, `column ${missing.join(', ')} is missing`)
  const added = names.filter((name) => !wanted.includes(name))
  if (added.length > 0) throw schemaError(file, `column ${added.join(', ')} is not in the contract`)
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
    if (cause instanceof LimnError && cause.kind === 'interrupted') throw cause
    throw unreadable(file, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function unreadable(file: DeliveredFile, why: string, cause: unknown): LimnError {
  return new LimnError('source/unreadable', {
    message: `${file.path} cannot be read as ${file.source.format}: ${why.replace(file.local, file.path)}`,
    notDone: 'The file was not landed; nothing was published.',
    remedy: 'Deliver the file again, whole.',
    context: { dataset: file.dataset, path: file.path },
    cause,
  })
}
