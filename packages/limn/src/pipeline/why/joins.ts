import type { TableId } from '../../base/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { WhyBook } from './book.ts'
import type { EvidenceRows } from './finding.ts'
import { countTimes, type JoinSession, overJoin, type Variant } from './variant.ts'

/** The table that makes rows of another come out more than once. */
export interface MultipliedBy {
  readonly table: TableId
  /** Columns that should tell its rows apart, by its contract. */
  readonly grain: readonly string[]
  /** Whether the partners of one row have one grain: then the table has it twice, and the join is not at fault. */
  readonly repeated: boolean
  /** The partners that are more than one. */
  readonly evidence: EvidenceRows
  /** A condition over the table's columns that its repeated rows satisfy; null when they were not found. */
  readonly rows: string | null
}

/** Which of the joined tables has several partners for a row of `input`; null when none has. */
export async function multipliedBy(
  book: WhyBook,
  joins: JoinSession,
  variant: Variant,
  input: TableId,
  where: string | null,
): Promise<MultipliedBy | null> {
  await countTimes(joins, input, where)
  const own = quoteIdentifier(joins.aliases.get(input) ?? '')
  for (const id of variant.code.edges.keys()) {
    const alias = joins.aliases.get(id)
    if (id === input || alias === undefined) continue
    const other = quoteIdentifier(alias)
    const grain = book.context.project.nodes.get(id)?.contract.grain ?? []
    const partners = await overJoin(
      joins,
      `${own}._file AS limn_f, ${own}._pos AS limn_p, ${other}._file AS limn_of, ${other}._pos AS limn_op`,
      { where: true },
    )
    await joins.session.exec(
      `CREATE OR REPLACE TEMP TABLE limn_partners AS SELECT DISTINCT limn_j.* FROM (${partners}) AS limn_j
       JOIN (SELECT _file, _pos FROM limn_times WHERE limn_kept > 1 ORDER BY _file, _pos LIMIT 1000) AS limn_t ON limn_t._file = limn_j.limn_f AND limn_t._pos = limn_j.limn_p`,
    )
    const several = await joins.session.rows(
      'SELECT limn_f, limn_p FROM limn_partners GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2 LIMIT 1',
    )
    if (several.rows.length === 0) continue
    const columns = Object.keys(book.context.project.nodes.get(id)?.contract.columns ?? {})
    const cells = columns.map((name) => `limn_o.${quoteIdentifier(name)}::VARCHAR`).join(', ')
    const found = `FROM ${id} AS limn_o JOIN limn_partners AS limn_m ON limn_m.limn_of = limn_o._file AND limn_m.limn_op = limn_o._pos
       JOIN (SELECT limn_f, limn_p FROM limn_partners GROUP BY 1, 2 HAVING count(*) > 1) AS limn_s ON limn_s.limn_f = limn_m.limn_f AND limn_s.limn_p = limn_m.limn_p`
    const shown = await joins.session.rows(`SELECT DISTINCT ${cells} ${found} ORDER BY ALL LIMIT 6`)
    const key = grain.map((name) => `limn_o.${quoteIdentifier(name)}`)
    const spread =
      key.length === 0
        ? false
        : Number(
            (
              await joins.session.rows(
                `SELECT coalesce(max(limn_n), 0) FROM (SELECT count(DISTINCT (${key.join(', ')})) AS limn_n ${found} GROUP BY limn_m.limn_f, limn_m.limn_p)`,
              )
            ).rows[0]?.[0] ?? 0,
          ) === 1
    return {
      table: id,
      grain,
      repeated: spread,
      evidence: { columns, rows: shown.rows.map((row) => row.map((cell) => (cell === null ? null : String(cell)))) },
      rows: spread
        ? repeatedCondition(
            grain,
            columns,
            shown.rows.map((row) => row.map((cell) => (cell === null ? null : String(cell)))),
          )
        : null,
    }
  }
  return null
}

/** The keys of some rows, given as text, as a condition. */
function repeatedCondition(
  grain: readonly string[],
  columns: readonly string[],
  rows: readonly (readonly (string | null)[])[],
): string {
  const one = (row: readonly (string | null)[]) =>
    grain
      .map((name) => {
        const value = row[columns.indexOf(name)] ?? null
        const text = `${quoteIdentifier(name)}::VARCHAR`
        return value === null ? `${quoteIdentifier(name)} IS NULL` : `${text} = '${value.replaceAll("'", "''")}'`
      })
      .join(' AND ')
  return [...new Set(rows.map(one))].map((text) => `(${text})`).join(' OR ')
}
