import { decimalOf, decimalText, type PrimitiveType, type Value } from '../schema/index.ts'

/** An identifier in double quotes. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A string literal. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A local file as DuckDB's readers take it: they would take `*`, `?` and `[` of a name for a pattern of several files. */
export function quoteFile(local: string): string {
  return quoteText(local.replace(/[*?[]/g, '[$&]'))
}

/** A typed literal of DuckDB for a value, or NULL. */
export function sqlLiteral(type: PrimitiveType, value: Value | null): string {
  if (value === null) return 'NULL'
  const decimal = decimalOf(type)
  if (decimal)
    return `${quoteText(decimalText(BigInt(String(value)), decimal.scale))}::DECIMAL(${decimal.precision},${decimal.scale})`
  switch (type) {
    case 'boolean':
      return value ? 'TRUE' : 'FALSE'
    case 'int':
      // A cast binds tighter than a minus, and the lowest value has no positive twin.
      return `(${value})::INTEGER`
    case 'long':
      return `(${value})::BIGINT`
    case 'float':
    case 'double':
      return `${quoteText(String(value))}::DOUBLE`
    case 'date':
      return `(DATE '1970-01-01' + (${value})::INTEGER)`
    case 'time':
      return `(TIME '00:00:00' + to_microseconds((${value})::BIGINT))`
    case 'timestamp':
      return `make_timestamp((${value})::BIGINT)`
    case 'timestamptz':
      return `make_timestamptz((${value})::BIGINT)`
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return `make_timestamp_ns((${value})::BIGINT)`
    case 'uuid':
      return `${quoteText(String(value))}::UUID`
    case 'string':
      return quoteText(String(value))
    default:
      return value instanceof Uint8Array
        ? `from_hex('${Buffer.from(value).toString('hex')}')`
        : quoteText(String(value))
  }
}

/** DuckDB's name for a primitive type. It has no nanoseconds with a zone: those are TIMESTAMP_NS, in UTC. */
export function duckType(type: PrimitiveType): string {
  const decimal = decimalOf(type)
  if (decimal) return `DECIMAL(${decimal.precision},${decimal.scale})`
  switch (type) {
    case 'boolean':
      return 'BOOLEAN'
    case 'int':
      return 'INTEGER'
    case 'long':
      return 'BIGINT'
    case 'float':
      return 'FLOAT'
    case 'double':
      return 'DOUBLE'
    case 'date':
      return 'DATE'
    case 'time':
      return 'TIME'
    case 'timestamp':
      return 'TIMESTAMP'
    case 'timestamptz':
      return 'TIMESTAMP WITH TIME ZONE'
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return 'TIMESTAMP_NS'
    case 'unknown':
      return '"NULL"'
    case 'variant':
      return 'VARIANT'
    case 'string':
      return 'VARCHAR'
    case 'uuid':
      return 'UUID'
    default:
      return 'BLOB'
  }
}
