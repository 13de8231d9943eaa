import { quoteIdentifier } from '../../sql/index.ts'

/** One snapshot's change: the tables of rows before and after it, files that it left alone aside. */
export interface ChangeStep {
  readonly ordinal: number
  readonly snapshotId: bigint
  readonly before: string
  readonly after: string
}

/** How rows are known again: by columns, by the row ids of format version 3, or not. */
export type RowIdentity =
  | { readonly kind: 'columns'; readonly names: readonly string[] }
  | { readonly kind: 'row-ids' }
  | { readonly kind: 'none' }

export interface ChangeQuery {
  /** The table's columns, as the steps' tables name them. */
  readonly columns: readonly string[]
  readonly steps: readonly ChangeStep[]
  readonly identity: RowIdentity
  /** Only what differs between the beginning and the end. */
  readonly net: boolean
}

/**
 * The query of a changelog: the table's columns, then `_change_type` (INSERT, DELETE, UPDATE_BEFORE, UPDATE_AFTER),
 * `_change_ordinal` and `_commit_snapshot_id`. Rows that were only carried from file to file are no change: of equal rows
 * on both sides of a step as many cancel as there are on the smaller side.
 */
export function changesSql({ columns, steps, identity, net }: ChangeQuery): string {
  const list = columns.map(quoteIdentifier)
  // The row id comes along where there is one, so that a row that kept it cancels with itself first.
  const own = [...list, identity.kind === 'row-ids' ? '_row_id AS limn_row' : 'NULL::BIGINT AS limn_row']
  const rows = (table: string) => `SELECT ${own.join(', ')} FROM ${table}`
  const side = (step: ChangeStep, type: 'INSERT' | 'DELETE') => {
    const [one, other] = type === 'INSERT' ? [step.after, step.before] : [step.before, step.after]
    return `SELECT *, '${type}' AS limn_type, ${step.ordinal} AS limn_ordinal, ${step.snapshotId}::BIGINT AS limn_snapshot
      FROM (${rows(one)} EXCEPT ALL ${rows(other)})`
  }
  const raw = steps.flatMap((step) => [side(step, 'DELETE'), side(step, 'INSERT')]).join('\nUNION ALL\n')
  const scope = net ? [] : ['limn_ordinal']
  const sameRow = [...scope, ...list].join(', ')
  const counted = `SELECT *,
    sum(CASE limn_type WHEN 'INSERT' THEN 1 ELSE -1 END) OVER (PARTITION BY ${sameRow}) AS limn_surplus,
    row_number() OVER (PARTITION BY ${[...scope, ...list, 'limn_type'].join(', ')} ORDER BY limn_ordinal DESC, limn_row) AS limn_n
    FROM (${raw})`
  const left = `SELECT * EXCLUDE (limn_surplus, limn_n) FROM (${counted})
    WHERE limn_n <= CASE limn_type WHEN 'INSERT' THEN limn_surplus ELSE -limn_surplus END`
  const type = identity.kind === 'none' ? 'limn_type' : 'limn_paired'
  return `SELECT ${list.join(', ')}, ${type} AS _change_type, limn_ordinal AS _change_ordinal, limn_snapshot AS _commit_snapshot_id
    FROM (${identity.kind === 'none' ? left : paired(left, keyOf(identity), scope)})`
}

function keyOf(identity: Exclude<RowIdentity, { readonly kind: 'none' }>): readonly string[] {
  return identity.kind === 'row-ids' ? ['limn_row'] : identity.names.map(quoteIdentifier)
}

/** A row deleted and one inserted with the same identity are one row changed; where either is not alone, nothing is said. */
function paired(rows: string, key: readonly string[], scope: readonly string[]): string {
  const within = [...scope, ...key].join(', ')
  const known = key.map((one) => `${one} IS NOT NULL`).join(' AND ')
  return `SELECT *, CASE WHEN limn_in = 1 AND limn_out = 1 AND ${known}
      THEN CASE limn_type WHEN 'INSERT' THEN 'UPDATE_AFTER' ELSE 'UPDATE_BEFORE' END ELSE limn_type END AS limn_paired
    FROM (SELECT *,
      sum(CASE limn_type WHEN 'INSERT' THEN 1 ELSE 0 END) OVER (PARTITION BY ${within}) AS limn_in,
      sum(CASE limn_type WHEN 'DELETE' THEN 1 ELSE 0 END) OVER (PARTITION BY ${within}) AS limn_out
    FROM (${rows}))`
}

/** The query of a changelog without a step: its columns and no row. `columns` with their types in DuckDB's words. */
export function noChangesSql(bound: string): string {
  return `SELECT *, NULL::VARCHAR AS _change_type, NULL::INTEGER AS _change_ordinal, NULL::BIGINT AS _commit_snapshot_id
    FROM ${bound} WHERE FALSE`
}
