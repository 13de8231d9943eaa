import { LimnError } from '../../base/index.ts'
import {
  type AvroFile,
  type AvroSchema,
  parseJson,
  readAvro,
  StoredMap,
  stringifyJson,
  writeAvro,
} from '../../encoding/index.ts'
import { type Schema, schemaFromJson, schemaToJson, type Value } from '../../schema/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import { partitionFieldsToJson, specFromJson } from './metadata-json.ts'
import {
  avroName,
  avroValue,
  field,
  partitionFieldsOf,
  partitionRecord,
  partitionTypes,
  type StoredPartitionField,
  valueFromAvro,
  wantedField,
} from './partition-record.ts'
import type {
  DataFile,
  EntryStatus,
  FieldSummary,
  FileContent,
  ManifestEntry,
  ManifestFile,
  PartitionSpec,
} from './types.ts'

/** Manifests and manifest lists as Avro files (specification, "Manifests", "Manifest Lists"; format version 2). */

type Row = Readonly<Record<string, unknown>>

function mapOf(name: string, keyId: number, valueId: number, value: AvroSchema): AvroSchema {
  const record = { type: 'record', name, fields: [field(keyId, 'key', 'int'), field(valueId, 'value', value)] }
  return { type: 'array', items: record, logicalType: 'map' }
}

function entrySchema(spec: PartitionSpec, schema: Schema, formatVersion: 2 | 3): AvroSchema {
  const longs = { type: 'array', items: 'long', 'element-id': 133 }
  const file = {
    type: 'record',
    name: 'r2',
    fields: [
      field(134, 'content', 'int'),
      field(100, 'file_path', 'string'),
      field(101, 'file_format', 'string'),
      field(102, 'partition', partitionRecord(spec, schema)),
      field(103, 'record_count', 'long'),
      field(104, 'file_size_in_bytes', 'long'),
      field(108, 'column_sizes', mapOf('k117_v118', 117, 118, 'long'), true),
      field(109, 'value_counts', mapOf('k119_v120', 119, 120, 'long'), true),
      field(110, 'null_value_counts', mapOf('k121_v122', 121, 122, 'long'), true),
      field(137, 'nan_value_counts', mapOf('k138_v139', 138, 139, 'long'), true),
      field(125, 'lower_bounds', mapOf('k126_v127', 126, 127, 'bytes'), true),
      field(128, 'upper_bounds', mapOf('k129_v130', 129, 130, 'bytes'), true),
      field(131, 'key_metadata', 'bytes', true),
      field(132, 'split_offsets', longs, true),
      field(135, 'equality_ids', { type: 'array', items: 'int', 'element-id': 136 }, true),
      field(140, 'sort_order_id', 'int', true),
      ...(formatVersion >= 3 ? [field(142, 'first_row_id', 'long', true)] : []),
      field(143, 'referenced_data_file', 'string', true),
      ...(formatVersion >= 3
        ? [field(144, 'content_offset', 'long', true), field(145, 'content_size_in_bytes', 'long', true)]
        : []),
    ],
  }
  return {
    type: 'record',
    name: 'manifest_entry',
    fields: [
      field(0, 'status', 'int'),
      field(1, 'snapshot_id', 'long', true),
      field(3, 'sequence_number', 'long', true),
      field(4, 'file_sequence_number', 'long', true),
      field(2, 'data_file', file),
    ],
  }
}

function pairs<T>(map: ReadonlyMap<number, T>, encode: (value: T) => unknown): unknown {
  if (map.size === 0) return null
  return [...map].sort(([a], [b]) => a - b).map(([key, value]) => ({ key, value: encode(value) }))
}

/**
 * A manifest of entries of one spec. Sequence numbers of added entries are left to inheritance, unless an entry states a
 * data sequence number below the snapshot's (`explicitSequence`: rows rewritten as they were). `formatVersion` (default 2)
 * is that of the table; from 3 on, an entry without `firstRowId` inherits one from the list.
 */
