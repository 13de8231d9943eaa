import { unreachable } from '../../base/index.ts'
import type { ZColumn, ZOrder } from '../../iceberg/index.ts'
import type { PrimitiveType } from '../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'

/**
 * A z-order as SQL (see `ZOrder`): the ordinal of each column, to be computed once per row under a name of its own, and
 * ORDER BY's list, which interleaves their bits.
 */
export function zOrderSql(order: ZOrder): { readonly computed: string; readonly orderBy: string } {
  const { bits, columns } = order
  const names = columns.map((_column, i) => `__limn_z${i}`)
  const terms: string[] = []
  for (let bit = bits - 1; bit >= 0; bit--) {
    for (const [i, name] of names.entries()) {
      const place = bit * columns.length + (columns.length - 1 - i)
      terms.push(`((${name} >> ${bit}) & 1) * ${2n ** BigInt(place)}::UBIGINT`)
    }
  }
  return {
    computed: columns.map((column, i) => `${ordinalSql(column, bits)} AS ${names[i]}`).join(', '),
    orderBy: terms.join(' + '),
  }
}

/** A value as 1 … 2^bits − 1, null as 0; NaN and what is beyond the bounds as the nearest end. */
function ordinalSql(column: ZColumn, bits: number): string {
  const name = quoteIdentifier(column.name)
  const { value, low, high } = scaleOf(column, name)
  const share = high > low ? `greatest(0, least(1, ((${value}) - ${double(low)}) / ${double(high - low)}))` : '0'
  return `CASE WHEN ${name} IS NULL THEN 0::UBIGINT ELSE (1 + floor(${share} * ${2 ** bits - 2}))::UBIGINT END`
}

function scaleOf(column: ZColumn, name: string): { value: string; low: number; high: number } {
  switch (column.kind) {
    case 'boolean':
      return { value: `${name}::INTEGER`, low: 0, high: 1 }
    case 'number':
      return { value: numberSql(column.type, name), low: column.low, high: column.high }
    case 'bytes': {
      const slice = `array_slice(${bytesSql(column.type, name)}, ${column.skip + 1}, ${column.skip + 6})`
      return { value: `('0x' || rpad(hex(${slice}), 12, '0'))::BIGINT::DOUBLE`, low: column.low, high: column.high }
    }
    default:
      return unreachable(column)
  }
}

function numberSql(type: PrimitiveType, name: string): string {
  switch (type) {
    case 'date':
      return `(${name} - DATE '1970-01-01')::DOUBLE`
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return `epoch_us(${name})::DOUBLE`
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return `epoch_ns(${name})::DOUBLE`
    default:
      return `(${name})::DOUBLE`
  }
}

function bytesSql(type: PrimitiveType, name: string): string {
  if (type === 'string') return `encode(${name})`
  return type === 'uuid' ? `unhex(replace(${name}::VARCHAR, '-', ''))` : name
}

function double(value: number): string {
  return `${quoteText(String(value))}::DOUBLE`
}
