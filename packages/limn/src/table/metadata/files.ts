import { type Datum, namesApart } from '../../engine/index.ts'
import {
  currentSchema,
  type DataFile,
  decodeSingleValue,
  type ManifestEntry,
  type ManifestFile,
  type Snapshot,
  type TableMetadata,
} from '../../iceberg/index.ts'
import {
  type Field,
  highestFieldId,
  isPrimitive,
  type Located,
  locateAll,
  type PrimitiveType,
  type Schema,
  type Type,
  type Value,
} from '../../schema/index.ts'
import { batchRowsMax, column, type Rows, type Source, schemaOf } from './source.ts'
import { partitionPlacer, unifiedPartition } from './unified-partition.ts'

function pairs(keyId: number, valueId: number, value: PrimitiveType): Type {
  return { type: 'map', keyId, key: 'int', valueId, valueRequired: true, value }
}
function listOf(elementId: number, element: PrimitiveType): Type {
  return { type: 'list', elementId, elementRequired: true, element }
}

/** What a manifest says of a file; without the partition where the table has none. */
function fileFields(metadata: TableMetadata): readonly Field[] {
  const unified = unifiedPartition(metadata)
  return [
    column(134, 'content', 'int'),
    column(100, 'file_path', 'string', true),
    column(101, 'file_format', 'string', true),
    column(141, 'spec_id', 'int'),
    ...(unified.fields.length > 0 ? [column(102, 'partition', unified, true)] : []),
    column(103, 'record_count', 'long', true),
    column(104, 'file_size_in_bytes', 'long', true),
    column(108, 'column_sizes', pairs(117, 118, 'long')),
    column(109, 'value_counts', pairs(119, 120, 'long')),
    column(110, 'null_value_counts', pairs(121, 122, 'long')),
    column(137, 'nan_value_counts', pairs(138, 139, 'long')),
    column(125, 'lower_bounds', pairs(126, 127, 'binary')),
    column(128, 'upper_bounds', pairs(129, 130, 'binary')),
    column(131, 'key_metadata', 'binary'),
    column(132, 'split_offsets', listOf(133, 'long')),
    column(135, 'equality_ids', listOf(136, 'int')),
    column(140, 'sort_order_id', 'int'),
    column(142, 'first_row_id', 'long'),
    column(143, 'referenced_data_file', 'string'),
    column(144, 'content_offset', 'long'),
    column(145, 'content_size_in_bytes', 'long'),
  ]
}

/** Columns that may have metrics, in order of full names. */
function measuredColumns(schema: Schema): readonly Located[] {
  return locateAll(schema.fields)
    .filter((one) => isPrimitive(one.field.type))
    .sort((a, b) => (a.path.join('.') < b.path.join('.') ? -1 : 1))
}

/** What a column's bounds are shown as: its own values, bytes where bounds are no values of the type. */
function boundType(type: Type): Type {
  return type === 'variant' || type === 'unknown' ? 'binary' : type
}

/**
 * Metrics by full column name, bounds as values of the column's type; ids follow the highest one used. The engine's names do
 * not differ in case alone: a later one of two such gets a number, as in the table itself.
 */
function withReadableMetrics(schema: Schema, fields: readonly Field[]): readonly Field[] {
  let id = highestFieldId(fields)
  const measured = measuredColumns(schema)
  const names = namesApart(measured.map((one) => one.path.join('.')))
  const columns = measured.map((one, i): Field => {
    const own = ++id
    const metrics = [
      column(++id, 'column_size', 'long'),
      column(++id, 'value_count', 'long'),
      column(++id, 'null_value_count', 'long'),
      column(++id, 'nan_value_count', 'long'),
      column(++id, 'lower_bound', boundType(one.field.type)),
      column(++id, 'upper_bound', boundType(one.field.type)),
    ]
    return column(own, names[i] ?? one.field.name, { type: 'struct', fields: metrics })
  })
  // No engine has a struct without fields.
  return columns.length === 0
    ? fields
    : [...fields, column(++id, 'readable_metrics', { type: 'struct', fields: columns })]
}

export function fileSchema(metadata: TableMetadata): Schema {
  return schemaOf(withReadableMetrics(currentSchema(metadata), fileFields(metadata)))
}

export function entrySchema(metadata: TableMetadata): Schema {
  const fields = [
    column(0, 'status', 'int', true),
    column(1, 'snapshot_id', 'long'),
    column(3, 'sequence_number', 'long'),
    column(4, 'file_sequence_number', 'long'),
    column(2, 'data_file', { type: 'struct', fields: fileFields(metadata) }, true),
  ]
  return schemaOf(withReadableMetrics(currentSchema(metadata), fields))
}

/** What a column of a file's row, or of an entry's, is made of. */
type Cell<From> = readonly [name: string, of: (from: From) => Datum]

/** Makes rows of cells; those of columns that do not matter are null. */
function rowMaker<From>(cells: readonly Cell<From>[], columns?: ReadonlySet<string>): (from: From) => readonly Datum[] {
  const made = cells.map(([name, of]) => (columns === undefined || columns.has(name) ? of : () => null))
  return (from) => made.map((of) => of(from))
}

