import { isObject } from './expression.ts'
import { type From, type FromReader, noFrom, readFrom } from './from.ts'
import {
  type Facet,
  hashOf,
  type Json,
  noUses,
  type QueryColumn,
  type QueryLineage,
  type Relation,
  UsesBuilder,
  wholeOf,
} from './lineage.ts'
import { emptyScope, type Scope } from './scope.ts'
import { readSelect, type SelectReader } from './select.ts'
import { readSetOperation } from './set-operation.ts'

/** Columns of the tables a query may name, in order; a table that is absent uses all of it. */
export type TableColumns = ReadonlyMap<string, readonly string[]>

type Ctes = ReadonlyMap<string, Relation>

/**
 * Reads where the columns of a query come from, given its syntax tree as DuckDB serialises it (`canonicalTree`) and the
 * columns of the tables it names, by `schema.name`.
 */
export function lineageOf(tree: string, tables: TableColumns): QueryLineage {
  const statements = JSON.parse(tree) as readonly unknown[]
  const statement = statements[0]
  const node = isObject(statement) ? statement.node : null
  const reader = new LineageReader(tables)
  const relation = isObject(node)
    ? reader.query(node, emptyScope, new Map())
    : reader.opaque(null, emptyScope, new Map())
  const whole = wholeOf(relation)
  const uses = new UsesBuilder().add(whole.uses)
  // A table of which no column is used is still read: its rows count.
  for (const table of relation.tables) if (!uses.uses.has(table)) uses.add(new Map([[table, new Set<string>()]]))
  return {
    columns: relation.columns,
    open: relation.open !== null,
    rows: relation.rows,
    facets: unique(relation.facets),
    uses: uses.uses,
    tables: relation.tables,
    starred: reader.starred,
    unresolved: [...new Set(reader.unresolved)],
  }
}

function unique(facets: readonly Facet[]): readonly Facet[] {
  return [...new Map(facets.map((facet) => [`${facet.kind} ${facet.hash}`, facet])).values()]
}

class LineageReader {
  readonly unresolved: string[] = []
  readonly starred = new Set<string>()
  private readonly tables: TableColumns

  constructor(tables: TableColumns) {
    this.tables = tables
  }

  query(node: Json, outer: Scope, known: Ctes): Relation {
    const ctes = this.withCtes(node, outer, known)
    switch (node.type) {
      case 'SELECT_NODE':
        return readSelect(this.selectReader(ctes), node, outer)
      case 'SET_OPERATION_NODE':
        return readSetOperation(this.selectReader(ctes), node, outer)
      case 'CTE_NODE': {
        const query = isObject(node.query) ? node.query : null
        const child = isObject(node.child) ? node.child : null
        if (!query || !child) return this.opaque(node, outer, ctes)
        const one = this.query(isObject(query.node) ? query.node : query, outer, ctes)
        const inner = new Map(ctes).set(String(node.cte_name).toLowerCase(), aliased(one, node.aliases))
        return this.query(child, outer, inner)
      }
      default:
        // What a recursive query gives in the end is not read from its text: it uses all that it names.
        if (node.type !== 'RECURSIVE_CTE_NODE') this.cannotTell(`what a ${String(node.type ?? 'node')} gives`)
        return this.opaque(node, outer, ctes)
    }
  }

  private withCtes(node: Json, outer: Scope, known: Ctes): Ctes {
    const entries = isObject(node.cte_map) ? node.cte_map.map : null
    if (!Array.isArray(entries) || entries.length === 0) return known
    const ctes = new Map(known)
    for (const entry of entries) {
      if (!isObject(entry) || !isObject(entry.value)) continue
      const query = isObject(entry.value.query) ? entry.value.query.node : null
      const name = String(entry.key).toLowerCase()
      const relation = isObject(query) ? this.query(query, outer, ctes) : this.opaque(entry.value, outer, ctes)
      ctes.set(name, aliased(relation, entry.value.aliases))
    }
    return ctes
  }

  private selectReader(ctes: Ctes): SelectReader {
    const from: FromReader = {
      queryOf: (node, scope) => this.query(node, scope, ctes),
      cannotTell: (what) => this.cannotTell(what),
      cteNamed: (name) => ctes.get(name.toLowerCase()) ?? null,
      tableNamed: (schema, name) => this.table(schema, name),
      opaque: (node, scope) => this.opaque(node, scope, ctes),
    }
    return {
      ...from,
      fromOf: (tree, outer): From => (isObject(tree) ? readFrom(from, tree, outer, { place: 0 }) : noFrom),
      starOver: (tables) => {
        for (const table of tables) this.starred.add(table)
      },
    }
  }

  private cannotTell(what: string): void {
    this.unresolved.push(`it cannot be told ${what}`)
  }

  private table(schema: string, name: string): Relation {
    const id = schema === '' ? name : `${schema}.${name}`
    const rows = { hash: hashOf('table', id), uses: noUses }
    const facets = [{ kind: 'reads' as const, hash: rows.hash, shown: id }]
    const columns = this.tables.get(id)
    if (!columns) this.cannotTell(`which columns ${id} has`)
    return {
      columns: (columns ?? []).map(
        (column): QueryColumn => ({
          name: column,
          hash: hashOf('column', id, column.toLowerCase()),
          uses: new Map([[id, new Set([column])]]),
          tree: null,
        }),
      ),
      open: columns ? null : { hash: hashOf('table', id), uses: new Map([[id, 'all' as const]]) },
      rows,
      facets,
      tables: new Set([id]),
    }
  }

  /** A part that is not understood: all columns of all tables it names, and whatever else is in scope. */
  opaque(node: Json | null, outer: Scope, ctes: Ctes): Relation {
    const uses = new UsesBuilder()
    const tables = new Set<string>()
    const hashes: string[] = []
    for (const [name, relation] of ctes) {
      const whole = wholeOf(relation)
      hashes.push(name, whole.hash)
      if (!namesTable(node, name)) continue
      uses.add(whole.uses)
      for (const table of relation.tables) tables.add(table)
    }
    for (let at: Scope | null = outer; at !== null; at = at.parent)
      for (const named of at.relations) {
        const whole = wholeOf(named.relation)
        hashes.push(whole.hash)
        uses.add(whole.uses)
      }
    for (const id of tablesIn(node)) {
      tables.add(id)
      uses.table(id)
    }
    const whole = { hash: hashOf('opaque', node, hashes), uses: uses.uses }
    return {
      columns: [],
      open: whole,
      rows: whole,
      facets: [{ kind: 'other', hash: whole.hash, shown: 'a recursive or unread part' }],
      tables,
    }
  }
}

function aliased(relation: Relation, aliases: unknown): Relation {
  if (!Array.isArray(aliases) || aliases.length === 0) return relation
  return {
    ...relation,
    columns: relation.columns.map((column, i) => ({ ...column, name: String(aliases[i] ?? column.name) })),
  }
}

function tablesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(tablesIn)
  if (!isObject(value)) return []
  const own =
    value.type === 'BASE_TABLE' && value.schema_name ? [`${String(value.schema_name)}.${String(value.table_name)}`] : []
  return [...own, ...Object.values(value).flatMap(tablesIn)]
}

function namesTable(value: unknown, name: string): boolean {
  if (Array.isArray(value)) return value.some((one) => namesTable(one, name))
  if (!isObject(value)) return false
  const own = value.type === 'BASE_TABLE' && !value.schema_name && String(value.table_name).toLowerCase() === name
  return own || Object.values(value).some((one) => namesTable(one, name))
}