export function encodeManifest(input: {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly content: 'data' | 'deletes'
  readonly snapshotId: bigint
  readonly entries: readonly ManifestEntry[]
  readonly formatVersion?: 2 | 3
  /** Writes the data sequence numbers of added entries too. */
  readonly explicitSequence?: boolean
}): Uint8Array {
  const { schema, spec, formatVersion = 2 } = input
  const types = partitionTypes(spec, schema)
  const rows = input.entries.map((entry) => ({
    status: entry.status,
    snapshot_id: entry.snapshotId,
    sequence_number: entry.status === 1 && !input.explicitSequence ? null : entry.dataSequenceNumber,
    file_sequence_number: entry.status === 1 ? null : entry.fileSequenceNumber,
    data_file: {
      content: entry.file.content,
      file_path: entry.file.path,
      file_format: entry.file.format.toUpperCase(),
      partition: Object.fromEntries(
        types.map((one, i) => [avroName(one.field.name), avroValue(one.type, entry.file.partition[i] ?? null)]),
      ),
      record_count: entry.file.recordCount,
      file_size_in_bytes: entry.file.fileSizeInBytes,
      column_sizes: pairs(entry.file.columnSizes, (size) => size),
      value_counts: pairs(entry.file.valueCounts, (count) => count),
      null_value_counts: pairs(entry.file.nullValueCounts, (count) => count),
      nan_value_counts: pairs(entry.file.nanValueCounts, (count) => count),
      lower_bounds: pairs(entry.file.lowerBounds, (bound) => Buffer.from(bound)),
      upper_bounds: pairs(entry.file.upperBounds, (bound) => Buffer.from(bound)),
      key_metadata: entry.file.keyMetadata ? Buffer.from(entry.file.keyMetadata) : null,
      split_offsets: entry.file.splitOffsets.length > 0 ? entry.file.splitOffsets : null,
      equality_ids: entry.file.equalityIds.length > 0 ? entry.file.equalityIds : null,
      sort_order_id: entry.file.sortOrderId,
      first_row_id: entry.file.firstRowId ?? null,
      referenced_data_file: entry.file.referencedDataFile ?? null,
      content_offset: entry.file.contentOffset ?? null,
      content_size_in_bytes: entry.file.contentSizeInBytes ?? null,
    },
  }))
  return writeAvro(entrySchema(spec, schema, formatVersion), rows, {
    schema: stringifyJson(schemaToJson(schema)),
    'schema-id': String(schema.schemaId),
    'partition-spec': JSON.stringify(partitionFieldsToJson(spec)),
    'partition-spec-id': String(spec.specId),
    'format-version': String(formatVersion),
    content: input.content,
  })
}

/**
 * Reads a manifest of version 1 to 3; ids, row ids and sequence numbers that it leaves out are inherited from its list row. The
 * partition's types are those of the file's own Avro schema, so that a manifest without the table schema in its header
 * (some writers leave it out) is read too; `schema` and `spec` are then null. Throws `iceberg/invalid-metadata` when it is
 * damaged, or holds fewer entries than its list row says.
 */
export function decodeManifest(bytes: Uint8Array, manifest: ManifestFile): DecodedManifest {
  return orDamaged('manifest', manifest.path, () => decode(bytes, manifest))
}

export interface DecodedManifest {
  readonly schema: Schema | null
  readonly spec: PartitionSpec | null
  readonly entries: readonly ManifestEntry[]
}

/** What does not fit together in a file that decodes as Avro is damage too. */
function orDamaged<T>(what: string, path: string, body: () => T): T {
  try {
    return body()
  } catch (cause) {
    if (cause instanceof LimnError) throw cause
    throw new LimnError('iceberg/invalid-metadata', {
      message: `A ${what} is damaged: ${cause instanceof Error ? cause.message : String(cause)}${path === '' ? '' : ` (${path})`}.`,
      notDone: 'The table was not read.',
      remedy: 'Restore the file, or roll the table back to an earlier snapshot.',
      cause,
    })
  }
}

/**
 * The reference implementation puts a length before a partition's value of type `fixed`, which the schema in the same
 * file does not have; so read, every such length has to be right and every byte of a block used.
 */
function readEntries(bytes: Uint8Array): AvroFile {
  try {
    return readAvro(bytes, { deferMaps: true })
  } catch (damage) {
    try {
      return readAvro(bytes, { deferMaps: true, lengthBeforeFixed: true })
    } catch {
      throw damage
    }
  }
}

function decode(bytes: Uint8Array, manifest: ManifestFile): DecodedManifest {
  const file = readEntries(bytes)
  const { schema: schemaText, 'partition-spec': specText } = file.metadata
  const schema = schemaText === undefined ? null : schemaFromJson(parseJson(schemaText))
  const spec = specText === undefined ? null : specFromJson({ 'spec-id': manifest.specId, fields: parseJson(specText) })
  const stored = partitionFieldsOf(file.schema)
  const wanted: readonly StoredPartitionField[] =
    spec && schema ? spec.fields.map((one) => wantedField(one, schema, stored)) : stored
  let nextRowId = manifest.firstRowId
  const entries = file.rows.map((row): ManifestEntry => {
    const status = oneOf<EntryStatus>([0, 1, 2], row.status, 'entry status')
    const data = row.data_file as Row
    const own = row.sequence_number as bigint | null | undefined
    const ownFile = row.file_sequence_number as bigint | null | undefined
    const partition = data.partition as Row
    const inherited = status === 1 ? manifest.sequenceNumber : 0n
    const firstRowId = status === 2 ? (data.first_row_id as bigint | null | undefined) : rowIdOf(data)
    return {
      status,
      snapshotId: (row.snapshot_id as bigint | null) ?? manifest.addedSnapshotId,
      dataSequenceNumber: own ?? inherited,
      fileSequenceNumber: ownFile ?? inherited,
      file: dataFile(
        data,
        manifest.specId,
        wanted.map((one) => valueFromAvro(one.type, one.name === undefined ? null : partition[one.name])),
        firstRowId,
      ),
    }
  })
  function rowIdOf(data: Row): bigint | undefined {
    const own = data.first_row_id as bigint | null | undefined
    if (own !== null && own !== undefined) return own
    const inherited = nextRowId
    if (nextRowId !== undefined) nextRowId += longOf(data.record_count, 'record_count')
    return inherited
  }
  // A container cut between blocks is a whole one with fewer rows. (Stated lengths are not always true; counts are.)
  const stated = Math.max(manifest.addedFilesCount, manifest.existingFilesCount, manifest.deletedFilesCount)
  if (entries.length < stated) {
    throw new LimnError('iceberg/invalid-metadata', {
      message: `A manifest is cut off: it holds ${entries.length} of at least ${stated} files (${manifest.path}).`,
      notDone: 'The table was not read.',
      remedy: 'Restore the file, or roll the table back to an earlier snapshot.',
    })
  }
  return { schema, spec, entries }
}

