import { LimnError, type TableId } from '../base/index.ts'
import type { Path } from '../sql/index.ts'
import { resolveName, type Target } from './names.ts'

/** Who owns tables in limn's own namespaces. */
export const limnItself = 'limn itself'

/** Says who owns a table, as the subject of a sentence (`the dataset in datasets/x.ts`); null: nobody. */
export type OwnerOf = (table: TableId) => string | null

/** A table a statement changes: its main branch, or `t.branch_x`. Throws where a dataset owns it. */
export function targetOf(path: Path, owner: OwnerOf): Target {
  const { table, part } = resolveName(path.parts)
  requireFree(table, owner)
  if (part.kind === 'rows') return { table, branch: 'main' }
  if (part.kind === 'ref' && part.type === 'branch') return { table, branch: part.ref }
  throw new LimnError('sql/invalid', {
    message: `${path.parts.join('.')} is read-only.`,
    notDone: 'Nothing was run.',
    remedy: 'Rows are written to a table, or to its branch: namespace.name.branch_x.',
  })
}

/** A table whose shape a statement changes: not one of its branches. */
export function tableOf(path: Path, owner: OwnerOf): TableId {
  const { table, part } = resolveName(path.parts)
  requireFree(table, owner)
  if (part.kind === 'rows') return table
  throw new LimnError('sql/invalid', {
    message: `${path.parts.join('.')} has no shape of its own.`,
    notDone: 'Nothing was run.',
    remedy: `Name the table: ${table}`,
  })
}

/** Throws `usage/owned-table` for a table that changes through its contract alone. */
export function requireFree(table: TableId, owner: OwnerOf): void {
  const owned = owner(table)
  if (owned === null) return
  if (owned === limnItself)
    throw new LimnError('usage/owned-table', {
      message: `${table} belongs to ${owned}, and is not changed by hand.`,
      notDone: 'Nothing was run.',
      remedy: 'It is there to be queried; write to a table of another namespace.',
    })
  throw new LimnError('usage/owned-table', {
    message: `${table} belongs to ${owned}: it changes through its contract and its runs alone.`,
    notDone: 'Nothing was run.',
    remedy: 'Edit the dataset and run it, or write to a table that no dataset defines.',
  })
}
