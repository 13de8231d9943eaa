import { LimnError, type TableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import type { Edge, Increment } from '../../dataset/index.ts'
import type { FileEngine } from '../../engine/index.ts'
import { lineageOf, type QueryLineage, type TableColumns } from '../../sql/index.ts'
import type { ColumnsRead } from './node.ts'

/** The columns of datasets, as their readers' queries name them. */
export function columnsOf(contracts: ReadonlyMap<TableId, Contract>): TableColumns {
  return new Map([...contracts].map(([id, contract]) => [id as string, Object.keys(contract.columns)]))
}

/** Where a model's columns come from, and what it reads of each input, worked out when first asked. */
export interface Reading {
  readonly lineage: QueryLineage | null
  readonly reads: ReadonlyMap<TableId, ColumnsRead>
}

/**
 * What a model reads of each input: by its query, and by what its edges and its increment say that a row touches. `tree` is the
 * query's; null for a source.
 */
export async function readingOf(
  engine: FileEngine,
  edges: ReadonlyMap<TableId, Edge>,
  tree: string | null,
  tables: TableColumns,
  increment: Increment | null,
): Promise<Reading> {
  const touching = new Map<TableId, string | null>()
  for (const [input, { touches }] of edges) {
    const keys = increment?.kind === 'merge' ? (increment.touches[input] ?? []) : []
    const all = touches === null ? keys : [touches, ...keys]
    if (all.length > 0) touching.set(input, await treeOfTouches(engine, input, all))
  }
  let lineage: QueryLineage | null | undefined
  let reads: ReadonlyMap<TableId, ColumnsRead> | undefined
  const reading: Reading = {
    get lineage() {
      if (lineage === undefined) lineage = tree === null ? null : lineageOf(tree, tables)
      return lineage
    },
    get reads() {
      reads ??= new Map(
        [...edges.keys()].map((input) => {
          const used = reading.lineage?.uses.get(input) ?? 'all'
          const also = usesOfTouches(touching.get(input), input, tables)
          return [
            input,
            { columns: together(used, also), starred: reading.lineage?.starred.has(input) ?? true },
          ] as const
        }),
      )
      return reads
    },
  }
  return reading
}

/** The tree of such expressions; null when they are none, which is found and told by `checkProject`. */
async function treeOfTouches(engine: FileEngine, input: TableId, touches: readonly string[]): Promise<string | null> {
  const columns = touches.map((one, i) => `(${one}) AS t${i}`)
  try {
    return (await engine.parse(`SELECT ${columns.join(', ')} FROM ${input}`)).canonical
  } catch (error) {
    if (error instanceof LimnError) return null
    throw error
  }
}

/** Columns an edge's expression speaks of; null: there is none. */
function usesOfTouches(
  tree: string | null | undefined,
  input: TableId,
  tables: TableColumns,
): ReadonlySet<string> | 'all' | null {
  if (tree === undefined) return null
  return tree === null ? 'all' : (lineageOf(tree, tables).uses.get(input) ?? 'all')
}

function together(a: ReadonlySet<string> | 'all', b: ReadonlySet<string> | 'all' | null): ReadonlySet<string> | 'all' {
  if (b === null) return a
  return a === 'all' || b === 'all' ? 'all' : new Set([...a, ...b])
}
