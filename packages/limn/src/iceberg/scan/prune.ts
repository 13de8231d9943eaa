import { type Predicate, unknownValue } from '../../expr/index.ts'
import {
  compareValues,
  fieldByName,
  type PrimitiveType,
  type Schema,
  type Type,
  type Value,
} from '../../schema/index.ts'
import { decodeSingleValue } from '../spec/single-value.ts'
import { applyTransform, transformResultType } from '../spec/transforms.ts'
import type { DataFile, FieldSummary, PartitionSpec } from '../spec/types.ts'

/** What is known of a column's values in some set of rows; null: not known. */
interface Range {
  readonly type: Type
  readonly low: Value | null
  readonly high: Value | null
  readonly mayBeNull: boolean
  readonly mayBeValue: boolean
}

type RangeOf = (column: string) => Range | null

/**
 * Inclusive: false only when no row can satisfy the predicate. Negations are pushed to the leaves; what is not
 * understood counts as a possible match.
 */
function mightHold(predicate: Predicate, rangeOf: RangeOf): boolean {
  switch (predicate.kind) {
    case 'true':
      return true
    case 'false':
      return false
    case 'and':
      return predicate.of.every((part) => mightHold(part, rangeOf))
    case 'or':
      return predicate.of.some((part) => mightHold(part, rangeOf))
    case 'not':
      return mightNotHold(predicate.of, rangeOf)
    case 'isNull':
      return rangeOf(predicate.column)?.mayBeNull ?? true
    case 'notNull':
      return rangeOf(predicate.column)?.mayBeValue ?? true
    case 'in': {
      const range = rangeOf(predicate.column)
      return range === null || predicate.values.some((value) => mightCompare(range, 'eq', value))
    }
    case 'startsWith': {
      const range = rangeOf(predicate.column)
      return range === null || mightStartWith(range, predicate.prefix)
    }
    case 'compare': {
      const range = rangeOf(predicate.column)
      return range === null || mightCompare(range, predicate.operator, predicate.value)
    }
  }
}

const opposite = { eq: 'ne', ne: 'eq', lt: 'ge', le: 'gt', gt: 'le', ge: 'lt' } as const

/** Whether some row may make the predicate false. */
function mightNotHold(predicate: Predicate, rangeOf: RangeOf): boolean {
  switch (predicate.kind) {
    case 'true':
      return false
    case 'false':
      return true
    case 'and':
      return predicate.of.some((part) => mightNotHold(part, rangeOf))
    case 'or':
      return predicate.of.every((part) => mightNotHold(part, rangeOf))
    case 'not':
      return mightHold(predicate.of, rangeOf)
    case 'isNull':
      return rangeOf(predicate.column)?.mayBeValue ?? true
    case 'notNull':
      return rangeOf(predicate.column)?.mayBeNull ?? true
    case 'compare': {
      const range = rangeOf(predicate.column)
      return range === null || mightCompare(range, opposite[predicate.operator], predicate.value)
    }
    default:
      return true
  }
}

function mightCompare(range: Range, operator: keyof typeof opposite, value: Value): boolean {
  const { type } = range
  // Each figure of a file is a map to decode: what one of them decides asks for no other.
  const aboveLow = () => (range.low === null ? 1 : compareValues(type, value, range.low))
  const belowHigh = () => (range.high === null ? -1 : compareValues(type, value, range.high))
  switch (operator) {
    case 'eq':
      return aboveLow() >= 0 && belowHigh() <= 0 && range.mayBeValue
    case 'ne':
      if (!range.mayBeValue) return false
      if (type === 'string' || type === 'binary' || range.low === null || range.high === null) return true
      return aboveLow() !== 0 || belowHigh() !== 0
    case 'lt':
      return aboveLow() > 0 && range.mayBeValue
    case 'le':
      return aboveLow() >= 0 && range.mayBeValue
    case 'gt':
      return belowHigh() < 0 && range.mayBeValue
    case 'ge':
      return belowHigh() <= 0 && range.mayBeValue
  }
}

function mightStartWith(range: Range, prefix: string): boolean {
  if (!range.mayBeValue) return false
  const { low, high, type } = range
  if (typeof high === 'string' && compareValues(type, high, prefix) < 0) return false
  return !(typeof low === 'string' && compareValues(type, low.slice(0, prefix.length), prefix) > 0)
}

/** Whether a data file may hold a row that satisfies the predicate: by its partition and its column bounds. */
export function mightMatch(file: DataFile, predicate: Predicate, schema: Schema, spec: PartitionSpec): boolean {
  if (predicate.kind === 'true') return true
  if (!mightHold(predicate, (column) => boundsOf(file, schema, column))) return false
  return mightHoldInPartition(predicate, schema, spec, (position, type) => {
    const value = file.partition[position] ?? null
    return { type, low: value, high: value, mayBeNull: value === null, mayBeValue: value !== null }
  })
}

/** Whether a manifest may list a matching file: by its partition summaries. */
export function manifestMightMatch(
  summaries: readonly FieldSummary[],
  predicate: Predicate,
  schema: Schema,
  spec: PartitionSpec,
): boolean {
  if (predicate.kind === 'true' || summaries.length !== spec.fields.length) return true
  return mightHoldInPartition(predicate, schema, spec, (position, type) => {
    const summary = summaries[position]
    if (!summary) return null
    const bound = (bytes: Uint8Array | null) => (bytes === null ? null : knownBound(decodeSingleValue(type, bytes)))
    const low = bound(summary.lowerBound)
    const high = bound(summary.upperBound)
    // Writers disagree whether uuids compare signed or unsigned; two equal bounds hold either way.
    const unordered = type === 'uuid' && low !== high
    // Bounds leave NaN out, which orders after everything.
    const unbounded = isFloating(type) && summary.containsNan !== false
    return {
      type,
      low: unordered ? null : low,
      high: unordered || unbounded ? null : high,
      mayBeNull: summary.containsNull,
      mayBeValue: low !== null || summary.containsNan !== false,
    }
  })
}

