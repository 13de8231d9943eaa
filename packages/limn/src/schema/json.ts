import { LimnError } from '../base/index.ts'
import { defaultFromJson, defaultToJson } from './default-value.ts'
import { decimalOf, fixedLengthOf } from './fields.ts'
import type { Field, PrimitiveType, Schema, Type } from './types.ts'

const primitives: ReadonlySet<string> = new Set([
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'timestamp_ns',
  'timestamptz_ns',
  'string',
  'uuid',
  'binary',
  'unknown',
  'variant',
])

type Json = Readonly<Record<string, unknown>>

/** A schema in the wire spelling of the specification (appendix C). */
export function schemaToJson(schema: Schema): Json {
  return {
    type: 'struct',
    'schema-id': schema.schemaId,
    ...(schema.identifierFieldIds.length > 0 ? { 'identifier-field-ids': schema.identifierFieldIds } : {}),
    fields: schema.fields.map(fieldToJson),
  }
}

/** Reads a schema from the wire. Throws `iceberg/invalid-metadata`; a type limn does not know is `iceberg/unsupported`. */
export function schemaFromJson(json: unknown): Schema {
  const object = objectOf(json, 'schema')
  return {
    schemaId: typeof object['schema-id'] === 'number' ? object['schema-id'] : 0,
    identifierFieldIds: Array.isArray(object['identifier-field-ids']) ? object['identifier-field-ids'].map(Number) : [],
    fields: fieldsFromJson(object.fields),
  }
}

function fieldsFromJson(json: unknown): readonly Field[] {
  if (!Array.isArray(json)) throw invalid('a struct has no list of fields')
  return json.map((item) => {
    const object = objectOf(item, 'field')
    if (typeof object.id !== 'number' || typeof object.name !== 'string') throw invalid('a field has no id or name')
    const type = typeFromJson(object.type)
    const defaultOf = (key: string, name: 'initialDefault' | 'writeDefault') =>
      object[key] === undefined || object[key] === null ? {} : { [name]: defaultFromJson(type, object[key]) }
    return {
      id: object.id,
      name: object.name,
      required: object.required === true,
      type,
      ...(typeof object.doc === 'string' ? { doc: object.doc } : {}),
      ...defaultOf('initial-default', 'initialDefault'),
      ...defaultOf('write-default', 'writeDefault'),
    }
  })
}

function fieldToJson(field: Field): Json {
  return {
    id: field.id,
    name: field.name,
    required: field.required,
    type: typeToJson(field.type),
    ...(field.doc === undefined ? {} : { doc: field.doc }),
    ...(field.initialDefault === undefined
      ? {}
      : { 'initial-default': defaultToJson(field.type, field.initialDefault) }),
    ...(field.writeDefault === undefined ? {} : { 'write-default': defaultToJson(field.type, field.writeDefault) }),
  }
}

export function typeToJson(type: Type): unknown {
  if (typeof type === 'string') {
    const decimal = decimalOf(type)
    return decimal ? `decimal(${decimal.precision}, ${decimal.scale})` : type
  }
  switch (type.type) {
    case 'struct':
      return { type: 'struct', fields: type.fields.map(fieldToJson) }
    case 'list':
      return {
        type: 'list',
        'element-id': type.elementId,
        'element-required': type.elementRequired,
        element: typeToJson(type.element),
      }
    case 'map':
      return {
        type: 'map',
        'key-id': type.keyId,
        key: typeToJson(type.key),
        'value-id': type.valueId,
        'value-required': type.valueRequired,
        value: typeToJson(type.value),
      }
  }
}

export function typeFromJson(json: unknown): Type {
  if (typeof json === 'string') return primitiveFromText(json)
  const object = objectOf(json, 'type')
  switch (object.type) {
    case 'struct':
      return { type: 'struct', fields: fieldsFromJson(object.fields) }
    case 'list':
      return {
        type: 'list',
        elementId: idOf(object, 'element-id'),
        elementRequired: object['element-required'] === true,
        element: typeFromJson(object.element),
      }
    case 'map':
      return {
        type: 'map',
        keyId: idOf(object, 'key-id'),
        key: typeFromJson(object.key),
        valueId: idOf(object, 'value-id'),
        valueRequired: object['value-required'] === true,
        value: typeFromJson(object.value),
      }
    default:
      throw unsupported(String(object.type))
  }
}

/** Parses a primitive type's spelling; spaces inside `decimal(9, 2)` are allowed. */
export function primitiveFromText(text: string): PrimitiveType {
  if (primitives.has(text)) return text as PrimitiveType
  const decimal = decimalOf(text.replaceAll(' ', '') as PrimitiveType)
  if (decimal) return `decimal(${decimal.precision},${decimal.scale})`
  if (fixedLengthOf(text as PrimitiveType) !== null) return text as PrimitiveType
  throw unsupported(text)
}

function idOf(object: Json, key: string): number {
  const id = object[key]
  if (typeof id !== 'number') throw invalid(`a type has no ${key}`)
  return id
}

function objectOf(json: unknown, what: string): Json {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw invalid(`a ${what} is not an object`)
  return json as Json
}

function invalid(why: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `The table's schema is damaged: ${why}.`,
    notDone: 'The table was not read.',
  })
}

function unsupported(type: string): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `The table uses the type ${type}, which limn does not read.`,
    notDone: 'The table was not read.',
  })
}
