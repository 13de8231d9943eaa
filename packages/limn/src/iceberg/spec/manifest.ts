import { LimnError } from '../../base/index.ts'
import {
  type AvroHeader,
  type AvroSchema,
  parseJson,
  readAvro,
  StoredMap,
  scanAvro,
  stringifyJson,
  writeAvro,
} from '../../encoding/index.ts'
import { type Schema, schemaFromJson, schemaToJson, type Value } from '../../schema/index.ts'
import { storePath } from '../../storage/index.ts'
import { asDamaged, longOf, oneOf, optionalLong, orDamaged, type Row, textOf } from './manifest-values.ts'
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
import type { DataFile, EntryStatus, FileContent, ManifestEntry, ManifestFile, PartitionSpec } from './types.ts'

/** Manifests as Avro files (specification, "Manifests"; written in format version 2 and 3). */

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
  const out: { readonly key: number; readonly value: unknown }[] = []
  let sorted = true
  for (const [key, value] of map) {
    sorted &&= (out.at(-1)?.key ?? key) <= key
    out.push({ key, value: encode(value) })
  }
  return sorted ? out : out.sort((a, b) => a.key - b.key)
}

/**
 * A manifest of entries of one spec, which are taken one at a time. `formatVersion` (default 2) is that of the table; from
 * 3 on, an entry without `firstRowId` inherits one from the list.
 */
