import type { TableId } from '../../base/index.ts'
import { always, and, type ComparisonOperator, never, or, type Predicate } from '../../expr/index.ts'
import { decimalOf, isPrimitive, type PrimitiveType, type Type, type Value } from '../../schema/index.ts'
import { duckType, quoteIdentifier } from '../../sql/index.ts'
import type { ColumnShape } from '../engine.ts'

/**
 * Which rows of each table a query can use, read from DuckDB's optimised plan: it pushes filters through common table
 * expressions, views and joins. A table scanned twice needs the rows of either scan. What is not understood is `true`,
 * or `false` where a condition is wanted that surely holds.
 */

type Json = Readonly<Record<string, unknown>>
type Tables = ReadonlyMap<TableId, { readonly columns: readonly ColumnShape[] }>

const operators: Readonly<Record<string, ComparisonOperator>> = {
  COMPARE_EQUAL: 'eq',
  COMPARE_NOTEQUAL: 'ne',
  COMPARE_LESSTHAN: 'lt',
  COMPARE_LESSTHANOREQUALTO: 'le',
  COMPARE_GREATERTHAN: 'gt',
  COMPARE_GREATERTHANOREQUALTO: 'ge',
}
const flipped: Readonly<Record<ComparisonOperator, ComparisonOperator>> = {
  eq: 'eq',
  ne: 'ne',
  lt: 'gt',
  le: 'ge',
  gt: 'lt',
  ge: 'le',
}

/** Rows for a stub table, wide enough that the optimiser's statistics fold no condition away. */
export function stubRows(columns: readonly ColumnShape[]): readonly string[] {
  const row = (pick: 0 | 1) => `(${columns.map((column) => extremes(column.type)[pick]).join(', ')})`
  return [row(0), row(1), `(${columns.map(() => 'NULL').join(', ')})`]
}

function extremes(type: Type): readonly [string, string] {
  if (!isPrimitive(type)) return nestedExtremes(type)
  const decimal = decimalOf(type)
  if (decimal) {
    const nines = `${'9'.repeat(decimal.precision - decimal.scale) || '0'}${decimal.scale > 0 ? `.${'9'.repeat(decimal.scale)}` : ''}`
    return [`-${nines}`, nines]
  }
  switch (type) {
    case 'boolean':
      return ['FALSE', 'TRUE']
    case 'int':
      return ['-2147483648', '2147483647']
    case 'long':
      return ['-9223372036854775808', '9223372036854775807']
    case 'float':
    case 'double':
      return [`'-infinity'::${duckType(type)}`, `'nan'::${duckType(type)}`]
    case 'date':
      return ["DATE '-infinity'", "DATE 'infinity'"]
    case 'timestamp':
      return ["TIMESTAMP '-infinity'", "TIMESTAMP 'infinity'"]
    case 'timestamptz':
      return ["TIMESTAMPTZ '-infinity'", "TIMESTAMPTZ 'infinity'"]
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return ["'-infinity'::TIMESTAMP_NS", "'infinity'::TIMESTAMP_NS"]
    case 'unknown':
      return ['NULL', 'NULL']
    case 'variant':
      return ['NULL', '1::VARIANT']
    case 'time':
      return ["TIME '00:00:00'", "TIME '23:59:59.999999'"]
    case 'string':
      return ["''", 'chr(1114111) || chr(1114111)']
    case 'uuid':
      return ["'00000000-0000-0000-0000-000000000000'::UUID", "'ffffffff-ffff-ffff-ffff-ffffffffffff'::UUID"]
    default:
      return ["''::BLOB", "'\\xFF\\xFF'::BLOB"]
  }
}

/**
 * Values of a nested type within which its parts have both their extremes: DuckDB keeps statistics of parts too, and folds
 * a condition on a part that they leave no value for.
 */
function nestedExtremes(type: Exclude<Type, PrimitiveType>): readonly [string, string] {
  switch (type.type) {
    case 'struct': {
      const fields = type.fields.map((field) => [quoteIdentifier(field.name), extremes(field.type)] as const)
      const pack = (pick: 0 | 1) => `struct_pack(${fields.map(([name, of]) => `${name} := ${of[pick]}`).join(', ')})`
      return [pack(0), pack(1)]
    }
    case 'list': {
      const [low, high] = extremes(type.element)
      return ['[]', `[${low}, ${high}, NULL]`]
    }
    case 'map': {
      const [keyLow, keyHigh] = extremes(type.key)
      const [low, high] = extremes(type.value)
      // A value of null too: a third key would have to lie between the others.
      return [`MAP {${keyLow}: ${low}, ${keyHigh}: NULL}`, `MAP {${keyLow}: ${low}, ${keyHigh}: ${high}}`]
    }
  }
}

/** Collects the conditions of each table's scans from a serialised plan. */
export function filtersOfPlan(plan: unknown, tables: Tables): ReadonlyMap<TableId, Predicate> {
  const scans = new Map<TableId, Predicate[]>()
  visit(plan, always, { tables, scans, opaque: always })
  return new Map([...scans].map(([id, predicates]) => [id, or(...predicates)]))
}

