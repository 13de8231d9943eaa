import { LimnError, nearest, type RunId, runId, type TableId } from '../base/index.ts'
import {
  BackfillState,
  cancelRun,
  checkProject,
  diffRun,
  discardRun,
  type EditReport,
  type LedgerRow,
  type LogLine,
  type Look,
  livePhases,
  logFolder,
  looksAtChecks,
  looksAtError,
  looksAtStaged,
  type PipelineContext,
  type RunRecord,
  type RunReport,
  readLog,
  refusals,
  requestOf,
  requireUnpublished,
  run,
} from '../pipeline/index.ts'
import type { Lake } from './lake.ts'
import { observedRun } from './observed.ts'
import { parseAt, query } from './query.ts'
import { ledgerOf } from './tables.ts'

/** A run that has not ended, as the state database knows it. */
export interface UnendedRun extends RunRecord {
  /** False: its process is gone, and the next run settles it. */
  readonly alive: boolean
}

export async function unendedRuns(lake: Lake): Promise<readonly UnendedRun[]> {
  const { runs } = await lake.context()
  return runs
    .runs()
    .filter((one) => livePhases.includes(one.phase))
    .map((one) => ({ ...one, alive: runs.isAlive(one.id) }))
}

/** Queries that show what a run that was refused or failed has staged, and the rows at fault. */
export async function looksOf(lake: Lake, id: RunId): Promise<readonly Look[]> {
  const context = await contextOf(lake)
  const known = context.runs.runs().find((one) => one.id === id)
  if (!known || known.phase === 'published') return []
  return [...looksAtChecks(context, await failedChecks(lake, id)), ...looksAtStaged(context, id)]
}

/** The same for a run that has just ended. */
export async function looksOfReport(lake: Lake, report: RunReport): Promise<readonly Look[]> {
  if (report.outcome !== 'refused' || report.run === null) return []
  const context = await contextOf(lake)
  return [...looksAtChecks(context, refusals(report.judgements)), ...looksAtStaged(context, report.run)]
}

/** Of a change by hand that was refused: the rows at fault, and the table as the statement left it. */
export async function looksOfEdit(
  lake: Lake,
  report: EditReport<{ readonly table: TableId }>,
): Promise<readonly Look[]> {
  if (report.outcome !== 'refused') return []
  const context = await contextOf(lake)
  const { table } = report.result
  const staged: Look = { dataset: table, shows: 'as changed', sql: `SELECT * FROM ${table} LIMIT 20` }
  return [...looksAtChecks(context, refusals(report.judgements)), staged]
}

/** And for an error that ended one; with the run that it ended. */
export async function looksOfError(
  lake: Lake,
  error: unknown,
): Promise<{ readonly run: RunId; readonly looks: readonly Look[] } | null> {
  if (!(error instanceof LimnError) || typeof error.context.run !== 'string') return null
  const context = await contextOf(lake)
  const id = runId(error.context.run)
  return { run: id, looks: [...looksAtError(context, error), ...looksAtStaged(context, id)] }
}

async function failedChecks(lake: Lake, id: RunId) {
  const known = await lake.catalog.listTables()
  if (!known.some((table) => table === 'limn.check_result')) return []
  const sql = `SELECT dataset, check_name FROM limn.check_result WHERE run_id = '${id}' AND outcome = 'failed' AND severity = 'hard' ORDER BY dataset, check_name`
  const { rows } = await query(lake, sql, parseAt(undefined))
  return rows.map((row) => ({ dataset: String(row[0]), check: String(row[1]) }))
}

/** The rows of the ledger that speak of a run. */
export async function ledgerRowsOf(lake: Lake, id: string): Promise<readonly LedgerRow[]> {
  return (await ledgerOf(lake)).filter((row) => row.run === id)
}

/** What a run or backfill told while it went on. Throws `usage/unknown-run` when there is no log of it (any more). */
export function logOf(lake: Lake, id: string): readonly LogLine[] {
  const lines = readLog(lake.folder, runId(id))
  if (lines) return lines
  throw new LimnError('usage/unknown-run', {
    message: `There is no log of ${id} in ${logFolder(lake.folder)}.`,
    remedy: 'Logs of the latest 200 runs are kept; list the runs with: limn runs ls',
  })
}

/** What a run changed, or would have changed. Throws `usage/unknown-run`. */
export async function diffOf(lake: Lake, id: string) {
  const context = await contextOf(lake)
  const ledger = await ledgerOf(lake)
  const known = new Set([...context.runs.runs().map((one) => one.id as string), ...ledger.map((row) => row.run)])
  if (!known.has(id)) {
    const close = nearest(id, known)
    throw new LimnError('usage/unknown-run', {
      message: `There is no run ${id}.`,
      remedy: close ? `Did you mean ${close}?` : 'List the runs with: limn runs ls',
    })
  }
  return diffRun(context, runId(id), ledger)
}

/**
 * Runs again what an unpublished run was asked, taking over what it staged where that still holds. When this publishes, what the
 * earlier run staged is dropped.
 */
export async function retry(lake: Lake, id: string, waitMs = 0): Promise<RunReport> {
  const context = await contextOf(lake)
  const from = runId(id)
  requireUnpublished(context, from)
  const request = requestOf(context, from)
  const [problem] = await checkProject(context.project, lake.engine, request.selected)
  if (problem) throw problem
  const { name, folder, config } = lake
  const report = await observedRun({ name, folder, lineage: config.lineage }, context, (observed) =>
    run(observed, request, { waitMs, retry: from }),
  )
  if (report.outcome === 'published') await discardRun(context, from)
  return report
}

export async function discardRunOf(lake: Lake, id: string) {
  return discardRun(await contextOf(lake), runId(id))
}

/** Asks what is at work under a name to stop, and says what it is. */
export async function cancel(lake: Lake, id: string): Promise<'run' | 'backfill'> {
  const context = await lake.context()
  await cancelRun(context, runId(id))
  return new BackfillState(context.state).get(runId(id)) ? 'backfill' : 'run'
}

async function contextOf(lake: Lake): Promise<PipelineContext> {
  return lake.context(await lake.loadProject())
}
