import { aggregates, isObject, multiplies, resolveExpression } from './expression.ts'
import type { From, FromReader } from './from.ts'
import {
  type Facet,
  type FacetKind,
  hashOf,
  type Json,
  noUses,
  type QueryColumn,
  type Relation,
  type Resolved,
  type Uses,
  unionOf,
} from './lineage.ts'
import { emptyScope, everythingIn, placed, type Scope } from './scope.ts'

export interface SelectReader extends FromReader {
  readonly fromOf: (tree: unknown, outer: Scope) => From
  /** A star takes all columns of these tables, whichever they are. */
  readonly starOver: (tables: ReadonlySet<string>) => void
}

/** An item of the select list, stars expanded. */
interface Item extends QueryColumn {
  readonly aggregates: boolean
  readonly multiplies: boolean
}

/** Reads one SELECT: its columns, and everything that decides its rows. */
export function readSelect(reader: SelectReader, node: Json, outer: Scope): Relation {
  const from = reader.fromOf(node.from_table, outer)
  const inner: Scope = { ...emptyScope, relations: from.relations, merged: from.merged, parent: outer }
  const { items, open } = readItems(reader, node, from, inner)
  const itemNamed = (name: string): Resolved | null => {
    const found = items.filter((item) => item.name.toLowerCase() === name)
    const [first] = found
    if (!first || found.length === 1) return first ?? null
    return {
      hash: hashOf(
        'alias',
        found.map((one) => one.hash),
      ),
      uses: unionOf(...found.map((one) => one.uses)),
    }
  }
  const late: Scope = { ...inner, aliases: itemNamed, aliasesToo: true }
  const ordinal = (tree: unknown): Resolved => {
    const at = ordinalOf(tree)
    const item = at === null ? undefined : items[at - 1]
    return item ?? resolveExpression(reader, tree, late)
  }
  const facets: Facet[] = [...from.facets]
  const uses: Uses[] = [from.rows.uses]
  const decide = (kind: FacetKind, shown: Json | string, found: Resolved) => {
    facets.push({ kind, hash: hashOf(kind, found.hash, from.rows.hash), shown })
    uses.push(found.uses)
  }
  for (const part of conjuncts(node.where_clause)) decide('filter', part, resolveExpression(reader, part, late))
  const groups = (node.group_expressions ?? []) as readonly Json[]
  for (const tree of groups) {
    const at = ordinalOf(tree)
    const item = at === null ? undefined : items[at - 1]
    decide('grouping', item?.tree ?? tree, ordinal(tree))
  }
  if (Array.isArray(node.group_sets) && node.group_sets.length > 1)
    decide('grouping', 'grouping sets', { hash: hashOf('sets', node.group_sets), uses: noUses })
  const isGrouped = groups.length > 0 || node.aggregate_handling === 'FORCE_AGGREGATES'
  if (node.aggregate_handling === 'FORCE_AGGREGATES' && groups.length === 0) {
    const keys = items.filter((one) => !one.aggregates)
    // A constant divides no group; beside no other key it makes the difference between no row and one of nothing.
    const dividing = keys.filter((one) => !isConstant(one.tree))
    for (const item of dividing) decide('grouping', item.tree ?? item.name, item)
    if (dividing.length === 0 && keys.length > 0)
      decide('grouping', 'a constant', { hash: hashOf('a constant'), uses: noUses })
  } else if (node.aggregate_handling !== 'STANDARD_HANDLING')
    decide('grouping', String(node.aggregate_handling), { hash: hashOf(node.aggregate_handling), uses: noUses })
  const makesOne = !isGrouped && (items.some((item) => item.aggregates) || (node.having ?? null) !== null)
  if (makesOne) decide('aggregation', 'one row of all', { hash: hashOf('one row of all'), uses: noUses })
  for (const part of conjuncts(node.having)) decide('having', part, resolveExpression(reader, part, late))
  for (const part of conjuncts(node.qualify)) decide('qualify', part, resolveExpression(reader, part, late))
  for (const item of items.filter((one) => one.multiplies)) decide('rows of a column', item.tree ?? item.name, item)
  if (isObject(node.sample)) decide('sample', 'a sample', { hash: hashOf(node.sample), uses: everythingIn(inner).uses })
  // Passing rows on as they are, all or some of their columns, changes nothing of them.
  const own = facets.slice(from.facets.length).map((facet) => [facet.kind, facet.hash])
  const made: Relation = {
    columns: items.map(({ name, hash, uses: own, tree }) => ({ name, hash, uses: own, tree })),
    open,
    rows: own.length === 0 ? from.rows : { hash: hashOf('select', from.rows.hash, own), uses: unionOf(...uses) },
    facets,
    tables: from.tables,
  }
  return withModifiers(reader, node, made, ordinal)
}

