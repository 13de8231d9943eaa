import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { DuckDBConnection, DuckDBValue } from '@duckdb/node-api'
import { readAvro } from '../../../encoding/index.ts'
import { quoteIdentifier, quoteText } from '../../../sql/index.ts'
import { type AvroColumn, type AvroLeaf, type AvroShape, avroColumns, physicalOf } from './avro-schema.ts'
import { namesApart } from './parts.ts'
import { hasIds, physicalTypeText } from './physical.ts'

/** Rows of one data chunk. */
const chunkRows = 2048

/** Where a row stands in its file. Appended rows need not stay in order, so it is kept with each. */
const position = 'limn_position_in_file'

/**
 * Avro files as DuckDB reads them: each is written once as a Parquet file of the same rows in the same order, with the same
 * field ids, so that everything that holds for Parquet files holds for them. Copies live in the engine's own folder and go
 * when it closes.
 */
export class AvroFiles {
  private readonly folder: string
  private readonly copies = new Map<string, Promise<string>>()
  private made = 0

  constructor(temporaryFolder: string) {
    this.folder = join(temporaryFolder, `avro-${randomUUID()}`)
  }

  /** The Parquet file that stands for a local Avro file. */
  copyOf(connection: DuckDBConnection, local: string): Promise<string> {
    const known = this.copies.get(local)
    if (known) return known
    const copy = this.write(connection, local)
    this.copies.set(local, copy)
    // One that failed is tried again: a file may be restored.
    copy.catch(() => this.copies.delete(local))
    return copy
  }

  close(): void {
    if (this.made > 0) rmSync(this.folder, { recursive: true, force: true })
  }

  private async write(connection: DuckDBConnection, local: string): Promise<string> {
    const { schema, rows } = readAvro(await readFile(local))
    const columns = avroColumns(schema)
    const physical = physicalOf(columns)
    const names = namesApart(columns.map((column) => column.name))
    const list = physical.map(
      (column, i) => `${quoteIdentifier(names[i] ?? column.name)} ${physicalTypeText(column.type)}`,
    )
    const table = `limn_avro_${this.made++}`
    const target = join(this.folder, `${table}.parquet`)
    await mkdir(this.folder, { recursive: true })
    await connection.run(`CREATE TEMP TABLE ${table} (${[...list, `${position} BIGINT`].join(', ')})`)
    try {
      await append(connection, table, columns, rows)
      const ids = hasIds(physical)
        ? `, FIELD_IDS {${columns.flatMap((column, i) => idsOf(column, names[i])).join(', ')}}`
        : ''
      await connection.run(
        `COPY (SELECT * EXCLUDE (${position}) FROM ${table} ORDER BY ${position}) TO ${quoteText(target)} (FORMAT parquet, COMPRESSION snappy${ids})`,
      )
    } catch (error) {
      await rm(target, { force: true })
      throw error
    } finally {
      await connection.run(`DROP TABLE ${table}`)
    }
    return target
  }
}

/** How `COPY` is told field ids: by name, nested ones within their parents. */
function idsOf({ name, id, shape }: AvroColumn, as = name): readonly string[] {
  const own = id === null ? [] : [`__duckdb_field_id: ${id}`]
  const inner = childrenOf(shape).flatMap((child) => idsOf(child))
  if (inner.length === 0) return id === null ? [] : [`${quoteIdentifier(as)}: ${id}`]
  return [`${quoteIdentifier(as)}: {${[...own, ...inner].join(', ')}}`]
}

function childrenOf(shape: AvroShape): readonly AvroColumn[] {
  switch (shape.kind) {
    case 'leaf':
      return []
    case 'struct':
      return shape.fields
    case 'list':
      return [shape.element]
    case 'map':
      return [shape.key, shape.value]
  }
}

async function append(
  connection: DuckDBConnection,
  table: string,
  columns: readonly AvroColumn[],
  rows: readonly Readonly<Record<string, unknown>>[],
): Promise<void> {
  const duck = await import('@duckdb/node-api')
  const toDuck = valuesWith(duck)
  const types = [...columns.map((column) => typeOf(duck, column.shape)), duck.BIGINT]
  const appender = await connection.createAppender(table, 'main', 'temp')
  try {
    for (let at = 0; at < rows.length; at += chunkRows) {
      const part = rows.slice(at, at + chunkRows)
      const chunk = duck.DuckDBDataChunk.create(types, part.length)
      for (const [i, { name, shape }] of columns.entries())
        chunk.setColumnValues(
          i,
          part.map((row) => toDuck(shape, row[name])),
        )
      chunk.setColumnValues(
        columns.length,
        part.map((_, i) => BigInt(at + i)),
      )
      appender.appendDataChunk(chunk)
    }
  } finally {
    appender.closeSync()
  }
}

