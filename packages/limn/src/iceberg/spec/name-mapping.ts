import { LimnError } from '../../base/index.ts'
import { parseJson } from '../../encoding/index.ts'
import type { Field, Schema, Type } from '../../schema/index.ts'
import type { TableMetadata } from './types.ts'

/** Which column names of files without field ids stand for which field (specification, "Name Mapping Serialization"). */
export type NameMapping = readonly MappedField[]
export interface MappedField {
  readonly fieldId: number | null
  readonly names: readonly string[]
  /** Fields inside: of a struct by name, of a list as `element`, of a map as `key` and `value`. */
  readonly fields: NameMapping
}

export const nameMappingProperty = 'schema.name-mapping.default'

/** The mapping a table states; null when it states none. Throws `iceberg/invalid-metadata` for one that is malformed. */
export function nameMappingOf(metadata: Pick<TableMetadata, 'properties'>): NameMapping | null {
  const text = metadata.properties[nameMappingProperty]
  if (text === undefined) return null
  try {
    return fieldsFrom(parseJson(text))
  } catch (cause) {
    throw new LimnError('iceberg/invalid-metadata', {
      message: `The table's name mapping cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`,
      notDone: 'The table was not read: files without field ids would be read wrongly.',
      remedy: `Correct the property ${nameMappingProperty}.`,
      cause,
    })
  }
}

/**
 * The mapping to read a table with. Some migrations wrote one that numbers nested fields differently from the schema they
 * wrote beside it. Such a mapping says nothing; the names of the schema stand in for it.
 */
export function usableNameMapping(
  metadata: Pick<TableMetadata, 'properties' | 'schemas'>,
  schema: Pick<Schema, 'fields'>,
): NameMapping | null {
  const mapping = nameMappingOf(metadata)
  if (mapping === null) return null
  const parents = new Map<number, Set<number>>()
  for (const one of metadata.schemas) recordParents(one.fields, 0, parents)
  return contradicts(mapping, 0, parents) ? mappingOfFields(schema.fields) : mapping
}

/** A mapping by the names of a schema's own fields. */
export function mappingOfFields(fields: readonly Field[]): NameMapping {
  return fields.map((one) => ({ fieldId: one.id, names: [one.name], fields: mappingInside(one.type) }))
}

/** The mapping of what stands inside a type. */
export function mappingInside(type: Type): NameMapping {
  if (typeof type === 'string') return []
  const named = (fieldId: number, name: string, inner: Type) => ({
    fieldId,
    names: [name],
    fields: mappingInside(inner),
  })
  switch (type.type) {
    case 'struct':
      return mappingOfFields(type.fields)
    case 'list':
      return [named(type.elementId, 'element', type.element)]
    case 'map':
      return [named(type.keyId, 'key', type.key), named(type.valueId, 'value', type.value)]
  }
}

/** Under which parents an id has stood; 0: at the top. */
function recordParents(fields: readonly Field[], parent: number, parents: Map<number, Set<number>>): void {
  for (const field of fields) recordParent(field.id, field.type, parent, parents)
}

function recordParent(id: number, type: Type, parent: number, parents: Map<number, Set<number>>): void {
  const known = parents.get(id) ?? new Set()
  parents.set(id, known.add(parent))
  if (typeof type === 'string') return
  switch (type.type) {
    case 'struct':
      return recordParents(type.fields, id, parents)
    case 'list':
      return recordParent(type.elementId, type.element, id, parents)
    case 'map':
      recordParent(type.keyId, type.key, id, parents)
      return recordParent(type.valueId, type.value, id, parents)
  }
}

/** Whether a mapping puts a known id under a parent that it never stood under. An id that no schema has is no contradiction. */
function contradicts(mapping: NameMapping, parent: number, parents: ReadonlyMap<number, ReadonlySet<number>>): boolean {
  return mapping.some(({ fieldId, fields }) => {
    if (fieldId === null) return false
    const known = parents.get(fieldId)
    return (known !== undefined && !known.has(parent)) || contradicts(fields, fieldId, parents)
  })
}

function fieldsFrom(json: unknown): NameMapping {
  if (!Array.isArray(json)) throw new TypeError('a list of fields is expected')
  return json.map((one: unknown): MappedField => {
    if (typeof one !== 'object' || one === null) throw new TypeError('a field is expected')
    const { 'field-id': id, names, fields } = one as Readonly<Record<string, unknown>>
    if (id !== undefined && id !== null && !Number.isInteger(id)) throw new TypeError('a field id is no whole number')
    if (!Array.isArray(names) || names.some((name) => typeof name !== 'string'))
      throw new TypeError('a field has no list of names')
    return {
      fieldId: (id as number | null | undefined) ?? null,
      names: names as readonly string[],
      fields: fields === undefined || fields === null ? [] : fieldsFrom(fields),
    }
  })
}
