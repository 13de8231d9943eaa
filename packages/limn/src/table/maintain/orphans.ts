import { counted, LimnError, type TableId } from '../../base/index.ts'
import {
  foldersOf,
  isUnder,
  type LoadedTable,
  nestedLocations,
  type OrphanOptions,
  type OrphanPlan,
  orphanAge,
  planOrphans,
  reachableFiles,
} from '../../iceberg/index.ts'
import { type ObjectInfo, type StorePath, storePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'
import { loadTable } from '../shape/alter.ts'
import { deleteFiles, type LiveRuns, type MaintenanceOptions, ownsItsFiles } from './removal.ts'

export interface RemoveOrphansOptions extends Pick<OrphanOptions, 'ageMs' | 'mismatch'>, MaintenanceOptions {
  readonly live?: LiveRuns
}

export interface OrphanResult {
  readonly plan: OrphanPlan
  readonly deleted: readonly StorePath[]
  /** Folders of the table outside the warehouse: not looked into. */
  readonly notLooked: readonly string[]
}

/**
 * Deletes files in a table's folders that nothing of it leads to and that are older than an age (default 3 days; never
 * less than an hour or the oldest live run). The folders are listed before the table's metadata is read, and that again
 * before anything is deleted, so that a file committed meanwhile is never taken. Throws `usage/argument` for too young an age
 * or a table whose files are not its own, `iceberg/unsupported` where tables share a folder, `usage/unknown-table`.
 */
export async function removeOrphans(
  context: TableContext,
  table: TableId,
  options: RemoveOrphansOptions = {},
): Promise<OrphanResult> {
  const { live = {}, progress } = options
  const ageMs = orphanAge({ longestPinMs: live.longestMs ?? 0, ...(options.ageMs === undefined ? {} : options) })
  const nowMs = context.clock.nowMs()
  const first = await loadTable(context, table)
  if (!ownsItsFiles(first)) throw notItsOwn(table)
  const folders = foldersOf(first.metadata)
  const looked = folders.filter((folder) => isUnder(folder, context.store.root))
  const listed: ObjectInfo[] = []
  let young = 0
  let count = 0
  const task = progress?.begin(`${table} list files`)
  for (const folder of looked) {
    for await (const info of context.store.list(storePath(`${trimmed(folder)}/`), { signal: context.signal })) {
      if (++count % 1000 === 0) task?.update(String(count))
      if (info.modifiedMs > nowMs - ageMs) young++
      else listed.push(info)
    }
  }
  task?.end(counted(count, 'file'))
  const judge = async () => {
    const loaded = await loadTable(context, table)
    const plan = await planOrphans(listed, await reachableOf(context, loaded, live), {
      nowMs,
      ageMs,
      longestPinMs: live.longestMs ?? 0,
      others: nestedLocations(loaded.metadata, await othersThan(context, table)),
      ...(options.mismatch ? { mismatch: options.mismatch } : {}),
    })
    return { loaded, plan: { ...plan, listed: count, young: plan.young + young } }
  }
  let { loaded, plan } = await judge()
  const notLooked = folders.filter((folder) => !looked.includes(folder))
  if (options.dryRun || plan.orphans.length === 0) return { plan, deleted: [], notLooked }
  while ((await loadTable(context, table)).metadataLocation !== loaded.metadataLocation) {
    context.signal.throwIfAborted()
    ;({ loaded, plan } = await judge())
  }
  const paths = plan.orphans.map((one) => one.path)
  const { deleted } = await deleteFiles(context, table, paths, progress)
  return { plan, deleted, notLooked }
}

/** A folder without a trailing slash; listing goes by the folder, so that a neighbour of a longer name is not in it. */
function trimmed(folder: string): string {
  return folder.replace(/\/+$/, '')
}

async function reachableOf(context: TableContext, loaded: LoadedTable, live: LiveRuns) {
  const files = new Map<string, StorePath>()
  for (const one of [loaded, ...(live.staged ?? [])]) {
    const { metadata, metadataLocation } = one
    const found = await reachableFiles(metadata, context.manifests, { metadataLocation, signal: context.signal })
    for (const [key, path] of found.files) files.set(key, path)
  }
  return files
}

async function othersThan(context: TableContext, table: TableId) {
  const ids = (await context.catalog.listTables({ signal: context.signal })).filter((id) => id !== table)
  const loaded = await context.catalog.loadTables(ids, { signal: context.signal })
  return [...loaded.values()].flatMap((one) => (one ? [one.metadata] : []))
}

function notItsOwn(table: TableId): LimnError {
  return new LimnError('usage/argument', {
    message: `${table} says that its files are not its own to delete (gc.enabled is false).`,
    notDone: 'Nothing was deleted.',
    remedy: 'If they are, set the property gc.enabled to true.',
  })
}
