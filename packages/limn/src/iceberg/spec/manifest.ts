import { LimnError } from '../../base/index.ts'
import { type AvroSchema, parseJson, readAvro, writeAvro } from '../../encoding/index.ts'
import {
  decimalOf,
  fieldById,
  fixedLengthOf,
  type PrimitiveType,
  type Schema,
  schemaFromJson,
  schemaToJson,
  type Type,
  type Value,
} from '../../schema/index.ts'
import { storePath } from '../../storage/index.ts'
import { partitionFieldsToJson, specFromJson } from './metadata-json.ts'
import { bigEndian, decodeSingleValue } from './single-value.ts'
import { transformResultType } from './transforms.ts'
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

function field(id: number, name: string, type: AvroSchema, optional = false): AvroSchema {
  return optional ? { name, type: ['null', type], default: null, 'field-id': id } : { name, type, 'field-id': id }
}

function mapOf(name: string, keyId: number, valueId: number, value: AvroSchema): AvroSchema {
  const record = { type: 'record', name, fields: [field(keyId, 'key', 'int'), field(valueId, 'value', value)] }
  return { type: 'array', items: record, logicalType: 'map' }
}

function avroType(type: Type): AvroSchema {
  const decimal = decimalOf(type)
  if (decimal) {
    const size = bytesForPrecision(decimal.precision)
    return {
      type: 'fixed',
      name: `decimal_${decimal.precision}_${decimal.scale}`,
      size,
      logicalType: 'decimal',
      precision: decimal.precision,
      scale: decimal.scale,
    }
  }
  const fixed = fixedLengthOf(type)
  if (fixed !== null) return { type: 'fixed', name: `fixed_${fixed}`, size: fixed }
  switch (type) {
    case 'boolean':
    case 'int':
    case 'long':
    case 'float':
    case 'double':
    case 'string':
      return type
    case 'date':
      return { type: 'int', logicalType: 'date' }
    case 'time':
      return { type: 'long', logicalType: 'time-micros' }
    case 'timestamp':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': false }
    case 'timestamptz':
      return { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true }
    case 'uuid':
      return { type: 'fixed', name: 'uuid_fixed', size: 16, logicalType: 'uuid' }
    default:
      return 'bytes'
  }
}

function bytesForPrecision(precision: number): number {
  let size = 1
  while (2n ** BigInt(8 * size - 1) - 1n < 10n ** BigInt(precision) - 1n) size++
  return size
}

function partitionTypes(spec: PartitionSpec, schema: Schema) {
  return spec.fields.map((one) => ({
    field: one,
    type: transformResultType(one.transform, fieldById(schema, one.sourceId)?.type ?? 'string'),
  }))
}

/** Avro names allow letters, digits and underscores; the field id is what readers go by. */
function avroName(name: string): string {
  return name
    .replace(/[^A-Za-z0-9_]/g, (char) => `_x${char.codePointAt(0)?.toString(16).toUpperCase()}`)
    .replace(/^(\d)/, '_$1')
}

