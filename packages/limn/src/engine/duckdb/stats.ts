import { encodeSingleValue } from '../../iceberg/index.ts'
import { decimalOf, isPrimitive, type PrimitiveType, type Schema, type Value } from '../../schema/index.ts'

/** Column statistics of one written file, as Iceberg keeps them per field id. */
export interface ColumnStats {
  readonly columnSizes: Map<number, bigint>
  readonly valueCounts: Map<number, bigint>
  readonly nullValueCounts: Map<number, bigint>
  readonly nanValueCounts: Map<number, bigint>
  readonly lowerBounds: Map<number, Uint8Array>
  readonly upperBounds: Map<number, Uint8Array>
}

type Pairs = readonly { readonly key: string; readonly value: string }[]

/** String bounds are cut to this many code points; the cut upper bound is raised so that it stays a bound. */
const boundLengthMax = 16

/** Reads the column statistics of `COPY … RETURN_STATS`. */
export function readStats(
  columns: readonly { readonly key: string; readonly value: Pairs }[],
  schema: Schema,
): ColumnStats {
  const out: ColumnStats = {
    columnSizes: new Map(),
    valueCounts: new Map(),
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds: new Map(),
    upperBounds: new Map(),
  }
  const byName = new Map(
    columns.map((column) => [column.key, new Map(column.value.map((one) => [one.key, one.value]))]),
  )
  for (const field of schema.fields) {
    const stats = byName.get(`"${field.name.replaceAll('"', '""')}"`)
    if (!stats || !isPrimitive(field.type)) continue
    const count = (name: string, into: Map<number, bigint>) => {
      const text = stats.get(name)
      if (text !== undefined) into.set(field.id, BigInt(text))
    }
    count('column_size_bytes', out.columnSizes)
    count('num_values', out.valueCounts)
    count('null_count', out.nullValueCounts)
    const hasNan = stats.get('has_nan')
    if (hasNan === 'false') out.nanValueCounts.set(field.id, 0n)
    const low = stats.get('min')
    const high = stats.get('max')
    if (low === undefined || high === undefined || hasNan === 'true') continue
    const lower = lowerBound(field.type, low)
    const upper = upperBound(field.type, high)
    if (lower !== null) out.lowerBounds.set(field.id, encodeSingleValue(field.type, lower))
    if (upper !== null) out.upperBounds.set(field.id, encodeSingleValue(field.type, upper))
  }
  return out
}

function lowerBound(type: PrimitiveType, text: string): Value | null {
  return type === 'string' ? Array.from(text).slice(0, boundLengthMax).join('') : parseStat(type, text)
}

function upperBound(type: PrimitiveType, text: string): Value | null {
  if (type !== 'string') return parseStat(type, text)
  const points = Array.from(text)
  return points.length < boundLengthMax ? text : raise(points.slice(0, boundLengthMax))
}

/** The smallest string of that length above all that begin so; null when there is none. */
function raise(points: readonly string[]): string | null {
  for (let i = points.length - 1; i >= 0; i--) {
    const next = (points[i]?.codePointAt(0) ?? 0) + 1
    if (next > 0x10ffff) continue
    const point = next >= 0xd800 && next <= 0xdfff ? 0xe000 : next
    return points.slice(0, i).join('') + String.fromCodePoint(point)
  }
  return null
}

/** A value from the text DuckDB shows for it; null when it cannot be read exactly. */
export function parseStat(type: PrimitiveType, text: string): Value | null {
  const decimal = decimalOf(type)
  if (decimal) return /^-?\d+(\.\d+)?$/.test(text) ? BigInt(text.replace('.', '')) : null
  switch (type) {
    case 'boolean':
      return text === '1' || text === 'true'
    case 'int':
      return Number(text)
    case 'long':
      return BigInt(text)
    case 'float':
    case 'double': {
      const value = Number(text)
      return Number.isFinite(value) && text !== '' ? value : null
    }
    case 'date': {
      const at = Date.parse(`${text}T00:00:00Z`)
      return Number.isNaN(at) ? null : at / 86_400_000
    }
    case 'time':
      return microsOf(`1970-01-01 ${text}`)
    case 'timestamp':
    case 'timestamptz':
      return microsOf(text.replace(/\+00$/, ''))
    case 'uuid':
      return text.toLowerCase()
    default:
      return null
  }
}

function microsOf(text: string): bigint | null {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})(?:\.(\d{1,6}))?$/.exec(text)
  if (!match) return null
  return BigInt(Date.parse(`${match[1]}T${match[2]}Z`)) * 1000n + BigInt((match[3] ?? '').padEnd(6, '0'))
}
