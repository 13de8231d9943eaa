import type { AvroSchema } from '../../encoding/index.ts'
import {
  decimalOf,
  fieldById,
  fixedLengthOf,
  type PrimitiveType,
  type Schema,
  type Type,
  type Value,
} from '../../schema/index.ts'
import { bigEndian, decodeSingleValue } from './single-value.ts'
import { transformResultType } from './transforms.ts'
import type { PartitionField, PartitionSpec } from './types.ts'

/**
 * How partition values stand in a manifest (specification, appendix A): the record `partition`, with one optional field
 * per field of the spec, told apart by field ids.
 */

type Row = Readonly<Record<string, unknown>>

/** A field of an Avro record with its Iceberg field id. */
export function field(id: number, name: string, type: AvroSchema, optional = false): AvroSchema {
  return optional ? { name, type: ['null', type], default: null, 'field-id': id } : { name, type, 'field-id': id }
}

export function partitionTypes(spec: PartitionSpec, schema: Schema) {
  return spec.fields.map((one) => ({
    field: one,
    type: transformResultType(one.transform, fieldById(schema, one.sourceId)?.type ?? 'string'),
  }))
}

/** The record's Avro schema. */
export function partitionRecord(spec: PartitionSpec, schema: Schema): AvroSchema {
  const parts = partitionTypes(spec, schema)
  const types = namedApart(parts.map((one) => avroType(one.type)))
  return {
    type: 'record',
    name: 'r102',
    fields: parts.map((one, i) => field(one.field.fieldId, avroName(one.field.name), types[i] ?? 'bytes', true)),
  }
}

function avroType(type: Type): AvroSchema {
  const decimal = decimalOf(type)
  if (decimal) {
    const size = bytesForPrecision(decimal.precision)
    return {
      type: 'fixed',
      name: `decimal_${decimal.precision}_${decimal.scale}`,
      size,
      logicalType: 'decimal',
      precision: decimal.precision,
      scale: decimal.scale,
    }
  }
  const fixed = fixedLengthOf(type)
  if (fixed !== null) return { type: 'fixed', name: `fixed_${fixed}`, size: fixed }
  switch (type) {
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'string':
      return type
    case 'date':
      return { type: 'int', logicalType: 'date' }
    case 'time':
      return { type: 'long', logicalType: 'time-micros' }
    case 'timestamp':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': false }
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true }
    case 'timestamp_ns':
      return { type: 'long', logicalType: 'timestamp-nanos', 'adjust-to-utc': false }
    case 'timestamptz_ns':
      return { type: 'long', logicalType: 'timestamp-nanos', 'adjust-to-utc': true }
    case 'uuid':
      return { type: 'fixed', name: 'uuid_fixed', size: 16, logicalType: 'uuid' }
    default:
      return 'bytes'
  }
}

function bytesForPrecision(precision: number): number {
  let size = 1
  while (2n ** BigInt(8 * size - 1) - 1n < 10n ** BigInt(precision) - 1n) size++
  return size
}

/**
 * A name may be defined once in an Avro schema. A repeated type gets a name of its own: naming the first one again would
 * be as valid, but not every reader follows such a reference.
 */
function namedApart(types: readonly AvroSchema[]): readonly AvroSchema[] {
  const seen = new Set<unknown>()
  return types.map((type, i) => {
    if (typeof type === 'string' || !('name' in type)) return type
    if (seen.has(type.name)) return { ...type, name: `${String(type.name)}_at_${i}` }
    seen.add(type.name)
    return type
  })
}

/** Avro names allow letters, digits and underscores; the field id is what readers go by. */
export function avroName(name: string): string {
  return name
    .replace(/[^A-Za-z0-9_]/g, (char) => `_x${char.codePointAt(0)?.toString(16).toUpperCase()}`)
    .replace(/^(\d)/, '_$1')
}

