import { counted, LimnError, nearest, runId } from '../../base/index.ts'
import { formatMicros } from '../../dataset/index.ts'
import { type Lake, ledgerOf, looksOf, parseAt, query, type UnendedRun, unendedRuns } from '../../lake/index.ts'
import { editPrefix, type LedgerRow, outcomeOfRun } from '../../pipeline/index.ts'
import type { Io } from '../io.ts'
import { commandsOf, printLooks, printQueries } from '../looks.ts'
import type { Invocation } from '../main.ts'
import { formatTable, toJson } from '../text.ts'
import { openLake } from './open.ts'

export default async function runs(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const [verb, id = ''] = args
  await using lake = await openLake(invocation)
  const rows = await ledgerOf(lake)
  if (verb === 'ls') list(io, rows, await unendedRuns(lake))
  else await show(lake, io, rows, id)
  return 0
}

function list(io: Io, rows: readonly LedgerRow[], unended: readonly UnendedRun[]): void {
  const going = goingRuns(unended, new Set(rows.map((row) => row.run)))
  const ended = [...Map.groupBy(rows, (row) => row.run)].reverse().map(([run, own]) => ({
    run,
    started: new Date(Math.min(...own.map((row) => row.startedAtMs))).toISOString(),
    outcome: outcomeOfRun(own),
    datasets: new Set(own.filter((row) => row.dataset !== '*').map((row) => row.dataset)).size,
    rows: own.reduce((sum, row) => sum + row.rows, 0),
    message: own.find((row) => row.message !== '')?.message ?? '',
  }))
  // Ids tell seconds; of two runs within one the later still comes first.
  const values = [...going, ...ended].sort((a, b) => Number(a.started < b.started) - Number(a.started > b.started))
  if (io.json) io.out(toJson(values))
  else
    io.out(
      formatTable(
        ['run', 'started (UTC)', 'outcome', 'datasets', 'rows', 'message'],
        values.map((one) => [
          one.run,
          one.started.replace('T', ' ').slice(0, 19),
          one.outcome,
          one.datasets,
          one.rows,
          one.message,
        ]),
        io.width,
      ),
    )
}

/** Runs that the ledger has no row of yet. */
function goingRuns(unended: readonly UnendedRun[], known: ReadonlySet<string>) {
  return unended
    .filter((one) => !known.has(one.id))
    .map((one) => ({
      run: one.id as string,
      started: new Date(one.startedAtMs).toISOString(),
      outcome: one.alive ? 'running' : 'in doubt',
      datasets: 0,
      rows: 0,
      message: one.alive
        ? `process ${one.pid} on ${one.host}`
        : `process ${one.pid} on ${one.host} is gone; the next run settles it`,
    }))
}

function showGoing(io: Io, { run, outcome, started, message }: ReturnType<typeof goingRuns>[number]): void {
  if (io.json) {
    io.out(toJson({ run, outcome, started, message, ranges: [], look: [], verdicts: [] }))
    return
  }
  io.out(`run ${run}: ${outcome} since ${started.replace('T', ' ').slice(0, 19)} UTC, ${message}`)
  io.out(`What it has told: limn runs logs ${run}`)
  if (outcome === 'running') io.out(`Ask it to stop:   limn runs cancel ${run}`)
}

async function show(lake: Lake, io: Io, rows: readonly LedgerRow[], id: string): Promise<void> {
  const own = rows.filter((row) => row.run === id)
  if (own.length === 0) {
    const going = goingRuns(await unendedRuns(lake), new Set()).find((one) => one.run === id)
    if (going) return showGoing(io, going)
    const close = nearest(id, new Set(rows.map((row) => row.run)))
    throw new LimnError('usage/unknown-run', {
      message: `The ledger has no run ${id}.`,
      remedy: close ? `Did you mean ${close}?` : 'List the runs with: limn runs ls',
    })
  }
  const ranges = own.map((row) => ({
    dataset: row.dataset,
    outcome: row.outcome,
    interval: row.interval && { start: formatMicros(row.interval.start), end: formatMicros(row.interval.end) },
    reason: row.reason,
    planned: JSON.parse(row.planned) as unknown,
    rows: row.rows,
    files: row.files,
    bytes: row.bytes,
    quarantined: row.quarantined,
    deliveries: row.deliveries,
    inputs: Object.fromEntries(Object.entries(row.inputs).map(([name, snapshot]) => [name, String(snapshot)])),
    seconds: row.seconds,
    message: row.message,
  }))
  const verdicts = await verdictsOf(lake, id)
  const looks = await looksOf(lake, runId(id))
  if (io.json) {
    io.out(
      toJson({
        run: id,
        outcome: outcomeOfRun(own),
        host: own[0]?.host,
        version: own[0]?.version,
        ranges,
        look: commandsOf(id, looks),
        verdicts: verdicts.map((row) => Object.fromEntries(verdictColumns.map((name, i) => [name, row[i]]))),
      }),
    )
    return
  }
  io.out(`run ${id}: ${outcomeOfRun(own)}`)
  const message = own.find((row) => row.message !== '')?.message
  if (message) io.out(message)
  io.out('')
  io.out(
    formatTable(
      ['dataset', 'outcome', 'interval', 'rows', 'files', 'reason'],
      ranges.map((one) => [
        one.dataset,
        one.outcome,
        one.interval ? `${one.interval.start.slice(0, 10)} … ${one.interval.end.slice(0, 10)}` : '',
        one.rows,
        one.files,
        one.reason,
      ]),
      io.width,
    ),
  )
  const failed = verdicts.filter((row) => row[3] === 'failed')
  io.out(`\n${counted(verdicts.length, 'check')}, ${failed.length} failed`)
  if (failed.length > 0) io.out(formatTable(verdictColumns, failed, io.width))
  if (looks.length > 0) io.out('')
  // A change by hand is not retried, but made again.
  if (own.some((row) => row.reason.startsWith(editPrefix))) printQueries(id, looks, io)
  else printLooks(id, looks, io)
}

const verdictColumns = ['dataset', 'check', 'severity', 'outcome', 'explanation'] as const

async function verdictsOf(lake: Lake, id: string) {
  const known = await lake.catalog.listTables()
  if (!known.some((table) => table === 'limn.check_result')) return []
  const sql = `SELECT dataset, check_name, severity, outcome, explanation FROM limn.check_result WHERE run_id = '${runId(id)}' ORDER BY dataset, check_name`
  return (await query(lake, sql, parseAt(undefined))).rows
}
