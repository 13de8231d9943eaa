import { LimnError } from '../../base/index.ts'
import type { Increment } from '../../dataset/index.ts'
import type { BoundTable, Session } from '../../engine/index.ts'
import { budgetAllows, rejectSql } from '../../quality/index.ts'
import { duckType, quoteIdentifier, quoteText } from '../../sql/index.ts'
import type { Node } from '../project/node.ts'
import type { QuarantineWriter } from './quarantine.ts'

/** What rejected rows of a dataset are kept under that is built whole. */
const scope = 'whole'

/**
 * The reject rules of a dataset that is brought up to date by what changed. What is in quarantine after it is what a build of
 * the whole would put there: of an append, rows are added; of a merge, those of the keys that changed are replaced.
 */
export class Rejecting {
  readonly writer: QuarantineWriter
  private readonly node: Node
  private readonly folder: string

  constructor(node: Node, writer: QuarantineWriter, folder: string) {
    this.node = node
    this.writer = writer
    this.folder = folder
  }

  /** What has to be bound beside the inputs. */
  async bind(increment: Increment, stack: AsyncDisposableStack): Promise<readonly BoundTable[]> {
    const bound = increment.kind === 'merge' && this.hasRules ? await this.writer.bind(stack) : null
    return bound ? [bound] : []
  }

  /** The SQL of the rows that are kept of a query's, the others added to the quarantine. */
  async append(session: Session, sql: string): Promise<{ readonly kept: string; readonly quarantined: number }> {
    if (!this.hasRules) return { kept: sql, quarantined: 0 }
    const { kept, rejected } = this.split(sql)
    return { kept, quarantined: await this.writer.add(session, rejected, this.folder) }
  }

  /**
   * The same of a query that gives all rows of the keys in `limn_keys`: others of these keys leave the quarantine. Throws
   * `source/over-reject-budget`.
   */
  async merge(
    session: Session,
    sql: string,
    keys: readonly string[],
  ): Promise<{ readonly kept: string; readonly quarantined: number }> {
    if (!this.hasRules) return { kept: sql, quarantined: 0 }
    const { kept, rejected } = this.split(sql)
    const same = keys.map((key) => {
      const type = duckType(this.node.contract.columns[key]?.type ?? 'string')
      const path = quoteText(`$.${JSON.stringify(key)}`)
      return `json_extract_string(o."row", ${path})::${type} IS NOT DISTINCT FROM k.${quoteIdentifier(key)}::${type}`
    })
    const gone = `EXISTS (SELECT 1 FROM limn_keys AS k WHERE ${same.join(' AND ')})`
    const quarantined = await this.writer.merge(session, rejected, gone, scope, this.folder)
    const [given] = (await session.rows(`SELECT count(*) FROM (${sql})`)).rows
    this.requireTolerated(quarantined, Number(given?.[0]) - quarantined)
    return { kept, quarantined }
  }

  /** Throws `source/over-reject-budget` when the contract does not allow so many, of the rows that were looked at. */
  requireTolerated(rejected: number, kept: number): void {
    const { id, contract } = this.node
    const read = kept + rejected
    if (rejected === 0 || budgetAllows(contract.rejectBudget, { read, rejected })) return
    throw new LimnError('source/over-reject-budget', {
      message: `${id} rejects ${rejected} of ${read} rows, more than its contract allows.`,
      notDone: 'Nothing was published.',
      remedy: 'Correct the input or the reject rules, or raise rejectBudget.',
    })
  }

  private get hasRules(): boolean {
    return this.node.contract.rejects.length > 0
  }

  private split(sql: string) {
    return rejectSql(sql, this.node.contract.rejects, this.node.contract, quoteText(scope))
  }
}