/**
 * Of a plan that filters one table, a condition under which a row certainly passes: what is not understood counts as
 * false. `false` for a plan of any other form.
 */
export function certainFilterOfPlan(plan: unknown, id: TableId, tables: Tables): Predicate {
  if (!isOneScan(plan)) return never
  const scans = new Map<TableId, Predicate[]>()
  visit(plan, always, { tables, scans, opaque: never })
  const [predicate, ...more] = scans.get(id) ?? []
  return predicate && more.length === 0 && scans.size === 1 ? predicate : never
}

/** Whether a plan yields no row whatever its tables hold. */
export function isEmptyPlan(plan: unknown): boolean {
  const [only, ...more] = Array.isArray(plan) ? (plan as readonly Json[]) : []
  return more.length === 0 && only?.type === 'LOGICAL_EMPTY_RESULT'
}

function isOneScan(plan: unknown): boolean {
  if (Array.isArray(plan)) return plan.length === 1 && isOneScan(plan[0])
  if (typeof plan !== 'object' || plan === null) return false
  const operator = plan as Json
  switch (operator.type) {
    case 'LOGICAL_PROJECTION':
    case 'LOGICAL_FILTER':
      return isOneScan(operator.children)
    default:
      return operator.type === 'LOGICAL_GET'
  }
}

/** What a walk over a plan carries along. `opaque` stands for what is not understood. */
interface Walk {
  readonly tables: Tables
  readonly scans: Map<TableId, Predicate[]>
  readonly opaque: Predicate
}

type ColumnAt = (index: number) => ColumnShape | null

function visit(node: unknown, above: Predicate | ((columnAt: ColumnAt) => Predicate), walk: Walk): void {
  const { tables, scans, opaque } = walk
  if (Array.isArray(node)) {
    for (const item of node) visit(item, always, walk)
    return
  }
  if (typeof node !== 'object' || node === null) return
  const operator = node as Json
  if (operator.type === 'LOGICAL_GET') {
    const data = operator.function_data as Json | undefined
    const id = `${data?.schema}.${data?.table}` as TableId
    const table = tables.get(id)
    if (table) {
      const own = tableFilters(operator, table.columns, opaque)
      const outer = typeof above === 'function' ? above(outputColumns(operator, table.columns)) : above
      scans.set(id, [...(scans.get(id) ?? []), and(own, outer)])
    }
    return
  }
  const children = (operator.children ?? []) as readonly unknown[]
  if (operator.type === 'LOGICAL_FILTER' && children.length === 1) {
    const expressions = (operator.expressions ?? []) as readonly unknown[]
    visit(children[0], (columnAt) => and(...expressions.map((one) => lower(one, columnAt, opaque))), walk)
    return
  }
  for (const [key, value] of Object.entries(operator)) if (key !== 'expressions') visit(value, always, walk)
}

/** The columns a scan puts out, in order. */
function outputColumns(get: Json, columns: readonly ColumnShape[]): ColumnAt {
  const names = (get.names ?? []) as readonly string[]
  const indexes = ((get.column_indexes ?? []) as readonly Json[]).map((one) => Number(one.index))
  const projected = (get.projection_ids ?? []) as readonly number[]
  const order = projected.length > 0 ? projected.map((at) => indexes[at]) : indexes
  return (index) => {
    const at = order[index]
    return columns.find((column) => at !== undefined && column.name === names[at]) ?? null
  }
}

function tableFilters(get: Json, columns: readonly ColumnShape[], opaque: Predicate): Predicate {
  const names = (get.names ?? []) as readonly string[]
  const filters = ((get.table_filters as Json | undefined)?.filters ?? []) as readonly Json[]
  return and(
    ...filters.map((entry) => {
      const column = columns.find((one) => one.name === names[Number(entry.key)])
      return column ? lowerFilter(entry.value, column, opaque) : opaque
    }),
  )
}

function lowerFilter(value: unknown, column: ColumnShape, opaque: Predicate): Predicate {
  const filter = value as Json
  const children = (filter.child_filters ?? []) as readonly unknown[]
  switch (filter.filter_type) {
    case 'CONSTANT_COMPARISON':
      return comparison(
        column,
        operators[String(filter.comparison_type)],
        constant(filter.constant, column.type),
        opaque,
      )
    case 'IS_NULL':
      return { kind: 'isNull', column: column.name }
    case 'IS_NOT_NULL':
      return { kind: 'notNull', column: column.name }
    case 'CONJUNCTION_AND':
      return and(...children.map((one) => lowerFilter(one, column, opaque)))
    case 'CONJUNCTION_OR':
      return or(...children.map((one) => lowerFilter(one, column, opaque)))
    case 'OPTIONAL_FILTER':
      // What the whole condition implies: a bound for the rows that pass, and no condition of its own.
      return opaque.kind === 'false' ? always : lowerFilter(filter.child_filter, column, opaque)
    case 'IN_FILTER': {
      const values = ((filter.values ?? []) as readonly unknown[]).map((one) => constant(one, column.type))
      return inList(column, values, opaque)
    }
    case 'EXPRESSION_FILTER':
      return lower(filter.expr, () => column, opaque)
    default:
      return opaque
  }
}

