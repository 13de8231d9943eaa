import { unreachable } from '../../base/index.ts'
import type { ComparisonOperator, Predicate } from '../../expr/index.ts'
import { compareValues, fieldByName, type Schema, type Type, type Value } from '../../schema/index.ts'
import { decodeSingleValue } from '../spec/single-value.ts'
import type { DataFile, PartitionSpec, Transform } from '../spec/types.ts'

/**
 * The opposite question to pruning's: whether a predicate is certainly true of every row of a file, so that the file can
 * be dropped or kept without being opened. Errs towards "not certain".
 */

/** What is certain of a column's values. `low` and `high` enclose every value that is not null. */
interface Certain {
  readonly type: Type
  readonly low: Value | null
  readonly high: Value | null
  readonly noNulls: boolean
  readonly onlyNulls: boolean
}

/** True only when every row of the file satisfies the predicate, by its partition and its column bounds. */
export function mustMatch(file: DataFile, predicate: Predicate, schema: Schema, spec: PartitionSpec): boolean {
  return holds(predicate, (column) => certainOf(file, schema, spec, column))
}

type CertainOf = (column: string) => Certain | null

function holds(predicate: Predicate, of: CertainOf): boolean {
  switch (predicate.kind) {
    case 'true':
      return true
    case 'false':
      return false
    case 'and':
      return predicate.of.every((part) => holds(part, of))
    case 'or':
      return predicate.of.some((part) => holds(part, of))
    case 'not':
      return fails(predicate.of, of)
    case 'isNull':
      return of(predicate.column)?.onlyNulls ?? false
    case 'notNull':
      return of(predicate.column)?.noNulls ?? false
    case 'compare':
      return mustCompare(of(predicate.column), predicate.operator, predicate.value)
    case 'in':
      return predicate.values.some((value) => mustCompare(of(predicate.column), 'eq', value))
    case 'startsWith': {
      const { low, high, noNulls } = of(predicate.column) ?? unknown
      const begins = (value: Value | null) => typeof value === 'string' && value.startsWith(predicate.prefix)
      return noNulls && begins(low) && begins(high)
    }
    default:
      return unreachable(predicate)
  }
}

const unknown: Certain = { type: 'string', low: null, high: null, noNulls: false, onlyNulls: false }
const opposite = { eq: 'ne', ne: 'eq', lt: 'ge', le: 'gt', gt: 'le', ge: 'lt' } as const

/** True only when the predicate is false (not null) of every row. */
function fails(predicate: Predicate, of: CertainOf): boolean {
  switch (predicate.kind) {
    case 'true':
      return false
    case 'false':
      return true
    case 'and':
      return predicate.of.some((part) => fails(part, of))
    case 'or':
      return predicate.of.every((part) => fails(part, of))
    case 'not':
      return holds(predicate.of, of)
    case 'isNull':
      return of(predicate.column)?.noNulls ?? false
    case 'notNull':
      return of(predicate.column)?.onlyNulls ?? false
    case 'compare':
      return mustCompare(of(predicate.column), opposite[predicate.operator], predicate.value)
    case 'in':
      return predicate.values.every((value) => mustCompare(of(predicate.column), 'ne', value))
    case 'startsWith':
      return false
    default:
      return unreachable(predicate)
  }
}

function mustCompare(column: Certain | null, operator: ComparisonOperator, value: Value): boolean {
  if (!column?.noNulls) return false
  const { type, low, high } = column
  const lowest = low === null ? null : compareValues(type, low, value)
  const highest = high === null ? null : compareValues(type, high, value)
  switch (operator) {
    case 'eq':
      return lowest === 0 && highest === 0
    case 'ne':
      return (lowest !== null && lowest > 0) || (highest !== null && highest < 0)
    case 'lt':
      return highest !== null && highest < 0
    case 'le':
      return highest !== null && highest <= 0
    case 'gt':
      return lowest !== null && lowest > 0
    case 'ge':
      return lowest !== null && lowest >= 0
  }
}

