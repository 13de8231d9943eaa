import type { TableId } from '../../packages/limn/src/base/index.ts'
import {
  append,
  deleteRows,
  mergeRows,
  rewriteDataFiles,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'

/** What a writer of a simulation does to a table of `id long, n int`, so that it can be done again to a map. */
export type Deed =
  | { readonly kind: 'append'; readonly from: number; readonly to: number }
  | { readonly kind: 'delete'; readonly residue: number }
  | { readonly kind: 'merge'; readonly from: number; readonly to: number; readonly n: number }
  | { readonly kind: 'compact' }

/** The table after a deed, as `n` by `id`. */
export function replay(rows: ReadonlyMap<number, number>, deed: Deed): Map<number, number> {
  const out = new Map(rows)
  switch (deed.kind) {
    case 'append':
      for (let id = deed.from; id < deed.to; id++) out.set(id, 0)
      return out
    case 'delete':
      for (const id of rows.keys()) if (id % 7 === deed.residue) out.delete(id)
      return out
    case 'merge':
      for (let id = deed.from; id < deed.to; id++) out.set(id, deed.n)
      return out
    case 'compact':
      return out
  }
}

/** Does it; the snapshot's summary says which deed it was. */
export async function perform(context: TableContext, table: TableId, deed: Deed, name: string): Promise<void> {
  const options = { summary: { deed: name, what: JSON.stringify(deed) } }
  switch (deed.kind) {
    case 'append':
      await append(context, table, { sql: `SELECT range AS id, 0 AS n FROM range(${deed.from}, ${deed.to})` }, options)
      return
    case 'delete':
      await deleteRows(context, table, { filter: `id % 7 = ${deed.residue}` }, options)
      return
    case 'merge':
      await mergeRows(
        context,
        table,
        {
          source: { sql: `SELECT range AS id, ${deed.n} AS n FROM range(${deed.from}, ${deed.to})` },
          on: 'target.id = source.id',
          clauses: [
            { when: 'matched', action: { kind: 'updateAll' } },
            { when: 'notMatched', action: { kind: 'insertAll' } },
          ],
        },
        options,
      )
      return
    case 'compact':
      await rewriteDataFiles(context, table, { minInputFiles: 2 })
  }
}
