import type { Field, PrimitiveType, Schema, Type } from './types.ts'

/** True for a type without fields of its own. */
export function isPrimitive(type: Type): type is PrimitiveType {
  return typeof type === 'string'
}

/** The field of a (dotted) name, or undefined. Names are matched exactly. */
export function fieldByName(schema: Pick<Schema, 'fields'>, name: string): Field | undefined {
  const direct = schema.fields.find((field) => field.name === name)
  if (direct) return direct
  const dot = name.indexOf('.')
  if (dot < 0) return undefined
  const outer = schema.fields.find((field) => field.name === name.slice(0, dot))
  if (!outer || typeof outer.type === 'string' || outer.type.type !== 'struct') return undefined
  return fieldByName({ fields: outer.type.fields }, name.slice(dot + 1))
}

/** The field of an id anywhere inside structs, or undefined. */
export function fieldById(schema: Pick<Schema, 'fields'>, id: number): Field | undefined {
  for (const field of schema.fields) {
    if (field.id === id) return field
    if (typeof field.type === 'string' || field.type.type !== 'struct') continue
    const inner = fieldById({ fields: field.type.fields }, id)
    if (inner) return inner
  }
  return undefined
}

/** Precision and scale of a decimal type, or null. */
export function decimalOf(type: Type): { readonly precision: number; readonly scale: number } | null {
  const match = typeof type === 'string' ? /^decimal\((\d+),\s*(\d+)\)$/.exec(type) : null
  return match ? { precision: Number(match[1]), scale: Number(match[2]) } : null
}

/** Length of a fixed type, or null. */
export function fixedLengthOf(type: Type): number | null {
  const match = typeof type === 'string' ? /^fixed\[(\d+)\]$/.exec(type) : null
  return match ? Number(match[1]) : null
}

/** The highest field id used anywhere in a type tree; 0 when there is none. */
export function highestFieldId(fields: readonly Field[]): number {
  return fields.reduce((max, field) => Math.max(max, field.id, highestIn(field.type)), 0)
}

function highestIn(type: Type): number {
  if (typeof type === 'string') return 0
  switch (type.type) {
    case 'struct':
      return highestFieldId(type.fields)
    case 'list':
      return Math.max(type.elementId, highestIn(type.element))
    case 'map':
      return Math.max(type.keyId, type.valueId, highestIn(type.key), highestIn(type.value))
  }
}

/** Structural equality of two schemas' fields and identifier fields; ids included, schema ids not. */
export function sameFields(a: Schema, b: Schema): boolean {
  const part = (schema: Schema) => JSON.stringify([schema.fields, [...schema.identifierFieldIds].sort((x, y) => x - y)])
  return part(a) === part(b)
}

/**
 * Whether stored values of `from` may be read as `to` without a rewrite (specification, "Schema Evolution"): int → long,
 * float → double, a decimal of the same scale and wider precision.
 */
export function canPromote(from: Type, to: Type): boolean {
  if (from === to) return true
  if (from === 'int' && to === 'long') return true
  if (from === 'float' && to === 'double') return true
  const a = decimalOf(from)
  const b = decimalOf(to)
  return a !== null && b !== null && a.scale === b.scale && a.precision <= b.precision
}