function certainOf(file: DataFile, schema: Schema, spec: PartitionSpec, column: string): Certain | null {
  const field = fieldByName(schema, column)
  if (!field || typeof field.type !== 'string') return null
  const { type } = field
  // A null struct makes its fields null, and not every writer counts those.
  const nested = !schema.fields.some((top) => top.id === field.id)
  const nulls = file.nullValueCounts.get(field.id)
  const values = file.valueCounts.get(field.id)
  let known: Certain = {
    type,
    ...boundsOf(file, field.id, type),
    noNulls: !nested && nulls === 0n,
    onlyNulls: nulls !== undefined && nulls === file.recordCount && (values === undefined || values === nulls),
  }
  spec.fields.forEach((one, position) => {
    if (one.sourceId !== field.id) return
    known = narrowed(known, one.transform, file.partition[position] ?? null)
  })
  return known
}

/** Bounds that enclose every value: those of floats leave NaN out, and writers order uuids differently. */
function boundsOf(file: DataFile, id: number, type: Type): { low: Value | null; high: Value | null } {
  const floating = type === 'float' || type === 'double'
  if (type === 'uuid' || (floating && file.nanValueCounts.get(id) !== 0n)) return { low: null, high: null }
  const bound = (bytes: Uint8Array | undefined) => {
    if (!bytes) return null
    try {
      const value = decodeSingleValue(type, bytes)
      return typeof value === 'number' && Number.isNaN(value) ? null : value
    } catch {
      return null
    }
  }
  return { low: bound(file.lowerBounds.get(id)), high: bound(file.upperBounds.get(id)) }
}

/** What a partition value says of its source column. */
function narrowed(known: Certain, transform: Transform, value: Value | null): Certain {
  switch (transform.kind) {
    case 'void':
    case 'unknown':
      return known
    case 'identity':
      if (value === null) return { ...known, onlyNulls: true, noNulls: false }
      if (typeof value === 'number' && Number.isNaN(value)) return { ...known, noNulls: true, low: null, high: null }
      return { ...known, noNulls: true, low: value, high: value }
    case 'bucket':
      return value === null ? { ...known, onlyNulls: true } : { ...known, noNulls: true }
    case 'truncate': {
      if (value === null) return { ...known, onlyNulls: true }
      const last = lastTruncated(value, transform.width)
      return last === null ? { ...known, noNulls: true } : tightened({ ...known, noNulls: true }, value, last)
    }
    case 'year':
    case 'month':
    case 'day':
    case 'hour': {
      if (value === null) return { ...known, onlyNulls: true }
      // Early writers rounded times before 1970 towards it: the unit before is possible too.
      const first = Number(value) <= 0 ? Number(value) - 1 : Number(value)
      const low = startOf(transform.kind, known.type, first)
      const end = startOf(transform.kind, known.type, Number(value) + 1)
      return low === null || end === null ? known : tightened({ ...known, noNulls: true }, low, before(end))
    }
  }
}

function tightened(known: Certain, low: Value, high: Value): Certain {
  const above = known.low === null || compareValues(known.type, low, known.low) > 0
  const below = known.high === null || compareValues(known.type, high, known.high) < 0
  return { ...known, low: above ? low : known.low, high: below ? high : known.high }
}

function before(value: number | bigint): Value {
  return typeof value === 'bigint' ? value - 1n : value - 1
}

/** The greatest number that is truncated to `value`; null for what is no number. */
function lastTruncated(value: Value, width: number): Value | null {
  if (typeof value === 'bigint') return value + BigInt(width) - 1n
  return typeof value === 'number' ? value + width - 1 : null
}

/** The first value of a unit since 1970, in the type's own ticks; null for a type without time. */
function startOf(unit: 'year' | 'month' | 'day' | 'hour', type: Type, count: number): number | bigint | null {
  const days = unit === 'year' ? daysAt(count, 0) : unit === 'month' ? daysAt(0, count) : count
  switch (type) {
    case 'date':
      return unit === 'hour' ? null : days
    case 'timestamp':
    case 'timestamptz':
      return BigInt(days) * (unit === 'hour' ? 3_600_000_000n : 86_400_000_000n)
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return BigInt(days) * (unit === 'hour' ? 3_600_000_000_000n : 86_400_000_000_000n)
    default:
      return null
  }
}

function daysAt(years: number, months: number): number {
  // Date.UTC takes the years 0 to 99 for those of the last century.
  return new Date(0).setUTCFullYear(1970 + years, months, 1) / 86_400_000
}
