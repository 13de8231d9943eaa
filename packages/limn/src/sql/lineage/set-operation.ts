import { isObject, resolveExpression } from './expression.ts'
import {
  type Facet,
  hashOf,
  type Json,
  mergeTables,
  type QueryColumn,
  type Relation,
  type Resolved,
  unionOf,
  wholeOf,
} from './lineage.ts'
import { emptyScope, type Scope } from './scope.ts'
import { type SelectReader, withModifiers } from './select.ts'

/** UNION, INTERSECT and EXCEPT: columns by place, or by name; all but UNION ALL compare whole rows. */
export function readSetOperation(reader: SelectReader, node: Json, outer: Scope): Relation {
  const children = Array.isArray(node.children) ? node.children : [node.left, node.right]
  const parts = children.filter(isObject).map((child) => reader.queryOf(child, outer))
  const kind = String(node.setop_type ?? '')
  const byName = kind === 'UNION_BY_NAME'
  const keepsAll = node.setop_all === true && (kind === 'UNION' || byName)
  const isOpen = parts.some((part) => part.open !== null)
  const columns = isOpen ? [] : byName ? namedTogether(parts) : placedTogether(parts)
  const wholes = parts.map(wholeOf)
  const uneven = !byName && new Set(parts.map((part) => part.columns.length)).size > 1
  const open: Resolved | null =
    isOpen || uneven
      ? {
          hash: hashOf(
            'parts',
            wholes.map((one) => one.hash),
          ),
          uses: unionOf(...wholes.map((one) => one.uses)),
        }
      : null
  const rowUses = parts.map((part) => part.rows.uses)
  const operation = hashOf(
    kind,
    node.setop_all === true,
    parts.map((part) => part.rows.hash),
  )
  const compared = hashOf(
    operation,
    columns.map((column) => column.hash),
    open?.hash ?? null,
  )
  const facet: Facet = {
    kind: 'set operation',
    hash: keepsAll ? operation : compared,
    shown: `${kind.toLowerCase().replaceAll('_', ' ')}${node.setop_all === true ? ' all' : ''}`,
  }
  const made: Relation = {
    columns,
    open,
    rows: keepsAll
      ? { hash: operation, uses: unionOf(...rowUses) }
      : { hash: compared, uses: unionOf(...rowUses, ...wholes.map((one) => one.uses)) },
    facets: [...parts.flatMap((part) => part.facets), facet],
    tables: mergeTables(...parts.map((part) => part.tables)),
  }
  const scope: Scope = {
    ...emptyScope,
    relations: [{ alias: '', schema: null, relation: made, place: 0 }],
    parent: outer,
  }
  const resolve = (tree: unknown): Resolved => {
    const at =
      isObject(tree) && tree.class === 'CONSTANT' && isObject(tree.value) ? Number(tree.value.value) : Number.NaN
    return columns[at - 1] ?? resolveExpression(reader, tree, scope)
  }
  return withModifiers(reader, node, made, resolve)
}

function together(name: string, parts: readonly (QueryColumn | undefined)[]): QueryColumn {
  return {
    name,
    hash: hashOf(
      'together',
      parts.map((part) => part?.hash ?? null),
    ),
    uses: unionOf(...parts.flatMap((part) => (part ? [part.uses] : []))),
    tree: parts[0]?.tree ?? null,
  }
}

function placedTogether(parts: readonly Relation[]): readonly QueryColumn[] {
  return (parts[0]?.columns ?? []).map((column, i) =>
    together(
      column.name,
      parts.map((part) => part.columns[i]),
    ),
  )
}

function namedTogether(parts: readonly Relation[]): readonly QueryColumn[] {
  const names = new Map<string, string>()
  for (const part of parts)
    for (const { name } of part.columns) if (!names.has(name.toLowerCase())) names.set(name.toLowerCase(), name)
  return [...names].map(([key, name]) =>
    together(
      name,
      parts.map((part) => part.columns.find((column) => column.name.toLowerCase() === key)),
    ),
  )
}