function entrySchema(spec: PartitionSpec, schema: Schema): AvroSchema {
  const partition = {
    type: 'record',
    name: 'r102',
    fields: partitionTypes(spec, schema).map((one) =>
      field(one.field.fieldId, avroName(one.field.name), avroType(one.type), true),
    ),
  }
  const longs = { type: 'array', items: 'long', 'element-id': 133 }
  const file = {
    type: 'record',
    name: 'r2',
    fields: [
      field(134, 'content', 'int'),
      field(100, 'file_path', 'string'),
      field(101, 'file_format', 'string'),
      field(102, 'partition', partition),
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

function avroValue(type: Type, value: Value | null): unknown {
  if (value === null || value === undefined) return null
  const decimal = decimalOf(type)
  if (decimal) {
    const size = bytesForPrecision(decimal.precision)
    const digits = BigInt(value as bigint)
    const short = bigEndian(digits)
    return Buffer.concat([Buffer.alloc(size - short.length, digits < 0n ? 0xff : 0), short])
  }
  if (type === 'uuid') return Buffer.from(String(value).replaceAll('-', ''), 'hex')
  if (type === 'long' || type === 'time' || type === 'timestamp' || type === 'timestamptz')
    return BigInt(value as bigint)
  return value instanceof Uint8Array ? Buffer.from(value) : value
}

function valueFromAvro(type: Type, value: unknown): Value | null {
  if (value === null || value === undefined) return null
  if (decimalOf(type) || type === 'uuid') return decodeSingleValue(type, value as Uint8Array)
  if (type === 'int' || type === 'date') return Number(value)
  if (type === 'long' || type === 'time' || type === 'timestamp' || type === 'timestamptz')
    return BigInt(value as bigint)
  if (value instanceof Uint8Array) return type === 'string' ? Buffer.from(value).toString() : new Uint8Array(value)
  return value as Value
}

function pairs<T>(map: ReadonlyMap<number, T>, encode: (value: T) => unknown): unknown {
  if (map.size === 0) return null
  return [...map].sort(([a], [b]) => a - b).map(([key, value]) => ({ key, value: encode(value) }))
}

/** A manifest of entries of one spec. Sequence numbers of added entries are left to inheritance. */
export function encodeManifest(input: {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly content: 'data' | 'deletes'
  readonly snapshotId: bigint
  readonly entries: readonly ManifestEntry[]
}): Uint8Array {
  const { schema, spec } = input
  const types = partitionTypes(spec, schema)
  const rows = input.entries.map((entry) => ({
    status: entry.status,
    snapshot_id: entry.snapshotId,
    sequence_number: entry.status === 1 ? null : entry.dataSequenceNumber,
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
    },
  }))
  return writeAvro(entrySchema(spec, schema), rows, {
    schema: JSON.stringify(schemaToJson(schema)),
    'schema-id': String(schema.schemaId),
    'partition-spec': JSON.stringify(partitionFieldsToJson(spec)),
    'partition-spec-id': String(spec.specId),
    'format-version': '2',
    content: input.content,
  })
}

/**
 * Reads a manifest of version 1 or 2; ids and sequence numbers that it leaves out are inherited from its list row. The
 * partition's types are those of the file's own Avro schema, so that a manifest without the table schema in its header
 * (some writers leave it out) is read too; `schema` and `spec` are then null.
 */
export function decodeManifest(
  bytes: Uint8Array,
  manifest: ManifestFile,
): { readonly schema: Schema | null; readonly spec: PartitionSpec | null; readonly entries: readonly ManifestEntry[] } {
  const file = readAvro(bytes)
  const { schema: schemaText, 'partition-spec': specText } = file.metadata
  const schema = schemaText === undefined ? null : schemaFromJson(parseJson(schemaText))
  const spec = specText === undefined ? null : specFromJson({ 'spec-id': manifest.specId, fields: parseJson(specText) })
  const types = spec && schema ? partitionTypes(spec, schema) : null
  const stored = partitionFieldsOf(file.schema)
  const wanted =
    types?.map((one) => ({ ...stored.find((field) => field.id === one.field.fieldId), type: one.type })) ?? stored
  const entries = file.rows.map((row): ManifestEntry => {
    const status = Number(row.status) as EntryStatus
    const data = row.data_file as Row
    const own = row.sequence_number as bigint | null | undefined
    const ownFile = row.file_sequence_number as bigint | null | undefined
    const partition = data.partition as Row
    const inherited = status === 1 ? manifest.sequenceNumber : 0n
    return {
      status,
      snapshotId: (row.snapshot_id as bigint | null) ?? manifest.addedSnapshotId,
      dataSequenceNumber: own ?? inherited,
      fileSequenceNumber: ownFile ?? inherited,
      file: dataFile(
        data,
        manifest.specId,
        wanted.map((one) => valueFromAvro(one.type, one.name === undefined ? null : partition[one.name])),
      ),
    }
  })
  return { schema, spec, entries }
}

interface StoredPartitionField {
  readonly id?: number
  readonly name?: string
  readonly type: PrimitiveType
}

/** The partition record's fields in a manifest's own schema: writers mangle names differently, ids are certain. */
function partitionFieldsOf(schema: AvroSchema): readonly StoredPartitionField[] {
  const fieldsOf = (from: AvroSchema | undefined) =>
    from && typeof from === 'object' && 'fields' in from ? (from.fields as Row[]) : []
  const inner = (from: AvroSchema | undefined, name: string) =>
    fieldsOf(from).find((one) => one.name === name)?.type as AvroSchema | undefined
  return fieldsOf(inner(inner(schema, 'data_file'), 'partition')).map((one) => ({
    id: Number(one['field-id']),
    name: String(one.name),
    type: primitiveOfAvro(one.type as AvroSchema),
  }))
}

/** The Iceberg type of an Avro one (specification, appendix A), options unwrapped. */
function primitiveOfAvro(type: AvroSchema): PrimitiveType {
  if (Array.isArray(type))
    return primitiveOfAvro((type as readonly AvroSchema[]).find((one) => one !== 'null') ?? 'string')
  if (typeof type === 'string') return type === 'bytes' ? 'binary' : (type as PrimitiveType)
  const json = type as Row
  switch (json.logicalType) {
    case 'date':
      return 'date'
    case 'time-micros':
      return 'time'
    case 'timestamp-micros':
      return json['adjust-to-utc'] === true ? 'timestamptz' : 'timestamp'
    case 'decimal':
      return `decimal(${Number(json.precision)},${Number(json.scale ?? 0)})`
    case 'uuid':
      return 'uuid'
    default:
      return json.type === 'fixed' ? `fixed[${Number(json.size)}]` : primitiveOfAvro(json.type as AvroSchema)
  }
}

function dataFile(data: Row, specId: number, partition: readonly (Value | null)[]): DataFile {
  const key = data.key_metadata as Buffer | null | undefined
  return {
    content: Number(data.content ?? 0) as FileContent,
    path: storePath(String(data.file_path)),
    format: formatOf(String(data.file_format)),
    specId,
    partition,
    recordCount: data.record_count as bigint,
    fileSizeInBytes: data.file_size_in_bytes as bigint,
    columnSizes: mapFrom(data.column_sizes),
    valueCounts: mapFrom(data.value_counts),
    nullValueCounts: mapFrom(data.null_value_counts),
    nanValueCounts: mapFrom(data.nan_value_counts),
    lowerBounds: mapFrom(data.lower_bounds),
    upperBounds: mapFrom(data.upper_bounds),
    splitOffsets: (data.split_offsets as bigint[] | null | undefined) ?? [],
    equalityIds: ((data.equality_ids as readonly (number | bigint)[] | null | undefined) ?? []).map(Number),
    sortOrderId: (data.sort_order_id as number | null | undefined) ?? null,
    ...(key ? { keyMetadata: new Uint8Array(key) } : {}),
  }
}

function formatOf(text: string): DataFile['format'] {
  const format = text.toLowerCase()
  if (format === 'parquet' || format === 'avro' || format === 'orc' || format === 'puffin') return format
  throw new LimnError('iceberg/unsupported', { message: `A manifest names a file of format ${text}.` })
}

function mapFrom<T>(value: unknown): ReadonlyMap<number, T> {
  const list = (value ?? []) as readonly { readonly key: number; readonly value: T }[]
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

const listSchema: AvroSchema = {
  type: 'record',
  name: 'manifest_file',
  fields: [
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
  ],
}

export function encodeManifestList(input: {
  readonly snapshotId: bigint
  readonly parentSnapshotId: bigint | null
  readonly sequenceNumber: bigint
  readonly manifests: readonly ManifestFile[]
}): Uint8Array {
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
    key_metadata: null,
  }))
  return writeAvro(listSchema, rows, {
    'snapshot-id': String(input.snapshotId),
    'parent-snapshot-id': input.parentSnapshotId === null ? 'null' : String(input.parentSnapshotId),
    'sequence-number': String(input.sequenceNumber),
    'format-version': '2',
  })
}

/** Reads a manifest list of version 1 or 2. Counts that version 1 leaves out are taken as unknown, counted as one. */
export function decodeManifestList(bytes: Uint8Array): readonly ManifestFile[] {
  return readAvro(bytes).rows.map((row): ManifestFile => {
    const count = (...names: string[]) =>
      Number(names.map((name) => row[name]).find((value) => value !== undefined && value !== null) ?? 1)
    const rows = (name: string) => (row[name] as bigint | null | undefined) ?? 0n
    return {
      path: storePath(String(row.manifest_path)),
      length: row.manifest_length as bigint,
      specId: Number(row.partition_spec_id),
      content: Number(row.content ?? 0) === 1 ? 'deletes' : 'data',
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
    }
  })
}