type Duck = typeof import('@duckdb/node-api')

function typeOf(duck: Duck, shape: AvroShape): import('@duckdb/node-api').DuckDBType {
  switch (shape.kind) {
    case 'leaf':
      return leafType(duck, shape.duck, shape.of)
    case 'struct':
      return duck.STRUCT(Object.fromEntries(shape.fields.map((field) => [field.name, typeOf(duck, field.shape)])))
    case 'list':
      return duck.LIST(typeOf(duck, shape.element.shape))
    case 'map':
      return duck.MAP(typeOf(duck, shape.key.shape), typeOf(duck, shape.value.shape))
  }
}

function leafType(duck: Duck, name: string, of: AvroLeaf): import('@duckdb/node-api').DuckDBType {
  if (typeof of === 'object') return duck.DECIMAL(of.precision, of.scale)
  switch (name) {
    case 'BOOLEAN':
      return duck.BOOLEAN
    case 'INTEGER':
      return duck.INTEGER
    case 'BIGINT':
      return duck.BIGINT
    case 'FLOAT':
      return duck.FLOAT
    case 'DOUBLE':
      return duck.DOUBLE
    case 'BLOB':
      return duck.BLOB
    case 'DATE':
      return duck.DATE
    case 'TIME':
      return duck.TIME
    case 'TIMESTAMP':
      return duck.TIMESTAMP
    case 'TIMESTAMP WITH TIME ZONE':
      return duck.TIMESTAMPTZ
    case 'TIMESTAMP_NS':
      return duck.TIMESTAMP_NS
    case 'UUID':
      return duck.UUID
    default:
      return duck.VARCHAR
  }
}

function valuesWith(duck: Duck): (shape: AvroShape, raw: unknown) => DuckDBValue {
  const leafOf = (of: AvroLeaf, raw: unknown): DuckDBValue => {
    if (typeof of === 'object') return new duck.DuckDBDecimalValue(signed(raw as Uint8Array), of.precision, of.scale)
    switch (of) {
      case 'plain':
        return raw as DuckDBValue
      case 'bytes':
        return new duck.DuckDBBlobValue(new Uint8Array(raw as Uint8Array))
      case 'date':
        return new duck.DuckDBDateValue(Number(raw))
      case 'time':
        return new duck.DuckDBTimeValue(BigInt(raw as bigint))
      case 'time-millis':
        return new duck.DuckDBTimeValue(BigInt(raw as number) * 1000n)
      case 'timestamp':
        return new duck.DuckDBTimestampValue(BigInt(raw as bigint))
      case 'millis':
        return new duck.DuckDBTimestampValue(BigInt(raw as bigint) * 1000n)
      case 'timestamptz':
        return new duck.DuckDBTimestampTZValue(BigInt(raw as bigint))
      case 'millis-tz':
        return new duck.DuckDBTimestampTZValue(BigInt(raw as bigint) * 1000n)
      case 'timestamp_ns':
        return new duck.DuckDBTimestampNanosecondsValue(BigInt(raw as bigint))
      case 'uuid':
        return duck.DuckDBUUIDValue.fromUint128(BigInt(`0x${Buffer.from(raw as Uint8Array).toString('hex')}`))
      case 'uuid-text':
        return duck.DuckDBUUIDValue.fromUint128(BigInt(`0x${String(raw).replaceAll('-', '')}`))
    }
  }
  const toDuck = (shape: AvroShape, raw: unknown): DuckDBValue => {
    if (raw === null || raw === undefined) return null
    switch (shape.kind) {
      case 'leaf':
        return leafOf(shape.of, raw)
      case 'struct': {
        const row = raw as Readonly<Record<string, unknown>>
        return new duck.DuckDBStructValue(
          Object.fromEntries(shape.fields.map((field) => [field.name, toDuck(field.shape, row[field.name])])),
        )
      }
      case 'list':
        return new duck.DuckDBListValue((raw as readonly unknown[]).map((one) => toDuck(shape.element.shape, one)))
      case 'map': {
        const pairs: readonly (readonly [unknown, unknown])[] =
          shape.stored === 'object'
            ? Object.entries(raw as Readonly<Record<string, unknown>>)
            : (raw as readonly Readonly<Record<string, unknown>>[]).map((one) => [one.key, one.value])
        return new duck.DuckDBMapValue(
          pairs.map(([key, value]) => ({
            key: toDuck(shape.key.shape, key),
            value: toDuck(shape.value.shape, value),
          })),
        )
      }
    }
  }
  return toDuck
}

/** Two's complement, big-endian. */
function signed(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
  return BigInt.asIntN(bytes.length * 8, value)
}
