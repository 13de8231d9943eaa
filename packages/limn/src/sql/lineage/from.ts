import { type ExpressionReader, isObject, resolveExpression } from './expression.ts'
import {
  type Facet,
  hashOf,
  type Json,
  mergeTables,
  noUses,
  type QueryColumn,
  type Relation,
  unionOf,
  wholeOf,
} from './lineage.ts'
import { emptyScope, type Named, placed, type Scope } from './scope.ts'

/** What FROM needs to know of the query it stands in. */
export interface FromReader extends ExpressionReader {
  readonly cteNamed: (name: string) => Relation | null
  readonly tableNamed: (schema: string, name: string) => Relation
  /** For parts of the tree that are not understood: uses all tables in them, whole. */
  readonly opaque: (node: Json, scope: Scope) => Relation
}

/** A FROM clause read: what its names are, and which rows it gives. */
export interface From {
  readonly relations: readonly Named[]
  readonly merged: ReadonlyMap<string, QueryColumn>
  /** Columns that `*` stands for. */
  readonly star: readonly QueryColumn[]
  readonly open: boolean
  readonly rows: Relation['rows']
  readonly facets: readonly Facet[]
  readonly tables: ReadonlySet<string>
}

export const noFrom: From = {
  relations: [],
  merged: new Map(),
  star: [],
  open: false,
  rows: { hash: hashOf('one row'), uses: noUses },
  facets: [],
  tables: new Set(),
}

/** `next` numbers the relations of one FROM clause from left to right. */
export function readFrom(reader: FromReader, tree: Json, outer: Scope, next: { place: number }): From {
  switch (tree.type) {
    case 'EMPTY':
      return noFrom
    case 'BASE_TABLE':
      return readTable(reader, tree, next)
    case 'SUBQUERY': {
      const node = isObject(tree.subquery) ? tree.subquery.node : null
      if (!isObject(node)) return single(reader.opaque(tree, outer), tree, null, next)
      return single(reader.queryOf(node, outer), tree, null, next)
    }
    case 'JOIN':
      return readJoin(reader, tree, outer, next)
    case 'TABLE_FUNCTION': {
      const call = resolveExpression(reader, tree.function, outer)
      const made = { hash: hashOf('function', call.hash, tree.with_ordinality ?? null), uses: call.uses }
      const facets = [{ kind: 'reads' as const, hash: made.hash, shown: isObject(tree.function) ? tree.function : {} }]
      const listed = ((tree.column_name_alias ?? []) as readonly string[]).map(
        (name, i): QueryColumn => ({ name, hash: hashOf('column', made.hash, i), uses: made.uses, tree: null }),
      )
      const relation = { columns: listed, open: made, rows: made, facets, tables: new Set<string>() }
      return single(relation, { ...tree, column_name_alias: [] }, null, next)
    }
    case 'EXPRESSION_LIST': {
      const rows = ((tree.values ?? []) as readonly (readonly unknown[])[]).map((row) =>
        row.map((one) => resolveExpression(reader, one, outer)),
      )
      const uses = unionOf(...rows.flat().map((one) => one.uses))
      const hash = hashOf(
        'values',
        rows.map((row) => row.map((one) => one.hash)),
      )
      const names = (tree.expected_names ?? []) as readonly string[]
      const columns = (rows[0] ?? []).map((_, i): QueryColumn => {
        const values = rows.map((row) => row[i]?.hash ?? '')
        return { name: names[i] ?? `col${i}`, hash: hashOf('values', values), uses, tree: null }
      })
      const facets = [{ kind: 'reads' as const, hash, shown: 'a list of values' }]
      return single(
        { columns, open: null, rows: { hash: hashOf(rows.length), uses: noUses }, facets, tables: new Set() },
        tree,
        null,
        next,
      )
    }
    default:
      reader.cannotTell(`what ${String(tree.type ?? 'this').toLowerCase()} in FROM gives`)
      return single(reader.opaque(tree, outer), tree, null, next)
  }
}

function readTable(reader: FromReader, tree: Json, next: { place: number }): From {
  const schema = String(tree.schema_name ?? '')
  const name = String(tree.table_name ?? '')
  const relation = (schema === '' ? reader.cteNamed(name) : null) ?? reader.tableNamed(schema, name)
  const versioned = isObject(tree.at_clause) ? hashOf('at', tree.at_clause) : null
  const seen: Relation =
    versioned === null
      ? relation
      : { ...relation, rows: { ...relation.rows, hash: hashOf(relation.rows.hash, versioned) } }
  const alias = String(tree.alias ?? '')
  return single(seen, tree, alias === '' && schema !== '' ? schema : null, next, name)
}

