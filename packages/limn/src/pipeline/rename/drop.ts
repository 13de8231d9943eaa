import { LimnError, nameOf, namespaceOf, type TableId, tableId } from '../../base/index.ts'
import type { LoadedTable, TableCommit } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { dropTable } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { quarantineOf } from '../stage/quarantine.ts'
import { droppedNamespace } from './orphans.ts'
import { commitRenames, type RecordedRename } from './rename.ts'

/** A dropped table can be had back for so long; after it `limn maintain` deletes its files. */
export const undoDays = 7

const property = { from: 'limn.dropped-from', at: 'limn.dropped-at-ms' } as const

/** A table that was dropped and can still be had back. */
export interface DroppedTable {
  /** What it is called meanwhile. */
  readonly table: TableId
  readonly from: TableId
  readonly droppedAtMs: number
  readonly undoUntilMs: number
  /** Environments that read its files: while there are any, they are not deleted. */
  readonly environments: readonly string[]
}

/** Tables that can still be had back, latest first. */
export async function droppedTables({ catalog, signal }: PipelineContext): Promise<readonly DroppedTable[]> {
  const ids = (await catalog.listTables({ signal })).filter((id) => namespaceOf(id) === droppedNamespace)
  const loaded = await catalog.loadTables(ids, { signal })
  return ids
    .flatMap((table) => droppedOf(loaded.get(table) ?? null) ?? [])
    .sort((a, b) => b.droppedAtMs - a.droppedAtMs || (a.table < b.table ? -1 : 1))
}

function droppedOf(loaded: LoadedTable | null): DroppedTable | null {
  const from = loaded?.metadata.properties[property.from]
  if (!loaded || from === undefined) return null
  const droppedAtMs = Number(loaded.metadata.properties[property.at])
  const undoUntilMs = droppedAtMs + undoDays * 86_400_000
  const environments = Object.keys(loaded.metadata.refs).flatMap((ref) =>
    ref.startsWith('env/') ? [ref.slice(4)] : [],
  )
  return { table: loaded.table, from: tableId(from), droppedAtMs, undoUntilMs, environments }
}

/**
 * Takes a dataset's table away, and the one of its rejected rows, with their standing: both get names of the dropped, in
 * the commit that says so in the ledger. No file is touched. The caller has made sure that nobody reads it. Throws
 * `usage/unknown-table`, `catalog/conflict`.
 */
export async function dropDataset(context: PipelineContext, id: TableId): Promise<readonly DroppedTable[]> {
  const { catalog, clock, signal } = context
  const loaded = await catalog.loadTables([id, quarantineOf(id)], { signal })
  if (!loaded.get(id)) throw unknownTable(id)
  const atMs = clock.nowMs()
  const stamp = new Date(atMs).toISOString().replace(/\D/g, '').slice(0, 17)
  const changes: TableCommit[] = []
  const renames: RecordedRename[] = []
  for (const [from, one] of loaded) {
    if (!one) continue
    const to = tableId(`${droppedNamespace}.${namespaceOf(from)}__${nameOf(from)}_${stamp}`)
    renames.push({ from, to, fingerprint: '', checksHash: '', message: `dropped ${from}` })
    changes.push({
      table: from,
      requirements: [{ type: 'assert-table-uuid', uuid: one.metadata.tableUuid }],
      updates: [{ action: 'set-properties', updates: { [property.from]: from, [property.at]: String(atMs) } }],
    })
  }
  await commitRenames(context, renames, changes)
  const names = new Set(renames.map((one) => one.to))
  return (await droppedTables(context)).filter((one) => names.has(one.table))
}

/**
 * Gives the table dropped last under a name, and the one of its rejected rows, their names and standing back. Throws
 * `usage/unknown-table` where there is none any more, `usage/table-exists` where the name was given again.
 */
export async function undoDrop(context: PipelineContext, id: TableId): Promise<readonly DroppedTable[]> {
  const all = await droppedTables(context)
  const latest = all.find((one) => one.from === id)
  if (!latest)
    throw new LimnError('usage/unknown-table', {
      message: `No table ${id} was dropped that could still be had back.`,
      notDone: 'Nothing was changed.',
      remedy: 'List those that can: limn drop',
    })
  const back = all.filter(
    (one) => one.droppedAtMs === latest.droppedAtMs && (one.from === id || one.from === quarantineOf(id)),
  )
  const taken = await context.catalog.loadTables(
    back.map((one) => one.from),
    { signal: context.signal },
  )
  const there = back.find((one) => taken.get(one.from))
  if (there)
    throw new LimnError('usage/table-exists', {
      message: `There is a table ${there.from} again, built since.`,
      notDone: 'Nothing was changed.',
      remedy: `Drop that one first: limn drop ${there.from}. Then undo names the older one only once it is the latest: rename it with limn table alter.`,
    })
  const renames = back.map(({ table, from }) => ({
    from: table,
    to: from,
    fingerprint: context.project.nodes.get(from)?.fingerprint ?? '',
    checksHash: context.project.nodes.get(from)?.checksHash ?? '',
    message: `had back ${from}`,
  }))
  const changes = back.map(
    ({ table }): TableCommit => ({
      table,
      requirements: [],
      updates: [{ action: 'remove-properties', removals: [property.from, property.at] }],
    }),
  )
  await commitRenames(context, renames, changes)
  return back
}

/** Deletes dropped tables with their files: those named, or all that were dropped too long ago. */
export async function purgeDropped(
  context: PipelineContext,
  tables: readonly DroppedTable[],
): Promise<{ readonly tables: readonly DroppedTable[]; readonly files: readonly StorePath[] }> {
  const files: StorePath[] = []
  for (const one of tables) {
    if (one.environments.length > 0)
      throw new LimnError('table/unsafe-change', {
        message: `${one.environments.join(', ')} reads files of ${one.from}.`,
        notDone: `No file was deleted; ${one.from} is dropped and can be had back.`,
        remedy: `Drop the environment first: limn env drop ${one.environments[0]}`,
      })
    const { deleted } = await dropTable(context, one.table, {
      purge: true,
      known: one.from,
      progress: context.progress,
    })
    files.push(...deleted)
  }
  return { tables, files }
}

export function unknownTable(id: TableId): LimnError {
  return new LimnError('usage/unknown-table', {
    message: `There is no table ${id}.`,
    notDone: 'Nothing was changed.',
    remedy: 'List the tables with: limn table ls',
  })
}
