import { sha256 } from '../../base/index.ts'

/**
 * Where the columns of a query come from. The reading is cautious: what is not understood uses every column of every table
 * that it could, so that a column a query is said not to use does not decide anything of its result.
 */

export type Json = Readonly<Record<string, unknown>>

/** Columns of tables, by table; `all` where it cannot be told which. */
export type Uses = ReadonlyMap<string, ReadonlySet<string> | 'all'>

export function usesColumn(uses: Uses, table: string, column: string): boolean {
  const columns = uses.get(table)
  return columns === 'all' || (columns?.has(column) ?? false)
}

/** Gathers uses. */
export class UsesBuilder {
  private readonly found = new Map<string, Set<string> | 'all'>()

  column(table: string, column: string): void {
    const columns = this.found.get(table)
    if (columns === 'all') return
    if (columns) columns.add(column)
    else this.found.set(table, new Set([column]))
  }

  table(table: string): void {
    this.found.set(table, 'all')
  }

  add(uses: Uses): this {
    for (const [table, columns] of uses) {
      if (columns === 'all') this.table(table)
      else for (const column of columns) this.column(table, column)
    }
    return this
  }

  get uses(): Uses {
    return this.found
  }
}

export const noUses: Uses = new Map()

export function unionOf(...parts: readonly Uses[]): Uses {
  const builder = new UsesBuilder()
  for (const part of parts) builder.add(part)
  return builder.uses
}

/** An expression with every name followed to its origin: equal hashes mean equal values of equal rows. */
export interface Resolved {
  readonly hash: string
  readonly uses: Uses
}

export interface QueryColumn extends Resolved {
  readonly name: string
  /** The expression as written, for showing; null where there is none (a star, a table's own column). */
  readonly tree: Json | null
}

export type FacetKind =
  | 'reads'
  | 'join'
  | 'filter'
  | 'grouping'
  | 'aggregation'
  | 'having'
  | 'qualify'
  | 'distinct'
  | 'limit'
  | 'order'
  | 'set operation'
  | 'sample'
  | 'rows of a column'
  | 'other'

/** One of the things that decide which rows a query gives. */
export interface Facet {
  readonly kind: FacetKind
  readonly hash: string
  /** An expression to show, or words. */
  readonly shown: Json | string
}

/** What a SELECT, a common table expression or a table gives. */
export interface Relation {
  readonly columns: readonly QueryColumn[]
  /** Not null: it has columns beyond those listed, and any of them is this. */
  readonly open: Resolved | null
  /** What decides which rows there are. */
  readonly rows: Resolved
  readonly facets: readonly Facet[]
  readonly tables: ReadonlySet<string>
}

/** Where each output column of a query comes from, and what decides its rows. */
export interface QueryLineage {
  /** In order. Empty with `open`. */
  readonly columns: readonly QueryColumn[]
  /** Whether not all output columns are known. */
  readonly open: boolean
  readonly rows: Resolved
  readonly facets: readonly Facet[]
  /** Everything that decides the result. */
  readonly uses: Uses
  readonly tables: ReadonlySet<string>
  /** Tables of which a star takes whatever columns they have. */
  readonly starred: ReadonlySet<string>
  /** What could not be told, in words; it counts as using all that it could. */
  readonly unresolved: readonly string[]
}

export function hashOf(...parts: readonly unknown[]): string {
  return sha256(JSON.stringify(parts)).slice(0, 24)
}

/** Everything a relation is made of, as one. */
export function wholeOf(relation: Relation): Resolved {
  return {
    hash: hashOf(
      relation.rows.hash,
      relation.open?.hash ?? null,
      relation.columns.map((column) => [column.name.toLowerCase(), column.hash]),
    ),
    uses: unionOf(relation.rows.uses, relation.open?.uses ?? noUses, ...relation.columns.map((column) => column.uses)),
  }
}

export function mergeTables(...parts: readonly ReadonlySet<string>[]): ReadonlySet<string> {
  return new Set(parts.flatMap((part) => [...part]))
}
