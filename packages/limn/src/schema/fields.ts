import { isDeepStrictEqual } from 'node:util'
import type { DefaultValue, Field, PrimitiveType, Schema, Type } from './types.ts'

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

/** Whether two types are the same, nested ids, names, documentation and nullability included. */
export function sameType(a: Type, b: Type): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b
  switch (a.type) {
    case 'struct':
      return b.type === 'struct' && sameFieldList(a.fields, b.fields)
    case 'list':
      return (
        b.type === 'list' &&
        a.elementId === b.elementId &&
        a.elementRequired === b.elementRequired &&
        sameType(a.element, b.element)
      )
    case 'map':
      return (
        b.type === 'map' &&
        a.keyId === b.keyId &&
        a.valueId === b.valueId &&
        a.valueRequired === b.valueRequired &&
        sameType(a.key, b.key) &&
        sameType(a.value, b.value)
      )
  }
}

function sameFieldList(a: readonly Field[], b: readonly Field[]): boolean {
  return (
    a.length === b.length &&
    a.every((field, i) => {
      const other = b[i]
      return (
        other !== undefined &&
        field.id === other.id &&
        field.name === other.name &&
        field.required === other.required &&
        field.doc === other.doc &&
        sameDefault(field.initialDefault, other.initialDefault) &&
        sameDefault(field.writeDefault, other.writeDefault) &&
        sameType(field.type, other.type)
      )
    })
  )
}

function sameDefault(a: DefaultValue | undefined, b: DefaultValue | undefined): boolean {
  return isDeepStrictEqual(a, b)
}

/** Equality of two schemas' fields, in order, and of their identifier fields, in any order; schema ids aside. */
export function sameFields(a: Schema, b: Schema): boolean {
  const identifiers = (schema: Schema) => [...schema.identifierFieldIds].sort((x, y) => x - y).join()
  return sameFieldList(a.fields, b.fields) && identifiers(a) === identifiers(b)
}

/**
 * Fields with fresh ids, counted up from `lastColumnId`: a struct's own fields first, then what is inside each, so that
 * the columns of a table without nesting are numbered as they stand. Ids the fields came with are dropped.
 */
export function assignFieldIds(
  fields: readonly Field[],
  lastColumnId = 0,
): { readonly fields: readonly Field[]; readonly lastColumnId: number } {
  let last = lastColumnId
  const struct = (list: readonly Field[]): readonly Field[] => {
    const ids = list.map(() => ++last)
    return list.map((field, i) => ({ ...field, id: ids[i] ?? 0, type: within(field.type) }))
  }
  const within = (type: Type): Type => {
    if (typeof type === 'string') return type
    switch (type.type) {
      case 'struct':
        return { ...type, fields: struct(type.fields) }
      case 'list': {
        const elementId = ++last
        return { ...type, elementId, element: within(type.element) }
      }
      case 'map': {
        const keyId = ++last
        const valueId = ++last
        return { ...type, keyId, valueId, key: within(type.key), value: within(type.value) }
      }
    }
  }
  const assigned = struct(fields)
  return { fields: assigned, lastColumnId: last }
}

/**
 * Whether stored values of `from` may be read as `to` without a rewrite (specification, "Schema Evolution"): int → long,
 * float → double, a decimal of the same scale and wider precision; from format version 3 also unknown → any type and
 * date → timestamp or timestamp_ns.
 */
export function canPromote(from: Type, to: Type, formatVersion: 1 | 2 | 3 = 2): boolean {
  if (from === to) return true
  if (formatVersion >= 3) {
    if (from === 'unknown') return true
    if (from === 'date' && (to === 'timestamp' || to === 'timestamp_ns')) return true
  }
  if (from === 'int' && to === 'long') return true
  if (from === 'float' && to === 'double') return true
  const a = decimalOf(from)
  const b = decimalOf(to)
  return a !== null && b !== null && a.scale === b.scale && a.precision <= b.precision
}
