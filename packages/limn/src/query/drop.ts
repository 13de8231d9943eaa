import type { TableId } from '../base/index.ts'
import type { DropTable, Path } from '../sql/index.ts'
import { dropTable, type LiveRuns, renameTable, type TableContext } from '../table/index.ts'
import { type OwnerOf, tableOf } from './guard.ts'
import { loadTable } from './names.ts'
import type { StatementResult } from './result.ts'

/** Runs a DROP TABLE. Without PURGE every file stays; with it those go that the table's metadata leads to. */
export async function runDrop(
  context: TableContext,
  statement: DropTable,
  owner: OwnerOf,
  live: ((table: TableId) => Promise<LiveRuns>) | undefined,
): Promise<StatementResult> {
  const table = tableOf(statement.table, owner)
  const there = (await context.catalog.loadTables([table], { signal: context.signal })).get(table)
  if (!there && statement.ifExists) return resultOf('unchanged', table)
  await loadTable(context, table)
  const { purge } = statement
  await dropTable(context, table, { purge, ...(purge && live ? { live: await live(table) } : {}) })
  return resultOf('dropped', table)
}

/** Runs an ALTER TABLE … RENAME TO. A new name of one word is of the same namespace. */
export async function runRename(
  context: TableContext,
  table: TableId,
  path: Path,
  owner: OwnerOf,
): Promise<StatementResult> {
  const [namespace = ''] = table.split('.')
  const parts = path.parts.length === 1 ? [namespace, ...path.parts] : path.parts
  const to = tableOf({ ...path, parts }, owner)
  await loadTable(context, table)
  await renameTable(context, table, to)
  return resultOf('renamed', to)
}

function resultOf(change: 'dropped' | 'renamed' | 'unchanged', table: TableId): StatementResult {
  return { kind: 'altered', change, of: 'table', name: table, snapshotId: null }
}
