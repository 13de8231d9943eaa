import { LimnError, mapConcurrently, type TableId } from '../../base/index.ts'
import { isUnder, type LoadedTable, locationKey, snapshotById } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { pinRef, type TableContext } from '../context.ts'
import { liveTableTasks } from '../read/read.ts'
import { openExternal } from './external.ts'

export interface RegisterOptions {
  /** Also look whether every data and delete file of main is there. Default true. */
  readonly files?: boolean
  readonly dryRun?: boolean
}

export interface Registered {
  readonly loaded: LoadedTable
  readonly snapshotId: bigint | null
  /** Of main's data files, rows that its delete files remove included. */
  readonly rows: bigint
  readonly files: number
  /** False: the table lies outside the warehouse, and limn only reads it. */
  readonly writable: boolean
}

const looksAtOnce = 32

/**
 * Makes a table that is there already, a `metadata.json` or the folder of a table, a table of this catalog: it goes on
 * from that metadata, and no file is written. Every snapshot that a ref names has to be readable down to its manifests,
 * and main down to its files. Throws `usage/table-exists` for a name that is taken; `table/unsafe-change` for a table that
 * the catalog has under another name, as the two would go apart; `storage/missing` for what cannot be reached; and as
 * `openExternal` does.
 */
export async function registerTable(
  context: TableContext,
  table: TableId,
  location: StorePath,
  options: RegisterOptions = {},
): Promise<Registered> {
  const { catalog, store, signal } = context
  await requireFreeName(context, table)
  const loaded = await openExternal(context, location, table)
  await requireUnknown(context, loaded)
  const { files, rows } = await reach(context, loaded, options.files !== false)
  if (!options.dryRun && !(await catalog.registerTable(table, loaded.metadataLocation, { signal }))) throw taken(table)
  return {
    loaded,
    snapshotId: loaded.metadata.currentSnapshotId,
    rows,
    files,
    writable: isUnder(loaded.metadata.location, store.root),
  }
}

export async function requireFreeName({ catalog, signal }: TableContext, table: TableId): Promise<void> {
  if ((await catalog.loadTables([table], { signal })).get(table)) throw taken(table)
}

export function taken(table: TableId): LimnError {
  return new LimnError('usage/table-exists', {
    message: `There is a table ${table} already.`,
    notDone: 'Nothing was changed.',
    remedy: 'Choose another name.',
  })
}

/** Two names for one table would each commit without seeing the other, and one could delete the files of the other. */
async function requireUnknown(
  { catalog, signal }: TableContext,
  { metadata, metadataLocation }: LoadedTable,
): Promise<void> {
  const known = await catalog.loadTables(await catalog.listTables({ signal }), { signal })
  for (const one of known.values()) {
    if (!one) continue
    const same =
      locationKey(one.metadataLocation) === locationKey(metadataLocation) ||
      (metadata.tableUuid !== '' && one.metadata.tableUuid === metadata.tableUuid)
    if (!same) continue
    throw new LimnError('table/unsafe-change', {
      message: `${metadataLocation} is the table ${one.table} of this catalog.`,
      notDone: 'Nothing was registered: two names for one table would go apart.',
      remedy: 'Take a snapshot of it under another name: limn table snapshot.',
    })
  }
}

async function reach(
  context: TableContext,
  loaded: LoadedTable,
  all: boolean,
): Promise<{ readonly files: number; readonly rows: bigint }> {
  const { metadata } = loaded
  const { manifests, store, signal } = context
  const ids = new Set(Object.values(metadata.refs).map((ref) => ref.snapshotId))
  if (metadata.currentSnapshotId !== null) ids.add(metadata.currentSnapshotId)
  const wanted = new Set<StorePath>()
  for (const id of ids) {
    const snapshot = snapshotById(metadata, id)
    for (const one of snapshot ? await manifests.manifestsOf(snapshot, signal) : []) wanted.add(one.path)
  }
  const pin = pinRef(loaded)
  const tasks = pin ? await liveTableTasks(context, pin) : []
  if (all)
    for (const { file, deletes } of tasks) {
      wanted.add(file.path)
      for (const one of deletes) wanted.add(one.file.path)
    }
  const there = await mapConcurrently([...wanted], looksAtOnce, async (path) => ({
    path,
    info: await store.stat(path, { signal }),
  }))
  const missing = there.filter((one) => one.info === null)
  if (missing.length > 0)
    throw new LimnError('storage/missing', {
      message: `${missing.length} of ${there.length} files of the table are not there: ${missing[0]?.path}.`,
      notDone: 'Nothing was changed.',
      remedy: 'Put the files where the metadata names them: a table that was moved has to be moved back, or rewritten.',
    })
  return { files: tasks.length, rows: tasks.reduce((sum, one) => sum + one.file.recordCount, 0n) }
}