function boundsOf(file: DataFile, schema: Schema, column: string): Range | null {
  const field = fieldByName(schema, column)
  if (!field || typeof field.type !== 'string') return null
  const { id, type } = field
  const bound = (bytes: Uint8Array | undefined) => (bytes === undefined ? null : safeDecode(type, bytes))
  return {
    type,
    get low() {
      return bound(file.lowerBounds.get(id))
    },
    get high() {
      const unbounded = isFloating(type) && (file.nanValueCounts.get(id) ?? 1n) > 0n
      return unbounded ? null : bound(file.upperBounds.get(id))
    },
    get mayBeNull() {
      // A null struct makes its fields null, and not every writer counts those.
      const nested = !schema.fields.some((top) => top.id === id)
      const nulls = file.nullValueCounts.get(id)
      return nested || nulls === undefined || nulls > 0n
    },
    get mayBeValue() {
      const nulls = file.nullValueCounts.get(id)
      return nulls === undefined || nulls < (file.valueCounts.get(id) ?? file.recordCount)
    },
  }
}

function safeDecode(type: Type, bytes: Uint8Array): Value | null {
  // A file written before a promotion has bounds of the narrower type; other widths say nothing.
  try {
    return knownBound(decodeSingleValue(type, bytes))
  } catch {
    return unknownValue
  }
}

/** A bound that some writers set to NaN bounds nothing. */
function knownBound(value: Value): Value | null {
  return typeof value === 'number' && Number.isNaN(value) ? unknownValue : value
}

function isFloating(type: Type): boolean {
  return type === 'float' || type === 'double'
}

/**
 * Inclusive projection: a predicate on a column implies one on its partition value. A condition under OR is projected
 * only if all its branches are; what a transform cannot answer counts as a possible match.
 */
function mightHoldInPartition(
  predicate: Predicate,
  schema: Schema,
  spec: PartitionSpec,
  rangeAt: (position: number, type: PrimitiveType) => Range | null,
): boolean {
  switch (predicate.kind) {
    case 'and':
      return predicate.of.every((part) => mightHoldInPartition(part, schema, spec, rangeAt))
    case 'or':
      return predicate.of.some((part) => mightHoldInPartition(part, schema, spec, rangeAt))
    case 'false':
      return false
    case 'compare':
    case 'in':
    case 'isNull':
    case 'notNull':
    case 'startsWith':
      return spec.fields.every((one, position) => {
        const source = fieldByName(schema, predicate.column)
        if (source?.id !== one.sourceId || typeof source.type !== 'string') return true
        const range = rangeAt(position, transformResultType(one.transform, source.type))
        return range === null || mightLeafHold(predicate, source.type, one.transform, range)
      })
    default:
      return true
  }
}

type Leaf = Extract<Predicate, { readonly column: string }>

function mightLeafHold(
  leaf: Leaf,
  type: Type,
  transform: PartitionSpec['fields'][number]['transform'],
  range: Range,
): boolean {
  if (transform.kind === 'void' || transform.kind === 'unknown') return true
  switch (leaf.kind) {
    case 'isNull':
      return range.mayBeNull
    case 'notNull':
      return range.mayBeValue
    case 'in':
      return leaf.values.some((value) => mightCompareTransformed('eq', value, type, transform, range))
    case 'compare':
      return mightCompareTransformed(leaf.operator, leaf.value, type, transform, range)
    case 'startsWith':
      if (transform.kind === 'identity') return mightStartWith(range, leaf.prefix)
      if (transform.kind !== 'truncate') return true
      return mightStartWith(range, Array.from(leaf.prefix).slice(0, transform.width).join(''))
  }
}

function mightCompareTransformed(
  operator: keyof typeof opposite,
  value: Value,
  type: Type,
  transform: PartitionSpec['fields'][number]['transform'],
  range: Range,
): boolean {
  if (transform.kind === 'identity') return mightCompare(range, operator, value)
  if (operator === 'ne') return range.mayBeValue
  const projected = applyTransform(transform, type, value)
  if (projected === null) return true
  if (transform.kind === 'truncate' && mayHaveWrapped(type, transform.width, value, projected, range)) return true
  if (transform.kind === 'bucket') return operator === 'eq' ? mightCompare(range, 'eq', projected) : range.mayBeValue
  // Monotonic transforms: x < v implies t(x) <= t(v).
  const relaxed = operator === 'lt' ? 'le' : operator === 'gt' ? 'ge' : operator
  if (mightCompare(range, relaxed, projected)) return true
  // Early writers rounded times before 1970 towards it, so a negative partition value may stand one too high.
  const roundedUp = transform.kind !== 'truncate' && typeof projected === 'number' && projected < 0
  return roundedUp && mightCompare(range, relaxed, projected + 1)
}

const greatest: Readonly<Record<string, bigint>> = { int: 2n ** 31n - 1n, long: 2n ** 63n - 1n }

/** Whether a truncation passed the least number and stands at the other end, where order says nothing. */
function mayHaveWrapped(type: Type, width: number, value: Value, projected: Value, range: Range): boolean {
  const top = typeof type === 'string' ? greatest[type] : undefined
  if (top === undefined || typeof value === 'string' || typeof projected === 'string') return false
  const reaches = range.high === null || BigInt(range.high as bigint) > top - BigInt(width)
  return reaches || BigInt(projected as bigint) > BigInt(value as bigint)
}
