import { formatInterval, formatMicros } from '../../dataset/index.ts'
import type { Judgement, RunReport } from '../../pipeline/index.ts'
import { parseWait } from '../arguments.ts'
import type { Io } from '../io.ts'
import type { Invocation } from '../main.ts'
import { formatBytes, formatCount, formatTable, type TextCell, toJson } from '../text.ts'
import { openLake, runOptionsOf, textOption } from './open.ts'
import { itemValue } from './plan.ts'

export default async function run(invocation: Invocation): Promise<number> {
  const { io, options } = invocation
  const asked = runOptionsOf(invocation)
  const waitMs = parseWait(textOption(invocation, 'wait'))
  await using lake = await openLake(invocation)
  const report = await lake.run({ ...asked, waitMs })
  if (io.json) io.out(toJson(reportValue(report)))
  else printReport(report, io, options.explain === true)
  return report.outcome === 'refused' ? 3 : 0
}

export function reportValue(report: RunReport) {
  return {
    run: report.run,
    outcome: report.outcome,
    planned: report.planned.items.map(itemValue),
    carriedOut: report.carriedOut.items.map(itemValue),
    datasets: report.datasets.map((one) => ({
      dataset: one.dataset,
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

function printReport(report: RunReport, io: Io, explain: boolean): void {
  for (const id of report.recovery.abandoned)
    io.err(`${io.paint.yellow('Recovered:')} run ${id} had died before publishing; nothing of it is visible.`)
  for (const id of report.recovery.published)
    io.err(`${io.paint.yellow('Recovered:')} run ${id} had died after publishing; its record is complete.`)
  if (report.outcome === 'idle') {
    io.out('Nothing to do.')
    return
  }
  if (explain) io.out(explainTable(report, io))
  for (const one of report.judgements.filter((each) => each.outcome === 'failed')) printFailure(one, io)
  const rows = report.datasets.flatMap((one) => one.ranges)
  const total = (key: 'rows' | 'files' | 'bytes' | 'quarantined') => rows.reduce((sum, range) => sum + range[key], 0)
  const summary = `${formatCount(total('rows'))} rows, ${formatCount(total('files'))} files, ${formatBytes(total('bytes'))}, ${report.judgements.length} checks, ${report.seconds.toFixed(1)} s`
  const quarantined = total('quarantined') > 0 ? ` ${formatCount(total('quarantined'))} rows were quarantined.` : ''
  if (report.outcome === 'published')
    io.out(`${io.paint.green('Published')} run ${report.run}: ${summary}.${quarantined}`)
  else {
    io.out(`${io.paint.red('Refused to publish')} run ${report.run}. Readers still see what they had.`)
    io.out(`Look at what was built: limn sql --at run/${report.run} 'SELECT …'`)
  }
}

function printFailure(one: Judgement, io: Io): void {
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
