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
  const parts: string[] = []
  writeCanonical(serialized, parts)
  return parts.join('')
}

/** Straight away, without sorted copies: of hundreds of queries those were most of what a project takes to load. */
function writeCanonical(value: unknown, parts: string[]): void {
  if (typeof value !== 'object' || value === null) {
    parts.push(JSON.stringify(value))
    return
  }
  let separator = ''
  if (Array.isArray(value)) {
    parts.push('[')
    for (const one of value) {
      parts.push(separator)
      writeCanonical(one, parts)
      separator = ','
    }
    parts.push(']')
    return
  }
  const node = value as Json
  parts.push('{')
  for (const key of sortedKeys(node)) {
    if (key === 'query_location') continue
    parts.push(separator, JSON.stringify(key), ':')
    writeCanonical(node[key], parts)
    separator = ','
  }
  parts.push('}')
}

/** By insertion: a node has some ten. */
function sortedKeys(node: Json): readonly string[] {
  const keys = Object.keys(node)
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i] ?? ''
    let at = i
    for (; at > 0 && (keys[at - 1] ?? '') > key; at--) keys[at] = keys[at - 1] ?? ''
    keys[at] = key
  }
  return keys
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
  const own: string[] = []
  const ctes = (node.cte_map as Json | undefined)?.map
  if (Array.isArray(ctes)) for (const entry of ctes) own.push(String((entry as Json).key).toLowerCase())
  if (typeof node.cte_name === 'string') own.push(node.cte_name.toLowerCase())
  const inner = own.length > 0 ? new Set([...scope, ...own]) : scope
  for (const key of Object.keys(node)) walk(node[key], inner, out)
}
