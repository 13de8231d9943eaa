import { elementField, type Field, type Schema, type Type } from '../../schema/index.ts'
import { currentSchema } from '../spec/lookup.ts'
import type { PartitionSpec, SortOrder, TableMetadata, Update } from '../spec/types.ts'

/**
 * The updates that give a table another schema, spec and order, as if it were made anew (Java's table replacement): a
 * column whose name the table has keeps that field id, nested ones by their full names; the others get ids never given.
 * Source ids of spec and order are those of `schema` as it came.
 */
export function freshShape(
  base: TableMetadata,
  shape: {
    readonly schema: Schema
    readonly spec: PartitionSpec
    readonly sortOrder?: SortOrder
    readonly properties?: Readonly<Record<string, string>>
  },
): readonly Update[] {
  const known = new Map<string, number>()
  index(currentSchema(base).fields, '', known)
  let last = base.lastColumnId
  const renumbered = new Map<number, number>()
  const idOf = (path: string, before: number): number => {
    const id = known.get(path) ?? ++last
    renumbered.set(before, id)
    return id
  }
  const fields = shape.schema.fields.map((field) => renumber(field, '', idOf))
  let lastPartitionId = Math.max(999, base.lastPartitionId)
  const specFields = shape.spec.fields.map((field) => {
    const sourceId = renumbered.get(field.sourceId) ?? field.sourceId
    const same = base.partitionSpecs
      .flatMap((spec) => spec.fields)
      .find((one) => one.sourceId === sourceId && JSON.stringify(one.transform) === JSON.stringify(field.transform))
    return { ...field, sourceId, fieldId: same?.fieldId ?? ++lastPartitionId }
  })
  const sortFields = (shape.sortOrder?.fields ?? []).map((field) => ({
    ...field,
    sourceId: renumbered.get(field.sourceId) ?? field.sourceId,
  }))
  const identifierFieldIds = shape.schema.identifierFieldIds.map((id) => renumbered.get(id) ?? id)
  return [
    { action: 'add-schema', schema: { ...shape.schema, fields, identifierFieldIds } },
    { action: 'set-current-schema', schemaId: -1 },
    { action: 'add-spec', spec: { ...shape.spec, fields: specFields } },
    { action: 'set-default-spec', specId: -1 },
    { action: 'add-sort-order', sortOrder: { orderId: sortFields.length > 0 ? 1 : 0, fields: sortFields } },
    { action: 'set-default-sort-order', sortOrderId: -1 },
    ...(shape.properties ? [{ action: 'set-properties', updates: shape.properties } as const] : []),
  ]
}

function index(fields: readonly Field[], prefix: string, out: Map<string, number>): void {
  for (const field of fields) {
    const path = `${prefix}${field.name}`
    out.set(path, field.id)
    indexType(field.type, path, out)
  }
}

function indexType(type: Type, path: string, out: Map<string, number>): void {
  if (typeof type === 'string') return
  switch (type.type) {
    case 'struct':
      index(type.fields, `${path}.`, out)
      return
    case 'list':
      index([elementField(type)], `${path}.`, out)
      return
    case 'map':
      out.set(`${path}.key`, type.keyId)
      indexType(type.key, `${path}.key`, out)
      out.set(`${path}.value`, type.valueId)
      indexType(type.value, `${path}.value`, out)
  }
}

type IdOf = (path: string, before: number) => number

function renumber(field: Field, prefix: string, idOf: IdOf): Field {
  const path = `${prefix}${field.name}`
  return { ...field, id: idOf(path, field.id), type: renumberType(field.type, path, idOf) }
}

function renumberType(type: Type, path: string, idOf: IdOf): Type {
  if (typeof type === 'string') return type
  switch (type.type) {
    case 'struct':
      return { ...type, fields: type.fields.map((field) => renumber(field, `${path}.`, idOf)) }
    case 'list':
      return {
        ...type,
        elementId: idOf(`${path}.element`, type.elementId),
        element: renumberType(type.element, `${path}.element`, idOf),
      }
    case 'map':
      return {
        ...type,
        keyId: idOf(`${path}.key`, type.keyId),
        key: renumberType(type.key, `${path}.key`, idOf),
        valueId: idOf(`${path}.value`, type.valueId),
        value: renumberType(type.value, `${path}.value`, idOf),
      }
  }
}
