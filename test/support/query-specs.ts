import { type Randomness, seededRandomness } from '../../packages/limn/src/base/index.ts'

/** Random queries over two small tables, as values that can be edited and printed in several ways. */

export interface SelectSpec {
  readonly from:
    | { readonly kind: 'table'; readonly name: 't' | 'u' }
    | { readonly kind: 'cte' }
    | { readonly kind: 'select'; readonly select: SelectSpec }
    | { readonly kind: 'join'; readonly left: boolean; readonly using: boolean }
  readonly star: boolean
  readonly items: readonly { readonly name: string; readonly expression: string; readonly aggregate: boolean }[]
  readonly where: string | null
  readonly grouped: 'all' | 'ordinal' | null
  readonly distinct: boolean
  readonly first: boolean
}

export interface QuerySpec {
  readonly cte: SelectSpec | null
  readonly main: SelectSpec
  readonly union: { readonly all: boolean; readonly select: SelectSpec } | null
}

export const tables: ReadonlyMap<string, readonly string[]> = new Map([
  ['silver.t', ['k', 'a', 'b', 'c', 'd']],
  ['silver.u', ['k', 'x', 'y']],
])

export class Chooser {
  private readonly randomness: Randomness
  constructor(seed: string) {
    this.randomness = seededRandomness(seed)
  }
  below(count: number): number {
    return Number(this.randomness.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) % count)
  }
  one<T>(values: readonly T[]): T {
    const value = values[this.below(values.length)]
    if (value === undefined) throw new Error('nothing to choose from')
    return value
  }
  chance(of: number): boolean {
    return this.below(of) === 0
  }
}

function columnsOf(select: SelectSpec, cte: SelectSpec | null): readonly string[] {
  const own = select.star ? sourceColumns(select, cte) : []
  return [...own, ...select.items.map((item) => item.name)]
}

function sourceColumns(select: SelectSpec, cte: SelectSpec | null): readonly string[] {
  switch (select.from.kind) {
    case 'table':
      return tables.get(`silver.${select.from.name}`) ?? []
    case 'cte':
      return cte ? columnsOf(cte, null) : []
    case 'select':
      return columnsOf(select.from.select, cte)
    case 'join':
      return ['a', 'b', 'c', 'd', 'x', 'y', ...(select.from.using ? ['k'] : [])]
  }
}

function scalar(choose: Chooser, columns: readonly string[]): string {
  const one = () => choose.one(columns)
  switch (choose.below(7)) {
    case 0:
    case 1:
      return one()
    case 2:
      return `${one()} + ${one()}`
    case 3:
      return `coalesce(${one()}, ${choose.below(3)})`
    case 4:
      return `CASE WHEN ${one()} > ${choose.below(4)} THEN ${one()} END`
    case 5:
      return `(SELECT max(q.x) FROM silver.u AS q WHERE q.k = ${one()})`
    default:
      return `sum(${one()}) OVER (PARTITION BY ${one()})`
  }
}

export function makeSelect(choose: Chooser, cte: SelectSpec | null, depth = 0): SelectSpec {
  const kinds = ['table', 'table', 'join', ...(cte ? ['cte', 'cte'] : []), ...(depth < 2 ? ['select'] : [])]
  const kind = choose.one(kinds)
  const from: SelectSpec['from'] =
    kind === 'table'
      ? { kind, name: choose.one(['t', 'u'] as const) }
      : kind === 'cte'
        ? { kind }
        : kind === 'join'
          ? { kind, left: choose.chance(2), using: choose.chance(2) }
          : { kind: 'select', select: makeSelect(choose, cte, depth + 1) }
  const bare: SelectSpec = {
    from,
    star: false,
    items: [],
    where: null,
    grouped: null,
    distinct: false,
    first: false,
  }
  const columns = sourceColumns(bare, cte)
  const grouped = choose.chance(4) ? choose.one(['all', 'ordinal'] as const) : null
  const where = choose.chance(2) ? `${choose.one(columns)} > ${choose.below(3)}` : null
  if (grouped)
    return {
      ...bare,
      grouped,
      where,
      items: [
        { name: `g${depth}`, expression: choose.one(columns), aggregate: false },
        { name: `n${depth}`, expression: `sum(${choose.one(columns)})`, aggregate: true },
        { name: `m${depth}`, expression: choose.one(['count(*)', `max(${choose.one(columns)})`]), aggregate: true },
      ],
    }
  const star = choose.chance(3)
  const items = Array.from({ length: 1 + choose.below(3) }, (_, i) => ({
    name: `${'pqr'[i]}${depth}`,
    expression: scalar(choose, columns),
    aggregate: false,
  }))
  const distinct = choose.chance(6)
  return { ...bare, star, items, where, distinct, first: !distinct && choose.chance(8) }
}

