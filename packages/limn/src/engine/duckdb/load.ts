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
import { decimalOf, type PrimitiveType, type Type, type Value } from '../../schema/index.ts'
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
  const appender = await connection.createAppender(name, schema, database)
  try {
    const types = fields.map((_field, i): DuckDBType => appender.columnType(i))
    for await (const batch of table.rows()) {
      for (let at = 0; at < batch.length; at += chunkRowsMax) {
        const part = batch.slice(at, at + chunkRowsMax)
        const chunk = DuckDBDataChunk.create(types, part.length)
        chunk.setColumns(fields.map((field, i) => part.map((row) => duckValueOf(field.type, row[i] ?? null))))
        appender.appendDataChunk(chunk)
      }
    }
    appender.flushSync()
  } finally {
    appender.closeSync()
  }
}

function duckValueOf(type: Type, datum: Datum): DuckDBValue {
  if (datum === null) return null
  if (typeof type === 'string') {
    if (!isPrimitiveValue(datum)) throw misfit(type)
    return primitiveOf(type, datum)
  }
  switch (type.type) {
    case 'struct': {
      if (!isList(datum)) throw misfit(type.type)
      return new DuckDBStructValue(
        Object.fromEntries(type.fields.map((field, i) => [field.name, duckValueOf(field.type, datum[i] ?? null)])),
      )
    }
    case 'list':
      if (!isList(datum)) throw misfit(type.type)
      return new DuckDBListValue(datum.map((one) => duckValueOf(type.element, one)))
    case 'map':
      if (!(datum instanceof Map)) throw misfit(type.type)
      return new DuckDBMapValue(
        Array.from(datum as ReadonlyMap<Value, Datum>, ([key, value]) => ({
          key: duckValueOf(type.key, key),
          value: duckValueOf(type.value, value),
        })),
      )
  }
}

function isList(datum: Datum): datum is readonly Datum[] {
  return Array.isArray(datum)
}

function isPrimitiveValue(datum: Exclude<Datum, null>): datum is Value {
  return !Array.isArray(datum) && !(datum instanceof Map)
}

function primitiveOf(type: PrimitiveType, value: Value): DuckDBValue {
  const decimal = decimalOf(type)
  if (decimal) return new DuckDBDecimalValue(whole(type, value), decimal.precision, decimal.scale)
  if (value instanceof Uint8Array) return new DuckDBBlobValue(value)
  switch (type) {
    case 'long':
      return whole(type, value)
    case 'date':
      return new DuckDBDateValue(Number(value))
    case 'time':
      return new DuckDBTimeValue(whole(type, value))
    case 'timestamp':
      return new DuckDBTimestampValue(whole(type, value))
    case 'timestamptz':
      return new DuckDBTimestampTZValue(whole(type, value))
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return new DuckDBTimestampNanosecondsValue(whole(type, value))
    case 'uuid':
      return DuckDBUUIDValue.fromUint128(BigInt(`0x${String(value).replaceAll('-', '')}`))
    case 'unknown':
      return null
    case 'variant':
      throw misfit(type)
    default:
      return value
  }
}

/** Metadata is text: a writer may have put a number there that no column of 64 bits holds. */
function whole(type: PrimitiveType, value: Value): bigint {
  if (typeof value !== 'bigint' && typeof value !== 'number') throw misfit(type)
  const number = BigInt(value)
  if (decimalOf(type) || BigInt.asIntN(64, number) === number) return number
  throw new LimnError('iceberg/invalid-metadata', {
    message: `${number} is no number of 64 bits, which the specification asks for.`,
    notDone: 'Nothing was read.',
    remedy: 'Correct the metadata with the software that wrote it.',
  })
}

function misfit(type: string): LimnError {
  return new LimnError('internal', { message: `A value does not fit the type ${type} of its column.` })
}