function readItems(
  reader: SelectReader,
  node: Json,
  from: From,
  inner: Scope,
): { readonly items: readonly Item[]; readonly open: Resolved | null } {
  const items: Item[] = []
  let open: Resolved | null = null as Resolved | null
  const earlier = (name: string): Resolved | null => {
    const found = items.find((item) => item.name.toLowerCase() === name)
    return found ? { hash: found.hash, uses: found.uses } : null
  }
  // An item may speak of one before it by the name given there, where FROM has no such column.
  const scope: Scope = { ...inner, aliases: earlier, aliasesToo: false }
  for (const tree of (node.select_list ?? []) as readonly Json[]) {
    if (tree.class !== 'STAR') {
      const found = resolveExpression(reader, tree, scope)
      const shown = { ...tree, alias: '' }
      items.push({
        ...found,
        name: nameOf(tree),
        tree: shown,
        aggregates: aggregates(tree),
        multiplies: multiplies(tree),
      })
      continue
    }
    const expanded = expandStar(reader, tree, from, scope)
    reader.starOver(from.tables)
    if (expanded === null) {
      const everything = everythingIn(inner)
      open = {
        hash: hashOf('star', open?.hash ?? null, resolveExpression(reader, tree, scope).hash),
        uses: everything.uses,
      }
      reader.cannotTell('which columns a star gives')
      continue
    }
    items.push(...expanded)
  }
  return { items, open }
}

function expandStar(reader: SelectReader, tree: Json, from: From, scope: Scope): readonly Item[] | null {
  if (tree.columns === true || isObject(tree.expr)) return null
  const of = String(tree.relation_name ?? '').toLowerCase()
  const only = of === '' ? null : from.relations.filter((named) => named.alias.toLowerCase() === of)
  if (only !== null && only.length !== 1) return null
  const [one] = only ?? []
  if (one ? one.relation.open : from.open) return null
  // `t.*` is found among what `*` gives by its place, so that both are the same columns.
  const names = one ? new Set(one.relation.columns.map((column) => column.name.toLowerCase())) : null
  const all = one ? one.relation.columns.map((column) => ({ ...column, hash: placed(one, column).hash })) : from.star
  const excluded = new Set(names_(tree.exclude_list))
  if (excluded.size !== listed(tree.exclude_list).length || listed(tree.qualified_exclude_list).length > 0) return null
  if ([...excluded].some((name) => names !== null && !names.has(name))) return null
  const replaced = new Map(pairs(tree.replace_list).map(([name, value]) => [name.toLowerCase(), value]))
  const renamed = new Map(pairs(tree.rename_list).map(([name, value]) => [name.toLowerCase(), String(value)]))
  return all
    .filter((column) => !excluded.has(column.name.toLowerCase()))
    .map((column): Item => {
      const expression = replaced.get(column.name.toLowerCase())
      const name = renamed.get(column.name.toLowerCase()) ?? column.name
      if (!isObject(expression))
        return { name, hash: column.hash, uses: column.uses, tree: null, aggregates: false, multiplies: false }
      const found = resolveExpression(reader, expression, scope)
      return {
        ...found,
        name,
        tree: expression,
        aggregates: aggregates(expression),
        multiplies: multiplies(expression),
      }
    })
}

