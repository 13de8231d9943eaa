import type { TableId } from '../../base/index.ts'
import { usesColumn } from '../../sql/index.ts'
import type { Node } from '../project/node.ts'

/** What of a dataset's rows may become another: some columns of the same rows, or (`all`) anything. */
export type Change = ReadonlySet<string> | 'all'

export function unionOfChanges(a: Change, b: Change): Change {
  if (a === 'all' || b === 'all') return 'all'
  return [...b].every((column) => a.has(column)) ? a : new Set([...a, ...b])
}

/**
 * What a change of an input can do to a reader's rows; null: nothing, because no column that it reads is among those that
 * change. A column that decides which rows there are reaches all columns.
 */
export function reachedBy(reader: Node, input: TableId, inputNode: Node | undefined, change: Change): Change | null {
  if (change === 'all') return 'all'
  if (change.size === 0) return null
  const read = reader.reads.get(input)
  const { lineage } = reader
  if (!read || !lineage || lineage.open) return 'all'
  const isGone = (column: string) => inputNode !== undefined && !(column in inputNode.contract.columns)
  if (read.starred && [...change].some(isGone)) return 'all'
  const { columns } = read
  const relevant = [...change].filter((column) => columns === 'all' || columns.has(column))
  if (relevant.length === 0) return null
  if (relevant.some((column) => usesColumn(lineage.rows.uses, input, column))) return 'all'
  const reached = lineage.columns.filter((one) => relevant.some((column) => usesColumn(one.uses, input, column)))
  // Only what its rows touch speaks of the column: which intervals it has may change.
  return reached.length === 0 ? 'all' : new Set(reached.map((one) => one.name))
}
