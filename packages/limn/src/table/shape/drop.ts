import { LimnError, type Progress, type TableId } from '../../base/index.ts'
import { type LoadedTable, reachableFiles, type TableNames } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'
import { deleteFiles, type LiveRuns, ownsItsFiles } from '../maintain/removal.ts'
import { loadTable } from './alter.ts'

export interface DropOptions {
  /** Also deletes every file that the table's metadata leads to. Default false: files stay. */
  readonly purge?: boolean
  /** Runs at work on the table: while there are any, its files are not purged. Default: there are none. */
  readonly live?: LiveRuns
  readonly progress?: Progress
  /** By which name progress tells of the table. Default: its own. */
  readonly known?: string
}

export interface Dropped {
  /** The metadata file that the name stood for: with it the table can be registered again, as long as files stay. */
  readonly metadataLocation: StorePath
  readonly deleted: readonly StorePath[]
  /** To be purged, and left: files outside the warehouse. */
  readonly left: readonly StorePath[]
}

const attemptsMax = 10

/**
 * Takes a table out of the catalog. Without `purge` no file is touched. With it the files that its metadata leads to are
 * deleted once the name is gone, and no others: what lies beside them in its folder stays. A crash between the two leaves
 * files without a table, never a table without files. Throws `usage/unknown-table`, `table/unsafe-change` where its files
 * are not its own to delete (`gc.enabled` is false, or another table has them too), `lease/held` while a run relies on them,
 * `catalog/conflict`; what the metadata leads to has to be readable before anything is dropped.
 */
export async function dropTable(context: TableContext, table: TableId, options: DropOptions = {}): Promise<Dropped> {
  const names = namesOf(context, table)
  await using _held = await context.holdForWrite?.(table)
  const { signal } = context
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const loaded = await loadTable(context, table)
    const { metadataLocation } = loaded
    const files = options.purge ? await filesToPurge(context, loaded, options.live) : []
    if (!(await names.drop(table, metadataLocation, { signal }))) continue
    const { deleted, outside } = await deleteFiles(context, options.known ?? table, files, options.progress)
    return { metadataLocation, deleted, left: outside }
  }
  throw keepsMoving(table, 'dropped')
}

/**
 * Gives a table another name; its files stay where they are, and who holds it open under its old name goes on reading.
 * Throws `usage/unknown-table`, and `usage/table-exists` when a table or view has the new name.
 */
export async function renameTable(context: TableContext, from: TableId, to: TableId): Promise<void> {
  const names = namesOf(context, from)
  await using _held = await context.holdForWrite?.(from)
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    await loadTable(context, from)
    if (await names.rename(from, to, { signal: context.signal })) return
  }
  throw keepsMoving(from, 'renamed')
}

function keepsMoving(table: TableId, what: string): LimnError {
  return new LimnError('catalog/conflict', {
    message: `Others kept changing ${table} while it was to be ${what}.`,
    notDone: 'The table is as they left it.',
    remedy: 'Try again when it is quieter.',
    retryable: true,
  })
}

function namesOf({ catalog }: TableContext, table: TableId): TableNames {
  if (catalog.names) return catalog.names
  throw new LimnError('iceberg/unsupported', {
    message: `${table} cannot be dropped or renamed here: within a transaction or a run names of tables stay.`,
    notDone: 'The table is unchanged.',
    remedy: 'Drop or rename it before or after.',
  })
}

/** Metadata files last: as long as one is there, it tells what else is to go. */
async function filesToPurge(
  context: TableContext,
  loaded: LoadedTable,
  live: LiveRuns | undefined,
): Promise<readonly StorePath[]> {
  const { table, metadata, metadataLocation } = loaded
  if ((live?.refs?.size ?? 0) > 0 || (live?.staged?.length ?? 0) > 0)
    throw new LimnError('lease/held', {
      message: `A run is at work on ${table} and reads its files.`,
      notDone: 'The table is still there.',
      remedy: 'Wait for it to end, or drop the table without PURGE.',
      retryable: true,
    })
  if (!ownsItsFiles(loaded)) throw notItsOwn(table, 'its property gc.enabled is false')
  const sharer = await otherOfSameFiles(context, loaded)
  if (sharer !== null) throw notItsOwn(table, `${sharer} is the same table under another name`)
  const { signal } = context
  const reachable = await reachableFiles(metadata, context.manifests, { metadataLocation, signal })
  const isMetadata = (path: StorePath) => path.endsWith('.metadata.json')
  const paths = [...reachable.files.values()]
  return [...paths.filter((path) => !isMetadata(path)), ...paths.filter(isMetadata)]
}

async function otherOfSameFiles(context: TableContext, loaded: LoadedTable): Promise<TableId | null> {
  const { signal } = context
  const ids = (await context.catalog.listTables({ signal })).filter((one) => one !== loaded.table)
  for (const [id, other] of await context.catalog.loadTables(ids, { signal }))
    if (other?.metadata.tableUuid === loaded.metadata.tableUuid) return id
  return null
}

function notItsOwn(table: TableId, why: string): LimnError {
  return new LimnError('table/unsafe-change', {
    message: `The files of ${table} are not its own to delete: ${why}.`,
    notDone: 'The table is still there.',
    remedy: 'Drop it without PURGE: its files stay.',
  })
}