function listed(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** Names of a list of plain names; others are left out, which the caller notices by their number. */
function names_(value: unknown): readonly string[] {
  return listed(value).flatMap((one) => (typeof one === 'string' ? [one.toLowerCase()] : []))
}

function pairs(value: unknown): readonly (readonly [string, unknown])[] {
  return listed(value).flatMap((one) => (isObject(one) ? [[String(one.key), one.value] as const] : []))
}

/** ORDER BY, LIMIT and DISTINCT of a query: what they add to what decides its rows. */
export function withModifiers(
  reader: SelectReader,
  node: Json,
  made: Relation,
  resolve: (tree: unknown) => Resolved,
): Relation {
  const facets: Facet[] = [...made.facets]
  const uses: Uses[] = [made.rows.uses]
  const hashes: unknown[] = []
  const decide = (kind: FacetKind, shown: Json | string, found: Resolved) => {
    facets.push({ kind, hash: hashOf(kind, found.hash, made.rows.hash), shown })
    uses.push(found.uses)
    hashes.push([kind, found.hash])
  }
  const everything = (): Resolved => ({
    hash: hashOf(
      made.columns.map((column) => column.hash),
      made.open?.hash ?? null,
    ),
    uses: unionOf(made.open?.uses ?? noUses, ...made.columns.map((column) => column.uses)),
  })
  for (const modifier of listed(node.modifiers).filter(isObject)) {
    switch (modifier.type) {
      case 'ORDER_MODIFIER':
        for (const order of listed(modifier.orders).filter(isObject)) {
          const found = resolve(order.expression)
          const shown = isObject(order.expression) ? order.expression : 'rows'
          decide('order', shown, { hash: hashOf(order.type, order.null_order, found.hash), uses: found.uses })
        }
        break
      case 'LIMIT_MODIFIER':
      case 'LIMIT_PERCENT_MODIFIER': {
        const parts = [modifier.limit, modifier.offset].map((part) => resolve(isObject(part) ? { part } : null))
        const found = {
          hash: hashOf(
            modifier.type,
            parts.map((part) => part.hash),
          ),
          uses: unionOf(...parts.map((part) => part.uses)),
        }
        decide('limit', isObject(modifier.limit) ? modifier.limit : 'an offset', found)
        break
      }
      case 'DISTINCT_MODIFIER': {
        const targets = listed(modifier.distinct_on_targets).map(resolve)
        const found =
          targets.length === 0
            ? everything()
            : { hash: hashOf(targets.map((one) => one.hash)), uses: unionOf(...targets.map((one) => one.uses)) }
        decide('distinct', targets.length === 0 ? 'all columns' : 'some columns', found)
        break
      }
      default: {
        reader.cannotTell(`what ${String(modifier.type ?? 'this')} does`)
        const found = everything()
        decide('other', String(modifier.type ?? 'a modifier'), { hash: hashOf(modifier, found.hash), uses: found.uses })
      }
    }
  }
  if (hashes.length === 0) return made
  return { ...made, facets, rows: { hash: hashOf('modified', made.rows.hash, hashes), uses: unionOf(...uses) } }
}

function isConstant(tree: Json | null): boolean {
  if (tree?.class === 'CAST' && isObject(tree.child)) return isConstant(tree.child)
  return tree?.class === 'CONSTANT'
}

function conjuncts(tree: unknown): readonly Json[] {
  if (!isObject(tree)) return []
  if (tree.type === 'CONJUNCTION_AND') return listed(tree.children).flatMap(conjuncts)
  return [tree]
}

/** `2` in GROUP BY or ORDER BY is the second column. */
function ordinalOf(tree: unknown): number | null {
  if (!isObject(tree) || tree.class !== 'CONSTANT' || !isObject(tree.value)) return null
  const { value } = tree.value
  return typeof value === 'number' && Number.isInteger(value) ? value : null
}

/** What a select item is called: its alias, the last part of a column's name, a function's own name. */
function nameOf(tree: Json): string {
  if (tree.alias) return String(tree.alias)
  if (tree.class === 'COLUMN_REF') return String(listed(tree.column_names).at(-1) ?? '')
  if (tree.class === 'CAST' && isObject(tree.child)) return nameOf(tree.child)
  return String(tree.function_name ?? '')
}
