type Json = Readonly<Record<string, unknown>>

/**
 * A canonical tree with other names for some tables (`schema.name` to `schema.name`), where they are read and where their
 * name stands before a column. Two texts that differ by such names alone give equal trees.
 */
export function renameTables(canonical: string, names: ReadonlyMap<string, string>): string {
  if (names.size === 0) return canonical
  return JSON.stringify(renamed(JSON.parse(canonical), names, qualifiersOf(names)))
}

/** Table names alone, as they stand before columns. */
function qualifiersOf(names: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...names].map(([from, to]) => [nameOf(from), nameOf(to)]))
}

function nameOf(qualified: string): string {
  return qualified.slice(qualified.indexOf('.') + 1)
}

function renamed(value: unknown, names: ReadonlyMap<string, string>, qualifiers: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => renamed(item, names, qualifiers))
  if (typeof value !== 'object' || value === null) return value
  const node = value as Json
  const out = Object.fromEntries(Object.entries(node).map(([key, child]) => [key, renamed(child, names, qualifiers)]))
  if (node.type === 'BASE_TABLE') {
    const to = names.get(`${node.schema_name}.${node.table_name}`)
    if (to === undefined) return out
    return { ...out, schema_name: to.slice(0, to.indexOf('.')), table_name: nameOf(to) }
  }
  if (node.class === 'COLUMN_REF' && Array.isArray(node.column_names))
    return { ...out, column_names: renamedPath(node.column_names.map(String), names, qualifiers) }
  if (node.class === 'STAR' && typeof node.relation_name === 'string')
    return { ...out, relation_name: qualifiers.get(node.relation_name) ?? node.relation_name }
  return out
}

function renamedPath(
  path: readonly string[],
  names: ReadonlyMap<string, string>,
  qualifiers: ReadonlyMap<string, string>,
): readonly string[] {
  const [first = '', second = '', ...rest] = path
  const full = path.length > 2 ? names.get(`${first}.${second}`) : undefined
  if (full !== undefined) return [...full.split('.'), ...rest]
  const to = path.length > 1 ? qualifiers.get(first) : undefined
  return to === undefined ? path : [to, ...path.slice(1)]
}
