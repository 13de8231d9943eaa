import { isAggregateName, multipliesRows } from './functions.ts'
import { hashOf, type Json, type Relation, type Resolved, UsesBuilder, wholeOf } from './lineage.ts'
import { everythingIn, resolveName, type Scope } from './scope.ts'

/** Follows the names in expressions. Queries inside them are read by `queryOf`. */
export interface ExpressionReader {
  readonly queryOf: (node: Json, scope: Scope) => Relation
  readonly cannotTell: (what: string) => void
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Positions say nothing of meaning, nor does the name a select item goes by. */
const silent = new Set(['query_location'])

/** An expression as a value of the rows in scope; `name` of the outermost expression is left out. */
export function resolveExpression(reader: ExpressionReader, tree: unknown, scope: Scope): Resolved {
  if (isObject(tree) && tree.class === 'COLUMN_REF') {
    const found = resolveName((tree.column_names ?? []) as readonly string[], scope)
    if (found) return { hash: found.hash, uses: found.uses }
  }
  const uses = new UsesBuilder()
  const top = isObject(tree) ? { ...tree, alias: '' } : tree
  return { hash: hashOf(follow(reader, top, scope, new Set(), uses)), uses: uses.uses }
}

function follow(
  reader: ExpressionReader,
  value: unknown,
  scope: Scope,
  parameters: ReadonlySet<string>,
  uses: UsesBuilder,
): unknown {
  if (Array.isArray(value)) return value.map((one) => follow(reader, one, scope, parameters, uses))
  if (!isObject(value)) return value
  switch (value.class) {
    case 'COLUMN_REF': {
      const names = (value.column_names ?? []) as readonly string[]
      const found = resolveName(names, scope)
      if (found) uses.add(found.uses)
      if (parameters.has((names[0] ?? '').toLowerCase())) return ['parameter', names, found?.hash ?? null]
      if (found) return ['column', found.hash, value.alias ?? '']
      reader.cannotTell(`what ${names.join('.')} refers to`)
      const everything = everythingIn(scope)
      uses.add(everything.uses)
      return ['unknown', names, everything.hash]
    }
    case 'STAR': {
      const everything = everythingIn({ ...scope, parent: null })
      uses.add(everything.uses)
      const { expr, replace_list: replaced } = value
      return ['star', everything.hash, plain(value), follow(reader, [expr, replaced], scope, parameters, uses)]
    }
    case 'SUBQUERY': {
      const query = isObject(value.subquery) ? value.subquery.node : null
      if (!isObject(query)) break
      const whole = wholeOf(reader.queryOf(query, scope))
      uses.add(whole.uses)
      const { subquery: _, child, ...rest } = value
      return ['subquery', plain(rest), whole.hash, follow(reader, child, scope, parameters, uses)]
    }
    case 'LAMBDA': {
      // `a -> b` is also what takes a part out of JSON: the left side counts as a column where there is one of its name.
      const inner = new Set([...parameters, ...namesIn(value.lhs)])
      return Object.entries(value).map(([key, one]) => [key, follow(reader, one, scope, inner, uses)])
    }
    default:
      break
  }
  return Object.entries(value)
    .filter(([key]) => !silent.has(key))
    .map(([key, one]) => [key, follow(reader, one, scope, parameters, uses)])
}

/** A part of the tree that names nothing. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, one: unknown) => (silent.has(key) ? undefined : one)))
}

function namesIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn)
  if (!isObject(value)) return []
  if (value.class === 'COLUMN_REF')
    return ((value.column_names ?? []) as readonly string[]).slice(0, 1).map((name) => name.toLowerCase())
  return Object.values(value).flatMap(namesIn)
}

/** Whether it makes one row of many: an aggregate function outside a window and outside inner queries. */
export function aggregates(value: unknown): boolean {
  return contains(value, isAggregateName)
}

/** Whether it makes several rows of one. */
export function multiplies(value: unknown): boolean {
  return contains(value, multipliesRows)
}

function contains(value: unknown, test: (name: string) => boolean): boolean {
  if (Array.isArray(value)) return value.some((one) => contains(one, test))
  if (!isObject(value)) return false
  if (value.class === 'SUBQUERY') return contains(value.child, test)
  const own = value.class === 'FUNCTION' && test(String(value.function_name ?? ''))
  return own || Object.values(value).some((one) => contains(one, test))
}
