import type { ParquetFooter, ParquetLeaf, ParquetStatistics } from '../../encoding/index.ts'
import {
  canPromote,
  decimalOf,
  type Field,
  isPrimitive,
  type PrimitiveType,
  type Schema,
  type Type,
  type Value,
} from '../../schema/index.ts'
import type { DataFile } from '../spec/index.ts'
import { keepsBounds, lowerBoundOf, raise, upperBoundOf } from './bounds.ts'
import { defaultMetricsMode, insideOf, type MetricsMode } from './metrics-mode.ts'
import { type ShapeField, shapeOf } from './parquet-shape.ts'

/** What a manifest keeps of a data file's rows. */
export type ColumnMetrics = Pick<
  DataFile,
  | 'recordCount'
  | 'columnSizes'
  | 'valueCounts'
  | 'nullValueCounts'
  | 'nanValueCounts'
  | 'lowerBounds'
  | 'upperBounds'
  | 'splitOffsets'
>

export interface MetricsOptions {
  /** How columns of the file are found in the schema: by the field ids in the file, or by name at every level. */
  readonly match: 'field-id' | 'name'
  /** Default: `truncate(16)` for every column. */
  readonly mode?: (fieldId: number) => MetricsMode
}

/**
 * The metrics of a Parquet file from its footer (specification, "Data File Fields"). Nothing is stated that the footer
 * does not: a count that one row group leaves out is unknown for the file. Columns inside lists and maps have sizes and
 * counts and no bounds; variants have sizes alone. A column of the file that is not in the schema is left out.
 */
export function parquetMetrics(footer: ParquetFooter, schema: Schema, options: MetricsOptions): ColumnMetrics {
  const out = {
    columnSizes: new Map<number, bigint>(),
    valueCounts: new Map<number, bigint>(),
    nullValueCounts: new Map<number, bigint>(),
    nanValueCounts: new Map<number, bigint>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
  }
  for (const { field, type, leaves, repeated } of columnsOf(shapeOf(footer), schema.fields, options.match, false)) {
    const chunks = leaves.flatMap((one) => footer.rowGroups.flatMap((group) => group.columns[one.column] ?? []))
    out.columnSizes.set(
      field.id,
      chunks.reduce((sum, chunk) => sum + chunk.compressedBytes, 0n),
    )
    const mode = options.mode?.(field.id) ?? defaultMetricsMode
    if (mode.kind === 'none' || type === null) continue
    out.valueCounts.set(
      field.id,
      chunks.reduce((sum, chunk) => sum + chunk.valueCount, 0n),
    )
    const nulls = sumOf(chunks, (chunk) => chunk.statistics.nullCount)
    if (nulls !== null) out.nullValueCounts.set(field.id, nulls)
    const nans = sumOf(chunks, (chunk) => chunk.statistics.nanCount)
    if (nans !== null && (type === 'float' || type === 'double')) out.nanValueCounts.set(field.id, nans)
    const [bounded] = leaves
    if (!bounded || repeated || !keepsBounds(mode) || !isPrimitive(field.type) || type === 'unknown') continue
    const stated = chunks.filter((chunk) => chunk.statistics.nullCount !== chunk.valueCount)
    const statistics = stated.map((chunk) => chunk.statistics)
    const low = extreme(statistics, bounded, type, field.type, 'min')
    const high = extreme(statistics, bounded, type, field.type, 'max')
    const lower = low === null ? null : lowerBoundOf(mode, field.type, low)
    const upper = high === null ? null : upperBoundOf(mode, field.type, high)
    if (lower !== null) out.lowerBounds.set(field.id, lower)
    if (upper !== null) out.upperBounds.set(field.id, upper)
  }
  return {
    recordCount: footer.rowCount,
    ...out,
    splitOffsets: footer.rowGroups.map((group) => group.offset).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
  }
}

interface Column {
  readonly field: Field
  /** The type in the file; null for a variant. */
  readonly type: PrimitiveType | null
  readonly leaves: readonly ParquetLeaf[]
  readonly repeated: boolean
}

function columnsOf(
  shapes: readonly ShapeField[],
  fields: readonly Field[],
  match: MetricsOptions['match'],
  repeated: boolean,
): readonly Column[] {
  return shapes.flatMap((one) => {
    const field = fields.find((each) => (match === 'name' ? each.name === one.name : each.id === one.fieldId))
    return field ? columnsIn(one, field, match, repeated) : []
  })
}

