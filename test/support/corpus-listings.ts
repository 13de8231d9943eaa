import {
  decodeSingleValue,
  type ManifestReader,
  snapshotById,
  specById,
  transformResultType,
  transformToText,
} from '../../packages/limn/src/iceberg/index.ts'
import { fieldById, isPrimitive, type PrimitiveType, type Value } from '../../packages/limn/src/schema/index.ts'
import { duckType, quoteText, sqlLiteral } from '../../packages/limn/src/sql/index.ts'
import { type PinnedTable, schemaOfPin, snapshotOfPin } from '../../packages/limn/src/table/index.ts'
import type { Listing } from './corpus-sql.ts'

/** What DuckDB's functions over Iceberg metadata list, from limn's reading of it: the query that has those rows. */
export async function listingSql(
  pin: PinnedTable | null,
  of: Listing['of'],
  manifests: ManifestReader,
): Promise<string> {
  const rows = pin ? await rowsOf(pin, of, manifests) : []
  const names = columns[of]
  const list = names.map((name) => `"${name}"`).join(', ')
  const none = `SELECT ${names.map((name) => `NULL AS "${name}"`).join(', ')} WHERE FALSE`
  return rows.length === 0
    ? none
    : `SELECT * FROM (VALUES ${rows.map((row) => `(${row.join(', ')})`).join(', ')}) v(${list})`
}

const columns: Readonly<Record<Listing['of'], readonly string[]>> = {
  metadata: [
    'manifest_path',
    'manifest_sequence_number',
    'manifest_content',
    'status',
    'content',
    'file_path',
    'file_format',
    'record_count',
    'data_sequence_number',
    'file_sequence_number',
  ],
  snapshots: ['sequence_number', 'snapshot_id', 'timestamp_ms', 'manifest_list'],
  column_stats: [
    'status',
    'content',
    'file_path',
    'partition',
    'column_name',
    'column_type',
    'lower_bound',
    'upper_bound',
    'column_size_bytes',
    'value_count',
    'null_value_count',
    'nan_value_count',
    'data_sequence_number',
  ],
  partition_stats: [
    'manifest_path',
    'added_snapshot_id',
    'partition_spec_id',
    'partition_field_id',
    'partition_field_name',
    'source_columns',
    'transform',
    'partition_type',
    'lower_bound',
    'upper_bound',
    'contains_null',
    'contains_nan',
  ],
}

const statuses = ['EXISTING', 'ADDED', 'DELETED']
const contents = ['DATA', 'POSITION_DELETES', 'EQUALITY_DELETES']

async function rowsOf(
  pin: PinnedTable,
  of: Listing['of'],
  manifests: ManifestReader,
): Promise<readonly (readonly string[])[]> {
  const { metadata } = pin
  if (of === 'snapshots')
    return metadata.snapshots.map((one) => [
      String(one.sequenceNumber),
      String(one.snapshotId),
      String(one.timestampMs),
      one.manifestList === null ? 'NULL' : quoteText(one.manifestList),
    ])
  const snapshot = snapshotOfPin(pin) ?? (pin.snapshotId === null ? null : snapshotById(metadata, pin.snapshotId))
  if (!snapshot) return []
  const schema = schemaOfPin(pin)
  const rows: (readonly string[])[] = []
  for (const manifest of await manifests.manifestsOf(snapshot)) {
    const spec = specById(metadata, manifest.specId)
    const partitionType = spec.fields.map((field) =>
      transformResultType(field.transform, fieldById(schema, field.sourceId)?.type ?? 'string'),
    )
    if (of === 'partition_stats') {
      for (const [i, summary] of manifest.partitions.entries()) {
        const field = spec.fields[i]
        const type = partitionType[i]
        if (!field || !type) continue
        rows.push([
          quoteText(manifest.path),
          String(manifest.addedSnapshotId),
          String(manifest.specId),
          String(field.fieldId),
          quoteText(field.name),
          `[${quoteText(fieldById(schema, field.sourceId)?.name ?? '')}]`,
          quoteText(transformToText(field.transform)),
          quoteText(duckType(type)),
          bound(type, summary.lowerBound),
          bound(type, summary.upperBound),
          String(summary.containsNull),
          summary.containsNan === null ? 'NULL' : String(summary.containsNan),
        ])
      }
      continue
    }
    for (const entry of await manifests.entriesOf(manifest)) {
      const { file } = entry
      const head = [
        quoteText(statuses[entry.status] ?? ''),
        quoteText(contents[file.content] ?? ''),
        quoteText(file.path),
      ]
      if (of === 'metadata') {
        rows.push([
          quoteText(manifest.path),
          String(manifest.sequenceNumber),
          quoteText(manifest.content === 'data' ? 'DATA' : 'DELETE'),
          ...head,
          quoteText(file.format.toUpperCase()),
          String(file.recordCount),
          String(entry.dataSequenceNumber),
          String(entry.fileSequenceNumber),
        ])
        continue
      }
      const partition = spec.fields.map((_, i) => {
        const type = partitionType[i] ?? 'string'
        return `'r${i}': ${text(type, file.partition[i] ?? null)}`
      })
      for (const field of schema.fields) {
        if (!isPrimitive(field.type)) continue
        const count = (map: ReadonlyMap<number, bigint>) => String(map.get(field.id) ?? 'NULL')
        rows.push([
          ...head,
          partition.length === 0 ? 'NULL' : `{${partition.join(', ')}}::VARCHAR`,
          quoteText(field.name),
          quoteText(duckType(field.type)),
          bound(field.type, file.lowerBounds.get(field.id) ?? null),
          bound(field.type, file.upperBounds.get(field.id) ?? null),
          count(file.columnSizes),
          count(file.valueCounts),
          count(file.nullValueCounts),
          count(file.nanValueCounts),
          String(entry.dataSequenceNumber),
        ])
      }
    }
  }
  return rows
}

function bound(type: PrimitiveType, bytes: Uint8Array | null): string {
  return bytes === null ? 'NULL' : text(type, decodeSingleValue(type, bytes))
}

function text(type: PrimitiveType, value: Value | null): string {
  return value === null ? 'NULL' : `(${sqlLiteral(type, value)})::VARCHAR`
}
