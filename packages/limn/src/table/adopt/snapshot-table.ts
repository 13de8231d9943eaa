import { LimnError, randomUuid, step, type TableId } from '../../base/index.ts'
import {
  encodeMetadata,
  type LoadedTable,
  metadataFolder,
  snapshotById,
  type TableMetadata,
} from '../../iceberg/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import { folderOf, type TableContext } from '../context.ts'
import { requireFreeName, taken } from './register.ts'

export interface SnapshotTableOptions {
  /** Which snapshot of the source. Default: its current one. */
  readonly snapshotId?: bigint
  /** Default: a new folder in the warehouse. */
  readonly location?: StorePath
  readonly properties?: Readonly<Record<string, string>>
  readonly dryRun?: boolean
}

/** Where a table writes is its own affair; a copy has its own places. */
export const places = [
  'write.data.path',
  'write.metadata.path',
  'write.object-storage.path',
  'write.folder-storage.path',
]

/**
 * Makes a new table over the files of another (as `limn table snapshot`): same rows, deletes and columns, no file copied.
 * The two are independent: what is written to one is not in the other. The new table never deletes a file
 * (`gc.enabled` is false); it breaks if the source's files are deleted, so do not expire what it stands on. Throws
 * `usage/table-exists`, `usage/unknown-snapshot`.
 */
export async function snapshotTable(
  context: TableContext,
  source: LoadedTable,
  table: TableId,
  options: SnapshotTableOptions = {},
): Promise<LoadedTable> {
  const { store, catalog, steps, randomness, signal } = context
  await requireFreeName(context, table)
  const metadata = copyOf(context, source, table, options)
  const metadataLocation = storePath(`${metadataFolder(metadata)}/00000-${randomUuid(randomness)}.metadata.json`)
  if (options.dryRun) return { table, metadataLocation, metadata }
  await step(steps, 'metadata.write', metadataLocation, () =>
    store.write(metadataLocation, encodeMetadata(metadata), { signal }),
  )
  const made = await catalog.registerTable(table, metadataLocation, { signal })
  if (made) return made
  await store.delete([metadataLocation], { signal })
  throw taken(table)
}

function copyOf(
  context: TableContext,
  { table: from, metadata }: LoadedTable,
  table: TableId,
  options: SnapshotTableOptions,
): TableMetadata {
  const { clock, randomness } = context
  const id = options.snapshotId ?? metadata.currentSnapshotId
  const snapshot = id === null ? undefined : snapshotById(metadata, id)
  if (id !== null && !snapshot)
    throw new LimnError('usage/unknown-snapshot', {
      message: `${from} has no snapshot ${id}.`,
      notDone: 'Nothing was made.',
      remedy: 'List its snapshots with: limn table history',
    })
  const nowMs = Math.max(clock.nowMs(), snapshot?.timestampMs ?? 0)
  const kept = Object.entries(metadata.properties).filter(([name]) => !places.includes(name))
  return {
    ...metadata,
    tableUuid: randomUuid(randomness),
    location: options.location ?? newLocation(context, table),
    lastUpdatedMs: nowMs,
    properties: { ...Object.fromEntries(kept), ...options.properties, 'gc.enabled': 'false', snapshot: 'true' },
    currentSnapshotId: id,
    snapshots: snapshot ? [{ ...snapshot, parentSnapshotId: null }] : [],
    snapshotLog: id === null ? [] : [{ timestampMs: nowMs, snapshotId: id }],
    metadataLog: [],
    refs: id === null ? {} : { main: { type: 'branch', snapshotId: id } },
    statistics: metadata.statistics.filter((one) => one.snapshotId === id),
    partitionStatistics: metadata.partitionStatistics.filter((one) => one.snapshotId === id),
  }
}

/** Two tables never share a folder, and a name may be given again: the folder is new. */
export function newLocation(context: TableContext, table: TableId): StorePath {
  const unique = Buffer.from(context.randomness.bytes(4)).toString('hex')
  return storePath(`${folderOf(context, table)}-${unique}`)
}