/** The cells of `fileFields`; what is the same for all files is worked out once. */
function fileCells(metadata: TableMetadata): readonly Cell<DataFile>[] {
  const place = partitionPlacer(metadata)
  const partitioned = unifiedPartition(metadata).fields.length > 0
  const stated = <T extends { readonly size: number }>(map: T): T | null => (map.size === 0 ? null : map)
  const listed = (list: readonly Datum[]) => (list.length === 0 ? null : list)
  return [
    ['content', (one) => one.content],
    ['file_path', (one) => one.path],
    ['file_format', (one) => one.format.toUpperCase()],
    ['spec_id', (one) => one.specId],
    ...(partitioned ? [['partition', place] as const] : []),
    ['record_count', (one) => one.recordCount],
    ['file_size_in_bytes', (one) => one.fileSizeInBytes],
    ['column_sizes', (one) => stated(one.columnSizes)],
    ['value_counts', (one) => stated(one.valueCounts)],
    ['null_value_counts', (one) => stated(one.nullValueCounts)],
    ['nan_value_counts', (one) => stated(one.nanValueCounts)],
    ['lower_bounds', (one) => stated(one.lowerBounds)],
    ['upper_bounds', (one) => stated(one.upperBounds)],
    ['key_metadata', (one) => one.keyMetadata ?? null],
    ['split_offsets', (one) => listed(one.splitOffsets)],
    ['equality_ids', (one) => listed(one.equalityIds)],
    ['sort_order_id', (one) => one.sortOrderId],
    ['first_row_id', (one) => one.firstRowId ?? null],
    ['referenced_data_file', (one) => one.referencedDataFile ?? null],
    ['content_offset', (one) => one.contentOffset ?? null],
    ['content_size_in_bytes', (one) => one.contentSizeInBytes ?? null],
  ]
}

function metricsCells(metadata: TableMetadata): readonly Cell<DataFile>[] {
  const columns = measuredColumns(currentSchema(metadata)).map((one) => one.field)
  if (columns.length === 0) return []
  const bound = (type: Type, bytes: Uint8Array | undefined): Value | null =>
    bytes === undefined ? null : decodeSingleValue(boundType(type), bytes)
  const metrics = (one: DataFile) =>
    columns.map(
      ({ id, type }): Datum => [
        one.columnSizes.get(id) ?? null,
        one.valueCounts.get(id) ?? null,
        one.nullValueCounts.get(id) ?? null,
        one.nanValueCounts.get(id) ?? null,
        bound(type, one.lowerBounds.get(id)),
        bound(type, one.upperBounds.get(id)),
      ],
    )
  return [['readable_metrics', metrics]]
}

function entryCells(metadata: TableMetadata): readonly Cell<ManifestEntry>[] {
  const file = rowMaker(fileCells(metadata))
  return [
    ['status', (one) => one.status],
    ['snapshot_id', (one) => one.snapshotId],
    ['sequence_number', (one) => one.dataSequenceNumber],
    ['file_sequence_number', (one) => one.fileSequenceNumber],
    ['data_file', (one) => file(one.file)],
    ...metricsCells(metadata).map(([name, of]): Cell<ManifestEntry> => [name, (one) => of(one.file)]),
  ]
}

/** The manifests of snapshots that are wanted, each once, in the order they are first met. */
export async function* manifestsOfAll(
  source: Source,
  snapshots: readonly Snapshot[],
  wanted: (manifest: ManifestFile) => boolean = () => true,
): AsyncGenerator<ManifestFile> {
  const seen = new Set<string>()
  for (const snapshot of snapshots) {
    for (const manifest of await source.manifests.manifestsOf(snapshot, source.signal)) {
      if (seen.has(manifest.path) || !wanted(manifest)) continue
      seen.add(manifest.path)
      yield manifest
    }
  }
}

/** The entries of the manifests of snapshots, manifest by manifest: no more than one manifest's are held at a time. */
export async function* entriesOfAll(
  source: Source,
  snapshots: readonly Snapshot[],
  wanted?: (manifest: ManifestFile) => boolean,
): AsyncGenerator<readonly ManifestEntry[]> {
  const { manifests, signal } = source
  for await (const manifest of manifestsOfAll(source, snapshots, wanted))
    yield await manifests.entriesOf(manifest, signal, { keep: snapshots.length === 1 && manifests.canKeep([manifest]) })
}

/** Which files a table of files is about. */
export type FilesShown = 'files' | 'data_files' | 'delete_files'

/** Live files of the manifests of snapshots. A file that several manifests list is shown as often. */
export function fileRows(
  source: Source,
  snapshots: readonly Snapshot[],
  shown: FilesShown,
  columns?: ReadonlySet<string>,
): Rows {
  const { metadata } = source
  const make = rowMaker([...fileCells(metadata), ...metricsCells(metadata)], columns)
  const wanted = (manifest: ManifestFile) =>
    shown === 'files' || (manifest.content === 'deletes') === (shown === 'delete_files')
  return batched(entriesOfAll(source, snapshots, wanted), (entry) => (entry.status === 2 ? null : make(entry.file)))
}

/** Every entry of the manifests of snapshots, those of deleted files too. */
export function entryRows(source: Source, snapshots: readonly Snapshot[], columns?: ReadonlySet<string>): Rows {
  return batched(entriesOfAll(source, snapshots), rowMaker(entryCells(source.metadata), columns))
}

async function* batched(
  entries: AsyncIterable<readonly ManifestEntry[]>,
  rowOf: (entry: ManifestEntry) => readonly Datum[] | null,
): Rows {
  let batch: (readonly Datum[])[] = []
  for await (const some of entries) {
    for (const entry of some) {
      const row = rowOf(entry)
      if (row) batch.push(row)
      if (batch.length < batchRowsMax) continue
      yield batch
      batch = []
    }
  }
  if (batch.length > 0) yield batch
}
