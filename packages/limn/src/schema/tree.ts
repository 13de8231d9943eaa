import type { Field, ListType, MapType, Type } from './types.ts'

/**
 * A place in a schema: a struct's field, or a list's element, a map's key or value, which then look like fields named
 * `element`, `key` and `value`.
 */
export interface Located {
  readonly field: Field
  readonly role: 'column' | 'element' | 'key' | 'value'
  /** Names from the top, `element`, `key` and `value` among them. */
  readonly path: readonly string[]
  /** The same, without the `element` or `value` that only leads to a struct: `points.x` for `points.element.x`. */
  readonly shortPath: readonly string[]
  /** The places it lies in, outermost first. */
  readonly ancestors: readonly Located[]
}

export function elementField(type: ListType): Field {
  return { id: type.elementId, name: 'element', required: type.elementRequired, type: type.element }
}
export function keyField(type: MapType): Field {
  return { id: type.keyId, name: 'key', required: true, type: type.key }
}
export function valueField(type: MapType): Field {
  return { id: type.valueId, name: 'value', required: type.valueRequired, type: type.value }
}

/** Every place of a schema, each before what lies in it, in order. */
export function locateAll(fields: readonly Field[]): readonly Located[] {
  const out: Located[] = []
  const visit = (field: Field, role: Located['role'], parent: Located | null) => {
    const isStruct = typeof field.type === 'object' && field.type.type === 'struct'
    const skipped = (role === 'element' || role === 'value') && isStruct
    const short = parent?.shortPath ?? []
    const one: Located = {
      field,
      role,
      path: [...(parent?.path ?? []), field.name],
      shortPath: skipped ? short : [...short, field.name],
      ancestors: parent ? [...parent.ancestors, parent] : [],
    }
    out.push(one)
    if (typeof field.type === 'string') return
    switch (field.type.type) {
      case 'struct':
        for (const inner of field.type.fields) visit(inner, 'column', one)
        return
      case 'list':
        visit(elementField(field.type), 'element', one)
        return
      case 'map':
        visit(keyField(field.type), 'key', one)
        visit(valueField(field.type), 'value', one)
    }
  }
  for (const field of fields) visit(field, 'column', null)
  return out
}

/** The place of an id anywhere, inside lists and maps too. */
export function locateById(fields: readonly Field[], id: number): Located | undefined {
  return locateAll(fields).find((one) => one.field.id === id)
}

/** The fields with the one of an id replaced, wherever it stands. Of an element, key or value, type and need count. */
export function editField(fields: readonly Field[], id: number, edit: (field: Field) => Field): readonly Field[] {
  return fields.map((one) => (one.id === id ? edit(one) : { ...one, type: editWithin(one.type, id, edit) }))
}

function editWithin(type: Type, id: number, edit: (field: Field) => Field): Type {
  if (typeof type === 'string') return type
  const inner = (one: Field) => (one.id === id ? edit(one) : { ...one, type: editWithin(one.type, id, edit) })
  switch (type.type) {
    case 'struct':
      return { ...type, fields: editField(type.fields, id, edit) }
    case 'list': {
      const element = inner(elementField(type))
      return { ...type, element: element.type, elementRequired: element.required }
    }
    case 'map': {
      const value = inner(valueField(type))
      return { ...type, key: inner(keyField(type)).type, value: value.type, valueRequired: value.required }
    }
  }
}

/** The fields with those of one struct replaced: the top (null), or the struct that the field of an id holds. */
export function editSiblings(
  fields: readonly Field[],
  structFieldId: number | null,
  edit: (siblings: readonly Field[]) => readonly Field[],
): readonly Field[] {
  if (structFieldId === null) return edit(fields)
  return editField(fields, structFieldId, (field) =>
    typeof field.type === 'object' && field.type.type === 'struct'
      ? { ...field, type: { ...field.type, fields: edit(field.type.fields) } }
      : field,
  )
}

/** The fields of one struct: the top (null), or the struct that the field of an id holds; none when it is no struct. */
export function siblingsOf(fields: readonly Field[], structFieldId: number | null): readonly Field[] {
  if (structFieldId === null) return fields
  const type = locateById(fields, structFieldId)?.field.type
  return typeof type === 'object' && type.type === 'struct' ? type.fields : []
}
