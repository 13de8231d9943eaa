import { type AvroSchema, readAvro, writeAvro } from '../../encoding/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import { longOf, oneOf, optionalLong, orDamaged, type Row, textOf } from './manifest-values.ts'
import { field } from './partition-record.ts'
import type { FieldSummary, ManifestFile } from './types.ts'

/** Manifest lists as Avro files (specification, "Manifest Lists"; written in format version 2 and 3). */

const summarySchema: AvroSchema = {
  type: 'array',
  'element-id': 508,
  items: {
    type: 'record',
    name: 'r508',
    fields: [
      field(509, 'contains_null', 'boolean'),
      field(518, 'contains_nan', 'boolean', true),
      field(510, 'lower_bound', 'bytes', true),
      field(511, 'upper_bound', 'bytes', true),
    ],
  },
}

const listFields: readonly AvroSchema[] = [
  field(500, 'manifest_path', 'string'),
  field(501, 'manifest_length', 'long'),
  field(502, 'partition_spec_id', 'int'),
  field(517, 'content', 'int'),
  field(515, 'sequence_number', 'long'),
  field(516, 'min_sequence_number', 'long'),
  field(503, 'added_snapshot_id', 'long'),
  field(504, 'added_files_count', 'int'),
  field(505, 'existing_files_count', 'int'),
  field(506, 'deleted_files_count', 'int'),
  field(512, 'added_rows_count', 'long'),
  field(513, 'existing_rows_count', 'long'),
  field(514, 'deleted_rows_count', 'long'),
  field(507, 'partitions', summarySchema, true),
  field(519, 'key_metadata', 'bytes', true),
]

function listSchema(formatVersion: 2 | 3): AvroSchema {
  const fields = formatVersion >= 3 ? [...listFields, field(520, 'first_row_id', 'long', true)] : listFields
  return { type: 'record', name: 'manifest_file', fields }
}

export function encodeManifestList(input: {
  readonly snapshotId: bigint
  readonly parentSnapshotId: bigint | null
  readonly sequenceNumber: bigint
  readonly manifests: readonly ManifestFile[]
  /** Default 2. */
  readonly formatVersion?: 2 | 3
  /** The table's next row id before the snapshot (version 3). */
  readonly firstRowId?: bigint
}): Uint8Array {
  const { formatVersion = 2 } = input
  const optional = (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes))
  const rows = input.manifests.map((one) => ({
    manifest_path: one.path,
    manifest_length: one.length,
    partition_spec_id: one.specId,
    content: one.content === 'data' ? 0 : 1,
    sequence_number: one.sequenceNumber,
    min_sequence_number: one.minSequenceNumber,
    added_snapshot_id: one.addedSnapshotId,
    added_files_count: one.addedFilesCount,
    existing_files_count: one.existingFilesCount,
    deleted_files_count: one.deletedFilesCount,
    added_rows_count: one.addedRowsCount,
    existing_rows_count: one.existingRowsCount,
    deleted_rows_count: one.deletedRowsCount,
    partitions: one.partitions.map((part) => ({
      contains_null: part.containsNull,
      contains_nan: part.containsNan,
      lower_bound: optional(part.lowerBound),
      upper_bound: optional(part.upperBound),
    })),
    key_metadata: one.keyMetadata ? Buffer.from(one.keyMetadata) : null,
    first_row_id: one.firstRowId ?? null,
  }))
  return writeAvro(listSchema(formatVersion), rows, {
    'snapshot-id': String(input.snapshotId),
    'parent-snapshot-id': input.parentSnapshotId === null ? 'null' : String(input.parentSnapshotId),
    'sequence-number': String(input.sequenceNumber),
    ...(formatVersion >= 3 && input.firstRowId !== undefined ? { 'first-row-id': String(input.firstRowId) } : {}),
    'format-version': String(formatVersion),
  })
}

/** Reads a manifest list of version 1 to 3. Counts that version 1 leaves out are taken as unknown, counted as one. */
export function decodeManifestList(bytes: Uint8Array): readonly ManifestFile[] {
  return orDamaged('manifest list', '', () => readAvro(bytes).rows.map(manifestFileOf))
}

function manifestFileOf(row: Row): ManifestFile {
  const count = (...names: string[]) =>
    Number(names.map((name) => row[name]).find((value) => value !== undefined && value !== null) ?? 1)
  const rows = (name: string) => (row[name] as bigint | null | undefined) ?? 0n
  const key = row.key_metadata as Uint8Array | null | undefined
  return {
    path: storePath(textOf(row.manifest_path, 'manifest_path')),
    length: longOf(row.manifest_length, 'manifest_length'),
    specId: Number(row.partition_spec_id),
    content: oneOf([0, 1], row.content ?? 0, 'manifest content') === 1 ? 'deletes' : 'data',
    sequenceNumber: (row.sequence_number as bigint | undefined) ?? 0n,
    minSequenceNumber: (row.min_sequence_number as bigint | undefined) ?? 0n,
    addedSnapshotId: (row.added_snapshot_id as bigint | null) ?? 0n,
    addedFilesCount: count('added_files_count', 'added_data_files_count'),
    existingFilesCount: count('existing_files_count', 'existing_data_files_count'),
    deletedFilesCount: count('deleted_files_count', 'deleted_data_files_count'),
    addedRowsCount: rows('added_rows_count'),
    existingRowsCount: rows('existing_rows_count'),
    deletedRowsCount: rows('deleted_rows_count'),
    partitions: ((row.partitions ?? []) as Row[]).map(
      (part): FieldSummary => ({
        containsNull: part.contains_null === true,
        containsNan: (part.contains_nan as boolean | null | undefined) ?? null,
        lowerBound: (part.lower_bound as Uint8Array | null) ?? null,
        upperBound: (part.upper_bound as Uint8Array | null) ?? null,
      }),
    ),
    ...(key ? { keyMetadata: new Uint8Array(key) } : {}),
    ...optionalLong(row, 'first_row_id', 'firstRowId'),
  }
}

/**
 * The list row of a manifest that a snapshot of version 1 names itself. Counts are the manifest's own; sequence numbers
 * are 0, as version 1 has none.
 */
export function inlineManifest(bytes: Uint8Array, path: StorePath, snapshotId: bigint): ManifestFile {
  const { metadata, rows } = readAvro(bytes)
  const of = (status: number) => rows.filter((row) => Number(row.status) === status)
  const records = (list: readonly Row[]) =>
    list.reduce((sum, row) => sum + ((row.data_file as Row).record_count as bigint), 0n)
  const added = rows.map((row) => row.snapshot_id as bigint | null).find((id) => id !== null && id !== undefined)
  return {
    path,
    length: BigInt(bytes.length),
    specId: Number(metadata['partition-spec-id'] ?? 0),
    content: 'data',
    sequenceNumber: 0n,
    minSequenceNumber: 0n,
    addedSnapshotId: added ?? snapshotId,
    addedFilesCount: of(1).length,
    existingFilesCount: of(0).length,
    deletedFilesCount: of(2).length,
    addedRowsCount: records(of(1)),
    existingRowsCount: records(of(0)),
    deletedRowsCount: records(of(2)),
    partitions: [],
  }
}