function oneOf<T extends number>(known: readonly T[], value: unknown, what: string): T {
  const found = known.find((one) => one === Number(value))
  if (found !== undefined) return found
  throw new LimnError('iceberg/invalid-metadata', {
    message: `A manifest holds ${what} ${String(value)}, which does not exist.`,
    notDone: 'The table was not read.',
  })
}

function dataFile(
  data: Row,
  specId: number,
  partition: readonly (Value | null)[],
  firstRowId: bigint | null | undefined,
): DataFile {
  const key = data.key_metadata as Buffer | null | undefined
  const kept: Partial<StatisticsMaps> = {}
  return {
    content: oneOf<FileContent>([0, 1, 2], data.content ?? 0, 'file content'),
    path: storePath(textOf(data.file_path, 'file_path')),
    format: formatOf(String(data.file_format)),
    specId,
    partition,
    recordCount: longOf(data.record_count, 'record_count'),
    fileSizeInBytes: longOf(data.file_size_in_bytes, 'file_size_in_bytes'),
    get columnSizes() {
      kept.columnSizes ??= mapFrom<bigint>(data.column_sizes)
      return kept.columnSizes
    },
    get valueCounts() {
      kept.valueCounts ??= mapFrom<bigint>(data.value_counts)
      return kept.valueCounts
    },
    get nullValueCounts() {
      kept.nullValueCounts ??= mapFrom<bigint>(data.null_value_counts)
      return kept.nullValueCounts
    },
    get nanValueCounts() {
      kept.nanValueCounts ??= mapFrom<bigint>(data.nan_value_counts)
      return kept.nanValueCounts
    },
    get lowerBounds() {
      kept.lowerBounds ??= mapFrom<Uint8Array>(data.lower_bounds)
      return kept.lowerBounds
    },
    get upperBounds() {
      kept.upperBounds ??= mapFrom<Uint8Array>(data.upper_bounds)
      return kept.upperBounds
    },
    splitOffsets: (data.split_offsets as bigint[] | null | undefined) ?? [],
    equalityIds: ((data.equality_ids as readonly (number | bigint)[] | null | undefined) ?? []).map(Number),
    sortOrderId: (data.sort_order_id as number | null | undefined) ?? null,
    ...(key ? { keyMetadata: new Uint8Array(key) } : {}),
    ...(data.referenced_data_file ? { referencedDataFile: storePath(String(data.referenced_data_file)) } : {}),
    ...optionalLong(data, 'content_offset', 'contentOffset'),
    ...optionalLong(data, 'content_size_in_bytes', 'contentSizeInBytes'),
    ...(firstRowId === null || firstRowId === undefined ? {} : { firstRowId }),
  }
}

function longOf(value: unknown, what: string): bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return BigInt(value as bigint | number)
  throw new RangeError(`${what} is not a whole number`)
}

function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw new RangeError(`${what} is not text`)
}

function optionalLong(row: Row, key: string, name: 'contentOffset' | 'contentSizeInBytes' | 'firstRowId') {
  return row[key] === null || row[key] === undefined ? {} : { [name]: row[key] as bigint }
}

function formatOf(text: string): DataFile['format'] {
  const format = text.toLowerCase()
  if (format === 'parquet' || format === 'avro' || format === 'orc' || format === 'puffin') return format
  throw new LimnError('iceberg/unsupported', { message: `A manifest names a file of format ${text}.` })
}

const nothing = new Map<number, never>()

/** Decoded when first asked for: a plan asks for few of them, and a large table has millions. */
type StatisticsMaps = {
  -readonly [name in
    | 'columnSizes'
    | 'valueCounts'
    | 'nullValueCounts'
    | 'nanValueCounts'
    | 'lowerBounds'
    | 'upperBounds']: DataFile[name]
}

/** Some writers leave the logical type out; then a map is a plain list. */
function mapFrom<T>(value: unknown): ReadonlyMap<number, T> {
  if (value === null || value === undefined) return nothing
  if (value instanceof StoredMap) return value.toMap<number, T>()
  const list = value as readonly { readonly key: number; readonly value: T }[]
  return new Map(list.map((one) => [one.key, one.value]))
}

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
