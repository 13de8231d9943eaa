import type { TableId } from '../../base/index.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * The columns that scans of a plan read, by table. The plan has to be as it was bound, not optimised: an optimiser that sees
 * stub rows may leave out what other rows would need. A table that no scan was found of is absent.
 */
export function usedColumns(plan: unknown): ReadonlyMap<TableId, ReadonlySet<string>> {
  const used = new Map<TableId, Set<string>>()
  visit(plan, used)
  return used
}

function visit(node: unknown, used: Map<TableId, Set<string>>): void {
  if (typeof node !== 'object' || node === null) return
  const operator = node as Json
  if (operator.type === 'LOGICAL_GET') {
    const data = operator.function_data as Json | undefined
    const id = `${data?.schema}.${data?.table}` as TableId
    const names = (operator.names ?? []) as readonly string[]
    const columns = used.get(id) ?? new Set<string>()
    used.set(id, columns)
    // A count of rows alone reads a column that is none, with an index beyond all names.
    for (const { index } of (operator.column_indexes ?? []) as readonly Json[]) {
      const name = names[Number(index)]
      if (name !== undefined) columns.add(name)
    }
  }
  for (const value of Array.isArray(node) ? node : Object.values(operator)) visit(value, used)
}
