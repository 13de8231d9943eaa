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

export interface Entry {
  readonly id: number
  readonly n: number
}

/** The table's rows after a deed. An append does not look at what is there, so that an id may be there twice. */
export function replay(rows: readonly Entry[], deed: Deed): readonly Entry[] {
  switch (deed.kind) {
    case 'append':
      return [...rows, ...range(deed.from, deed.to, 0)]
    case 'delete':
      return rows.filter((row) => row.id % 7 !== deed.residue)
    case 'merge': {
      const inside = (row: Entry) => row.id >= deed.from && row.id < deed.to
      const there = new Set(rows.filter(inside).map((row) => row.id))
      const fresh = range(deed.from, deed.to, deed.n).filter((row) => !there.has(row.id))
      return [...rows.map((row) => (inside(row) ? { ...row, n: deed.n } : row)), ...fresh]
    }
    case 'compact':
      return rows
  }
}

function range(from: number, to: number, n: number): readonly Entry[] {
  return Array.from({ length: to - from }, (_, i) => ({ id: from + i, n }))
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
