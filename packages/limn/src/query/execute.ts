import { type TableId, unreachable } from '../base/index.ts'
import { parseStatement, type Statement } from '../sql/index.ts'
import { alterTable, type LiveRuns, type TableContext } from '../table/index.ts'
import { changesOf } from './alter.ts'
import { runCall } from './call/call.ts'
import { runDelete, runTruncate, runUpdate } from './change-rows.ts'
import { type CreateOptions, runCreateTable } from './create.ts'
import { evaluateDefault } from './defaults.ts'
import { runDrop, runRename } from './drop.ts'
import { tableOf } from './guard.ts'
import { runInsert } from './insert.ts'
import { runMerge } from './merge.ts'
import { loadTable } from './names.ts'
import { runRefAction } from './refs.ts'
import { rehearsal } from './rehearsal/rehearsal.ts'
import type { StatementResult } from './result.ts'
import { runSelect } from './select.ts'
import { runShow } from './show.ts'
import { runAlterView, runCreateView, runDropView } from './views/view-change.ts'

export interface StatementOptions extends CreateOptions {
  /** Runs at work on a table: what they rely on, maintenance leaves. Default: there are none. */
  readonly live?: (table: TableId) => Promise<LiveRuns>
  /** Works everything out, commits and keeps nothing. Snapshot ids in the result are then of no snapshot. */
  readonly dryRun?: boolean
}

/**
 * Runs one statement: a query, or a change of a table that no dataset owns. A change is one commit: it happens whole or
 * not at all. Throws `sql/…` for a statement that cannot be understood, `usage/owned-table` for a table that changes
 * through its contract, and what the operation itself throws.
 */
export async function executeStatement(
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
  options: StatementOptions,
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
      if (action.kind === 'createRef' || action.kind === 'dropRef') return runRefAction(context, table, action)
      if (action.kind === 'rename') return runRename(context, table, action.to, options.owner)
      const changes = await changesOf(action, await loadTable(context, table), (value, type) =>
        evaluateDefault(context, value, type),
      )
      const { changed } = await alterTable(context, table, changes, { caseSensitive: false })
      const change = changed ? 'altered' : 'unchanged'
      return { kind: 'altered', change, of: 'table', name: table, snapshotId: null }
    }
    case 'createView':
      return runCreateView(context, statement, options)
    case 'dropView':
      return runDropView(context, statement, options.owner)
    case 'alterView':
      return runAlterView(context, statement, options)
    case 'update':
      return runUpdate(context, statement, options.owner, options)
    case 'delete':
      return runDelete(context, statement, options.owner, options)
    case 'merge':
      return runMerge(context, statement, options.owner, options)
    case 'truncate':
      return runTruncate(context, statement, options.owner)
    case 'call':
      return { kind: 'rows', result: await runCall(context, statement, options) }
    case 'dropTable':
      return runDrop(context, statement, options.owner, options.live)
    default:
      return unreachable(statement)
  }
}