/** A bound expression as a predicate; a superset of it where it is not understood. */
function lower(value: unknown, columnAt: ColumnAt, opaque: Predicate): Predicate {
  const expression = value as Json
  const children = (expression.children ?? []) as readonly unknown[]
  switch (expression.expression_class) {
    case 'BOUND_CONJUNCTION': {
      const parts = children.map((one) => lower(one, columnAt, opaque))
      return expression.type === 'CONJUNCTION_OR' ? or(...parts) : and(...parts)
    }
    case 'BOUND_COMPARISON': {
      const operator = operators[String(expression.type)]
      const left = columnOf(expression.left, columnAt)
      if (left) return comparison(left, operator, constantOf(expression.right, left.type), opaque)
      const right = columnOf(expression.right, columnAt)
      return right && operator
        ? comparison(right, flipped[operator], constantOf(expression.left, right.type), opaque)
        : opaque
    }
    case 'BOUND_OPERATOR': {
      const column = columnOf(children[0], columnAt)
      if (!column) return opaque
      if (expression.type === 'OPERATOR_IS_NULL') return { kind: 'isNull', column: column.name }
      if (expression.type === 'OPERATOR_IS_NOT_NULL') return { kind: 'notNull', column: column.name }
      if (expression.type === 'COMPARE_IN')
        return inList(
          column,
          children.slice(1).map((one) => constantOf(one, column.type)),
          opaque,
        )
      return opaque
    }
    case 'BOUND_BETWEEN': {
      const column = columnOf(expression.input, columnAt)
      if (!column) return opaque
      const low = comparison(
        column,
        expression.lower_inclusive === false ? 'gt' : 'ge',
        constantOf(expression.lower, column.type),
        opaque,
      )
      const high = comparison(
        column,
        expression.upper_inclusive === false ? 'lt' : 'le',
        constantOf(expression.upper, column.type),
        opaque,
      )
      return and(low, high)
    }
    default:
      return opaque
  }
}

function columnOf(value: unknown, columnAt: ColumnAt): ColumnShape | null {
  const expression = value as Json | undefined
  return expression?.expression_class === 'BOUND_REF' ? columnAt(Number(expression.index)) : null
}

function constantOf(value: unknown, type: Type): Value | null {
  const expression = value as Json | undefined
  return expression?.expression_class === 'BOUND_CONSTANT' ? constant(expression.value, type) : null
}

function comparison(
  column: ColumnShape,
  operator: ComparisonOperator | undefined,
  value: Value | null,
  opaque: Predicate,
): Predicate {
  return operator === undefined || value === null ? opaque : { kind: 'compare', operator, column: column.name, value }
}

function inList(column: ColumnShape, values: readonly (Value | null)[], opaque: Predicate): Predicate {
  const known = values.filter((value): value is Value => value !== null)
  return known.length < values.length ? opaque : { kind: 'in', column: column.name, values: known }
}

const plainTypes: Readonly<Partial<Record<PrimitiveType, string>>> = {
  boolean: 'BOOLEAN',
  int: 'INTEGER',
  long: 'BIGINT',
  date: 'DATE',
  timestamp: 'TIMESTAMP',
  timestamptz: 'TIMESTAMP WITH TIME ZONE',
  timestamp_ns: 'TIMESTAMP_NS',
  timestamptz_ns: 'TIMESTAMP_NS',
  string: 'VARCHAR',
}

/** A constant of exactly the column's type, as a value; null when it is not understood. */
function constant(value: unknown, type: Type): Value | null {
  const json = value as { readonly type?: Json; readonly is_null?: boolean; readonly value?: unknown }
  if (!isPrimitive(type) || json.is_null || json.value === undefined) return null
  const decimal = decimalOf(type)
  if (decimal) {
    const info = json.type?.type_info as Json | undefined
    const fits =
      json.type?.id === 'DECIMAL' &&
      info?.scale === decimal.scale &&
      (typeof json.value === 'number' || typeof json.value === 'bigint')
    return fits ? BigInt(json.value as number | bigint) : null
  }
  if (json.type?.id !== plainTypes[type]) return null
  switch (type) {
    case 'boolean':
      return typeof json.value === 'boolean' ? json.value : null
    case 'int':
    case 'date':
      return typeof json.value === 'number' ? json.value : null
    case 'string':
      return typeof json.value === 'string' ? json.value : null
    default:
      return typeof json.value === 'number' || typeof json.value === 'bigint' ? BigInt(json.value) : null
  }
}