export function encodeManifest(input: {
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly content: 'data' | 'deletes'
  readonly snapshotId: bigint
  readonly entries: Iterable<ManifestEntry>
  readonly formatVersion?: 2 | 3
  /**
   * The snapshot's: added entries inherit it, and those that have another data sequence number (rows rewritten as they
   * were) state that. Absent: all added entries inherit.
   */
  readonly sequenceNumber?: bigint
}): Uint8Array {
  const { schema, spec, formatVersion = 2 } = input
  const types = partitionTypes(spec, schema)
  const inherits = ({ status, dataSequenceNumber }: ManifestEntry) =>
    status === 1 && (input.sequenceNumber ?? dataSequenceNumber) === dataSequenceNumber
  const rowOf = (entry: ManifestEntry) => ({
    status: entry.status,
    snapshot_id: entry.snapshotId,
    sequence_number: inherits(entry) ? null : entry.dataSequenceNumber,
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
  })
  return writeAvro(entrySchema(spec, schema, formatVersion), Iterator.from(input.entries).map(rowOf), {
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
  const { schema, spec, entries } = scanManifest(bytes, manifest)
  return { schema, spec, entries: [...entries] }
}

export interface DecodedManifest {
  readonly schema: Schema | null
  readonly spec: PartitionSpec | null
  readonly entries: readonly ManifestEntry[]
}

/**
 * Like `decodeManifest`, with entries decoded as they are taken, once. Damage further on throws when it is reached.
 * `statistics: false` passes over what is known of the columns, which is most of what an entry weighs: for work over every
 * file of a table that no statistics decide.
 */
export function scanManifest(
  bytes: Uint8Array,
  manifest: ManifestFile,
  { statistics = true }: { readonly statistics?: boolean } = {},
): Omit<DecodedManifest, 'entries'> & { readonly entries: Iterable<ManifestEntry> } {
  return orDamaged('manifest', manifest.path, () => scan(bytes, manifest, statistics))
}

/**
 * The reference implementation puts a length before a partition's value of type `fixed`, which the schema in the same
 * file does not have; so read, every such length has to be right and every byte of a block used. Which of the two it is
 * shows in the whole file alone.
 */
function readEntries(bytes: Uint8Array, statistics: boolean): AvroHeader & { readonly rows: Iterable<Row> } {
  const options = { deferMaps: true, ...(statistics ? {} : { omit: statisticsFields }) }
  const file = scanAvro(bytes, options)
  if (file.metadata['avro.schema']?.includes('"fixed"') !== true) return file
  try {
    return readAvro(bytes, options)
  } catch (damage) {
    try {
      return readAvro(bytes, { ...options, lengthBeforeFixed: true })
    } catch {
      throw damage
    }
  }
}

const statisticsFields: readonly string[] = [
  'column_sizes',
  'value_counts',
  'null_value_counts',
  'nan_value_counts',
  'lower_bounds',
  'upper_bounds',
  'split_offsets',
]

function scan(bytes: Uint8Array, manifest: ManifestFile, statistics: boolean) {
  const file = readEntries(bytes, statistics)
  const { schema: schemaText, 'partition-spec': specText } = file.metadata
  const schema = schemaText === undefined ? null : schemaFromJson(parseJson(schemaText))
  const spec = specText === undefined ? null : specFromJson({ 'spec-id': manifest.specId, fields: parseJson(specText) })
  const stored = partitionFieldsOf(file.schema)
  const wanted: readonly StoredPartitionField[] =
    spec && schema ? spec.fields.map((one) => wantedField(one, schema, stored)) : stored
  return { schema, spec, entries: entriesIn(file.rows, manifest, wanted, statistics) }
}

function* entriesIn(
  rows: Iterable<Row>,
  manifest: ManifestFile,
  wanted: readonly StoredPartitionField[],
  statistics: boolean,
): Generator<ManifestEntry, void> {
  const make = statistics ? dataFile : plainFile
  let nextRowId = manifest.firstRowId
  const rowIdOf = (data: Row): bigint | undefined => {
    const own = data.first_row_id as bigint | null | undefined
    if (own !== null && own !== undefined) return own
    const inherited = nextRowId
    if (nextRowId !== undefined) nextRowId += longOf(data.record_count, 'record_count')
    return inherited
  }
  const entryOf = (row: Row): ManifestEntry => {
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
      file: make(
        data,
        manifest.specId,
        wanted.length === 0
          ? none
          : wanted.map((one) => valueFromAvro(one.type, one.name === undefined ? null : partition[one.name])),
        firstRowId,
      ),
    }
  }
  let count = 0
  for (const row of rows) {
    let entry: ManifestEntry
    try {
      entry = entryOf(row)
    } catch (cause) {
      throw asDamaged('manifest', manifest.path, cause)
    }
    yield entry
    count++
  }
  // A container cut between blocks is a whole one with fewer rows. (Stated lengths are not always true; counts are.)
  const stated = Math.max(manifest.addedFilesCount, manifest.existingFilesCount, manifest.deletedFilesCount)
  if (count < stated) {
    throw new LimnError('iceberg/invalid-metadata', {
      message: `A manifest is cut off: it holds ${count} of at least ${stated} files (${manifest.path}).`,
      notDone: 'The table was not read.',
      remedy: 'Restore the file, or roll the table back to an earlier snapshot.',
    })
  }
}

/** A file with nothing known of its columns. */
function plainFile(
  data: Row,
  specId: number,
  partition: readonly (Value | null)[],
  firstRowId: bigint | null | undefined,
): DataFile {
  const key = data.key_metadata as Buffer | null | undefined
  const ids = data.equality_ids as readonly (number | bigint)[] | null | undefined
  return {
    content: oneOf<FileContent>([0, 1, 2], data.content ?? 0, 'file content'),
    path: storePath(textOf(data.file_path, 'file_path')),
    format: formatOf(String(data.file_format)),
    specId,
    partition,
    recordCount: longOf(data.record_count, 'record_count'),
    fileSizeInBytes: longOf(data.file_size_in_bytes, 'file_size_in_bytes'),
    columnSizes: nothing,
    valueCounts: nothing,
    nullValueCounts: nothing,
    nanValueCounts: nothing,
    lowerBounds: nothing,
    upperBounds: nothing,
    splitOffsets: none,
    equalityIds: ids?.map(Number) ?? none,
    sortOrderId: (data.sort_order_id as number | null | undefined) ?? null,
    ...(key ? { keyMetadata: new Uint8Array(key) } : {}),
    ...(data.referenced_data_file ? { referencedDataFile: storePath(String(data.referenced_data_file)) } : {}),
    ...optionalLong(data, 'content_offset', 'contentOffset'),
    ...optionalLong(data, 'content_size_in_bytes', 'contentSizeInBytes'),
    ...(firstRowId === null || firstRowId === undefined ? {} : { firstRowId }),
  }
}

function dataFile(
  data: Row,
  specId: number,
  partition: readonly (Value | null)[],
  firstRowId: bigint | null | undefined,
): DataFile {
  const key = data.key_metadata as Buffer | null | undefined
  const ids = data.equality_ids as readonly (number | bigint)[] | null | undefined
  const kept: Partial<StatisticsMaps> = {}
  // Written out, as `plainFile` is: a spread would take as long as all the rest, and a large table has millions of these.
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
    splitOffsets: (data.split_offsets as bigint[] | null | undefined) ?? none,
    equalityIds: ids?.map(Number) ?? none,
    sortOrderId: (data.sort_order_id as number | null | undefined) ?? null,
    ...(key ? { keyMetadata: new Uint8Array(key) } : {}),
    ...(data.referenced_data_file ? { referencedDataFile: storePath(String(data.referenced_data_file)) } : {}),
    ...optionalLong(data, 'content_offset', 'contentOffset'),
    ...optionalLong(data, 'content_size_in_bytes', 'contentSizeInBytes'),
    ...(firstRowId === null || firstRowId === undefined ? {} : { firstRowId }),
  }
}

/**
 * A file without what is known of its columns, which is most of what an entry weighs: for work over every file of a
 * table that no statistics decide.
 */
export function withoutStatistics(file: DataFile): DataFile {
  const { content, path, format, specId, partition, recordCount, fileSizeInBytes, equalityIds, sortOrderId } = file
  const { keyMetadata, firstRowId, referencedDataFile, contentOffset, contentSizeInBytes } = file
  return {
    content,
    path,
    format,
    specId,
    partition: partition.length > 0 ? partition : none,
    recordCount,
    fileSizeInBytes,
    columnSizes: nothing,
    valueCounts: nothing,
    nullValueCounts: nothing,
    nanValueCounts: nothing,
    lowerBounds: nothing,
    upperBounds: nothing,
    splitOffsets: none,
    equalityIds: equalityIds.length > 0 ? equalityIds : none,
    sortOrderId,
    ...(keyMetadata === undefined ? {} : { keyMetadata }),
    ...(firstRowId === undefined ? {} : { firstRowId }),
    ...(referencedDataFile === undefined ? {} : { referencedDataFile }),
    ...(contentOffset === undefined ? {} : { contentOffset }),
    ...(contentSizeInBytes === undefined ? {} : { contentSizeInBytes }),
  }
}

const none: readonly never[] = []

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
