import { LimnError } from '../../../base/index.ts'
import type { Transform } from '../../../iceberg/index.ts'
import { decimalOf, fixedLengthOf, type PrimitiveType } from '../../../schema/index.ts'

/**
 * Iceberg's partition transforms as DuckDB expressions (specification, "Partition Transforms" and appendix B): integers
 * since 1970 for the time units, whatever the session's time zone, and the type's own value for identity and truncate; a
 * truncated decimal is its unscaled integer. Null gives null.
 */
export function transformSql(transform: Transform, column: string, type: PrimitiveType): string {
  switch (transform.kind) {
    case 'identity':
      return column
    case 'void':
      return 'NULL::INTEGER'
    case 'year':
      return `(year(${instant(column, type)}) - 1970)`
    case 'month':
      return `((year(${instant(column, type)}) - 1970) * 12 + month(${instant(column, type)}) - 1)`
    case 'day':
      return type === 'date' ? daysSql(column) : floorDivide(microsSql(column, type), 86_400_000_000)
    case 'hour':
      return floorDivide(microsSql(column, type), 3_600_000_000)
    case 'truncate':
      return truncateSql(column, type, transform.width)
    case 'bucket':
      return `CASE WHEN ${column} IS NULL THEN NULL ELSE ((${hashSql(column, type)} & 2147483647) % ${transform.count})::INTEGER END`
    case 'unknown':
      throw new LimnError('iceberg/unsupported', {
        message: `The table is partitioned or sorted by ${transform.text}, which limn does not know.`,
        notDone: 'Nothing was written.',
        remedy: 'Write with the engine that made the table, or give the table a spec of known transforms.',
      })
  }
}

/** Days since 1970-01-01 of a date. */
function daysSql(column: string): string {
  return `(${column} - DATE '1970-01-01')`
}

/** Microseconds since the epoch (of the day, for a time), as BIGINT; nanoseconds are rounded down. */
function microsSql(column: string, type: PrimitiveType): string {
  if (type === 'timestamp_ns' || type === 'timestamptz_ns') return floorDivide(`epoch_ns(${column})`, 1000)
  return `epoch_us(${column})`
}

/** A date or timestamp in UTC, which calendar functions do not ask the session's zone about. */
function instant(column: string, type: PrimitiveType): string {
  return type === 'date' ? column : `make_timestamp(${microsSql(column, type)})`
}

function floorDivide(value: string, by: number): string {
  return `((${value} - ((${value} % ${by}) + ${by}) % ${by}) // ${by})`
}

/** The unscaled integer of a decimal. */
export function unscaledSql(column: string): string {
  return `replace((${column})::VARCHAR, '.', '')::HUGEINT`
}

function truncateSql(column: string, type: PrimitiveType, width: number): string {
  if (type === 'string') return `substring(${column}, 1, ${width})`
  if (type === 'binary' || fixedLengthOf(type) !== null) return `array_slice(${column}, 1, ${width})`
  const down = (value: string) => `(${value} - ((${value} % ${width}) + ${width}) % ${width})`
  // Below the least value Iceberg's arithmetic wraps around, as integers of the type's width do.
  const wrapped = (value: string, bits: number) =>
    `CASE WHEN ${value} < -(2::HUGEINT ** ${bits - 1})::HUGEINT THEN ${value} + (2::HUGEINT ** ${bits})::HUGEINT ELSE ${value} END`
  if (type === 'int') return `(${wrapped(down(`(${column})::BIGINT`), 32)})::INTEGER`
  if (type === 'long') return `(${wrapped(down(`(${column})::HUGEINT`), 64)})::BIGINT`
  if (decimalOf(type)) return down(`${unscaledSql(column)}`)
  throw unfit('truncated', type)
}

function unfit(what: string, type: PrimitiveType): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `A ${type} cannot be ${what}.`,
    notDone: 'Nothing was written.',
    remedy: 'Partition the table by another column or transform.',
  })
}

const low32 = '4294967295::UBIGINT'

