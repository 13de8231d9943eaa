import { damaged } from './damage.ts'
import type { ThriftStruct } from './thrift.ts'

/** How a value is stored. */
export type PhysicalType =
  | 'boolean'
  | 'int32'
  | 'int64'
  | 'int96'
  | 'float'
  | 'double'
  | 'byte-array'
  | 'fixed-len-byte-array'

export type TimeUnit = 'millis' | 'micros' | 'nanos'

type PlainKind =
  | 'string'
  | 'enum'
  | 'json'
  | 'bson'
  | 'uuid'
  | 'date'
  | 'float16'
  | 'interval'
  | 'null'
  | 'list'
  | 'map'
  | 'variant'
  | 'geometry'
  | 'geography'

/** What a stored value means. An older file's converted type is told as the logical type it stands for. */
export type LogicalType =
  | { readonly kind: PlainKind }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'time' | 'timestamp'; readonly unit: TimeUnit; readonly utc: boolean }
  | { readonly kind: 'integer'; readonly bits: number; readonly signed: boolean }
  /** One this reader does not know: the value means no more than its storage says. */
  | { readonly kind: 'other' }

export type ParquetField = ParquetGroup | ParquetLeaf

interface FieldBase {
  readonly name: string
  /** Iceberg's field id; null in files of writers that know none. */
  readonly fieldId: number | null
  readonly repetition: 'required' | 'optional' | 'repeated'
  readonly logical: LogicalType | null
}
export interface ParquetGroup extends FieldBase {
  readonly kind: 'group'
  readonly children: readonly ParquetField[]
}
export interface ParquetLeaf extends FieldBase {
  readonly kind: 'leaf'
  readonly physical: PhysicalType
  /** Bytes of a fixed-len-byte-array; null for other types. */
  readonly length: number | null
  /** Which column chunk of each row group holds it. */
  readonly column: number
  /** Names from the top of the schema down to this one. */
  readonly path: readonly string[]
}

const what = 'The footer of a Parquet file'
const depthLimit = 100

const physicalTypes: readonly PhysicalType[] = [
  'boolean',
  'int32',
  'int64',
  'int96',
  'float',
  'double',
  'byte-array',
  'fixed-len-byte-array',
]

/** The tree of a flat, depth-first list of elements, its root left out; and its leaves in column order. */
export function schemaTree(elements: readonly ThriftStruct[]): {
  readonly fields: readonly ParquetField[]
  readonly leaves: readonly ParquetLeaf[]
} {
  const leaves: ParquetLeaf[] = []
  let at = 0
  const next = (): ThriftStruct => {
    const element = elements[at++]
    if (!element) throw damaged(what, 'its schema is cut off')
    return element
  }
  const children = (count: number, path: readonly string[]): readonly ParquetField[] => {
    if (count < 0 || count > elements.length - at || path.length > depthLimit)
      throw damaged(what, 'its schema is cut off')
    return Array.from({ length: count }, () => fieldOf(next(), path))
  }
  const fieldOf = (element: ThriftStruct, above: readonly string[]): ParquetField => {
    const name = element.text(4)
    const repetition = (['required', 'optional', 'repeated'] as const)[element.int(3) ?? -1]
    if (name === undefined || repetition === undefined) throw damaged(what, 'a field has no name or repetition')
    const path = [...above, name]
    const base = { name, fieldId: element.int(9) ?? null, repetition, logical: logicalOf(element) }
    const type = element.int(1)
    // A group says how many children it has; one without any is a struct without fields.
    if (type === undefined) return { kind: 'group', ...base, children: children(element.int(5) ?? 0, path) }
    const physical = physicalTypes[type]
    if (physical === undefined) throw damaged(what, `${path.join('.')} is of the unknown type ${type}`)
    const length = physical === 'fixed-len-byte-array' ? (element.int(2) ?? -1) : null
    if (length !== null && length < 0) throw damaged(what, `${path.join('.')} states no length`)
    const leaf: ParquetLeaf = { kind: 'leaf', ...base, physical, length, column: leaves.length, path }
    leaves.push(leaf)
    return leaf
  }
  const fields = children(next().int(5) ?? 0, [])
  if (at !== elements.length) throw damaged(what, 'its schema holds more than its tree')
  return { fields, leaves }
}

function logicalOf(element: ThriftStruct): LogicalType | null {
  const logical = element.struct(10)
  return logical ? fromLogical(logical, element) : fromConverted(element)
}

function decimalOf(element: ThriftStruct, stated?: ThriftStruct): LogicalType {
  const precision = stated?.int(2) ?? element.int(8)
  const scale = stated?.int(1) ?? element.int(7) ?? 0
  if (precision === undefined) throw damaged(what, 'a decimal states no precision')
  return { kind: 'decimal', precision, scale }
}

/** The union LogicalType: one member is set, and its id says which. */
function fromLogical(logical: ThriftStruct, element: ThriftStruct): LogicalType {
  const id = logical.ids[0] ?? 0
  const member = logical.struct(id)
  const kind = simpleLogical.get(id)
  if (kind) return { kind }
  switch (id) {
    case 5:
      return decimalOf(element, member)
    case 7:
    case 8: {
      const units: readonly TimeUnit[] = ['millis', 'micros', 'nanos']
      const unit = units[(member?.struct(2)?.ids[0] ?? 0) - 1]
      if (!unit) throw damaged(what, 'a time states no unit')
      return { kind: id === 7 ? 'time' : 'timestamp', unit, utc: member?.bool(1) ?? false }
    }
    case 10:
      return { kind: 'integer', bits: member?.int(1) ?? 0, signed: member?.bool(2) ?? false }
    default:
      return { kind: 'other' }
  }
}

const simpleLogical: ReadonlyMap<number, PlainKind> = new Map<number, PlainKind>([
  [1, 'string'],
  [2, 'map'],
  [3, 'list'],
  [4, 'enum'],
  [6, 'date'],
  [11, 'null'],
  [12, 'json'],
  [13, 'bson'],
  [14, 'uuid'],
  [15, 'float16'],
  [16, 'variant'],
  [17, 'geometry'],
  [18, 'geography'],
])

function fromConverted(element: ThriftStruct): LogicalType | null {
  const converted = element.int(6)
  switch (converted) {
    case undefined:
      return null
    case 0:
      return { kind: 'string' }
    case 1:
    case 2:
      return { kind: 'map' }
    case 3:
      return { kind: 'list' }
    case 4:
      return { kind: 'enum' }
    case 5:
      return decimalOf(element)
    case 6:
      return { kind: 'date' }
    case 7:
    case 8:
      return { kind: 'time', unit: converted === 7 ? 'millis' : 'micros', utc: true }
    case 9:
    case 10:
      return { kind: 'timestamp', unit: converted === 9 ? 'millis' : 'micros', utc: true }
    case 11:
    case 12:
    case 13:
    case 14:
      return { kind: 'integer', bits: 8 << (converted - 11), signed: false }
    case 15:
    case 16:
    case 17:
    case 18:
      return { kind: 'integer', bits: 8 << (converted - 15), signed: true }
    case 19:
      return { kind: 'json' }
    case 20:
      return { kind: 'bson' }
    case 21:
      return { kind: 'interval' }
    default:
      return { kind: 'other' }
  }
}
