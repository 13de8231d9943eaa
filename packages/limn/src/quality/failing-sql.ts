import type { TableId } from '../base/index.ts'
import type { Check, Contract } from '../contract/index.ts'
import { quoteIdentifier as q } from '../sql/index.ts'
import { conditionOf } from './checks.ts'

/** A query over datasets by their names that shows the rows (or groups, or intervals) at fault with a check. */
export function failingSql(
  check: Check,
  contract: Contract,
  interval: { readonly column: string; readonly unit: string } | null,
): string {
  const table: TableId = contract.id
  const list = (columns: readonly string[], of = '') => columns.map((column) => `${of}${q(column)}`).join(', ')
  switch (check.kind) {
    case 'notNull':
    case 'between':
      return `SELECT * FROM ${table} WHERE ${conditionOf(check, contract)}`
    case 'unique': {
      const columns = list(check.columns)
      return `SELECT * FROM ${table} QUALIFY count(*) OVER (PARTITION BY ${columns}) > 1 ORDER BY ${columns}`
    }
    case 'reference': {
      const present = check.columns.map((column) => `t.${q(column)} IS NOT NULL`).join(' AND ')
      const on = check.columns.map((column, i) => `t.${q(column)} = r.${q(check.toColumns[i] ?? column)}`).join(' AND ')
      return `SELECT * FROM ${table} AS t WHERE ${present} AND NOT EXISTS (SELECT 1 FROM ${check.to} AS r WHERE ${on})`
    }
    case 'reconcile': {
      const differs =
        check.tolerance > 0
          ? `coalesce(abs("left" - "right") > ${check.tolerance}, "left" IS DISTINCT FROM "right")`
          : '"left" IS DISTINCT FROM "right"'
      const sides = check.by
        ? `SELECT coalesce(l.g, r.g) AS "group", l.v AS "left", r.v AS "right" FROM (SELECT ${check.by.left} AS g, ${check.left} AS v FROM ${table} GROUP BY ALL) AS l FULL JOIN (SELECT ${check.by.right} AS g, ${check.right} AS v FROM ${check.with} GROUP BY ALL) AS r ON l.g IS NOT DISTINCT FROM r.g`
        : `SELECT (SELECT ${check.left} FROM ${table}) AS "left", (SELECT ${check.right} FROM ${check.with}) AS "right"`
      return `SELECT * FROM (${sides}) WHERE ${differs}`
    }
    case 'volume': {
      const group = interval ? `date_trunc('${interval.unit}', ${q(interval.column)})` : null
      const counts = group
        ? `SELECT ${group} AS "interval", count(*) AS "rows" FROM ${table} GROUP BY 1`
        : `SELECT count(*) AS "rows" FROM ${table}`
      return `SELECT * FROM (${counts}) WHERE "rows" NOT BETWEEN ${check.min} AND ${check.max} ORDER BY ALL`
    }
    case 'sql':
      return check.sql.trim()
  }
}
