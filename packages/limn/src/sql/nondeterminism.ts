import { nameOfItem, rootOf } from './query-parts.ts'

type Json = Readonly<Record<string, unknown>>

/**
 * Why an expression may come out otherwise of the same rows: `random` draws · `clock` asks the time · `order` takes rows as
 * they come · `ties` orders them by what need not tell them apart · `sum-order` adds binary fractions in no order ·
 * `sample` takes some rows · `approximate` counts by a sketch that depends on the order.
 */
export type VolatileKind = 'random' | 'clock' | 'order' | 'ties' | 'sum-order' | 'sample' | 'approximate'

export interface Volatile {
  readonly kind: VolatileKind
  /** The function or clause: `random`, `row_number`, `LIMIT`. */
  readonly what: string
  /** Column of the outermost SELECT it stands in; null: it decides on rows (FROM, WHERE, LIMIT, a common table expression). */
  readonly column: string | null
  /** The expression's tree; null for a clause. */
  readonly tree: unknown
}

const functions: Readonly<Record<string, VolatileKind>> = {
  random: 'random',
  uuid: 'random',
  gen_random_uuid: 'random',
  uuidv4: 'random',
  uuidv7: 'random',
  setseed: 'random',
  nextval: 'random',
  now: 'clock',
  today: 'clock',
  current_date: 'clock',
  current_time: 'clock',
  current_timestamp: 'clock',
  get_current_time: 'clock',
  get_current_timestamp: 'clock',
  current_localtime: 'clock',
  current_localtimestamp: 'clock',
  localtime: 'clock',
  localtimestamp: 'clock',
  transaction_timestamp: 'clock',
  approx_count_distinct: 'approximate',
  approx_quantile: 'approximate',
  approx_top_k: 'approximate',
  reservoir_quantile: 'random',
}

/** Aggregates that keep or join values as rows come, unless told an order. */
const byOrder = new Set([
  'first',
  'last',
  'any_value',
  'arbitrary',
  'list',
  'array_agg',
  'string_agg',
  'group_concat',
  'listagg',
])
/** Aggregates that choose one of several equal rows. */
const byTies = new Set(['arg_max', 'arg_min', 'argmax', 'argmin', 'max_by', 'min_by', 'mode'])
const sums = new Set([
  'sum',
  'avg',
  'mean',
  'stddev',
  'stddev_samp',
  'stddev_pop',
  'variance',
  'var_samp',
  'var_pop',
  'corr',
  'covar_pop',
  'covar_samp',
  'product',
])
const rankers = new Set([
  'row_number',
  'ntile',
  'first_value',
  'last_value',
  'nth_value',
  'lag',
  'lead',
  'first',
  'last',
])

function asJson(value: unknown): Json | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : null
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/**
 * Everything in a query that may come out otherwise of the same rows, in order of appearance. Errs towards more: `ties` and
 * `sum-order` matter only for some rows and types, which the tree does not tell.
 */
export function volatileParts(serialized: unknown): readonly Volatile[] {
  const root = rootOf(serialized)
  const out: Volatile[] = []
  if (root) walkQuery(root, true, out)
  return out
}

function walkQuery(node: Json, outermost: boolean, out: Volatile[]): void {
  if (node.type === 'SELECT_NODE') {
    for (const [key, value] of Object.entries(node)) {
      if (key !== 'select_list') walk(value, null, out)
      else for (const item of listOf(value)) walk(item, outermost ? nameOfItem(item) : null, out)
    }
    clauses(node, out)
    return
  }
  walk(Object.values(node), null, out)
  clauses(node, out)
}

function clauses(node: Json, out: Volatile[]): void {
  const modifiers = listOf(node.modifiers).map(asJson)
  const ordered = modifiers.some((one) => one?.type === 'ORDER_MODIFIER')
  const add = (kind: VolatileKind, what: string) => out.push({ kind, what, column: null, tree: null })
  for (const one of modifiers) {
    if (one?.type === 'LIMIT_MODIFIER' || one?.type === 'LIMIT_PERCENT_MODIFIER')
      add(ordered ? 'ties' : 'order', 'LIMIT')
    if (one?.type === 'DISTINCT_MODIFIER' && listOf(one.distinct_on_targets).length > 0)
      add(ordered ? 'ties' : 'order', 'DISTINCT ON')
  }
  if (asJson(node.sample)) add('sample', 'USING SAMPLE')
}

function walk(value: unknown, column: string | null, out: Volatile[]): void {
  if (Array.isArray(value)) {
    for (const one of value) walk(one, column, out)
    return
  }
  const node = asJson(value)
  if (!node) return
  if (node.type === 'SELECT_NODE' || node.type === 'SET_OPERATION_NODE') {
    walkQuery(node, false, out)
    return
  }
  const found = kindOf(node)
  if (found) out.push({ ...found, column, tree: node })
  if (asJson(node.sample) && node.type !== 'SELECT_NODE')
    out.push({ kind: 'sample', what: 'USING SAMPLE', column: null, tree: null })
  for (const child of Object.values(node)) walk(child, column, out)
}

function kindOf(node: Json): { readonly kind: VolatileKind; readonly what: string } | null {
  const what = String(node.function_name ?? '').toLowerCase()
  if (node.class === 'COLUMN_REF') {
    // Written without parentheses, these are names to the parser.
    const [name = '', ...more] = listOf(node.column_names).map((one) => String(one).toLowerCase())
    return more.length === 0 && functions[name] === 'clock' ? { kind: 'clock', what: name } : null
  }
  if (node.class === 'WINDOW') {
    if (!rankers.has(what)) return null
    return { kind: listOf(node.orders).length === 0 ? 'order' : 'ties', what }
  }
  if (node.class !== 'FUNCTION') return null
  const known = functions[what]
  if (known) return { kind: known, what }
  const ordered = listOf(asJson(node.order_bys)?.orders).length > 0
  if (byOrder.has(what)) return { kind: ordered ? 'ties' : 'order', what }
  if (byTies.has(what)) return { kind: 'ties', what }
  return sums.has(what) ? { kind: 'sum-order', what } : null
}
