import { LimnError, type TableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import type { Edge } from '../../dataset/index.ts'
import type { FileEngine } from '../../engine/index.ts'
import { lineageOf, type QueryLineage, type TableColumns, type Uses } from '../../sql/index.ts'
import type { ColumnsRead } from './node.ts'

/** The columns of datasets, as their readers' queries name them. */
export function columnsOf(contracts: ReadonlyMap<TableId, Contract>): TableColumns {
  return new Map([...contracts].map(([id, contract]) => [id as string, Object.keys(contract.columns)]))
}

/** What a model reads of each input: by its query, and by what its edges say that a row touches. */
export async function readsOf(
  engine: FileEngine,
  edges: ReadonlyMap<TableId, Edge>,
  lineage: QueryLineage | null,
  tables: TableColumns,
): Promise<ReadonlyMap<TableId, ColumnsRead>> {
  const out = new Map<TableId, ColumnsRead>()
  for (const [input, { touches }] of edges) {
    const touching = touches === null ? null : await usesOfTouches(engine, input, touches, tables)
    out.set(input, {
      columns: together(lineage?.uses.get(input) ?? 'all', touching),
      starred: lineage?.starred.has(input) ?? true,
    })
  }
  return out
}

/** Columns an edge's expression speaks of; that it is no expression is found and told by `checkProject`. */
async function usesOfTouches(
  engine: FileEngine,
  input: TableId,
  touches: string,
  tables: TableColumns,
): Promise<ReadonlySet<string> | 'all'> {
  try {
    const { canonical } = await engine.parse(`SELECT (${touches}) AS t FROM ${input}`)
    const uses: Uses = lineageOf(canonical, tables).uses
    return uses.get(input) ?? 'all'
  } catch (error) {
    if (error instanceof LimnError) return 'all'
    throw error
  }
}

function together(a: ReadonlySet<string> | 'all', b: ReadonlySet<string> | 'all' | null): ReadonlySet<string> | 'all' {
  if (b === null) return a
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b])
}
