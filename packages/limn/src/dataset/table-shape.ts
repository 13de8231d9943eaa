import { LimnError } from '../base/index.ts'
import { type Contract, type PartitionTermParts, parsePartitionTerm } from '../contract/index.ts'
import type { PartitionSpec, Transform } from '../iceberg/index.ts'
import { canPromote, type Field, type Schema, sameFields } from '../schema/index.ts'

/** A contract's schema against the table's present one. */
export interface WantedSchema {
  readonly kind: 'new' | 'same' | 'evolved'
  readonly schema: Schema
}

/**
 * The Iceberg schema a contract asks for. Columns are matched by name and keep their ids; new ones get the next ids, and
 * are optional on a table that has rows; removed ones go. A type changes only where old files can be read as the new
 * one (int → long, float → double, wider decimal); anything else throws `contract/breaking-change`.
 */
export function schemaOf(
  contract: Contract,
  table: { readonly current?: Schema; readonly lastColumnId: number },
): WantedSchema {
  let nextId = table.lastColumnId
  const fields = Object.entries(contract.columns).map(([name, column]): Field => {
    const before = table.current?.fields.find((field) => field.name === name)
    if (before && !canPromote(before.type, column.type)) {
      throw new LimnError('contract/breaking-change', {
        message: `${contract.id}.${name} is ${JSON.stringify(before.type)} in the table and ${column.type} in the contract.`,
        notDone: 'Nothing was run.',
        remedy: 'Old files cannot be read as the new type: add a column under another name, or start a new dataset.',
      })
    }
    const wantsValue = column.nulls === undefined
    return {
      id: before?.id ?? ++nextId,
      name,
      required: before ? before.required && wantsValue : wantsValue && table.current === undefined,
      type: column.type,
      ...(column.doc === undefined ? {} : { doc: column.doc }),
    }
  })
  const idOf = (name: string) => fields.find((field) => field.name === name)
  const identifierFieldIds = contract.keys.flatMap((key) => {
    const field = idOf(key)
    return field?.required ? [field.id] : []
  })
  const schema: Schema = { schemaId: 0, fields, identifierFieldIds }
  if (!table.current) return { kind: 'new', schema }
  return sameFields(table.current, schema) ? { kind: 'same', schema: table.current } : { kind: 'evolved', schema }
}

/** The partition spec a contract asks for, fields named as Iceberg does (`ts_month`). */
export function partitionSpecOf(
  contract: Contract,
  schema: Schema,
  specId: number,
  firstFieldId: number,
): PartitionSpec {
  return {
    specId,
    fields: contract.partition.flatMap((term, i) => {
      const parsed = parsePartitionTerm(term)
      const source = schema.fields.find((field) => field.name === parsed?.column)
      if (!parsed || !source) return []
      const transform = transformOf(parsed)
      const suffix = transform.kind === 'truncate' ? 'trunc' : transform.kind
      const name = transform.kind === 'identity' ? source.name : `${source.name}_${suffix}`
      return [{ sourceId: source.id, fieldId: firstFieldId + i, name, transform }]
    }),
  }
}

function transformOf(parts: PartitionTermParts): Transform {
  switch (parts.transform) {
    case 'bucket':
      return { kind: 'bucket', count: parts.argument }
    case 'truncate':
      return { kind: 'truncate', width: parts.argument }
    default:
      return { kind: parts.transform }
  }
}

/** Whether two specs partition alike; ids of spec and fields aside. */
export function specEquals(a: PartitionSpec, b: PartitionSpec): boolean {
  const parts = (spec: PartitionSpec) =>
    JSON.stringify(spec.fields.map((field) => [field.sourceId, field.transform, field.name]))
  return parts(a) === parts(b)
}
