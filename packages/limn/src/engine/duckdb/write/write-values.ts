import { LimnError } from '../../../base/index.ts'
import { decimalOf, fixedLengthOf, type PrimitiveType, type Value } from '../../../schema/index.ts'
import { unscaledSql } from './write-transforms.ts'

/**
 * Values of DuckDB as text that is read back exactly: integers for dates, times and decimals (unscaled), hexadecimal for
 * bytes. `valueOfText` is the inverse.
 */
export function valueText(type: PrimitiveType, column: string): string {
  if (decimalOf(type)) return `(${unscaledSql(column)})::VARCHAR`
  switch (type) {
    case 'string':
      return column
    case 'date':
      return `(${column} - DATE '1970-01-01')::VARCHAR`
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return `epoch_us(${column})::VARCHAR`
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return `epoch_ns(${column})::VARCHAR`
    case 'binary':
      return `hex(${column})`
    default:
      return fixedLengthOf(type) === null ? `(${column})::VARCHAR` : `hex(${column})`
  }
}

export function valueOfText(type: PrimitiveType, text: string): Value {
  if (decimalOf(type)) return BigInt(text)
  switch (type) {
    case 'boolean':
      return text === 'true'
    case 'int':
    case 'date':
      return Number(text)
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return BigInt(text)
    case 'float':
      return Math.fround(floating(text))
    case 'double':
      return floating(text)
    case 'string':
      return text
    case 'uuid':
      return text.toLowerCase()
    case 'variant':
    case 'unknown':
      throw new LimnError('internal', { message: `A ${type} has no value to order or partition by.` })
    default:
      return new Uint8Array(Buffer.from(text, 'hex'))
  }
}

function floating(text: string): number {
  switch (text) {
    case 'inf':
      return Number.POSITIVE_INFINITY
    case '-inf':
      return Number.NEGATIVE_INFINITY
    default:
      return Number(text)
  }
}
