import {
  compareValues,
  type Field,
  fieldById,
  type PrimitiveType,
  type Schema,
  type Value,
} from '../../schema/index.ts'
import { type DataFile, type ManifestEntry, specById, type TableMetadata, transformResultType } from '../spec/index.ts'

/**
 * One row per partition of a snapshot (specification, "Partition Statistics File"): what is in it, and when it last
 * changed. Informational: nothing is read by it.
 */
export interface PartitionStatistics {
  /** One value per field of `unifiedPartitionFields`, in that order; null also where the row's spec lacks the field. */
  readonly partition: readonly (Value | null)[]
  readonly specId: number
  readonly dataRecordCount: bigint
  readonly dataFileCount: number
  readonly totalDataFileSizeInBytes: bigint
  /** Deletion vectors included; overlapping delete files are counted twice. */
  readonly positionDeleteRecordCount: bigint
  /** Deletion vectors left out. */
  readonly positionDeleteFileCount: number
  readonly dvCount: number
  readonly equalityDeleteRecordCount: bigint
  readonly equalityDeleteFileCount: number
  /** Rows after deletes; null where manifests cannot tell (delete files may overlap, or match no row). */
  readonly totalRecordCount: bigint | null
  /** Milliseconds; null when the snapshot that last changed the partition has expired. */
  readonly lastUpdatedAt: number | null
  readonly lastUpdatedSnapshotId: bigint | null
}

/** A field of every partition tuple of a table, whichever spec it was written with. */
export interface UnifiedPartitionField {
  readonly fieldId: number
  readonly name: string
  readonly type: PrimitiveType
}

/** Every field that was ever part of a spec, by ascending field id, under its latest name. Empty: no spec partitions. */
export function unifiedPartitionFields(metadata: TableMetadata): readonly UnifiedPartitionField[] {
  const found = new Map<number, UnifiedPartitionField>()
  for (const spec of [...metadata.partitionSpecs].sort((a, b) => a.specId - b.specId)) {
    for (const { fieldId, name, sourceId, transform } of spec.fields) {
      const source = sourceType(metadata, sourceId)
      const type = transformResultType(transform, source)
      const before = found.get(fieldId)
      // A void field keeps the type it had while it meant something.
      found.set(fieldId, { fieldId, name, type: transform.kind === 'void' && before ? before.type : type })
    }
  }
  return [...found.values()].sort((a, b) => a.fieldId - b.fieldId)
}

function sourceType(metadata: TableMetadata, sourceId: number): Field['type'] {
  const latestFirst = [...metadata.schemas].sort((a, b) => b.schemaId - a.schemaId)
  const current = metadata.schemas.filter((schema) => schema.schemaId === metadata.currentSchemaId)
  for (const schema of [...current, ...latestFirst]) {
    const field = fieldById(schema, sourceId)
    if (field) return field.type
  }
  return 'string'
}

/** The columns of the file, with the ids of the specification. */
export function partitionStatisticsSchema(metadata: TableMetadata): Schema {
  const later = metadata.formatVersion >= 3
  const field = (id: number, name: string, type: Field['type'], required: boolean): Field => ({
    id,
    name,
    type,
    required,
  })
  return {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [
      field(
        1,
        'partition',
        {
          type: 'struct',
          fields: unifiedPartitionFields(metadata).map((one) => field(one.fieldId, one.name, one.type, false)),
        },
        true,
      ),
      field(2, 'spec_id', 'int', true),
      field(3, 'data_record_count', 'long', true),
      field(4, 'data_file_count', 'int', true),
      field(5, 'total_data_file_size_in_bytes', 'long', true),
      field(6, 'position_delete_record_count', 'long', later),
      field(7, 'position_delete_file_count', 'int', later),
      field(8, 'equality_delete_record_count', 'long', later),
      field(9, 'equality_delete_file_count', 'int', later),
      field(10, 'total_record_count', 'long', false),
      field(11, 'last_updated_at', 'long', false),
      field(12, 'last_updated_snapshot_id', 'long', false),
      ...(later ? [field(13, 'dv_count', 'int', true)] : []),
    ],
  }
}

/** A row's values in the order of the schema's columns, the partition's fields in its own. */
export function partitionStatisticsRow(
  row: PartitionStatistics,
  metadata: TableMetadata,
): readonly [partition: readonly (Value | null)[], ...rest: (Value | null)[]] {
  return [
    row.partition,
    row.specId,
    row.dataRecordCount,
    row.dataFileCount,
    row.totalDataFileSizeInBytes,
    row.positionDeleteRecordCount,
    row.positionDeleteFileCount,
    row.equalityDeleteRecordCount,
    row.equalityDeleteFileCount,
    row.totalRecordCount,
    row.lastUpdatedAt === null ? null : BigInt(row.lastUpdatedAt),
    row.lastUpdatedSnapshotId,
    ...(metadata.formatVersion >= 3 ? [row.dvCount] : []),
  ]
}