/** Murmur3, x86, 32 bits, seed 0, as an UBIGINT below 2^32. Each step names its inputs once: expressions do not explode. */
function hashSql(column: string, type: PrimitiveType): string {
  const decimal = decimalOf(type)
  if (decimal) return bytesHash(twosComplement(unscaledSql(column)))
  switch (type) {
    case 'int':
    case 'long':
      return longHash(`(${column})::BIGINT`)
    case 'date':
      return longHash(daysSql(column))
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return longHash(microsSql(column, type))
    case 'string':
      return bytesHash(`encode(${column})`)
    case 'uuid':
      return bytesHash(`unhex(replace((${column})::VARCHAR, '-', ''))`)
    case 'binary':
      return bytesHash(column)
    default:
      if (fixedLengthOf(type) !== null) return bytesHash(column)
      throw unfit('bucketed', type)
  }
}

function longHash(value: string): string {
  const word = (bits: string) => `((${bits}) & 4294967295)::UBIGINT`
  return bound(mixIn(mixIn('0::UBIGINT', word(value)), word(`${value} >> 32`)), (hash) => finish(hash, '8::UBIGINT'))
}

function bytesHash(bytes: string): string {
  const size = `octet_length(${bytes})`
  const words = `list_transform(range(${size} // 4), lambda i: array_slice(${bytes}, 4 * i + 1, 4 * i + 4)::BIT::UINTEGER::UBIGINT)`
  const little = `list_transform(${words}, lambda w: ${swapped('w')})`
  const blocks = `list_reduce(list_prepend(0::UBIGINT, ${little}), lambda h, k: ${mixIn('h', 'k')})`
  const last = `array_slice(array_slice(${bytes}, ${size} - ${size} % 4 + 1, ${size}) || '\\x00\\x00\\x00\\x00'::BLOB, 1, 4)`
  const tail = `list_transform([${last}::BIT::UINTEGER::UBIGINT], lambda w: ${scramble(swapped('w'))})[1]`
  return bound(`xor(${blocks}, ${tail})`, (hash) => finish(hash, `${size}::UBIGINT`))
}

/** Evaluates an expression once and uses its value several times. */
function bound(value: string, use: (name: string) => string): string {
  return `list_transform([${value}], lambda v: ${use('v')})[1]`
}

function swapped(word: string): string {
  return `((${word} & 255) * 16777216 + (${word} & 65280) * 256 + ((${word} >> 8) & 65280) + (${word} >> 24))`
}

function rotated(value: string, by: number): string {
  return `((((${value}) * 4294967297::UBIGINT) >> ${32 - by}) & ${low32})`
}

function times(value: string, factor: number): string {
  return `(((${value}) * ${factor}::UBIGINT) & ${low32})`
}

function scramble(block: string): string {
  return times(rotated(times(block, 0xcc9e2d51), 15), 0x1b873593)
}

function mixIn(hash: string, block: string): string {
  return `((${rotated(`xor(${hash}, ${scramble(block)})`, 13)} * 5::UBIGINT + ${0xe6546b64}::UBIGINT) & ${low32})`
}

function finish(hash: string, size: string): string {
  const first = `xor(${hash}, ${size})`
  const second = times(`xor(${first}, ${first} >> 16)`, 0x85ebca6b)
  const third = times(`xor(${second}, ${second} >> 13)`, 0xc2b2ae35)
  return `xor(${third}, ${third} >> 16)`
}

/** The fewest big-endian bytes of an integer. */
function twosComplement(value: string): string {
  const sizes = Array.from({ length: 15 }, (_one, i) => {
    const limit = 1n << BigInt(8 * (i + 1) - 1)
    return `WHEN ${value} >= (-${limit})::HUGEINT AND ${value} < (${limit})::HUGEINT THEN ${i + 1}`
  })
  return `array_slice((${value})::BIT::BLOB, 17 - (CASE ${sizes.join(' ')} ELSE 16 END), 16)`
}
