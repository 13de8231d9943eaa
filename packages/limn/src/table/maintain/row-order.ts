import { LimnError, unreachable } from '../../base/index.ts'
import { transformSql } from '../../engine/index.ts'
import type { SortOrder, ZColumn, ZOrder } from '../../iceberg/index.ts'
import { isPrimitive, locateById, type PrimitiveType, type Schema } from '../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'

/** How the rows of a query are put in order before they are written. */
export interface RowOrder {
  /** Expressions that the order uses, computed once per row, under names of their own. */
  readonly computed: readonly { readonly name: string; readonly sql: string }[]
  /** What stands after ORDER BY. */
  readonly by: string
}

/** A query's rows in order: `columns` of `from`, sorted. */
export function orderedSql(columns: string, from: string, order: RowOrder | null): string {
  if (order === null) return `SELECT ${columns} FROM ${from}`
  const more = order.computed.map(({ name, sql }) => `, ${sql} AS ${quoteIdentifier(name)}`).join('')
  const source = more === '' ? from : `(SELECT *${more} FROM ${from})`
  return `SELECT ${columns} FROM ${source} ORDER BY ${order.by}`
}

/** A sort order as SQL: strings by their bytes, nulls where each field says. */
export function sortRows(order: SortOrder, schema: Schema): RowOrder {
  const by = order.fields.map((field) => {
    const { sql, type } = sourceOf(schema, field.sourceId)
    const nulls = field.nullOrder === 'nulls-first' ? 'NULLS FIRST' : 'NULLS LAST'
    return `${transformSql(field.transform, sql, type)} ${field.direction === 'asc' ? 'ASC' : 'DESC'} ${nulls}`
  })
  return { computed: [], by: by.join(', ') }
}

function sourceOf(schema: Schema, id: number): { readonly sql: string; readonly type: PrimitiveType } {
  const found = locateById(schema.fields, id)
  const [first = '', ...rest] = found?.path ?? []
  const type = found?.field.type
  if (type && isPrimitive(type) && type !== 'variant' && type !== 'unknown') {
    const sql = rest.reduce((sql, name) => `struct_extract(${sql}, ${quoteText(name)})`, quoteIdentifier(first))
    return { sql, type }
  }
  throw new LimnError('iceberg/unsupported', {
    message: `The sort order names field ${id}, ${found ? 'whose values have no order' : 'which the table no longer has'}.`,
    notDone: 'Nothing was rewritten.',
    remedy: 'Give the table a sort order of columns it has.',
  })
}

/** A z-order as SQL: the ordinal of each column, computed once, and their bits interleaved (see `ZOrder`). */
export function zOrderRows(order: ZOrder): RowOrder {
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
    computed: columns.map((column, i) => ({ name: names[i] ?? '', sql: ordinalSql(column, bits) })),
    by: terms.join(' + '),
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
