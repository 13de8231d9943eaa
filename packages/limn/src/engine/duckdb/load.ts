import {
  DuckDBBlobValue,
  type DuckDBConnection,
  DuckDBDataChunk,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampNanosecondsValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  DuckDBTimeValue,
  type DuckDBType,
  DuckDBUUIDValue,
  type DuckDBValue,
} from '@duckdb/node-api'
import { LimnError } from '../../base/index.ts'
import { decimalOf, isPrimitive, type PrimitiveType, type Type, type Value } from '../../schema/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { BoundRows, Datum } from '../bound.ts'
import { namesApart } from './read/parts.ts'
import { duckTypeOf } from './read/project.ts'

/** Rows DuckDB takes in one chunk. */
const chunkRowsMax = 2048

/** Makes a table in a database and appends its rows chunk by chunk: DuckDB spills what does not fit in its memory. */
export async function loadRows(connection: DuckDBConnection, database: string, table: BoundRows): Promise<void> {
  const { fields } = table.schema
  const [schema = '', name = ''] = table.id.split('.')
  const names = namesApart(fields.map((field) => field.name))
  const list = fields.map((field, i) => `${quoteIdentifier(names[i] ?? field.name)} ${duckTypeOf(field.type)}`)
  await connection.run(`CREATE TABLE ${quoteIdentifier(schema)}.${quoteIdentifier(name)} (${list.join(', ')})`)
  await appendRows(
    connection,
    { name, schema, database },
    fields.map((field) => field.type),
    table.rows(),
  )
}

/** Appends rows to a table, a chunk at a time. */
export async function appendRows(
  connection: DuckDBConnection,
  to: { readonly name: string; readonly schema: string; readonly database: string },
  columns: readonly Type[],
  rows: AsyncIterable<readonly (readonly Datum[])[]> | Iterable<readonly (readonly Datum[])[]>,
): Promise<void> {
  const appender = await connection.createAppender(to.name, to.schema, to.database)
  let held = 0
  try {
    const types = columns.map((_column, i): DuckDBType => appender.columnType(i))
    const converters = columns.map(converter)
    // One chunk for all: of many, each would hold native memory until it is collected.
    const chunk = DuckDBDataChunk.create(types)
    for await (const batch of rows) {
      for (let at = 0; at < batch.length; at += chunkRowsMax) {
        const part = batch.slice(at, at + chunkRowsMax)
        chunk.reset()
        chunk.rowCount = part.length
        chunk.setColumns(converters.map((of, i) => part.map((row) => of(row[i] ?? null))))
        appender.appendDataChunk(chunk)
      }
      held += batch.length
      // Only what is flushed can spill.
      if (held < chunkRowsMax) continue
      appender.flushSync()
      held = 0
    }
  } catch (error) {
    closeQuietly(appender)
    throw error
  }
  appender.closeSync()
}

/** After an error: that one is to be told, not that closing fails for the same reason. */
function closeQuietly(appender: { closeSync(): void }): void {
  try {
    appender.closeSync()
  } catch {
    // Already told.
  }
}

type Convert = (datum: Exclude<Datum, null>) => DuckDBValue

/** Values of a type as DuckDB's; what depends on the type alone is decided once. */
function converter(type: Type): (datum: Datum) => DuckDBValue {
  const convert = isPrimitive(type) ? primitiveConverter(type) : nestedConverter(type)
  return (datum) => (datum === null ? null : convert(datum))
}

function nestedConverter(type: Exclude<Type, PrimitiveType>): Convert {
  switch (type.type) {
    case 'struct': {
      const fields = type.fields.map((field) => [field.name, converter(field.type)] as const)
      return (datum) => {
        if (!isList(datum)) throw misfit(type.type)
        const entries: Record<string, DuckDBValue> = {}
        for (const [i, [name, of]] of fields.entries()) entries[name] = of(datum[i] ?? null)
        return new DuckDBStructValue(entries)
      }
    }
    case 'list': {
      const element = converter(type.element)
      return (datum) => {
        if (!isList(datum)) throw misfit(type.type)
        return new DuckDBListValue(datum.map(element))
      }
    }
    case 'map': {
      const [key, value] = [converter(type.key), converter(type.value)]
      return (datum) => {
        if (!(datum instanceof Map)) throw misfit(type.type)
        const entries = datum as ReadonlyMap<Value, Datum>
        return new DuckDBMapValue(Array.from(entries, ([one, of]) => ({ key: key(one), value: value(of) })))
      }
    }
  }
}

function isList(datum: Datum): datum is readonly Datum[] {
  return Array.isArray(datum)
}

function primitiveConverter(type: PrimitiveType): Convert {
  const decimal = decimalOf(type)
  return (datum) => {
    if (Array.isArray(datum) || datum instanceof Map) throw misfit(type)
    const value = datum as Value
    if (decimal) return new DuckDBDecimalValue(whole(type, value), decimal.precision, decimal.scale)
    if (value instanceof Uint8Array) return new DuckDBBlobValue(value)
    return plainOf(type, value)
  }
}

function plainOf(type: PrimitiveType, value: Value): DuckDBValue {
  switch (type) {
    case 'long':
      return within64(whole(type, value))
    case 'date':
      return new DuckDBDateValue(Number(value))
    case 'time':
      return new DuckDBTimeValue(within64(whole(type, value)))
    case 'timestamp':
      return new DuckDBTimestampValue(within64(whole(type, value)))
    case 'timestamptz':
      return new DuckDBTimestampTZValue(within64(whole(type, value)))
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return new DuckDBTimestampNanosecondsValue(within64(whole(type, value)))
    case 'uuid':
      return DuckDBUUIDValue.fromUint128(BigInt(`0x${String(value).replaceAll('-', '')}`))
    case 'unknown':
      return null
    case 'variant':
      throw misfit(type)
    default:
      if (value instanceof Uint8Array) throw misfit(type)
      return value
  }
}

function whole(type: PrimitiveType, value: Value): bigint {
  if (typeof value === 'bigint' || typeof value === 'number') return BigInt(value)
  throw misfit(type)
}

/** Metadata is text: a writer may have put a number there that no column of 64 bits holds. */
function within64(number: bigint): bigint {
  if (BigInt.asIntN(64, number) === number) return number
  throw new LimnError('iceberg/invalid-metadata', {
    message: `${number} is no number of 64 bits, which the specification asks for.`,
    notDone: 'Nothing was read.',
    remedy: 'Correct the metadata with the software that wrote it.',
  })
}

function misfit(type: string): LimnError {
  return new LimnError('internal', { message: `A value does not fit the type ${type} of its column.` })
}
