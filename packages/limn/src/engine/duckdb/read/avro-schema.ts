import { LimnError } from '../../../base/index.ts'
import type { AvroSchema } from '../../../encoding/index.ts'
import type { PhysicalColumn, PhysicalType } from './physical.ts'

/** What an Avro value is, beyond the type DuckDB has for it: how its raw form becomes that type's value. */
export type AvroShape =
  | { readonly kind: 'leaf'; readonly duck: string; readonly of: AvroLeaf }
  | { readonly kind: 'struct'; readonly fields: readonly AvroColumn[] }
  | { readonly kind: 'list'; readonly element: AvroColumn }
  /** `stored`: Iceberg's array of key and value records, or Avro's own map, whose keys are text. */
  | { readonly kind: 'map'; readonly key: AvroColumn; readonly value: AvroColumn; readonly stored: 'pairs' | 'object' }

export interface AvroColumn {
  readonly name: string
  readonly id: number | null
  readonly shape: AvroShape
}

export type AvroLeaf =
  | 'plain'
  | 'bytes'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'timestamp_ns'
  | 'millis'
  | 'millis-tz'
  | 'time-millis'
  | 'uuid'
  | 'uuid-text'
  | { readonly precision: number; readonly scale: number }

type Json = Readonly<Record<string, unknown>>

/** The columns of an Avro file (specification, appendix A, "Avro"). Throws `iceberg/unsupported` for types Iceberg has not. */
export function avroColumns(schema: AvroSchema): readonly AvroColumn[] {
  const shape = shapeOf(schema, new Map(), 'the file')
  if (shape.kind === 'struct') return shape.fields
  throw unsupported('the file', 'its rows are no records')
}

/** The same columns as DuckDB stores them. */
export function physicalOf(columns: readonly AvroColumn[]): readonly PhysicalColumn[] {
  return columns.map(({ name, id, shape }) => ({ name, id, type: physicalTypeOf(shape) }))
}

function physicalTypeOf(shape: AvroShape): PhysicalType {
  const one = (column: AvroColumn) => ({ name: column.name, id: column.id, type: physicalTypeOf(column.shape) })
  switch (shape.kind) {
    case 'leaf':
      return { kind: 'leaf', duck: shape.duck }
    case 'struct':
      return { kind: 'struct', fields: shape.fields.map(one) }
    case 'list':
      return { kind: 'list', element: one(shape.element) }
    case 'map':
      return { kind: 'map', key: one(shape.key), value: one(shape.value) }
  }
}

function shapeOf(schema: unknown, named: Map<string, AvroShape>, at: string): AvroShape {
  if (Array.isArray(schema)) {
    const kinds = schema.filter((one) => one !== 'null')
    if (kinds.length === 1) return shapeOf(kinds[0], named, at)
    if (kinds.length === 0) return leaf('INTEGER')
    throw unsupported(at, 'it is a union of several types')
  }
  if (typeof schema === 'string') return primitive(schema, named, at)
  const json = schema as Json
  const shape = composite(json, named, at)
  if (typeof json.name === 'string') named.set(json.name, shape)
  return shape
}

function composite(json: Json, named: Map<string, AvroShape>, at: string): AvroShape {
  switch (json.type) {
    case 'record':
      return { kind: 'struct', fields: (json.fields as readonly Json[]).map((field) => columnOf(field, named, at)) }
    case 'array': {
      const items = json.items as Json
      if (json.logicalType === 'map') {
        const pair = shapeOf(items, named, at)
        const [key, value] = pair.kind === 'struct' ? pair.fields : []
        if (!key || !value) throw unsupported(at, 'a map has no key and value')
        return { kind: 'map', key: { ...key, name: 'key' }, value: { ...value, name: 'value' }, stored: 'pairs' }
      }
      return { kind: 'list', element: part(json, 'element', shapeOf(items, named, `${at}.element`)) }
    }
    case 'map':
      return {
        kind: 'map',
        key: part(json, 'key', leaf('VARCHAR')),
        value: part(json, 'value', shapeOf(json.values, named, `${at}.value`)),
        stored: 'object',
      }
    case 'fixed':
      return fixed(json, at)
    case 'enum':
      return leaf('VARCHAR')
    default:
      return typeof json.type === 'string' && json.logicalType !== undefined
        ? logical(json, named, at)
        : shapeOf(json.type, named, at)
  }
}

