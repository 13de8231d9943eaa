import type { Session } from '../../engine/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'

/** The statements of a comparison. Temporary tables: `limn_sums` per partition, `limn_hashes`, `limn_differ` per row. */

export interface Relation {
  /** What stands behind FROM. */
  readonly from: string
  /** Columns that folder names tell of, read as text. */
  readonly told: ReadonlySet<string>
}

export interface ComparedColumn {
  readonly name: string
  /** The type both sides are cast to. */
  readonly type: string
}

export interface Names {
  readonly columns: readonly ComparedColumn[]
  readonly by: readonly string[]
  readonly keys: readonly string[]
}

type Sides = readonly [Relation, Relation]

/** The type that values of both sides go into. */
export async function typeOfUnion(session: Session, [a, b]: Sides, column: string): Promise<string> {
  const name = quoteIdentifier(column)
  const one = ({ from }: Relation) => `SELECT ${name} FROM ${from} WHERE false`
  const { rows } = await session.rows(`DESCRIBE ${one(a)} UNION ALL ${one(b)}`)
  return String(rows[0]?.[1] ?? 'VARCHAR')
}

function cast({ name, type }: ComparedColumn): string {
  const column = quoteIdentifier(name)
  // A variant has no order and no hash of its own.
  return `CAST(${column} AS ${type === 'VARIANT' ? 'VARCHAR' : type}) AS ${column}`
}

/** The rows of a side under common types, with their hash. */
function hashed({ from }: Relation, { columns }: Names): string {
  const list = columns.map(({ name }) => quoteIdentifier(name)).join(', ')
  return `(SELECT *, hash(${list}) AS limn_hash FROM (SELECT ${columns.map(cast).join(', ')} FROM ${from}))`
}

function quoted(names: readonly string[], prefix = ''): string {
  return names.map((name) => `${prefix}${quoteIdentifier(name)}`).join(', ')
}

function sameSql(names: readonly string[], a: string, b: string): string {
  return names
    .map((name) => `${a}.${quoteIdentifier(name)} IS NOT DISTINCT FROM ${b}.${quoteIdentifier(name)}`)
    .join(' AND ')
}

/** Per partition and side: rows, sum and exclusive or of the hashes. */
export function checksumsSql([a, b]: Sides, names: Names): string {
  const { by } = names
  const keys = by.length > 0 ? `${quoted(by)}, ` : ''
  const group = by.length > 0 ? `GROUP BY ${quoted(by)}` : ''
  const sums = (relation: Relation) =>
    `SELECT ${keys}count(*) AS limn_n, coalesce(sum(limn_hash::HUGEINT), 0) AS limn_s, coalesce(bit_xor(limn_hash), 0) AS limn_x FROM ${hashed(relation, names)} ${group}`
  const join = by.length > 0 ? sameSql(by, 'limn_l', 'limn_r') : 'true'
  const either = by.map((name) => {
    const one = quoteIdentifier(name)
    return `CASE WHEN limn_l.limn_n IS NULL THEN limn_r.${one} ELSE limn_l.${one} END AS ${one}, `
  })
  const text = (side: string) => `coalesce(${side}.limn_s, 0)::VARCHAR || '-' || coalesce(${side}.limn_x, 0)::VARCHAR`
  return `CREATE TEMP TABLE limn_sums AS SELECT ${either.join('')}coalesce(limn_l.limn_n, 0) AS limn_left_rows, ${text('limn_l')} AS limn_left_sum,
    coalesce(limn_r.limn_n, 0) AS limn_right_rows, ${text('limn_r')} AS limn_right_sum,
    (limn_l.limn_n, limn_l.limn_s, limn_l.limn_x) IS DISTINCT FROM (limn_r.limn_n, limn_r.limn_s, limn_r.limn_x) AS limn_differs
    FROM (${sums(a)}) AS limn_l FULL JOIN (${sums(b)}) AS limn_r ON ${join}`
}

/** Partitions that differ: rows and sum of either side, then the values. */
export function shownSql({ by }: Names, limit: number): string {
  const values = by.map((name) => `, ${quoteIdentifier(name)}::VARCHAR`).join('')
  const order = by.length > 0 ? `ORDER BY ${by.map((name) => `${quoteIdentifier(name)} NULLS FIRST`).join(', ')}` : ''
  return `SELECT limn_left_rows, limn_left_sum, limn_right_rows, limn_right_sum${values} FROM limn_sums WHERE limn_differs ${order} LIMIT ${limit}`
}

