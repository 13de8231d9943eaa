import { LimnError, namespaceOf, type TableId } from '../base/index.ts'
import { type EditReport, editDataset } from '../pipeline/index.ts'
import { resolveName, runStatement, type StatementResult } from '../query/index.ts'
import { parseStatement, type Statement } from '../sql/index.ts'
import type { Lake } from './lake.ts'

type Changed = Extract<StatementResult, { kind: 'changed' }>

/** Statements that change rows of one table. */
type Change = Extract<Statement, { kind: 'insert' | 'update' | 'delete' | 'merge' | 'truncate' }>

const kinds: ReadonlySet<Statement['kind']> = new Set(['insert', 'update', 'delete', 'merge', 'truncate'])

/**
 * Runs one statement that changes rows of a table that a dataset owns, past its definition: judged by the dataset's checks,
 * published with a row of the ledger that says who, why and what. Throws `usage/argument` for any other statement and for
 * a reason of nothing, `usage/owned-table` for limn's own tables.
 */
export async function breakGlass(
  lake: Lake,
  sql: string,
  options: { readonly reason: string; readonly by: string },
): Promise<EditReport<Changed & { readonly changedRows: number }>> {
  const reason = options.reason.trim()
  if (reason === '') throw usage('--break-glass needs a reason.', "Say why: --reason 'wrong sign in one delivery'")
  const statement = parseStatement(sql)
  if (!isChange(statement))
    throw usage(
      'Only rows of a table can be changed so: INSERT, UPDATE, DELETE, MERGE or TRUNCATE.',
      'Its shape changes through its contract, and queries need no permission.',
    )
  const { table, part } = resolveName(statement.table.parts)
  if (part.kind !== 'rows') throw usage('Name the table itself, not a part of it.', `Write: ${table}`)
  const project = await lake.loadProject()
  if (!project.nodes.has(table)) throw await notADataset(lake, table)
  const context = await lake.context(project)
  const request = { table, by: options.by, reason, statement: sql.trim() }
  return editDataset(context, request, async (branch) => {
    const result = await runStatement(context, onBranch(statement, branch), { owner: () => null })
    if (result.kind !== 'changed') throw usage('The statement changed no rows of a table.', 'Write an UPDATE.')
    return { ...result, changedRows: changedRows(result) }
  })
}

function isChange(statement: Statement): statement is Change {
  return kinds.has(statement.kind)
}

/** The same statement, written to a branch of its table. */
function onBranch(statement: Change, branch: string): Change {
  const [namespace = '', name = ''] = statement.table.parts
  return { ...statement, table: { ...statement.table, parts: [namespace, name, `branch_${branch}`] } }
}

function changedRows({ rows }: Changed): number {
  return (rows.inserted ?? 0) + (rows.updated ?? 0) + (rows.deleted ?? 0)
}

async function notADataset(lake: Lake, table: TableId): Promise<LimnError> {
  const owner = (await lake.owners())(table)
  if (owner !== null || namespaceOf(table) === 'limn')
    return new LimnError('usage/owned-table', {
      message: `${table} belongs to ${owner ?? 'limn itself'}, and is not changed by hand.`,
      notDone: 'Nothing was changed.',
      remedy: 'Change the dataset, not what limn keeps beside it.',
    })
  return usage(`${table} belongs to no dataset: there is no glass to break.`, 'Leave --break-glass out.')
}

function usage(message: string, remedy: string): LimnError {
  return new LimnError('usage/argument', { message, notDone: 'Nothing was changed.', remedy })
}