function columnOf(field: Json, named: Map<string, AvroShape>, at: string): AvroColumn {
  const name = String(field.name)
  return { name, id: idOf(field['field-id']), shape: shapeOf(field.type, named, `${at}.${name}`) }
}

function part(json: Json, name: 'element' | 'key' | 'value', shape: AvroShape): AvroColumn {
  return { name, id: idOf(json[`${name}-id`]), shape }
}

function idOf(id: unknown): number | null {
  return typeof id === 'number' ? id : null
}

function leaf(duck: string, of: AvroLeaf = 'plain'): AvroShape {
  return { kind: 'leaf', duck, of }
}

const primitives: Readonly<Record<string, AvroShape>> = {
  null: leaf('INTEGER'),
  boolean: leaf('BOOLEAN'),
  int: leaf('INTEGER'),
  long: leaf('BIGINT'),
  float: leaf('FLOAT'),
  double: leaf('DOUBLE'),
  bytes: leaf('BLOB', 'bytes'),
  string: leaf('VARCHAR'),
}

function primitive(name: string, named: ReadonlyMap<string, AvroShape>, at: string): AvroShape {
  const found = primitives[name] ?? named.get(name)
  if (found) return found
  throw unsupported(at, `its type ${name} is not known`)
}

function fixed(json: Json, at: string): AvroShape {
  if (json.logicalType === 'decimal') return decimal(json, at)
  return json.logicalType === 'uuid' && json.size === 16 ? leaf('UUID', 'uuid') : leaf('BLOB', 'bytes')
}

/** A zone is told by `adjust-to-utc`; Avro's own `local-` types have none. */
function logical(json: Json, named: Map<string, AvroShape>, at: string): AvroShape {
  const zoned = json['adjust-to-utc'] === true
  switch (json.logicalType) {
    case 'date':
      return leaf('DATE', 'date')
    case 'time-micros':
      return leaf('TIME', 'time')
    case 'time-millis':
      return leaf('TIME', 'time-millis')
    case 'timestamp-micros':
      return zoned ? leaf('TIMESTAMP WITH TIME ZONE', 'timestamptz') : leaf('TIMESTAMP', 'timestamp')
    case 'local-timestamp-micros':
      return leaf('TIMESTAMP', 'timestamp')
    case 'timestamp-millis':
      return zoned ? leaf('TIMESTAMP WITH TIME ZONE', 'millis-tz') : leaf('TIMESTAMP', 'millis')
    case 'local-timestamp-millis':
      return leaf('TIMESTAMP', 'millis')
    case 'timestamp-nanos':
    case 'local-timestamp-nanos':
      return leaf('TIMESTAMP_NS', 'timestamp_ns')
    case 'decimal':
      return decimal(json, at)
    case 'uuid':
      return json.type === 'string' ? leaf('UUID', 'uuid-text') : leaf('UUID', 'uuid')
    default:
      return shapeOf(json.type, named, at)
  }
}

function decimal(json: Json, at: string): AvroShape {
  const precision = Number(json.precision)
  const scale = Number(json.scale ?? 0)
  if (!(precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision))
    throw unsupported(at, `its decimal has the precision ${String(json.precision)}`)
  return leaf(`DECIMAL(${precision},${scale})`, { precision, scale })
}

function unsupported(at: string, why: string): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `An Avro file cannot be read at ${at}: ${why}.`,
    notDone: 'The table was not read.',
    remedy: 'Rewrite the file with the engine that wrote it.',
  })
}
