import { LimnError, nearest, type TableId } from '../base/index.ts'
import {
  currentSchema,
  type DataFile,
  type LoadedTable,
  partitionValueText,
  type Snapshot,
  snapshotById,
  specById,
} from '../iceberg/index.ts'
import { type LedgerRow, ledgerTable, readLedger } from '../pipeline/index.ts'
import { fieldById } from '../schema/index.ts'
import { liveTableFiles } from '../table/index.ts'
import type { Lake } from './lake.ts'

/** Reading what tables are: for `limn table` and `limn runs`. */

export interface TableSummary {
  readonly table: TableId
  readonly rows: number
  readonly files: number
  readonly bytes: number
  readonly snapshotId: bigint | null
  readonly updatedMs: number
}

export async function listTables(lake: Lake): Promise<readonly TableSummary[]> {
  const ids = await lake.catalog.listTables()
  const loaded = await lake.catalog.loadTables(ids)
  return ids.flatMap((id) => {
    const table = loaded.get(id)
    return table ? [summaryOf(table)] : []
  })
}

export function summaryOf(loaded: LoadedTable): TableSummary {
  const { metadata } = loaded
  const snapshot = metadata.currentSnapshotId === null ? undefined : snapshotById(metadata, metadata.currentSnapshotId)
  const total = (name: string) => Number(snapshot?.summary[name] ?? 0)
  return {
    table: loaded.table,
    rows: total('total-records'),
    files: total('total-data-files'),
    bytes: total('total-files-size'),
    snapshotId: metadata.currentSnapshotId,
    updatedMs: metadata.lastUpdatedMs,
  }
}

/** Throws `usage/unknown-table` with the nearest name. */
export async function loadTable(lake: Lake, id: TableId): Promise<LoadedTable> {
  const loaded = (await lake.catalog.loadTables([id])).get(id)
  if (loaded) return loaded
  const close = nearest(id, await lake.catalog.listTables())
  throw new LimnError('usage/unknown-table', {
    message: `There is no table ${id}.`,
    remedy: close ? `Did you mean ${close}?` : 'List the tables with: limn table ls',
  })
}

/** Snapshots that main has had, latest first, with the time each was published. */
export function historyOf(
  loaded: LoadedTable,
): readonly { readonly publishedMs: number; readonly snapshot: Snapshot | undefined; readonly snapshotId: bigint }[] {
  return [...loaded.metadata.snapshotLog].reverse().map((entry) => ({
    publishedMs: entry.timestampMs,
    snapshotId: entry.snapshotId,
    snapshot: snapshotById(loaded.metadata, entry.snapshotId),
  }))
}

export interface FileRow {
  readonly path: string
  readonly partition: string
  readonly rows: number
  readonly bytes: number
}

export async function filesOf(lake: Lake, id: TableId): Promise<readonly FileRow[]> {
  const loaded = await loadTable(lake, id)
  const files = await liveTableFiles(await lake.context(), loaded)
  return files.map((file) => ({
    path: file.path,
    partition: partitionText(loaded, file),
    rows: Number(file.recordCount),
    bytes: Number(file.fileSizeInBytes),
  }))
}

function partitionText(loaded: LoadedTable, file: DataFile): string {
  const schema = currentSchema(loaded.metadata)
  return specById(loaded.metadata, file.specId)
    .fields.map((field, i) => {
      const type = fieldById(schema, field.sourceId)?.type ?? 'string'
      return `${field.name}=${partitionValueText(field.transform, type, file.partition[i] ?? null)}`
    })
    .join(', ')
}

export interface PartitionRow {
  readonly partition: string
  readonly files: number
  readonly rows: number
  readonly bytes: number
}

export async function partitionsOf(lake: Lake, id: TableId): Promise<readonly PartitionRow[]> {
  const groups = Map.groupBy(await filesOf(lake, id), (file) => file.partition)
  const sum = (files: readonly FileRow[], key: 'rows' | 'bytes') => files.reduce((total, file) => total + file[key], 0)
  return [...groups]
    .map(([partition, files]) => ({
      partition,
      files: files.length,
      rows: sum(files, 'rows'),
      bytes: sum(files, 'bytes'),
    }))
    .sort((a, b) => (a.partition < b.partition ? -1 : 1))
}

/** The ledger, in order of publication. */
export async function ledgerOf(lake: Lake): Promise<readonly LedgerRow[]> {
  const loaded = (await lake.catalog.loadTables([ledgerTable])).get(ledgerTable) ?? null
  return readLedger(await lake.context(), loaded)
}