interface Draft {
  readonly partition: readonly (Value | null)[]
  readonly specId: number
  readonly records: { data: bigint; position: bigint; vector: bigint; equality: bigint }
  readonly files: { data: number; position: number; vector: number; equality: number }
  bytes: bigint
  updated: { readonly at: number; readonly snapshotId: bigint } | null
}

/**
 * The statistics of a snapshot from every entry of its manifests, deleted ones included (they tell when a partition last
 * changed). Sorted by partition, nulls first, then by spec.
 */
export function partitionStatistics(
  metadata: TableMetadata,
  entries: Iterable<ManifestEntry>,
): readonly PartitionStatistics[] {
  const unified = unifiedPartitionFields(metadata)
  const times = new Map(metadata.snapshots.map((one) => [one.snapshotId, one.timestampMs]))
  const drafts = new Map<string, Draft>()
  let globalDeletes = false
  for (const entry of entries) {
    const { file } = entry
    const spec = specById(metadata, file.specId)
    if (spec.fields.length === 0 && file.content === 2 && entry.status !== 2) globalDeletes = true
    const values = new Map(spec.fields.map((one, i) => [one.fieldId, file.partition[i] ?? null]))
    const partition = unified.map((one) => values.get(one.fieldId) ?? null)
    const key = `${file.specId}:${partition.map(keyOf).join()}`
    const draft = drafts.get(key) ?? blank(partition, file.specId)
    drafts.set(key, draft)
    const at = times.get(entry.snapshotId)
    if (at !== undefined && (draft.updated === null || at > draft.updated.at))
      draft.updated = { at, snapshotId: entry.snapshotId }
    if (entry.status !== 2) count(draft, file)
  }
  return [...drafts.values()]
    .sort((a, b) => comparePartitions(unified, a.partition, b.partition) || a.specId - b.specId)
    .map((draft) => finished(draft, globalDeletes))
}

function blank(partition: readonly (Value | null)[], specId: number): Draft {
  return {
    partition,
    specId,
    records: { data: 0n, position: 0n, vector: 0n, equality: 0n },
    files: { data: 0, position: 0, vector: 0, equality: 0 },
    bytes: 0n,
    updated: null,
  }
}

function count(draft: Draft, file: DataFile): void {
  const kind = kindOf(file)
  draft.records[kind] += file.recordCount
  draft.files[kind]++
  if (kind === 'data') draft.bytes += file.fileSizeInBytes
}

function kindOf(file: DataFile): keyof Draft['files'] {
  switch (file.content) {
    case 0:
      return 'data'
    case 1:
      return file.format === 'puffin' ? 'vector' : 'position'
    case 2:
      return 'equality'
  }
}

function finished(
  { partition, specId, records, files, bytes, updated }: Draft,
  globalDeletes: boolean,
): PartitionStatistics {
  // A vector holds each position once and is its file's only one; delete files promise neither.
  const exact = !globalDeletes && files.position === 0 && files.equality === 0
  return {
    partition,
    specId,
    dataRecordCount: records.data,
    dataFileCount: files.data,
    totalDataFileSizeInBytes: bytes,
    positionDeleteRecordCount: records.position + records.vector,
    positionDeleteFileCount: files.position,
    dvCount: files.vector,
    equalityDeleteRecordCount: records.equality,
    equalityDeleteFileCount: files.equality,
    totalRecordCount: exact ? records.data - records.vector : null,
    lastUpdatedAt: updated?.at ?? null,
    lastUpdatedSnapshotId: updated?.snapshotId ?? null,
  }
}

function keyOf(value: Value | null): string {
  if (value === null) return 'null'
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
  return `${typeof value}${text.length}:${text}`
}

function comparePartitions(
  fields: readonly UnifiedPartitionField[],
  a: readonly (Value | null)[],
  b: readonly (Value | null)[],
): number {
  for (const [i, field] of fields.entries()) {
    const x = a[i] ?? null
    const y = b[i] ?? null
    if (x === null && y === null) continue
    const order = x === null ? -1 : y === null ? 1 : compareValues(field.type, x, y)
    if (order !== 0) return order
  }
  return 0
}