/** One relation of FROM under its alias, with its columns renamed where the alias says so. */
function single(given: Relation, tree: Json, schema: string | null, next: { place: number }, name = ''): From {
  const renamed = (tree.column_name_alias ?? []) as readonly string[]
  const sampled = isObject(tree.sample) ? hashOf('sample', tree.sample) : null
  const facets: readonly Facet[] =
    sampled === null ? given.facets : [...given.facets, { kind: 'sample', hash: sampled, shown: 'a sample' }]
  const relation: Relation = {
    ...given,
    facets,
    rows: sampled === null ? given.rows : { hash: hashOf(given.rows.hash, sampled), uses: wholeOf(given).uses },
    columns: given.columns.map((column, i) => ({ ...column, name: renamed[i] ?? column.name })),
  }
  const place = next.place++
  const named: Named = { alias: String(tree.alias ?? '') || name, schema, relation, place }
  return {
    relations: [named],
    merged: new Map(),
    star: relation.columns.map((column) => ({ ...column, ...placed(named, column) })),
    open: relation.open !== null,
    rows: relation.rows,
    facets,
    tables: relation.tables,
  }
}

const oneSided: Readonly<Record<string, 'left' | 'right'>> = {
  SEMI: 'left',
  ANTI: 'left',
  RIGHT_SEMI: 'right',
  RIGHT_ANTI: 'right',
}

function readJoin(reader: FromReader, tree: Json, outer: Scope, next: { place: number }): From {
  if (!isObject(tree.left) || !isObject(tree.right)) return single(reader.opaque(tree, outer), tree, null, next)
  const left = readFrom(reader, tree.left, outer, next)
  // What stands to the right may speak of what stands to its left.
  const right = readFrom(reader, tree.right, { ...emptyScope, ...left, parent: outer }, next)
  const natural = tree.ref_type === 'NATURAL'
  const using = natural ? commonNames(left, right) : ((tree.using_columns ?? []) as readonly string[])
  if (natural && (left.open || right.open)) {
    reader.cannotTell('which columns a natural join is over')
    return single(reader.opaque(tree, outer), tree, null, next)
  }
  const relations = [...left.relations, ...right.relations]
  const merged = new Map([...left.merged, ...right.merged])
  const sides = using.map((name) => {
    const find = (from: From) => from.star.find((column) => column.name.toLowerCase() === name.toLowerCase())
    const pair = [find(left), find(right)].filter((column) => column !== undefined)
    const uses =
      pair.length === 2
        ? unionOf(...pair.map((one) => one.uses))
        : unionOf(...relations.map((one) => wholeOf(one.relation).uses))
    const column: QueryColumn = {
      name,
      hash: hashOf(
        'using',
        pair.map((one) => one.hash),
      ),
      uses,
      tree: null,
    }
    return column
  })
  for (const column of sides) merged.set(column.name.toLowerCase(), column)
  const scope: Scope = { ...emptyScope, relations, merged, parent: outer }
  const condition = tree.condition ? resolveExpression(reader, tree.condition, scope) : null
  const kind = [tree.join_type, tree.ref_type]
  const own = hashOf(
    'join',
    kind,
    condition?.hash ?? null,
    sides.map((one) => one.hash),
  )
  const facet: Facet = {
    kind: 'join',
    hash: hashOf(own, left.rows.hash, right.rows.hash),
    shown: isObject(tree.condition)
      ? tree.condition
      : using.length > 0
        ? `using (${using.join(', ')})`
        : 'of all with all',
  }
  const rightStar = right.star.filter(
    (column) => !using.some((name) => name.toLowerCase() === column.name.toLowerCase()),
  )
  const leftStar = left.star.map((column) => merged.get(column.name.toLowerCase()) ?? column)
  const only = oneSided[String(tree.join_type)]
  return {
    relations,
    merged,
    star: only === 'left' ? left.star : only === 'right' ? right.star : [...leftStar, ...rightStar],
    open: left.open || right.open,
    rows: {
      hash: hashOf(own, left.rows.hash, right.rows.hash),
      uses: unionOf(left.rows.uses, right.rows.uses, condition?.uses ?? noUses, ...sides.map((one) => one.uses)),
    },
    facets: [...left.facets, ...right.facets, facet],
    tables: mergeTables(left.tables, right.tables),
  }
}

function commonNames(left: From, right: From): readonly string[] {
  const names = new Set(right.star.map((column) => column.name.toLowerCase()))
  return left.star.map((column) => column.name).filter((name) => names.has(name.toLowerCase()))
}
