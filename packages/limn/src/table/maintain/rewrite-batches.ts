import { partitionIdentity, type RewriteGroup, type TableMetadata, transformResultType } from '../../iceberg/index.ts'
import { fieldById, type PrimitiveType } from '../../schema/index.ts'

/** More files than this are not kept open while rows are parted; a query that parts into more would cut its files up. */
const partitionsMax = 64

/** Partition values that a written file's name tells exactly. */
const plainTypes: ReadonlySet<PrimitiveType> = new Set(['int', 'long', 'date', 'string', 'boolean', 'uuid'])

/**
 * Groups that one query rewrites together: each of another partition of the table's own spec and becoming one file, all
 * of them within `bytesMax`. A query costs as much as reading some dozen small files, so that one per partition would be
 * most of the work of a table of many partitions. `joined` false: every group for itself. Pure; keeps the order of first members.
 */
export function batchesOf(
  groups: readonly RewriteGroup[],
  metadata: TableMetadata,
  options: { readonly joined: boolean; readonly bytesMax: number },
): readonly (readonly RewriteGroup[])[] {
  if (!options.joined || !isPlain(metadata)) return groups.map((group) => [group])
  const out: RewriteGroup[][] = []
  let open: { readonly batch: RewriteGroup[]; readonly keys: Set<string>; bytes: number } | null = null
  for (const group of groups) {
    const file = group.files[0]?.entry.file
    if (!file || group.partition === null || file.specId !== metadata.defaultSpecId || group.outputFiles > 1) {
      out.push([group])
      continue
    }
    const key = partitionIdentity(file)
    if (
      open !== null &&
      open.batch.length < partitionsMax &&
      open.bytes + group.inputBytes <= options.bytesMax &&
      !open.keys.has(key)
    ) {
      open.batch.push(group)
      open.keys.add(key)
      open.bytes += group.inputBytes
      continue
    }
    const batch = [group]
    open = { batch, keys: new Set([key]), bytes: group.inputBytes }
    out.push(batch)
  }
  return out
}

function isPlain(metadata: TableMetadata): boolean {
  const spec = metadata.partitionSpecs.find((one) => one.specId === metadata.defaultSpecId)
  const schema = metadata.schemas.find((one) => one.schemaId === metadata.currentSchemaId)
  if (!spec || !schema || spec.fields.length === 0) return false
  return spec.fields.every(({ transform, sourceId }) => {
    const source = fieldById(schema, sourceId)
    if (!source || transform.kind === 'unknown' || transform.kind === 'void') return false
    return plainTypes.has(transformResultType(transform, source.type))
  })
}
