/** A query's syntax tree, as DuckDB serialises it, taken apart into what a person would name. */

type Json = Readonly<Record<string, unknown>>

export type QueryPartKind = 'column' | 'from' | 'where' | 'group' | 'having' | 'qualify' | 'order' | 'other'

export interface QueryPart {
  readonly kind: QueryPartKind
  /** Which SELECT of the query: empty for the outermost, else the name of a common table expression or `subquery`. */
  readonly within: string
  /** Of a column: its name in the output. */
  readonly name: string
  /** Without positions; null: there is none. */
  readonly tree: unknown
}

/** A part that two queries have differently; null on the side that lacks it. */
export interface PartApart {
  readonly kind: QueryPartKind
  readonly within: string
  readonly name: string
  readonly before: unknown
  readonly after: unknown
}

function asJson(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The node of the one statement of a serialised query, or null when it is none. */
export function rootOf(serialized: unknown): Json | null {
  const statements = Array.isArray(serialized) ? serialized : listOf(asJson(serialized)?.statements)
  return asJson(asJson(statements[0])?.node)
}

/** The parts of every SELECT of a query: common table expressions first, then the outermost. */
export function queryParts(serialized: unknown): readonly QueryPart[] {
  const root = rootOf(serialized)
  const out: QueryPart[] = []
  if (root) partsOf(root, '', out)
  return out
}

function partsOf(node: Json, within: string, out: QueryPart[]): void {
  for (const entry of listOf(asJson(node.cte_map)?.map)) {
    const cte = asJson(entry)
    const query = asJson(asJson(asJson(cte?.value)?.query)?.node) ?? asJson(asJson(cte?.value)?.query)
    if (query) partsOf(query, String(cte?.key ?? ''), out)
  }
  if (node.type !== 'SELECT_NODE') {
    const [left, right] = [asJson(node.left), asJson(node.right)]
    const children = listOf(node.children).map(asJson)
    const sides = [left, right, ...children].filter((one) => one !== null)
    for (const [i, side] of sides.entries()) partsOf(side, joined(within, `branch ${i + 1}`), out)
    out.push({ kind: 'other', within, name: String(node.setop_type ?? node.type), tree: shape(node) })
    return
  }
  for (const [i, item] of listOf(node.select_list).entries())
    out.push({ kind: 'column', within, name: nameOfItem(item) ?? `column ${i + 1}`, tree: item })
  const add = (kind: QueryPartKind, tree: unknown) => out.push({ kind, within, name: '', tree: tree ?? null })
  add('from', node.from_table)
  add('where', node.where_clause)
  add('group', [node.group_expressions, node.group_sets, node.aggregate_handling])
  add('having', node.having)
  add('qualify', node.qualify)
  add('order', node.modifiers)
}

function joined(within: string, name: string): string {
  return within === '' ? name : `${within}, ${name}`
}

/** A node without the queries below it, which are parts of their own. */
function shape(node: Json): unknown {
  return { type: node.type, setop: node.setop_type, all: node.setop_all, modifiers: node.modifiers }
}

/** The name that an item of a SELECT list gives its column; null when it is an expression without a name. */
export function nameOfItem(item: unknown): string | null {
  const node = asJson(item)
  if (typeof node?.alias === 'string' && node.alias !== '') return node.alias
  if (node?.class === 'COLUMN_REF') return String(listOf(node.column_names).at(-1) ?? '') || null
  return node?.class === 'CAST' ? nameOfItem(node.child) : null
}

/** The parts that two queries do not have alike, positions aside. */
export function partsApart(before: unknown, after: unknown): readonly PartApart[] {
  const [old, now] = [keyed(queryParts(before)), keyed(queryParts(after))]
  const out: PartApart[] = []
  for (const [key, part] of now) {
    const former = old.get(key)
    if (former && textOf(former.tree) === textOf(part.tree)) continue
    if (!former && part.tree === null) continue
    out.push({ kind: part.kind, within: part.within, name: part.name, before: former?.tree ?? null, after: part.tree })
  }
  for (const [key, part] of old)
    if (!now.has(key) && part.tree !== null)
      out.push({ kind: part.kind, within: part.within, name: part.name, before: part.tree, after: null })
  return out
}

function keyed(parts: readonly QueryPart[]): ReadonlyMap<string, QueryPart> {
  const out = new Map<string, QueryPart>()
  for (const part of parts) {
    const key = `${part.within}\n${part.kind}\n${part.name}`
    for (let n = 0; ; n++) {
      const own = n === 0 ? key : `${key}\n${n}`
      if (out.has(own)) continue
      out.set(own, part)
      break
    }
  }
  return out
}

function textOf(tree: unknown): string {
  return JSON.stringify(tree, (key, value: unknown) =>
    key === 'query_location' ? undefined : typeof value === 'bigint' ? String(value) : value,
  )
}

/** Tables that the outermost FROM names, with the alias each goes by; subqueries are not looked into. */
export function tablesJoined(serialized: unknown): readonly { readonly table: string; readonly alias: string }[] {
  const out: { table: string; alias: string }[] = []
  const walk = (value: unknown) => {
    const node = asJson(value)
    if (!node) return
    if (node.type === 'BASE_TABLE') {
      const [schema, name] = [String(node.schema_name ?? ''), String(node.table_name ?? '')]
      if (schema !== '') out.push({ table: `${schema}.${name}`, alias: String(node.alias || name) })
    } else if (node.type === 'JOIN') {
      walk(node.left)
      walk(node.right)
    }
  }
  const root = rootOf(serialized)
  if (root?.type === 'SELECT_NODE') walk(root.from_table)
  return out
}

/**
 * Another SELECT over the FROM of a query: `template` is a serialised query whose select list and grouping are taken; the
 * tables, and unless told otherwise the WHERE, are those of `serialized`. Null for a query that is no plain SELECT.
 */
export function overFromOf(serialized: unknown, template: unknown, options: { readonly where: boolean }): unknown {
  const [root, own] = [rootOf(serialized), rootOf(template)]
  if (root?.type !== 'SELECT_NODE' || !own) return null
  const node = {
    ...own,
    cte_map: root.cte_map,
    from_table: root.from_table,
    where_clause: options.where ? root.where_clause : null,
  }
  return { error: false, statements: [{ node, named_param_map: [] }] }
}

/** A serialised query that selects one expression over nothing: how an expression is printed. */
export function selectOf(expression: unknown, template: unknown): unknown {
  const own = rootOf(template)
  return { error: false, statements: [{ node: { ...own, select_list: [expression] }, named_param_map: [] }] }
}

/** Output columns that hand a column of a table through, casts aside: output name → the column's last name. */
export function columnsHandedThrough(serialized: unknown): ReadonlyMap<string, string> {
  const out = new Map<string, string>()
  const root = rootOf(serialized)
  if (root?.type !== 'SELECT_NODE') return out
  for (const item of listOf(root.select_list)) {
    const name = nameOfItem(item)
    let node = asJson(item)
    while (node?.class === 'CAST') node = asJson(node.child)
    if (name !== null && node?.class === 'COLUMN_REF') out.set(name, String(listOf(node.column_names).at(-1) ?? ''))
  }
  return out
}

/** The item of the outermost SELECT that yields a column; null when there is none of that name. */
export function columnItem(serialized: unknown, column: string): unknown {
  const root = rootOf(serialized)
  if (root?.type !== 'SELECT_NODE') return null
  return listOf(root.select_list).find((item) => nameOfItem(item) === column) ?? null
}

/** The columns an expression names, each once, as the parts of its name; those inside of subqueries are left out. */
export function columnsNamed(expression: unknown): readonly (readonly string[])[] {
  const out = new Map<string, readonly string[]>()
  const walk = (value: unknown) => {
    if (Array.isArray(value)) for (const one of value) walk(one)
    const node = asJson(value)
    if (!node || node.class === 'SUBQUERY') return
    if (node.class === 'COLUMN_REF') {
      const names = listOf(node.column_names).map(String)
      out.set(names.join('.'), names)
      return
    }
    for (const child of Object.values(node)) walk(child)
  }
  walk(expression)
  return [...out.values()]
}