function columnsIn(
  { shape }: ShapeField,
  field: Field,
  match: MetricsOptions['match'],
  repeated: boolean,
): readonly Column[] {
  const inner = (inside: readonly ShapeField[], kind: Exclude<Type, string>['type'], again: boolean) =>
    isPrimitive(field.type) || field.type.type !== kind ? [] : columnsOf(inside, insideOf(field.type), match, again)
  switch (shape.kind) {
    case 'primitive':
      return isPrimitive(field.type) ? [{ field, type: shape.type, leaves: [shape.leaf], repeated }] : []
    case 'variant':
      return field.type === 'variant' ? [{ field, type: null, leaves: shape.leaves, repeated }] : []
    case 'struct':
      return inner(shape.fields, 'struct', repeated)
    case 'list':
      return inner([shape.element], 'list', true)
    case 'map':
      return inner([shape.key, shape.value], 'map', true)
  }
}

function sumOf<T>(items: readonly T[], count: (item: T) => bigint | null): bigint | null {
  let sum = 0n
  for (const item of items) {
    const one = count(item)
    if (one === null) return null
    sum += one
  }
  return sum
}

/** The least minimum or greatest maximum over chunks that hold values; null when one does not state it. */
function extreme(
  chunks: readonly ParquetStatistics[],
  leaf: ParquetLeaf,
  from: PrimitiveType,
  to: PrimitiveType,
  side: 'min' | 'max',
): Value | null {
  let found: Value | null = null
  for (const chunk of chunks) {
    const bytes = chunk[side]
    const value = bytes === null ? null : boundValue(leaf, from, bytes, side)
    const promoted = value === null ? null : promote(value, from, to)
    if (promoted === null) return null
    if (found === null || (side === 'min' ? isBelow(promoted, found) : isBelow(found, promoted))) found = promoted
  }
  return found
}

function isBelow(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) < 0
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b)) < 0
  return a < b
}

/** A stored bound as a value of the file's Iceberg type; null when it is none (NaN, another width, invalid text). */
function boundValue(leaf: ParquetLeaf, type: PrimitiveType, bytes: Uint8Array, side: 'min' | 'max'): Value | null {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { logical } = leaf
  switch (leaf.physical) {
    case 'boolean':
      return buffer.length === 1 ? buffer[0] !== 0 : null
    case 'int32': {
      if (buffer.length !== 4) return null
      if (type === 'long') return BigInt(buffer.readUInt32LE())
      const value = buffer.readInt32LE()
      if (decimalOf(type)) return BigInt(value)
      return type === 'time' ? BigInt(value) * 1000n : value
    }
    case 'int64': {
      if (buffer.length !== 8) return null
      const value = buffer.readBigInt64LE()
      const millis = (logical?.kind === 'timestamp' || logical?.kind === 'time') && logical.unit === 'millis'
      return millis ? value * 1000n : value
    }
    case 'float':
    case 'double': {
      if (buffer.length !== (leaf.physical === 'float' ? 4 : 8)) return null
      const value = buffer.length === 4 ? buffer.readFloatLE() : buffer.readDoubleLE()
      return Number.isNaN(value) ? null : value
    }
    case 'int96':
      return null
    case 'byte-array':
    case 'fixed-len-byte-array':
      if (decimalOf(type))
        return buffer.length === 0 ? null : BigInt.asIntN(8 * buffer.length, BigInt(`0x${buffer.toString('hex')}`))
      if (type === 'string') return textOf(buffer, side)
      if (type === 'uuid') return buffer.length === 16 ? uuidOf(buffer.toString('hex')) : null
      return Uint8Array.from(buffer)
  }
}

function uuidOf(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

const strict = new TextDecoder('utf-8', { fatal: true })

/** Text of a bound that a writer may have cut within a character: cut before it, and raised where it bounds from above. */
function textOf(bytes: Uint8Array, side: 'min' | 'max'): string | null {
  for (let end = bytes.length; end >= 0 && end > bytes.length - 5; end--) {
    try {
      const text = strict.decode(bytes.subarray(0, end))
      if (end === bytes.length) return text
      const raised = side === 'min' ? text : raise(text)
      return typeof raised === 'string' ? raised : null
    } catch {
      // Not the end of a character; look one byte earlier.
    }
  }
  return null
}

/** A value of the file's type as one of the table's, where the table's column was widened since; null: no bound. */
function promote(value: Value, from: PrimitiveType, to: PrimitiveType): Value | null {
  if (from === to) return value
  if (!canPromote(from, to)) return null
  return to === 'long' ? BigInt(Number(value)) : value
}
