import { counted } from '../../base/index.ts'
import { formatInterval, formatMicros } from '../../dataset/index.ts'
import { type Lake, looksOfError, looksOfReport, withNotifications } from '../../lake/index.ts'
import type { Judgement, Look, RunReport } from '../../pipeline/index.ts'
import { parseWait } from '../arguments.ts'
import { reportError } from '../errors.ts'
import type { Io } from '../io.ts'
import { commandsOf, printLooks } from '../looks.ts'
import type { Invocation } from '../main.ts'
import { formatBytes, formatTable, type TextCell, toJson } from '../text.ts'
import { runWhatIsDue } from './due.ts'
import { heldOf, printHeld } from './held.ts'
import { openLake, runOptionsOf, textOption } from './open.ts'
import { itemValue } from './plan.ts'

export default async function run(invocation: Invocation): Promise<number> {
  const { io, options } = invocation
  if (options.due === true) return runWhatIsDue(invocation)
  const asked = runOptionsOf(invocation)
  const waitMs = parseWait(textOption(invocation, 'wait'))
  await using lake = await openLake(invocation, { makeEnvironment: true })
  try {
    const report = await withNotifications(lake, () => lake.run({ ...asked, waitMs }))
    return printRun(report, await looksOfReport(lake, report), io, options.explain === true)
  } catch (error) {
    return await showFailure(lake, error, io)
  }
}

/** Prints how a run ended and gives the exit code. */
export function printRun(report: RunReport, looks: readonly Look[], io: Io, explain: boolean): number {
  if (io.json) io.out(toJson({ ...reportValue(report), look: commandsOf(report.run ?? '', looks) }))
  else {
    printReport(report, io, explain)
    printLooks(report.run ?? '', looks, io)
  }
  return report.outcome === 'refused' ? 3 : 0
}

/** An error that ended a run, with the commands that show what it had staged. Others are thrown on. */
export async function showFailure(lake: Lake, error: unknown, io: Io): Promise<number> {
  const found = await looksOfError(lake, error)
  if (!found) throw error
  const code = reportError(error, io)
  if (!io.json) printLooks(found.run, found.looks, { ...io, out: io.err })
  return code
}

export function reportValue(report: RunReport) {
  return {
    run: report.run,
    outcome: report.outcome,
    planned: report.planned.items.map(itemValue),
    carriedOut: report.carriedOut.items.map(itemValue),
    held: heldOf(report.carriedOut),
    datasets: report.datasets.map((one) => ({
      dataset: one.dataset,
      takenFrom: one.takenFrom,
      snapshotId: one.snapshotId === null ? null : String(one.snapshotId),
      ranges: one.ranges.map((range) => ({
        outcome: range.outcome,
        reason: range.reason,
        because: range.because,
        interval: range.interval && {
          start: formatMicros(range.interval.start),
          end: formatMicros(range.interval.end),
        },
        rows: range.rows,
        files: range.files,
        bytes: range.bytes,
        quarantined: range.quarantined,
        seconds: range.seconds,
      })),
      scans: one.scans.map((scan) => ({
        input: scan.input,
        interval: scan.interval,
        considered: scan.scan.considered,
        pruned: scan.scan.pruned,
        read: scan.scan.read,
      })),
    })),
    verdicts: report.judgements.map((one) => ({
      ...one,
      snapshotId: one.snapshotId === null ? null : String(one.snapshotId),
    })),
    recovery: report.recovery,
    rebases: report.rebases,
    seconds: report.seconds,
  }
}

export function printReport(report: RunReport, io: Io, explain: boolean): void {
  for (const id of report.recovery.abandoned)
    io.err(`${io.paint.yellow('Recovered:')} run ${id} had died before publishing; nothing of it is visible.`)
  for (const id of report.recovery.published)
    io.err(`${io.paint.yellow('Recovered:')} run ${id} had died after publishing; its record is complete.`)
  printHeld(report.carriedOut, io)
  if (report.outcome === 'idle') {
    io.out('Nothing to do.')
    return
  }
  if (explain) io.out(explainTable(report, io))
  for (const one of report.judgements.filter((each) => each.outcome === 'failed')) printFailure(one, io)
  const rows = report.datasets.flatMap((one) => one.ranges)
  const total = (key: 'rows' | 'files' | 'bytes' | 'quarantined') => rows.reduce((sum, range) => sum + range[key], 0)
  const summary = `${counted(total('rows'), 'row')}, ${counted(total('files'), 'file')}, ${formatBytes(total('bytes'))}, ${counted(report.judgements.length, 'check')}, ${report.seconds.toFixed(1)} s`
  const quarantined =
    total('quarantined') > 0 ? ` ${counted(total('quarantined'), 'row was', 'rows were')} quarantined.` : ''
  if (report.outcome === 'published')
    io.out(`${io.paint.green('Published')} run ${report.run}: ${summary}.${quarantined}`)
  else {
    io.out(`${io.paint.red('Refused to publish')} run ${report.run}. Readers still see what they had.`)
  }
}

export function printFailure(one: Judgement, io: Io): void {
  const head = one.severity === 'hard' ? io.paint.red('failed (hard)') : io.paint.yellow('failed (soft)')
  io.err(`${head} ${one.dataset}: ${one.check}: ${one.explanation}`)
  if (one.sample.rows.length > 0) {
    const table = formatTable(one.sample.columns, one.sample.rows as readonly (readonly TextCell[])[], io.width)
    io.err(
      table
        .split('\n')
        .map((line) => `    ${line}`)
        .join('\n'),
    )
  }
}

function explainTable(report: RunReport, io: Io): string {
  const rows = report.datasets.flatMap((one) =>
    one.scans.map((scan): readonly TextCell[] => {
      const unit = report.carriedOut.items.find((item) => item.dataset === one.dataset)?.unit
      const { considered, pruned, read } = scan.scan
      return [
        one.dataset,
        scan.interval && unit ? formatInterval(unit, scan.interval) : 'whole',
        scan.input,
        considered.files,
        pruned.files,
        read.files,
        formatBytes(considered.bytes),
        formatBytes(pruned.bytes),
        formatBytes(read.bytes),
      ]
    }),
  )
  return formatTable(
    ['dataset', 'interval', 'reads', 'files', 'pruned', 'read', 'bytes', 'pruned', 'read'],
    rows,
    io.width,
  )
}
