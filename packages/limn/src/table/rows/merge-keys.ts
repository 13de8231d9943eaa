import type { Session } from '../../engine/index.ts'
import type { Predicate } from '../../expr/index.ts'
import { type Field, isPrimitive } from '../../schema/index.ts'
import { duckType, quoteIdentifier, quoteText } from '../../sql/index.ts'
import type { PinnedTable, TableContext } from '../context.ts'
import { schemaOfPin } from '../context.ts'

/** A column of the target that the condition of a merge equates with a column of the source. */
export interface KeyPair {
  readonly target: Field
  readonly source: string
}

/** What a merge's SQL calls rows of the table and of the source. */
export interface MergeAliases {
  readonly target: string
  readonly source: string
}

type Json = Readonly<Record<string, unknown>>

/**
 * The pairs of columns that a merge's condition equates, read from its syntax tree: conjuncts `target.a = source.b` (or
 * `IS NOT DISTINCT FROM`-free variants of it; nothing under OR or NOT). None where there are none: then every file may match.
 */
export async function keyPairs(
  context: TableContext,
  pin: PinnedTable,
  on: string,
  aliases: MergeAliases,
): Promise<readonly KeyPair[]> {
  const [row, from] = [quoteIdentifier(aliases.target), quoteIdentifier(aliases.source)]
  const { canonical } = await context.engine.parse(
    `SELECT 1 FROM limn_a.target AS ${row} JOIN limn_b.source AS ${from} ON (${on})`,
  )
  const { fields } = schemaOfPin(pin)
  const out: KeyPair[] = []
  for (const equality of equalitiesOf(conditionOf(JSON.parse(canonical)))) {
    const sides = [equality.left, equality.right].map(columnOf)
    const target = sides.find((side) => side?.table === aliases.target.toLowerCase())
    const source = sides.find((side) => side?.table === aliases.source.toLowerCase())
    const field = target && fields.find((one) => one.name.toLowerCase() === target.column.toLowerCase())
    if (field && source && isPrimitive(field.type)) out.push({ target: field, source: source.column })
  }
  return out
}

/** The condition of the first join in a tree. */
function conditionOf(node: unknown): unknown {
  if (Array.isArray(node)) {
    for (const one of node) {
      const found = conditionOf(one)
      if (found) return found
    }
    return null
  }
  if (typeof node !== 'object' || node === null) return null
  const json = node as Json
  if (json.type === 'JOIN' && json.condition) return json.condition
  return conditionOf(Object.values(json))
}

function equalitiesOf(node: unknown): readonly { readonly left: unknown; readonly right: unknown }[] {
  const json = node as Json | null
  if (json?.class === 'CONJUNCTION' && json.type === 'CONJUNCTION_AND')
    return ((json.children ?? []) as readonly unknown[]).flatMap(equalitiesOf)
  if (json?.class === 'COMPARISON' && json.type === 'COMPARE_EQUAL') return [{ left: json.left, right: json.right }]
  return []
}

function columnOf(node: unknown): { readonly table: string; readonly column: string } | null {
  const json = node as Json | null
  const names = json?.class === 'COLUMN_REF' ? (json.column_names as readonly string[] | undefined) : undefined
  const [table, column] = names ?? []
  return names?.length === 2 && table !== undefined && column !== undefined
    ? { table: table.toLowerCase(), column }
    : null
}

/** So many different keys are looked up one by one; more are taken as a range. */
const listedKeysMax = 200

/**
 * A predicate that every row of the target with a match satisfies, by the keys there are in the source (`limn_source`):
 * each of them where they are few, else their range. `false` when there are none.
 */
export async function keysPredicate(
  context: TableContext,
  pin: PinnedTable,
  session: Session,
  pairs: readonly KeyPair[],
): Promise<Predicate> {
  const { fields } = schemaOfPin(pin)
  const filters: string[] = []
  const described = await session.rows('SELECT column_name, column_type FROM (DESCRIBE limn_source)')
  const types = new Map(described.rows.map(([name, type]) => [String(name).toLowerCase(), String(type)]))
  for (const { target, source } of pairs) {
    if (!isPrimitive(target.type)) continue
    const type = duckType(target.type)
    if (!comparesAsCast(types.get(source.toLowerCase()) ?? '', type)) continue
    const key = `TRY_CAST(${quoteIdentifier(source)} AS ${type})`
    const { rows } = await session.rows(
      `SELECT approx_count_distinct(${key}), min(${key})::VARCHAR, max(${key})::VARCHAR, count(*), count(${key}), count(${quoteIdentifier(source)}) FROM limn_source`,
    )
    const [distinct, low, high, , cast, present] = rows[0] ?? []
    // A key that does not fit the column's type may still compare equal to a rounded one: nothing is pruned by it.
    if (cast !== present) continue
    if (low === null || low === undefined || high === null || high === undefined) return { kind: 'false' }
    const literal = (text: string) => `${quoteText(text)}::${type}`
    const name = quoteIdentifier(target.name)
    if (Number(distinct) <= listedKeysMax) {
      const listed = await session.rows(`SELECT DISTINCT ${key}::VARCHAR FROM limn_source WHERE ${key} IS NOT NULL`)
      if (listed.rows.length <= 2 * listedKeysMax) {
        filters.push(`${name} IN (${listed.rows.map(([text]) => literal(String(text))).join(', ')})`)
        continue
      }
    }
    filters.push(`${name} >= ${literal(String(low))} AND ${name} <= ${literal(String(high))}`)
  }
  if (filters.length === 0) return { kind: 'true' }
  const condition = await context.engine.condition(filters.join(' AND '), {
    id: pin.id,
    alias: 'target',
    columns: fields,
  })
  return condition.atMost
}

/**
 * Whether a key of the source equals one of the target exactly when it does so cast to the target's type. Not where the
 * comparison is made in another type: of a number with text `'007' = 7`, of long with double what is near is equal.
 */
function comparesAsCast(source: string, target: string): boolean {
  const inexact = (type: string) => type === 'FLOAT' || type === 'DOUBLE'
  if (target === 'VARCHAR') return source === 'VARCHAR' || source.startsWith('ENUM')
  return inexact(source) ? inexact(target) : true
}
