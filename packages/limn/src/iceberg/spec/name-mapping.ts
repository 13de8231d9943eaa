import { LimnError } from '../../base/index.ts'
import { parseJson, stringifyJson } from '../../encoding/index.ts'
import { elementField, type Field, keyField, type Schema, type Type, valueField } from '../../schema/index.ts'
import type { TableMetadata } from './types.ts'

/** The property a table's default name mapping stands in (specification, "Column Projection"). */
export const nameMappingProperty = 'schema.name-mapping.default'

/** What names stand for in data files without field ids. `fieldId` null: the names are known, and mean no column. */
export interface MappedField {
  readonly fieldId: number | null
  readonly names: readonly string[]
  readonly fields: readonly MappedField[]
}

export type NameMapping = readonly MappedField[]

/** The mapping a table states; null when it states none. Throws `iceberg/invalid-metadata` for one that is malformed. */
export function statedNameMapping(metadata: Pick<TableMetadata, 'properties'>): NameMapping | null {
  const text = metadata.properties[nameMappingProperty]
  return text === undefined ? null : nameMappingFromText(text)
}

/**
 * The mapping to read a table's files without ids by; null when the table states none. Some migrations wrote one that
 * numbers nested fields differently from the schema they wrote beside it. Such a mapping says nothing; the names of the
 * schema stand in for it. Throws as `statedNameMapping`.
 */
export function usableNameMapping(
  metadata: Pick<TableMetadata, 'properties' | 'schemas'>,
  schema: Pick<Schema, 'fields'>,
): NameMapping | null {
  const mapping = statedNameMapping(metadata)
  if (mapping === null) return null
  const parents = new Map<number, Set<number>>()
  for (const one of metadata.schemas) recordParents(one.fields, 0, parents)
  return contradicts(mapping, 0, parents) ? nameMappingOf(schema.fields) : mapping
}

/** Under which parents an id has stood; 0: at the top. */
function recordParents(fields: readonly Field[], parent: number, parents: Map<number, Set<number>>): void {
  for (const field of fields) {
    parents.set(field.id, (parents.get(field.id) ?? new Set()).add(parent))
    recordParents(childrenOf(field.type), field.id, parents)
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

/** The mapping in which every column has its own name. */
export function nameMappingOf(fields: readonly Field[]): readonly MappedField[] {
  return fields.map((field) => ({
    fieldId: field.id,
    names: [field.name],
    fields: nameMappingOf(childrenOf(field.type)),
  }))
}

/** What lies directly in a type: a struct's fields, `element`, or `key` and `value`. */
export function childrenOf(type: Type): readonly Field[] {
  if (typeof type === 'string') return []
  switch (type.type) {
    case 'struct':
      return type.fields
    case 'list':
      return [elementField(type)]
    case 'map':
      return [keyField(type), valueField(type)]
  }
}

/** The property's value (specification, appendix C). */
export function nameMappingToText(mapping: readonly MappedField[]): string {
  return stringifyJson(toJson(mapping))
}

function toJson(mapping: readonly MappedField[]): readonly unknown[] {
  return mapping.map((one) => ({
    ...(one.fieldId === null ? {} : { 'field-id': one.fieldId }),
    names: one.names,
    ...(one.fields.length > 0 ? { fields: toJson(one.fields) } : {}),
  }))
}

/** Throws `iceberg/invalid-metadata` for what is no name mapping. */
export function nameMappingFromText(text: string): readonly MappedField[] {
  let json: unknown
  try {
    json = parseJson(text)
  } catch (cause) {
    throw malformed(cause)
  }
  return fromJson(json)
}

function fromJson(json: unknown): readonly MappedField[] {
  if (!Array.isArray(json)) throw malformed()
  return json.map((one: unknown) => {
    if (typeof one !== 'object' || one === null) throw malformed()
    const { 'field-id': id, names, fields } = one as Readonly<Record<string, unknown>>
    if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) throw malformed()
    if (id !== undefined && id !== null && typeof id !== 'number') throw malformed()
    return { fieldId: id ?? null, names, fields: fields === undefined || fields === null ? [] : fromJson(fields) }
  })
}

function malformed(cause?: unknown): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `The table's property ${nameMappingProperty} is no name mapping.`,
    notDone: 'Nothing was done with the table.',
    remedy: 'Correct the property, or remove it if every data file has field ids.',
    ...(cause === undefined ? {} : { cause }),
  })
}
