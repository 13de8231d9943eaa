import { type Datum, namesApart } from '../../engine/index.ts'
import { currentSchema, type DataFile, type TableMetadata, unifiedPartitionFields } from '../../iceberg/index.ts'
import { isPrimitive, locateById, type StructType, type Type, type Value } from '../../schema/index.ts'

/**
 * The partition fields of every spec whose source column the table still has, by field id, under their latest names: one
 * struct for all files, whichever spec wrote them.
 */
export function unifiedPartition(metadata: TableMetadata): StructType {
  const { fields } = currentSchema(metadata)
  const present = new Set<number>()
  for (const { fieldId, sourceId } of metadata.partitionSpecs.flatMap((spec) => spec.fields)) {
    const source = locateById(fields, sourceId)
    if (source && isPrimitive(source.field.type)) present.add(fieldId)
  }
  const unified = unifiedPartitionFields(metadata).filter((one) => present.has(one.fieldId))
  const names = namesApart(unified.map((one) => one.name))
  return {
    type: 'struct',
    fields: unified.map(({ fieldId, name, type }, i) => ({
      id: fieldId,
      name: names[i] ?? name,
      required: false,
      type,
    })),
  }
}

/** Puts a file's partition values, which follow its own spec, where the unified partition has their fields. */
export function partitionPlacer(metadata: TableMetadata): (file: DataFile) => readonly Datum[] {
  const unified = unifiedPartition(metadata).fields
  const places = new Map<number, readonly number[]>()
  return (file) => {
    let place = places.get(file.specId)
    if (!place) {
      const fields = metadata.partitionSpecs.find((one) => one.specId === file.specId)?.fields ?? []
      place = unified.map((one) => fields.findIndex((other) => other.fieldId === one.id))
      places.set(file.specId, place)
    }
    return place.map((at, i) => promoted(unified[i]?.type, at < 0 ? null : (file.partition[at] ?? null)))
  }
}

/** A value stored before its column was promoted, as the column now has it. */
function promoted(type: Type | undefined, value: Value | null): Value | null {
  if (value === null) return null
  if (type === 'long' && typeof value === 'number') return BigInt(value)
  // What a transform that limn does not know makes has no type here.
  if (type === 'string' && typeof value !== 'string')
    return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : String(value)
  return value
}