export function makeQuery(choose: Chooser): QuerySpec {
  const cte = choose.chance(2) ? makeSelect(choose, null, 7) : null
  const main = makeSelect(choose, cte)
  const same = !main.star && choose.chance(5)
  return { cte, main, union: same ? { all: choose.chance(2), select: { ...main, where: null } } : null }
}

export function printSelect(select: SelectSpec, cte: SelectSpec | null): string {
  const columns = [...(select.star ? ['*'] : []), ...select.items.map((item) => `${item.expression} AS ${item.name}`)]
  const from = (() => {
    switch (select.from.kind) {
      case 'table':
        return `silver.${select.from.name}`
      case 'cte':
        return 'part'
      case 'select':
        return `(${printSelect(select.from.select, cte)}) AS inner_part`
      case 'join':
        return `silver.t AS l ${select.from.left ? 'LEFT JOIN' : 'JOIN'} ${select.from.using ? 'silver.u AS r USING (k)' : '(SELECT k AS kk, x, y FROM silver.u) AS r ON l.k = r.kk'}`
    }
  })()
  // Without USING, the join would give k and kk too; they are left out so that the columns are those named.
  const shown =
    select.from.kind === 'join' && !select.from.using
      ? columns.map((one) => (one === '*' ? '* EXCLUDE (k, kk)' : one))
      : columns
  const order = sourceColumns(select, cte)
  return [
    `SELECT ${select.distinct ? 'DISTINCT ' : ''}${shown.join(', ')}`,
    `FROM ${from}`,
    ...(select.where ? [`WHERE ${select.where}`] : []),
    ...(select.grouped === 'all' ? ['GROUP BY ALL'] : select.grouped === 'ordinal' ? ['GROUP BY 1'] : []),
    ...(select.first ? [`ORDER BY ${order.join(', ')} LIMIT 3`] : []),
  ].join(' ')
}

export function print(query: QuerySpec): string {
  const head = query.cte ? `WITH part AS (${printSelect(query.cte, null)}) ` : ''
  const main = printSelect(query.main, query.cte)
  const union = query.union
    ? ` UNION ${query.union.all ? 'ALL ' : ''}${printSelect(query.union.select, query.cte)}`
    : ''
  const wrapped =
    query.union && query.main.first
      ? `(${main})${union.replace(/(UNION (?:ALL )?)(.*)$/, '$1($2)')}`
      : `${main}${union}`
  return head + wrapped
}

/** An edit that somebody could make. */
export function edit(choose: Chooser, query: QuerySpec): QuerySpec {
  const which = query.cte && choose.chance(2) ? 'cte' : 'main'
  const select = which === 'cte' ? query.cte : query.main
  if (!select) return query
  const columns = sourceColumns(select, which === 'cte' ? null : query.cte)
  const changed = ((): SelectSpec => {
    switch (choose.below(6)) {
      case 0:
        return { ...select, where: `${choose.one(columns)} > ${choose.below(3)}` }
      case 1:
        return { ...select, where: null }
      case 2:
        return { ...select, distinct: !select.distinct && !select.first && !select.grouped }
      case 3: {
        const at = choose.below(select.items.length)
        return {
          ...select,
          items: select.items.map((item, i) =>
            i !== at
              ? item
              : {
                  ...item,
                  expression: item.aggregate
                    ? `min(${choose.one(columns)})`
                    : select.grouped
                      ? choose.one(columns)
                      : scalar(choose, columns),
                },
          ),
        }
      }
      case 4:
        return {
          ...select,
          items: [
            ...select.items,
            {
              name: 'extra',
              expression: select.grouped ? `min(${choose.one(columns)})` : scalar(choose, columns),
              aggregate: select.grouped !== null,
            },
          ],
        }
      default:
        return select.from.kind === 'join' ? { ...select, from: { ...select.from, left: !select.from.left } } : select
    }
  })()
  return which === 'cte' ? { ...query, cte: changed } : { ...query, main: changed, union: null }
}
