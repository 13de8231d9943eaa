import { tableId } from '../base/index.ts'
import type { Contract, RejectBudget, RejectRule } from '../contract/index.ts'
import { quoteText } from '../sql/index.ts'

/** The contract of the table beside a dataset that keeps each rejected row with its reason. */
export function quarantineContractFor(contract: Contract): Contract {
  return {
    id: tableId(`${contract.id}_quarantine`),
    doc: `Rows rejected from ${contract.id}, each with its reason.`,
    owner: contract.owner,
    grain: [],
    keys: [],
    columns: {
      _scope: { type: 'string', doc: 'The delivery or interval the row was rejected from.' },
      _run: { type: 'string', doc: 'The run that rejected it.' },
      _delivery: { type: 'int', doc: 'Ordinal of the delivery.', nulls: 'rejected by a model, not at landing' },
      _path: { type: 'string', doc: 'Path of the delivered file.', nulls: 'rejected by a model, not at landing' },
      _position: { type: 'long', doc: 'Line of the delivery, from 1.', nulls: 'not known, or rejected by a model' },
      reason: { type: 'string', doc: 'Why it was rejected.' },
      row: { type: 'string', doc: 'The row: raw text, or JSON.' },
    },
    partition: ['_scope'],
    checks: [],
    rejects: [],
    rejectBudget: {},
    tags: [],
  }
}

/**
 * Splits a model's query by its reject rules: a row for which a rule's condition is true is rejected, once, with the
 * reason of the first such rule; a condition that is null rejects nothing. Every row goes to exactly one side. `scope` is
 * an SQL expression over the row: what it is quarantined under.
 */
export function rejectSql(
  sql: string,
  rules: readonly RejectRule[],
  contract: Contract,
  scope: string,
): { readonly kept: string; readonly rejected: string } {
  const cases = rules.map((rule) => `WHEN (${rule.when}) THEN ${quoteText(rule.reason ?? rule.name)}`).join(' ')
  const judged = `SELECT *, CASE ${cases} END AS __limn_reason FROM (${sql}\n)`
  const columns = Object.keys(contract.columns).map((name) => `"${name.replaceAll('"', '""')}"`)
  return {
    kept: `SELECT ${columns.join(', ')} FROM (${judged}) WHERE __limn_reason IS NULL`,
    rejected: `SELECT ${scope} AS _scope, NULL::INTEGER AS _delivery, NULL::VARCHAR AS _path, NULL::BIGINT AS _position, __limn_reason AS reason,
      to_json({${Object.keys(contract.columns)
        .map((name) => `${quoteText(name)}: "${name.replaceAll('"', '""')}"`)
        .join(', ')}})::VARCHAR AS "row"
      FROM (${judged}) WHERE __limn_reason IS NOT NULL`,
  }
}

/** Whether so many rejected rows are tolerated: by count or by share, whichever allows more. */
export function budgetAllows(
  budget: RejectBudget,
  counts: { readonly read: number; readonly rejected: number },
): boolean {
  return counts.rejected <= Math.max(budget.rows ?? 0, Math.floor((budget.ratio ?? 0) * counts.read))
}
