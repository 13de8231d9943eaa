import {
  applyTransform,
  type ColumnMetrics,
  decodeSingleValue,
  type PartitionSpec,
  type Transform,
} from '../../iceberg/index.ts'
import { compareValues, fieldById, isPrimitive, type Schema, type Type, type Value } from '../../schema/index.ts'

/** What a file's metrics say of all its values of a column. Bounds have to be whole, not cut short. */
export type ValuesOf =
  /** Every row holds this; null too is a value. */
  | { readonly kind: 'one'; readonly value: Value | null }
  /** No row holds null, and every value lies between. */
  | { readonly kind: 'between'; readonly low: Value; readonly high: Value }
  | { readonly kind: 'unknown'; readonly why: string }

/** Metrics taken with whole bounds, as `parquetMetrics` states them. */
export function valuesOf(metrics: ColumnMetrics, id: number, type: Type): ValuesOf {
  const nulls = metrics.nullValueCounts.get(id)
  const values = metrics.valueCounts.get(id)
  if (nulls === undefined || values === undefined) return { kind: 'unknown', why: 'the file does not count its nulls' }
  if (nulls === values) return { kind: 'one', value: null }
  if (nulls > 0n) return { kind: 'unknown', why: 'it holds nulls and values' }
  // Bounds say nothing of NaN.
  if ((type === 'float' || type === 'double') && metrics.nanValueCounts.get(id) !== 0n)
    return { kind: 'unknown', why: 'bounds of floating-point numbers say nothing of NaN' }
  const [lower, upper] = [metrics.lowerBounds.get(id), metrics.upperBounds.get(id)]
  if (lower === undefined || upper === undefined) return { kind: 'unknown', why: 'the file states no bounds of it' }
  const [low, high] = [decodeSingleValue(type, lower), decodeSingleValue(type, upper)]
  return compareValues(type, low, high) === 0 ? { kind: 'one', value: low } : { kind: 'between', low, high }
}

export interface PartitionInput {
  readonly spec: PartitionSpec
  readonly schema: Schema
  /** By source column: what folder names tell. */
  readonly told: ReadonlyMap<number, Value | null>
  /** Columns that the file has, at any depth. */
  readonly has: (id: number) => boolean
  readonly metrics: ColumnMetrics
}

/**
 * The partition of a file: told by its path, else inferred where all its values fall into one. A text says why there is
 * none to be known.
 */
export function partitionOf(input: PartitionInput): readonly (Value | null)[] | string {
  const { spec, schema, told, has, metrics } = input
  const out: (Value | null)[] = []
  for (const { sourceId, transform, name } of spec.fields) {
    const field = fieldById(schema, sourceId)
    if (!field || !isPrimitive(field.type)) {
      if (transform.kind !== 'void') return `the partition field ${name} has no column any more`
      out.push(null)
      continue
    }
    const known = told.get(sourceId)
    let values: ValuesOf
    if (known !== undefined) values = { kind: 'one', value: known }
    else if (has(sourceId)) values = valuesOf(metrics, sourceId, field.type)
    else values = { kind: 'one', value: defaultOf(field.initialDefault) }
    const value = ofValues(transform, field.type, values)
    if (typeof value === 'object' && value !== null && 'why' in value)
      return `its rows cannot be told to lie in one partition of ${name}: ${value.why}`
    out.push(value)
  }
  return out
}

function defaultOf(value: unknown): Value | null {
  return value === undefined || (typeof value === 'object' && !(value instanceof Uint8Array)) ? null : (value as Value)
}

function ofValues(transform: Transform, type: Type, values: ValuesOf): Value | null | { readonly why: string } {
  if (transform.kind === 'void') return null
  if (transform.kind === 'unknown') return { why: `limn does not know the transform ${transform.text}` }
  switch (values.kind) {
    case 'one':
      return applyTransform(transform, type, values.value)
    case 'unknown':
      return { why: values.why }
    case 'between': {
      const [low, high] = [applyTransform(transform, type, values.low), applyTransform(transform, type, values.high)]
      // A hash keeps no order: what lies between two equal buckets may be in any.
      const ordered = transform.kind !== 'bucket'
      if (ordered && low !== null && high !== null && compareValues(type, low, high) === 0) return low
      return { why: 'its values lie in several, or its bounds do not tell' }
    }
  }
}
