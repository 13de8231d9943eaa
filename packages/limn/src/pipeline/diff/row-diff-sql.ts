import type { IntervalUnit } from '../../dataset/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { ComparedColumn } from '../../table/index.ts'
import type { Measure } from './row-diff.ts'

/** The statements of a row diff beside those of a comparison, whose temporary tables they read. */

/** The start of a row's interval in microseconds; the first column of what is compared by interval. */
export const intervalColumn = 'limn_interval'

/** One column of what both sides are read as. */
export interface SharedColumn extends ComparedColumn {
  /** Its name on each side; null: that side lacks it. */
  readonly before: string | null
  readonly after: string | null
}

export interface Reading {
  readonly columns: readonly SharedColumn[]
  readonly time: { readonly column: string; readonly unit: IntervalUnit } | null
  readonly where: string | null
}

/** The rows of one side under the names and types of both, with their interval. */
export function sideSql(from: string, side: 'before' | 'after', reading: Reading): string {
  const { columns, time, where } = reading
  const list = columns.map((one) => {
    const own = one[side]
    return `CAST(${own === null ? 'NULL' : quoteIdentifier(own)} AS ${one.type}) AS ${quoteIdentifier(one.name)}`
  })
  const rows = `SELECT ${list.join(', ')} FROM ${from}`
  const filtered = where === null ? rows : `SELECT * FROM (${rows}) WHERE (${where}\n)`
  if (time === null) return `(${filtered})`
  const start = `epoch_us(date_trunc('${time.unit}', ${quoteIdentifier(time.column)})::TIMESTAMP)`
  return `(SELECT ${start} AS ${intervalColumn}, * FROM (${filtered}))`
}

/**
 * Rows and measures of both sides, as text: per interval that differs, or of all rows. `rest` are the rows that both
 * sides have in equal files, which the comparison left out.
 */
export function measuresSql(
  sides: { readonly before: string; readonly after: string },
  rest: { readonly before: string; readonly after: string } | null,
  measures: readonly (Measure & { readonly number: boolean })[],
  options: { readonly byInterval: boolean; readonly grouped: boolean },
): string {
  const group = options.grouped ? `${intervalColumn}, ` : ''
  const within = options.byInterval
    ? `WHERE EXISTS (SELECT 1 FROM limn_sums AS limn_t WHERE limn_t.limn_differs AND limn_t.${intervalColumn} IS NOT DISTINCT FROM limn_o.${intervalColumn})`
    : ''
  const one = (side: 'before' | 'after') => {
    const rows =
      rest === null
        ? `SELECT * FROM ${sides[side]}`
        : `SELECT * FROM ${sides[side]} UNION ALL SELECT * FROM ${rest[side]}`
    const list = measures.map((measure, i) => `, ${measure.sql} AS limn_m${i}`).join('')
    return `(SELECT ${group}count(*) AS limn_rows${list} FROM (${rows}) AS limn_o ${within} ${options.grouped ? 'GROUP BY 1' : ''})`
  }
  const cells = measures.map((measure, i) => {
    const [l, r] = [`limn_l.limn_m${i}`, `limn_r.limn_m${i}`]
    const delta = `coalesce(${r}, 0) - coalesce(${l}, 0)`
    return measure.number
      ? `, ${l}::VARCHAR, ${r}::VARCHAR, (${delta})::VARCHAR, (${delta})::DOUBLE / nullif(abs(${l}::DOUBLE), 0)`
      : `, ${l}::VARCHAR, ${r}::VARCHAR, NULL, NULL`
  })
  const join = options.grouped
    ? `FULL JOIN ${one('after')} AS limn_r ON limn_l.${intervalColumn} IS NOT DISTINCT FROM limn_r.${intervalColumn}`
    : `CROSS JOIN ${one('after')} AS limn_r`
  const start = options.grouped ? `coalesce(limn_l.${intervalColumn}, limn_r.${intervalColumn})` : 'NULL'
  return `SELECT ${start}, coalesce(limn_l.limn_rows, 0), coalesce(limn_r.limn_rows, 0)${cells.join('')} FROM ${one('before')} AS limn_l ${join} ORDER BY 1 NULLS LAST`
}

/** Per interval: rows only before, rows only after, keys changed. */
export function countsSql(byInterval: boolean): string {
  const group = byInterval ? intervalColumn : 'NULL'
  return `SELECT ${group}, coalesce(sum(limn_more) FILTER (limn_more > 0 AND NOT limn_changed), 0)::HUGEINT,
    coalesce(-sum(limn_more) FILTER (limn_more < 0 AND NOT limn_changed), 0)::HUGEINT,
    count(*) FILTER (limn_more > 0 AND limn_changed) FROM limn_differ GROUP BY 1`
}

/** Per interval and column: in how many changed rows it differs, and the greatest relative difference of a number. */
export function changedColumnsSql(
  columns: readonly ComparedColumn[],
  keys: readonly string[],
  byInterval: boolean,
): string {
  const cells = columns.map(({ name, type }) => {
    const [l, r] = [`limn_l.${quoteIdentifier(name)}`, `limn_r.${quoteIdentifier(name)}`]
    const greatest = isNumeric(type)
      ? `max(abs(${l}::DOUBLE - ${r}::DOUBLE) / nullif(greatest(abs(${l}::DOUBLE), abs(${r}::DOUBLE)), 0)) FILTER (${l} IS DISTINCT FROM ${r})`
      : 'NULL'
    return `, count(*) FILTER (${l} IS DISTINCT FROM ${r}), ${greatest}`
  })
  const on = keys.map((name) => `limn_l.${quoteIdentifier(name)} IS NOT DISTINCT FROM limn_r.${quoteIdentifier(name)}`)
  return `SELECT ${byInterval ? `limn_l.${intervalColumn}` : 'NULL'}${cells.join('')}
    FROM (SELECT * FROM limn_differ WHERE limn_changed AND limn_more > 0) AS limn_l
    JOIN (SELECT * FROM limn_differ WHERE limn_changed AND limn_more < 0) AS limn_r ON ${on.join(' AND ')} GROUP BY 1`
}

/** Whether DuckDB's type is a number that can be added up. */
export function isNumeric(type: string): boolean {
  return /^(U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\))$/.test(type)
}

export function isInexact(type: string): boolean {
  return type === 'FLOAT' || type === 'DOUBLE'
}
