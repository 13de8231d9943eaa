/** What DuckDB's serialised syntax tree says, without positions. */

type Json = Readonly<Record<string, unknown>>

/** A table named in a query that is not one of its common table expressions. */
export interface TableReference {
  /** What stands before the schema; null when nothing does. */
  readonly catalog: string | null
  /** Null when the name is not qualified. */
  readonly schema: string | null
  readonly name: string
  /** Offset in the text's UTF-8 bytes. */
  readonly location: number
}

/** The tree as text with positions stripped and keys in order: equal for two spellings of one query. */
export function canonicalTree(serialized: unknown): string {
  return JSON.stringify(serialized, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    const sorted = Object.entries(value).filter(([key]) => key !== 'query_location')
    return Object.fromEntries(sorted.sort(([a], [b]) => (a < b ? -1 : 1)))
  })
}

/** Tables a query names, in order of appearance; names of common table expressions in scope are left out. */
export function tablesOf(serialized: unknown): readonly TableReference[] {
  const out: TableReference[] = []
  walk(serialized, new Set(), out)
  return out
}

function walk(value: unknown, scope: ReadonlySet<string>, out: TableReference[]): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(item, scope, out)
    return
  }
  if (typeof value !== 'object' || value === null) return
  const node = value as Json
  if (node.type === 'BASE_TABLE') {
    const schema = String(node.schema_name ?? '')
    const name = String(node.table_name ?? '')
    if (schema !== '' || !scope.has(name.toLowerCase())) {
      const catalog = String(node.catalog_name ?? '') || null
      out.push({ catalog, schema: schema || null, name, location: Number(node.query_location ?? 0) })
    }
  }
  const inner = new Set(scope)
  const ctes = (node.cte_map as Json | undefined)?.map
  if (Array.isArray(ctes)) for (const entry of ctes) inner.add(String((entry as Json).key).toLowerCase())
  if (typeof node.cte_name === 'string') inner.add(node.cte_name.toLowerCase())
  for (const child of Object.values(node)) walk(child, inner, out)
}
