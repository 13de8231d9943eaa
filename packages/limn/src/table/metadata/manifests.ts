import type { Datum } from '../../engine/index.ts'
import {
  decodeSingleValue,
  type ManifestFile,
  type PartitionSpec,
  partitionValueText,
  type Snapshot,
  type TableMetadata,
  type Transform,
  transformResultType,
} from '../../iceberg/index.ts'
import {
  defaultToJson,
  locateById,
  type PrimitiveType,
  type Schema,
  type Type,
  type Value,
} from '../../schema/index.ts'
import { column, type Rows, type Source, schemaOf } from './source.ts'

/** `all`: of every snapshot, each row with the snapshot that lists the manifest. */
export function manifestSchema(all: boolean): Schema {
  const summary: Type = {
    type: 'struct',
    fields: [
      column(10, 'contains_null', 'boolean', true),
      column(11, 'contains_nan', 'boolean'),
      column(12, 'lower_bound', 'string'),
      column(13, 'upper_bound', 'string'),
    ],
  }
  return schemaOf([
    column(14, 'content', 'int', true),
    column(1, 'path', 'string', true),
    column(2, 'length', 'long', true),
    column(3, 'partition_spec_id', 'int'),
    column(4, 'added_snapshot_id', 'long'),
    column(5, 'added_data_files_count', 'int'),
    column(6, 'existing_data_files_count', 'int'),
    column(7, 'deleted_data_files_count', 'int'),
    column(15, 'added_delete_files_count', 'int', true),
    column(16, 'existing_delete_files_count', 'int', true),
    column(17, 'deleted_delete_files_count', 'int', true),
    column(8, 'partition_summaries', { type: 'list', elementId: 9, elementRequired: true, element: summary }),
    ...(all ? [column(18, 'reference_snapshot_id', 'long', true), column(19, 'key_metadata', 'binary')] : []),
  ])
}

/** The manifests that snapshots list; with `all`, one that several snapshots list is shown for each. */
export async function* manifestRows(source: Source, snapshots: readonly Snapshot[], all: boolean): Rows {
  const summaries = summaryReader(source.metadata)
  for (const snapshot of snapshots) {
    const manifests = await source.manifests.manifestsOf(snapshot, source.signal)
    yield manifests.map((one): readonly Datum[] => {
      const isData = one.content === 'data'
      const counts = [one.addedFilesCount, one.existingFilesCount, one.deletedFilesCount]
      return [
        isData ? 0 : 1,
        one.path,
        one.length,
        one.specId,
        one.addedSnapshotId,
        ...counts.map((count) => (isData ? count : 0)),
        ...counts.map((count) => (isData ? 0 : count)),
        summaries(one),
        ...(all ? [snapshot.snapshotId, one.keyMetadata ?? null] : []),
      ]
    })
  }
}

/** A manifest's partition summaries, bounds as people read them. */
function summaryReader(metadata: TableMetadata): (manifest: ManifestFile) => readonly Datum[] {
  const specs = new Map<number, PartitionSpec>(metadata.partitionSpecs.map((one) => [one.specId, one]))
  const current = metadata.schemas.filter((one) => one.schemaId === metadata.currentSchemaId)
  const schemas = [...current, ...metadata.schemas.toReversed()]
  const sourceType = (id: number): PrimitiveType | null => {
    for (const { fields } of schemas) {
      const type = locateById(fields, id)?.field.type
      if (type !== undefined) return typeof type === 'string' ? type : null
    }
    return null
  }
  return (manifest) =>
    manifest.partitions.map((summary, i): Datum => {
      const part = specs.get(manifest.specId)?.fields[i]
      const from = part ? sourceType(part.sourceId) : null
      const bound = (bytes: Uint8Array | null) => {
        if (!part || from === null || part.transform.kind === 'unknown') return null
        const type = transformResultType(part.transform, from)
        return humanText(part.transform, type, bytes === null ? null : decodeSingleValue(type, bytes))
      }
      return [summary.containsNull, summary.containsNan, bound(summary.lowerBound), bound(summary.upperBound)]
    })
}

function humanText(transform: Transform, type: PrimitiveType, value: Value | null): string {
  const plain = transform.kind === 'identity' || transform.kind === 'truncate'
  if (value === null || !plain || value instanceof Uint8Array) return partitionValueText(transform, type, value)
  return String(defaultToJson(type, value))
}
