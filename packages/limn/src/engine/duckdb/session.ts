import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { LimnError } from '../../base/index.ts'
import type { PrimitiveType, Value } from '../../schema/index.ts'
import { duckType, quoteIdentifier, sqlLiteral } from '../../sql/index.ts'
import type { Cell, ResultPart, ResultSet, Session, WriteTarget, WrittenFile } from '../engine.ts'
import { appendRows } from './load.ts'
import { writeFiles } from './write/write.ts'

/** Rows sent per INSERT when JavaScript values are ingested. */
const ingestRowsMax = 1000

/** Types whose values are appended as they are; others go as literals, which the engine checks. */
const appended: ReadonlySet<PrimitiveType> = new Set<PrimitiveType>([
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'string',
  'date',
  'timestamp',
  'timestamptz',
])

/** A connection with its own database of bound views. */
export class DuckSession implements Session {
  private readonly connection: DuckDBConnection
  private readonly end: () => Promise<void>
  private readonly signal: AbortSignal | undefined
  private readonly interrupt: () => void
  private readonly explain: (error: unknown, sql: string) => Promise<LimnError>

  constructor(
    connection: DuckDBConnection,
    options: {
      readonly end: () => Promise<void>
      readonly signal: AbortSignal | undefined
      /** An error of a statement, in limn's words. */
      readonly explain: (error: unknown, sql: string) => Promise<LimnError>
    },
  ) {
    const { signal } = options
    this.connection = connection
    this.end = options.end
    this.signal = signal
    this.explain = options.explain
    this.interrupt = () => connection.interrupt()
    signal?.addEventListener('abort', this.interrupt)
  }

  async rows(sql: string): Promise<ResultSet> {
    return this.guarded(sql, async () => {
      const reader = await this.connection.runAndReadAll(sql)
      const types = reader.columnTypes()
      return {
        columns: reader.columnNames().map((name, i) => ({ name, type: String(types[i]) })),
        rows: cellsOf(reader.getRows()),
      }
    })
  }

  async *parts(sql: string): AsyncGenerator<ResultPart> {
    const result = await this.guarded(sql, () => this.connection.stream(sql))
    for (;;) {
      const chunk = await this.guarded(sql, () => result.fetchChunk())
      if (!chunk || chunk.rowCount === 0) return
      yield {
        rowCount: chunk.rowCount,
        cell: (row, column) => cellOf(chunk.getColumnVector(column).getItem(row) as DuckDBValue),
      }
    }
  }

  async exec(sql: string): Promise<void> {
    await this.guarded(sql, () => this.connection.run(sql))
  }

  async write(sql: string, target: WriteTarget): Promise<readonly WrittenFile[]> {
    return writeFiles(
      (statement) =>
        this.guarded(statement, async () => (await this.connection.runAndReadAll(statement)).getRowsJson()),
      sql,
      target,
    )
  }

  async ingest(
    name: string,
    columns: readonly { readonly name: string; readonly type: PrimitiveType }[],
    rows: readonly (readonly unknown[])[],
  ): Promise<void> {
    const list = columns.map((column) => `${quoteIdentifier(column.name)} ${duckType(column.type)}`).join(', ')
    await this.exec(`CREATE OR REPLACE TEMP TABLE ${quoteIdentifier(name)} (${list})`)
    if (columns.every((column) => appended.has(column.type))) {
      const fitted = rows.map((row, i) => columns.map((column, j) => fittedOf(column, row[j], i)))
      const to = { name, schema: 'main', database: 'temp' }
      const types = columns.map((column) => column.type)
      return this.guarded(`appending to ${name}`, () => appendRows(this.connection, to, types, [fitted]))
    }
    for (let at = 0; at < rows.length; at += ingestRowsMax) {
      const part = rows.slice(at, at + ingestRowsMax)
      const values = part.map(
        (row, i) => `(${columns.map((column, j) => literalOf(column, row[j], at + i)).join(', ')})`,
      )
      await this.exec(`INSERT INTO ${quoteIdentifier(name)} VALUES ${values.join(', ')}`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.signal?.removeEventListener('abort', this.interrupt)
    await this.end()
  }

  private async guarded<T>(sql: string, body: () => Promise<T>): Promise<T> {
    this.signal?.throwIfAborted()
    try {
      return await body()
    } catch (error) {
      this.signal?.throwIfAborted()
      throw await this.explain(error, sql)
    }
  }
}

/** In place: of a large answer there is no second copy. */
function cellsOf(rows: DuckDBValue[][]): readonly (readonly Cell[])[] {
  for (const row of rows as unknown[][]) for (let i = 0; i < row.length; i++) row[i] = cellOf(row[i] as DuckDBValue)
  return rows as readonly (readonly Cell[])[]
}

/** A DuckDB value as plain JavaScript: wide integers as bigint, dates, times and decimals as ISO text. */
function cellOf(value: DuckDBValue): Cell {
  if (
    value === null ||
    typeof value === 'boolean' ||
    typeof value === 'number' ||
    typeof value === 'bigint' ||
    typeof value === 'string'
  )
    return value
  if ('bytes' in value && value.bytes instanceof Uint8Array) return value.bytes
  return String(value)
}

type Column = { readonly name: string; readonly type: PrimitiveType }

function literalOf(column: Column, value: unknown, row: number): string {
  const fitted = fittedOf(column, value, row)
  return fitted === null ? 'NULL' : sqlLiteral(column.type, fitted)
}

function fittedOf(column: Column, value: unknown, row: number): Value | null {
  if (value === null || value === undefined) return null
  const fitted = fit(column.type, value)
  if (fitted !== undefined) return fitted
  throw new LimnError('source/schema', {
    message: `Row ${row + 1}: ${JSON.stringify(String(value))} is no ${column.type} for column ${column.name}.`,
    notDone: 'Nothing was written.',
    remedy: 'Correct the value, or the type in the contract.',
  })
}

function within64(value: bigint): bigint | undefined {
  return BigInt.asIntN(64, value) === value ? value : undefined
}

/** A JavaScript value as a value of a type, or undefined when it does not fit. Dates and ISO text are understood. */
function fit(type: PrimitiveType, value: unknown): Value | undefined {
  switch (type) {
    case 'boolean':
      return typeof value === 'boolean' ? value : undefined
    case 'int':
      return typeof value === 'number' && Number.isInteger(value) && value === (value | 0) ? value : undefined
    case 'long':
      if (typeof value === 'bigint') return within64(value)
      return Number.isSafeInteger(value) ? BigInt(value as number) : undefined
    case 'float':
    case 'double':
      return typeof value === 'number' ? value : undefined
    case 'string':
    case 'uuid':
      return typeof value === 'string' ? value : undefined
    case 'date': {
      const at =
        value instanceof Date
          ? value.getTime()
          : typeof value === 'string'
            ? Date.parse(`${value}T00:00:00Z`)
            : Number(value) * 86_400_000
      return Number.isNaN(at) ? undefined : Math.floor(at / 86_400_000)
    }
    case 'timestamp':
    case 'timestamptz': {
      if (typeof value === 'bigint') return within64(value)
      const at =
        value instanceof Date
          ? value.getTime()
          : typeof value === 'string'
            ? Date.parse(/[Zz]|[+-]\d\d:?\d\d$/.test(value) ? value : `${value}Z`)
            : Number.NaN
      return Number.isNaN(at) ? undefined : BigInt(at) * 1000n
    }
    default:
      return typeof value === 'bigint' || value instanceof Uint8Array ? value : undefined
  }
}
