import { hashOf, noUses, type QueryColumn, type Relation, type Resolved, unionOf, wholeOf } from './lineage.ts'

/** A relation of a FROM clause under the name it goes by. */
export interface Named {
  readonly alias: string
  /** Of a table that is named with its schema and has no alias. */
  readonly schema: string | null
  readonly relation: Relation
  /** Which of the FROM clause it is: two uses of one table are told apart. */
  readonly place: number
}

/** What names mean at a place in a query. */
export interface Scope {
  readonly relations: readonly Named[]
  /** Columns that USING has made one. */
  readonly merged: ReadonlyMap<string, QueryColumn>
  /** Names given in the select list, where they may be used. */
  readonly aliases: ((name: string) => Resolved | null) | null
  /** Whether such a name may stand for a column of FROM with the same name: then both count. */
  readonly aliasesToo: boolean
  readonly parent: Scope | null
}

export const emptyScope: Scope = {
  relations: [],
  merged: new Map(),
  aliases: null,
  aliasesToo: false,
  parent: null,
}

const lower = (text: string) => text.toLowerCase()

/** A column as seen through a relation's place in FROM; the first one's columns are what they are. */
export function placed(named: Named, column: Resolved): Resolved {
  if (named.place === 0) return column
  return { hash: hashOf('at', named.place, column.hash), uses: column.uses }
}

export function columnOf(relation: Relation, name: string): Resolved | null {
  const found = relation.columns.filter((column) => lower(column.name) === lower(name))
  const [first] = found
  if (first && found.length === 1) return first
  if (first) return joined(found)
  return relation.open ? { hash: hashOf('open', relation.open.hash, lower(name)), uses: relation.open.uses } : null
}

function joined(candidates: readonly Resolved[]): Resolved {
  const parts = [...new Map(candidates.map((one) => [one.hash, one])).values()]
  const [first] = parts
  if (first && parts.length === 1) return first
  return {
    hash: hashOf(
      'either',
      parts.map((part) => part.hash),
    ),
    uses: unionOf(...parts.map((part) => part.uses)),
  }
}

/** Follows a possibly qualified name; null when no scope knows it. Names behind a column's are its fields. */
export function resolveName(names: readonly string[], scope: Scope): Resolved | null {
  let levels = 0
  for (let at: Scope | null = scope; at !== null; at = at.parent, levels++) {
    const found = inScope(names, at)
    // Counted outward, so that a name of the outer query is never taken for the same name of the inner one.
    if (found) return levels === 0 ? found : { hash: hashOf('outer', levels, found.hash), uses: found.uses }
  }
  return null
}

function withFields(column: Resolved | null, fields: readonly string[]): Resolved | null {
  if (!column || fields.length === 0) return column
  return { hash: hashOf('field', column.hash, fields.map(lower)), uses: column.uses }
}

function inScope(names: readonly string[], scope: Scope): Resolved | null {
  const [first = '', second = '', third = ''] = names
  const candidates: Resolved[] = []
  if (names.length >= 3) {
    for (const named of scope.relations) {
      if (named.schema === null || lower(named.schema) !== lower(first) || lower(named.alias) !== lower(second))
        continue
      const column = withFields(columnOf(named.relation, third), names.slice(3))
      if (column) candidates.push(placed(named, column))
    }
  }
  if (names.length >= 2 && candidates.length === 0) {
    for (const named of scope.relations) {
      if (lower(named.alias) !== lower(first)) continue
      const column = withFields(columnOf(named.relation, second), names.slice(2))
      if (column) candidates.push(placed(named, column))
    }
  }
  if (candidates.length > 0) return joined(candidates)
  const merged = scope.merged.get(lower(first))
  if (merged) candidates.push(withFields(merged, names.slice(1)) ?? merged)
  else candidates.push(...unqualified(first, names.slice(1), scope))
  if (scope.aliases && (candidates.length === 0 || scope.aliasesToo)) {
    const alias = withFields(scope.aliases(lower(first)), names.slice(1))
    if (alias) candidates.push(alias)
  }
  if (candidates.length > 0) return joined(candidates)
  // A table's name alone is its row.
  const rows = names.length === 1 ? scope.relations.filter((named) => lower(named.alias) === lower(first)) : []
  return rows.length > 0 ? joined(rows.map((named) => placed(named, wholeOf(named.relation)))) : null
}

/** Columns listed come before those of relations whose columns are not known. */
function unqualified(name: string, fields: readonly string[], scope: Scope): Resolved[] {
  const listed: Resolved[] = []
  const open: Resolved[] = []
  for (const named of scope.relations) {
    const isListed = named.relation.columns.some((column) => lower(column.name) === lower(name))
    const column = withFields(columnOf(named.relation, name), fields)
    if (column) (isListed ? listed : open).push(placed(named, column))
  }
  return listed.length > 0 ? listed : open
}

/** Everything that is in scope, down to the outermost: what a name that cannot be followed may be. */
export function everythingIn(scope: Scope): Resolved {
  const parts: Resolved[] = []
  for (let at: Scope | null = scope; at !== null; at = at.parent)
    parts.push(...at.relations.map((named) => placed(named, wholeOf(named.relation))))
  return parts.length === 0 ? { hash: hashOf('nothing'), uses: noUses } : joined(parts)
}