export function avroValue(type: Type, value: Value | null): unknown {
  if (value === null || value === undefined) return null
  const decimal = decimalOf(type)
  if (decimal) {
    const size = bytesForPrecision(decimal.precision)
    const digits = BigInt(value as bigint)
    const short = bigEndian(digits)
    return Buffer.concat([Buffer.alloc(size - short.length, digits < 0n ? 0xff : 0), short])
  }
  if (type === 'uuid') return Buffer.from(String(value).replaceAll('-', ''), 'hex')
  if (isLong(type)) return BigInt(value as bigint)
  return value instanceof Uint8Array ? Buffer.from(value) : value
}

export function valueFromAvro(type: Type, value: unknown): Value | null {
  if (value === null || value === undefined) return null
  if (decimalOf(type) || type === 'uuid') return decodeSingleValue(type, value as Uint8Array)
  if (type === 'int' || type === 'date') return Number(value)
  if (isLong(type)) return BigInt(value as bigint)
  if (value instanceof Uint8Array) return type === 'string' ? Buffer.from(value).toString() : new Uint8Array(value)
  return value as Value
}

function isLong(type: Type): boolean {
  switch (type) {
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return true
    default:
      return false
  }
}

export interface StoredPartitionField {
  readonly id?: number
  readonly name?: string
  readonly type: PrimitiveType
}

/** A field of the spec as the file stores it. Where the schema no longer has the source, the stored type is all there is. */
export function wantedField(
  field: PartitionField,
  schema: Schema,
  stored: readonly StoredPartitionField[],
): StoredPartitionField {
  const own = stored.find((one) => one.id === field.fieldId)
  const source = fieldById(schema, field.sourceId)
  const known = source && field.transform.kind !== 'unknown'
  return { ...own, type: known ? transformResultType(field.transform, source.type) : (own?.type ?? 'string') }
}

/** The partition record's fields in a manifest's own schema: writers mangle names differently, ids are certain. */
export function partitionFieldsOf(schema: AvroSchema): readonly StoredPartitionField[] {
  const fieldsOf = (from: AvroSchema | undefined) =>
    from && typeof from === 'object' && 'fields' in from ? (from.fields as Row[]) : []
  const inner = (from: AvroSchema | undefined, name: string) =>
    fieldsOf(from).find((one) => one.name === name)?.type as AvroSchema | undefined
  const named = new Map<string, AvroSchema>()
  return fieldsOf(inner(inner(schema, 'data_file'), 'partition')).map((one) => ({
    id: Number(one['field-id']),
    name: String(one.name),
    type: primitiveOfAvro(one.type as AvroSchema, named),
  }))
}

/** The Iceberg type of an Avro one (specification, appendix A), options unwrapped; `named` keeps what was defined before. */
function primitiveOfAvro(type: AvroSchema, named: Map<string, AvroSchema>): PrimitiveType {
  if (Array.isArray(type)) {
    const options = type as readonly AvroSchema[]
    return primitiveOfAvro(options.find((one) => one !== 'null') ?? 'string', named)
  }
  if (typeof type === 'string') {
    const defined = named.get(type)
    return defined ? primitiveOfAvro(defined, named) : type === 'bytes' ? 'binary' : (type as PrimitiveType)
  }
  const json = type as Row
  if (json.type === 'fixed') named.set(String(json.name), type)
  switch (json.logicalType) {
    case 'date':
      return 'date'
    case 'time-micros':
      return 'time'
    case 'timestamp-micros':
      return json['adjust-to-utc'] === true ? 'timestamptz' : 'timestamp'
    case 'timestamp-nanos':
      return json['adjust-to-utc'] === true ? 'timestamptz_ns' : 'timestamp_ns'
    case 'decimal':
      return `decimal(${Number(json.precision)},${Number(json.scale ?? 0)})`
    case 'uuid':
      return 'uuid'
    default:
      return json.type === 'fixed' ? `fixed[${Number(json.size)}]` : primitiveOfAvro(json.type as AvroSchema, named)
  }
}
