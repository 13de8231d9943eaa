import { isAggregateName, multipliesRows, type Uses } from './lineage/index.ts'
import { columnItem, rootOf, tablesJoined } from './query-parts.ts'

type Json = Readonly<Record<string, unknown>>

/** A condition over a query's output in the words of a table it reads, or why it says nothing of that table's rows alone. */
export type Pushed =
  | { readonly kind: 'pushed'; readonly condition: unknown }
  | { readonly kind: 'kept'; readonly why: string }

/**
 * Moves a condition over the output of a query below it, to one table: rows of the table of which it is not true make no
 * row of the output of which it is. Columns of the condition stand for the expressions that compute them, which may use
 * nothing but columns of that table, each row for itself. Refuses wherever that does not follow: subqueries, windows, limits,
 * a table read twice, the side of an outer join that may be missing. `condition` is an expression's tree; `usesOf` says
 * which columns of which tables an output column uses, null when that is not known.
 */
export function pushedDown(
  query: unknown,
  condition: unknown,
  table: string,
  usesOf: (column: string) => Uses | null,
): Pushed {
  const obstacle = obstacleIn(query, table)
  if (obstacle !== null) return kept(obstacle)
  if (some(condition, (node) => node.class === 'SUBQUERY')) return kept('the condition has a subquery')
  let why: string | null = null
  const moved = mapTree(condition, (node) => {
    if (node.class !== 'COLUMN_REF') return null
    const column = namesOf(node).at(-1) ?? ''
    const item = columnItem(query, column)
    why ??=
      item === null ? `${column} is no column of its query by name` : reasonOf(column, item, table, usesOf(column))
    return withoutNames(item)
  })
  return why === null ? { kind: 'pushed', condition: moved } : kept(why)
}

function kept(why: string): Pushed {
  return { kind: 'kept', why }
}

/** Why rows of a table may make rows of the output that their own columns say nothing of. */
function obstacleIn(query: unknown, table: string): string | null {
  const root = rootOf(query)
  if (
    root?.type !== 'SELECT_NODE' ||
    count(root, (node) => typeof node.type === 'string' && /^(SELECT|SET_OPERATION|RECURSIVE_CTE)/.test(node.type)) !==
      1
  )
    return 'its query is not one plain SELECT'
  if (some(root, (node) => node.class === 'WINDOW')) return 'its query has a window'
  const modifiers = (Array.isArray(root.modifiers) ? root.modifiers : []) as readonly Json[]
  if (
    modifiers.some(
      (one) =>
        /LIMIT/.test(String(one.type)) ||
        (Array.isArray(one.distinct_on_targets) && one.distinct_on_targets.length > 0),
    )
  )
    return 'its query takes some rows of many'
  if (tablesJoined(query).filter((one) => one.table === table).length !== 1)
    return `its query does not read ${table} once, as a table`
  return mayBeMissing(root.from_table, table) ? `its query has rows for which ${table} has none` : null
}

/** Whether an outer join makes rows without a row of the table. */
function mayBeMissing(from: unknown, table: string): boolean {
  const node = from as Json | null
  if (node?.type !== 'JOIN') return false
  const kind = String(node.join_type)
  const [inLeft, inRight] = [reads(node.left, table), reads(node.right, table)]
  if (
    kind !== 'INNER' &&
    !(kind === 'LEFT' && inLeft) &&
    !(kind === 'RIGHT' && inRight) &&
    !(kind === 'SEMI' && inLeft)
  )
    return true
  return mayBeMissing(inLeft ? node.left : node.right, table)
}

function reads(from: unknown, table: string): boolean {
  return some(from, (node) => node.type === 'BASE_TABLE' && `${node.schema_name}.${node.table_name}` === table)
}

function reasonOf(column: string, item: unknown, table: string, uses: Uses | null): string | null {
  if (
    some(
      item,
      (node) =>
        node.class === 'FUNCTION' &&
        (isAggregateName(String(node.function_name)) || multipliesRows(String(node.function_name))),
    )
  )
    return `${column} is computed of many rows`
  if (uses === null) return `what ${column} is computed of is not known`
  const [only, ...more] = uses
  if (!only) return `${column} is computed of no column`
  if (more.length > 0) return `${column} is computed of columns of ${[...uses.keys()].sort().join(' and ')}`
  return only[0] === table ? null : `${column} is a matter of ${only[0]}`
}

/** An expression as it stands before a table alone: columns without the names of tables, without the name it gives. */
function withoutNames(item: unknown): unknown {
  const bare = mapTree(item, (node) =>
    node.class === 'COLUMN_REF' ? { ...node, column_names: namesOf(node).slice(-1), alias: '' } : null,
  )
  return typeof bare === 'object' && bare !== null ? { ...bare, alias: '' } : bare
}

function namesOf(node: Json): readonly string[] {
  return Array.isArray(node.column_names) ? node.column_names.map(String) : []
}

function mapTree(value: unknown, replace: (node: Json) => unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => mapTree(one, replace))
  if (typeof value !== 'object' || value === null) return value
  const found = replace(value as Json)
  if (found !== null) return found
  return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, mapTree(child, replace)]))
}

function count(value: unknown, isIt: (node: Json) => boolean): number {
  if (Array.isArray(value)) return value.reduce((sum: number, one) => sum + count(one, isIt), 0)
  if (typeof value !== 'object' || value === null) return 0
  const own = isIt(value as Json) ? 1 : 0
  return Object.values(value).reduce((sum: number, one) => sum + count(one, isIt), own)
}

function some(value: unknown, isIt: (node: Json) => boolean): boolean {
  return count(value, isIt) > 0
}
