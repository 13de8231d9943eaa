import { LimnError } from '../base/index.ts'
import { parseStatement, type Statement } from '../sql/index.ts'
import { alterTable, type TableContext } from '../table/index.ts'
import { changesOf } from './alter.ts'
import { type CreateOptions, runCreateTable } from './create.ts'
import { evaluateDefault } from './defaults.ts'
import { tableOf, targetOf } from './guard.ts'
import { runInsert } from './insert.ts'
import { loadTable } from './names.ts'
import { rehearsal } from './rehearsal.ts'
import type { StatementResult } from './result.ts'
import { runSelect } from './select.ts'
import { runShow } from './show.ts'

export interface StatementOptions extends CreateOptions {
  /** Works everything out, commits and keeps nothing. Snapshot ids in the result are then of no snapshot. */
  readonly dryRun?: boolean
}

/**
 * Runs one statement: a query, or a change of a table that no dataset owns. A change is one commit: it happens whole or
 * not at all. Throws `sql/…` for a statement that cannot be understood, `usage/owned-table` for a table that changes
 * through its contract, and what the operation itself throws.
 */
export function executeStatement(
  context: TableContext,
  sql: string,
  options: StatementOptions,
): Promise<StatementResult> {
  return runStatement(options.dryRun ? rehearsal(context) : context, parseStatement(sql), options)
}

/** Whether a statement changes nothing. */
export function isReadOnly(statement: Statement): boolean {
  return statement.kind === 'query' || statement.kind === 'show'
}

/** Runs a statement that has been read. */
export async function runStatement(
  context: TableContext,
  statement: Statement,
  options: CreateOptions,
): Promise<StatementResult> {
  switch (statement.kind) {
    case 'query':
      return { kind: 'rows', result: await runSelect(context, statement.query, options) }
    case 'show':
      return { kind: 'rows', result: await runShow(context, statement) }
    case 'insert':
      return runInsert(context, statement, options.owner, options)
    case 'createTable':
      return runCreateTable(context, statement, options)
    case 'alterTable': {
      const table = tableOf(statement.table, options.owner)
      const { action } = statement
      if (action.kind === 'rename' || action.kind === 'createRef' || action.kind === 'dropRef') break
      const changes = await changesOf(action, await loadTable(context, table), (value, type) =>
        evaluateDefault(context, value, type),
      )
      const { changed } = await alterTable(context, table, changes, { caseSensitive: false })
      const change = changed ? 'altered' : 'unchanged'
      return { kind: 'altered', change, of: 'table', name: table, snapshotId: null }
    }
    case 'dropTable':
    case 'delete':
    case 'update':
    case 'merge':
    case 'truncate':
      targetOf(statement.table, options.owner)
      break
    default:
      break
  }
  throw new LimnError('iceberg/unsupported', {
    message: `limn does not run this statement (${statement.kind}).`,
    notDone: 'Nothing was run.',
  })
}
