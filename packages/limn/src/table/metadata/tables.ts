import { LimnError, nearest, type TableId, unreachable } from '../../base/index.ts'
import type { BoundRows, Datum } from '../../engine/index.ts'
import { type LoadedTable, type Snapshot, snapshotById } from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { entryRows, entrySchema, fileRows, fileSchema } from './files.ts'
import {
  historyRows,
  historySchema,
  metadataLogRows,
  metadataLogSchema,
  propertiesSchema,
  propertyRows,
  refRows,
  refsSchema,
  snapshotRows,
  snapshotsSchema,
} from './history.ts'
import { manifestRows, manifestSchema } from './manifests.ts'
import { partitionRows, partitionSchema } from './partitions.ts'
import { positionDeleteRows, positionDeleteSchema } from './position-deletes.ts'
import type { Rows, Source } from './source.ts'

/** Every metadata table, by the name it is queried under: `t.snapshots`. */
export const metadataTableNames = [
  'snapshots',
  'history',
  'refs',
  'files',
  'data_files',
  'delete_files',
  'entries',
  'manifests',
  'partitions',
  'metadata_log',
  'metadata_log_entries',
  'properties',
  'all_data_files',
  'all_delete_files',
  'all_files',
  'all_manifests',
  'all_entries',
  'position_deletes',
] as const

export type MetadataTableName = (typeof metadataTableNames)[number]

/** A metadata table of one table. Names, order and types of columns are those of the Java implementation. */
export interface MetadataTable {
  readonly name: MetadataTableName
  readonly schema: Schema
  /**
   * Rows in batches, anew with each call; manifests are read one after another, so that memory does not grow with the table.
   * `columns`: the ones that matter; others may be null instead. Default: all of them.
   */
  rows(columns?: ReadonlySet<string>): AsyncIterable<readonly (readonly Datum[])[]>
}

export interface MetadataTableOptions {
  /** The snapshot to look at, for the tables that show one; null: none, no rows. Default: the current one. */
  readonly snapshotId?: bigint | null
}

/** Whether a metadata table shows one snapshot, rather than the table's whole history. */
export function showsOneSnapshot(name: MetadataTableName): boolean {
  switch (name) {
    case 'files':
    case 'data_files':
    case 'delete_files':
    case 'entries':
    case 'manifests':
    case 'partitions':
    case 'position_deletes':
      return true
    case 'snapshots':
    case 'history':
    case 'refs':
    case 'metadata_log':
    case 'metadata_log_entries':
    case 'properties':
    case 'all_data_files':
    case 'all_delete_files':
    case 'all_files':
    case 'all_manifests':
    case 'all_entries':
      return false
    default:
      return unreachable(name)
  }
}

/**
 * What a table is made of, as a table. Nothing is read before its rows are asked for. Throws `usage/unknown-table` for a
 * name there is none of, `usage/unknown-snapshot`, and `usage/argument` for a snapshot of a table that shows them all.
 */
export function metadataTable(
  context: Omit<Source, 'metadata'>,
  loaded: LoadedTable,
  name: string,
  options: MetadataTableOptions = {},
): MetadataTable {
  const known = metadataTableNames.find((one) => one === name)
  if (!known) {
    const close = nearest(name, metadataTableNames)
    throw new LimnError('usage/unknown-table', {
      message: `${loaded.table} has no metadata table "${name}".`,
      notDone: 'Nothing was read.',
      remedy: close === null ? `There are: ${metadataTableNames.join(', ')}.` : `Did you mean ${close}?`,
    })
  }
  if (options.snapshotId !== undefined && !showsOneSnapshot(known))
    throw new LimnError('usage/argument', {
      message: `${loaded.table}.${known} shows the whole history of the table: it is read at no single snapshot.`,
      notDone: 'Nothing was read.',
      remedy: 'Leave the version out.',
    })
  const { metadata } = loaded
  const id = options.snapshotId === undefined ? metadata.currentSnapshotId : options.snapshotId
  const shown = showsOneSnapshot(known) ? (id === null ? [] : [existing(loaded, id)]) : metadata.snapshots
  return { name: known, ...contentOf(context, loaded, known, shown) }
}

/** A metadata table under a name, for a session of the engine. `columns`: those that queries speak of. Default: all. */
export function bindMetadataTable(id: TableId, table: MetadataTable, columns?: ReadonlySet<string>): BoundRows {
  return { id, schema: table.schema, rows: () => table.rows(columns) }
}

function existing({ table, metadata }: LoadedTable, id: bigint): Snapshot {
  const found = snapshotById(metadata, id)
  if (found) return found
  throw new LimnError('usage/unknown-snapshot', {
    message: `${table} has no snapshot ${id}.`,
    notDone: 'Nothing was read.',
    remedy: `List what it has: limn table history ${table}`,
  })
}

function contentOf(
  context: Omit<Source, 'metadata'>,
  loaded: LoadedTable,
  name: MetadataTableName,
  snapshots: readonly Snapshot[],
): { readonly schema: Schema; readonly rows: (columns?: ReadonlySet<string>) => Rows } {
  const { metadata } = loaded
  const source: Source = { ...context, metadata }
  switch (name) {
    case 'snapshots':
      return { schema: snapshotsSchema, rows: () => atOnce(snapshotRows(metadata)) }
    case 'history':
      return { schema: historySchema, rows: () => atOnce(historyRows(metadata)) }
    case 'refs':
      return { schema: refsSchema, rows: () => atOnce(refRows(metadata)) }
    case 'metadata_log_entries':
    case 'metadata_log':
      return { schema: metadataLogSchema, rows: () => atOnce(metadataLogRows(loaded)) }
    case 'properties':
      return { schema: propertiesSchema, rows: () => atOnce(propertyRows(metadata)) }
    case 'files':
    case 'all_files':
      return { schema: fileSchema(metadata), rows: (columns) => fileRows(source, snapshots, 'files', columns) }
    case 'data_files':
    case 'all_data_files':
      return { schema: fileSchema(metadata), rows: (columns) => fileRows(source, snapshots, 'data_files', columns) }
    case 'delete_files':
    case 'all_delete_files':
      return { schema: fileSchema(metadata), rows: (columns) => fileRows(source, snapshots, 'delete_files', columns) }
    case 'entries':
    case 'all_entries':
      return { schema: entrySchema(metadata), rows: (columns) => entryRows(source, snapshots, columns) }
    case 'manifests':
      return { schema: manifestSchema(false), rows: () => manifestRows(source, snapshots, false) }
    case 'all_manifests':
      return { schema: manifestSchema(true), rows: () => manifestRows(source, snapshots, true) }
    case 'partitions':
      return { schema: partitionSchema(metadata), rows: () => partitionRows(source, snapshots) }
    case 'position_deletes':
      return { schema: positionDeleteSchema(metadata), rows: () => positionDeleteRows(source, snapshots) }
    default:
      return unreachable(name)
  }
}

async function* atOnce(rows: readonly (readonly Datum[])[]): Rows {
  yield rows
}
