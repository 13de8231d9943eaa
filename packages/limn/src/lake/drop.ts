import { LimnError, namespaceOf, type TableId, tableId } from '../base/index.ts'
import { allChecks, datasetsOf } from '../contract/index.ts'
import {
  type DroppedTable,
  dropDataset,
  droppedTables,
  type LoadedDataset,
  ownNamespaces,
  purgeDropped,
  undoDrop,
  unknownTable,
} from '../pipeline/index.ts'
import type { Lake } from './lake.ts'
import { loadDatasets } from './load.ts'

/** Whatever reads a table, and how: `gold.day builds from it`. */
export interface Consumer {
  readonly what: string
  readonly how: string
}

export interface DropReport {
  readonly table: TableId
  readonly consumers: readonly Consumer[]
  readonly dropped: readonly DroppedTable[]
  readonly files: number
}

/**
 * Drops the table of a dataset that is no longer defined, with its standing. Refused while something reads it, unless
 * `force`; with `purge` its files go at once, else it can be had back for a while. Throws `usage/owned-table` for a
 * dataset that is defined, `usage/in-use`, and as `dropDataset` does.
 */
export async function dropFromLake(
  lake: Lake,
  name: string,
  options: { readonly force?: boolean; readonly purge?: boolean; readonly dryRun?: boolean } = {},
): Promise<DropReport> {
  const table = tableId(name)
  const context = await lake.context()
  if (ownNamespaces.has(namespaceOf(table))) throw limnsOwn(table)
  if (!(await context.catalog.loadTables([table])).get(table)) throw unknownTable(table)
  const datasets = await loadDatasets(lake.folder)
  const consumers = await consumersOf(lake, table, datasets)
  if (consumers.length > 0 && !options.force) throw inUse(table, consumers)
  const own = datasets.find((one) => one.dataset.id === table)
  if (own) throw stillDefined(table, own.file)
  if (options.dryRun) return { table, consumers, dropped: [], files: 0 }
  await using _held = await lake.hold(`limn drop ${table}`)
  const dropped = await dropDataset(context, table)
  const { files } = options.purge ? await purgeDropped(context, dropped) : { files: [] }
  return { table, consumers, dropped, files: files.length }
}

/** Has the table back that was dropped last under a name. */
export async function undoDropInLake(lake: Lake, name: string): Promise<readonly DroppedTable[]> {
  const table = tableId(name)
  await using _held = await lake.hold(`limn drop --undo ${table}`)
  return await undoDrop(await lake.context(), table)
}

/** What can still be had back, latest first. */
export async function listDropped(lake: Lake): Promise<readonly DroppedTable[]> {
  return droppedTables(await lake.context())
}

/** Deletes what was dropped so long ago that it cannot be had back. */
export async function purgeExpiredDrops(
  lake: Lake,
  options: { readonly dryRun?: boolean } = {},
): Promise<{ readonly tables: readonly DroppedTable[]; readonly files: number }> {
  const context = await lake.context()
  // What an environment knows of dropped tables are copies of names: the files are production's.
  if (context.environment) return { tables: [], files: 0 }
  const due = (await droppedTables(context)).filter(
    (one) => one.undoUntilMs <= context.clock.nowMs() && one.environments.length === 0,
  )
  if (options.dryRun || due.length === 0) return { tables: due, files: 0 }
  const { tables, files } = await purgeDropped(context, due)
  return { tables, files: files.length }
}

/** Datasets, views and environments that read a table, in order of kind and name. */
export async function consumersOf(
  lake: Lake,
  table: TableId,
  datasets: readonly LoadedDataset[],
): Promise<readonly Consumer[]> {
  const out: Consumer[] = []
  for (const one of datasets) {
    if (one.dataset.id === table) continue
    const how = await useOf(lake, table, one)
    if (how !== null) out.push({ what: `${one.dataset.id} (${one.file})`, how })
  }
  const { views } = lake.catalog
  const known = views ? await views.loadViews(await views.listViews()) : new Map()
  for (const [id, loaded] of known) {
    const version = loaded?.metadata.versions.find(
      (one: { versionId: number }) => one.versionId === loaded.metadata.currentVersionId,
    )
    for (const each of version?.representations ?? [])
      if (each.type === 'sql' && (await reads(lake, each.sql, table)))
        out.push({ what: `the view ${id}`, how: 'selects from it' })
  }
  const loaded = (await lake.catalog.loadTables([table])).get(table)
  for (const ref of Object.keys(loaded?.metadata.refs ?? {}))
    if (ref.startsWith('env/')) out.push({ what: `the environment ${ref.slice(4)}`, how: 'stands on it' })
  return out
}

async function useOf(lake: Lake, table: TableId, one: LoadedDataset): Promise<string | null> {
  const { producer } = one.dataset
  if (producer.kind === 'source' && producer.input.kind === 'iceberg' && producer.input.table === table)
    return 'lands it'
  if (one.query && (await reads(lake, one.query.text, table))) return 'builds from it'
  for (const check of allChecks(one.dataset.contract())) {
    if (datasetsOf(check).includes(table)) return `checks against it: ${check.name}`
    if (check.kind === 'sql' && (await reads(lake, check.sql, table))) return `checks against it: ${check.name}`
  }
  return null
}

/** SQL that cannot be read reads nothing that is known. */
async function reads(lake: Lake, sql: string, table: TableId): Promise<boolean> {
  try {
    const { tables } = await lake.engine.parse(sql)
    return tables.some((one) => `${one.schema}.${one.name}` === table)
  } catch (error) {
    if (error instanceof LimnError) return false
    throw error
  }
}

function inUse(table: TableId, consumers: readonly Consumer[]): LimnError {
  return new LimnError('usage/in-use', {
    message: `${table} is read: ${consumers.map((one) => `${one.what} ${one.how}`).join('; ')}.`,
    notDone: 'Nothing was dropped.',
    remedy: 'Change what reads it first, or say that it may break: --force',
    context: { table, consumers: consumers.map((one) => one.what) },
  })
}

function limnsOwn(table: TableId): LimnError {
  return new LimnError('usage/owned-table', {
    message: `${table} belongs to limn itself.`,
    notDone: 'Nothing was dropped.',
    remedy: 'What was dropped goes by itself: limn maintain. limn drop lists it, by the names it had.',
  })
}

function stillDefined(table: TableId, file: string): LimnError {
  return new LimnError('usage/owned-table', {
    message: `${table} is defined in ${file}: the next run would build it again.`,
    notDone: 'Nothing was dropped.',
    remedy: 'Take the definition away first.',
    location: { file },
  })
}
