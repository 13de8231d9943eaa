import { type TableId, tableId } from '../../base/index.ts'
import { parseJson, stringifyJson } from '../../encoding/index.ts'
import type { FileEngine } from '../../engine/index.ts'
import { renameTables } from '../../sql/index.ts'
import type { Definition } from '../ledger/definition.ts'
import { type LedgerRow, renamedPrefix } from '../ledger/ledger.ts'
import { printed, serialized } from './variant.ts'

/** A ledger with every dataset under the name it has at the end, and the names it had before. */
export interface NamedLedger {
  readonly rows: readonly LedgerRow[]
  /** Present name → former ones, the latest first. */
  readonly former: ReadonlyMap<TableId, readonly TableId[]>
}

/** Rows of before a rename are those of the dataset as it is called now, its own and as an input of others. */
export function underPresentNames(rows: readonly LedgerRow[]): NamedLedger {
  const present = new Map<string, string>()
  const former = new Map<TableId, TableId[]>()
  const out: LedgerRow[] = []
  const named = (id: string) => present.get(id) ?? id
  for (const row of [...rows].sort((a, b) => b.seq - a.seq)) {
    const dataset = tableId(named(row.dataset === '*' ? 'limn.run' : row.dataset))
    if (row.outcome === 'renamed') {
      const from = tableId(row.reason.slice(renamedPrefix.length))
      present.set(from, dataset)
      former.set(dataset, [...(former.get(dataset) ?? []), from])
    }
    const inputs = Object.fromEntries(Object.entries(row.inputs).map(([id, at]) => [named(id), at]))
    out.push({ ...row, dataset: row.dataset === '*' ? '*' : dataset, inputs })
  }
  return { rows: out.reverse(), former }
}

/** A definition of before renames, as it would be written now: its SQL, its tree and its edges. */
export async function renamedDefinition<T extends Pick<Definition, 'sql' | 'tree' | 'edges'>>(
  engine: FileEngine,
  definition: T,
  present: ReadonlyMap<string, string>,
): Promise<T> {
  const names = new Map([...present].filter(([id]) => id in definition.edges))
  if (names.size === 0) return definition
  const edges = Object.fromEntries(Object.entries(definition.edges).map(([id, edge]) => [names.get(id) ?? id, edge]))
  if (definition.sql === '') return { ...definition, edges }
  await using session = await engine.session([])
  const tree = renameTables(stringifyJson(await serialized(session, definition.sql)), names)
  const sql = await printed(session, parseJson(tree))
  return { ...definition, edges, sql, tree: definition.tree === '' ? '' : renameTables(definition.tree, names) }
}