/** Rows that one side has more often: first their hashes, which are small, then the rows. */
export function differingRowsSql([a, b]: Sides, names: Names): readonly string[] {
  const { by, columns } = names
  const within =
    by.length > 0
      ? `WHERE EXISTS (SELECT 1 FROM limn_sums AS limn_t WHERE limn_t.limn_differs AND ${sameSql(by, 'limn_t', 'limn_o')})`
      : ''
  const hashes = (relation: Relation, sign: number) =>
    `SELECT limn_hash, ${sign} AS limn_n FROM ${hashed(relation, names)} AS limn_o ${within}`
  const rows = (relation: Relation, l: number, r: number) =>
    `SELECT ${quoted(columns.map((one) => one.name))}, ${l} AS limn_l, ${r} AS limn_r FROM ${hashed(relation, names)} AS limn_o WHERE limn_hash IN (SELECT limn_hash FROM limn_hashes)`
  const list = quoted(columns.map((one) => one.name))
  return [
    `CREATE TEMP TABLE limn_hashes AS SELECT limn_hash, abs(sum(limn_n)) AS limn_apart FROM (${hashes(a, 1)} UNION ALL ${hashes(b, -1)}) GROUP BY limn_hash HAVING sum(limn_n) <> 0`,
    `CREATE TEMP TABLE limn_rows AS SELECT ${list}, sum(limn_l)::BIGINT - sum(limn_r)::BIGINT AS limn_more
      FROM (${rows(a, 1, 0)} UNION ALL ${rows(b, 0, 1)}) GROUP BY ${list} HAVING sum(limn_l) <> sum(limn_r)`,
    `CREATE TEMP TABLE limn_differ AS SELECT *, ${onceSql(names)} AS limn_changed FROM limn_rows`,
  ]
}

/** Whether a row's key is that of one differing row on either side: then it is one row that was changed. */
function onceSql({ keys }: Names): string {
  if (keys.length === 0) return 'false'
  const over = `OVER (PARTITION BY ${quoted(keys)})`
  return `(count(*) FILTER (limn_more = 1) ${over} = 1 AND count(*) FILTER (limn_more = -1) ${over} = 1 AND count(*) ${over} = 2)`
}

/** `limit` null: how many rows; else the first of them, each with how often it is there. */
export function onlySql({ columns, keys }: Names, side: 'left' | 'right', limit: number | null): string {
  const more = side === 'left' ? 'limn_more' : '-limn_more'
  const where = `WHERE ${more} > 0 AND NOT limn_changed`
  if (limit === null) return `SELECT coalesce(sum(${more}), 0)::HUGEINT FROM limn_differ ${where}`
  const values = columns.map(({ name }) => `${quoteIdentifier(name)}::VARCHAR`).join(', ')
  const order = [...new Set([...keys, ...columns.map((one) => one.name)])].map(
    (name) => `${quoteIdentifier(name)}::VARCHAR NULLS FIRST`,
  )
  return `SELECT ${more}, ${values} FROM limn_differ ${where} ORDER BY ${order.join(', ')} LIMIT ${limit}`
}

/** `limit` null: how many keys; else key, and per other column left, right and whether they differ. */
export function changedSql({ columns, keys }: Names, limit: number | null): string {
  if (limit === null) return 'SELECT count(*) FROM limn_differ WHERE limn_changed AND limn_more > 0'
  const rest = columns.filter((one) => !keys.includes(one.name)).map((one) => quoteIdentifier(one.name))
  const cells = rest.map(
    (name) =>
      `, limn_l.${name}::VARCHAR, limn_r.${name}::VARCHAR, (limn_l.${name} IS DISTINCT FROM limn_r.${name})::VARCHAR`,
  )
  const key = keys.map((name) => `limn_l.${quoteIdentifier(name)}::VARCHAR`)
  return `SELECT ${key.join(', ')}${cells.join('')} FROM (SELECT * FROM limn_differ WHERE limn_changed AND limn_more > 0) AS limn_l
    JOIN (SELECT * FROM limn_differ WHERE limn_changed AND limn_more < 0) AS limn_r ON ${sameSql(keys, 'limn_l', 'limn_r')}
    ORDER BY ${key.join(', ')} LIMIT ${limit}`
}
