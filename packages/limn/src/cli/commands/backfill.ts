import { counted } from '../../base/index.ts'
import { formatInterval, formatMicros } from '../../dataset/index.ts'
import { backfill, type Lake, looksOfReport } from '../../lake/index.ts'
import type { BackfillReport, DatasetChange, Look } from '../../pipeline/index.ts'
import { parseCount, parseRange, parseShare, parseWait, usage } from '../arguments.ts'
import type { Io } from '../io.ts'
import { commandsOf, printQueries } from '../looks.ts'
import type { Invocation } from '../main.ts'
import { rowDiffText, rowDiffValue } from '../row-diff-text.ts'
import { formatCount, formatTable, toJson } from '../text.ts'
import { openLake, rangeOptionsOf, textOption } from './open.ts'
import { printReport, reportValue } from './run.ts'

/** Begins a backfill. Exits with 3 when it waits for approval or the gate refuses it, with 1 when a step failed. */
export default async function backfillCommand(invocation: Invocation): Promise<number> {
  const { io, args } = invocation
  const range = parseRange(rangeOptionsOf(invocation))
  if (args.length === 0)
    throw usage('A backfill names the datasets to build.', 'Say which: limn backfill silver.flight --from … --to …')
  if (range === null) throw usage('A backfill has a range.', 'Say from when to when: --from 2001-03-01 --to 2001-05-01')
  const sample = parseShare('sample', textOption(invocation, 'sample'))
  if (sample === 0) throw usage('--sample 0 builds nothing.', 'Write a share above 0, for example 10%.')
  if (sample !== undefined && invocation.options.approve === true)
    throw usage('A sample is never published.', 'Give either --sample or --approve.')
  const options = tuningOf(invocation)
  await using lake = await openLake(invocation, { makeEnvironment: true })
  const report = await backfill(lake, {
    select: args,
    range,
    ...options,
    ...(sample === undefined ? {} : { sample }),
    waitMs: parseWait(textOption(invocation, 'wait')),
  })
  return await printBackfill(lake, report, io)
}

/** How to go about it, options not given left out. */
export function tuningOf(invocation: Invocation) {
  const { options } = invocation
  const parallel = parseCount('parallel', textOption(invocation, 'parallel'))
  const throttle = textOption(invocation, 'throttle')
  const budgetRows = parseCount('budget-rows', textOption(invocation, 'budgetRows'))
  return {
    ...(parallel === undefined ? {} : { parallel }),
    ...(throttle === undefined ? {} : { throttleMs: parseWait(throttle) }),
    ...(budgetRows === undefined ? {} : { budgetRows }),
    ...(options.keepGoing === true ? { onFailure: 'keep-going' as const } : {}),
    ...(options.failFast === true ? { onFailure: 'fast' as const } : {}),
    ...(options.diff === true ? { diff: true } : {}),
    ...(options.approve === true ? { approved: true } : {}),
  }
}

/** Prints how a backfill stands now and gives the exit code. */
export async function printBackfill(lake: Lake, report: BackfillReport, io: Io): Promise<number> {
  const { outcome, id } = report
  const looks = outcome.kind === 'refused' ? await looksOfReport(lake, outcome.report) : []
  if (io.json) io.out(toJson(backfillValue(report, looks)))
  else {
    if (report.changes) printChanges(report.changes, io)
    if (report.datasets.length > 0) {
      const rows = report.datasets.map((one) => [one.dataset, one.steps, one.built, one.rows])
      io.out(formatTable(['dataset', 'steps', 'built now', 'rows'], rows, io.width))
    }
    printOutcome(report, looks, io)
  }
  switch (outcome.kind) {
    case 'published':
    case 'sampled':
    case 'nothing':
      return 0
    case 'refused':
    case 'waiting':
      return 3
    case 'failed':
      if (!io.json) io.err(`Go on when it is mended: limn backfill resume ${id}`)
      return 1
  }
}

function printOutcome(report: BackfillReport, looks: readonly Look[], io: Io): void {
  const { outcome, id } = report
  switch (outcome.kind) {
    case 'published':
      if (outcome.report) printReport(outcome.report, io, false)
      io.out(`${io.paint.green('Published')} backfill ${id}.`)
      return
    case 'refused':
      printReport(outcome.report, io, false)
      printQueries(outcome.report.run ?? '', looks, io)
      io.out(`Backfill ${id} stands on its branches; mend what was refused, then: limn backfill resume ${id}`)
      return
    case 'waiting':
      io.out(`${io.paint.yellow('Waits for approval')}: ${outcome.why}. Readers still see what they had.`)
      io.out(`Look:    limn backfill show ${id} --diff`)
      io.out(`Query:   limn sql --at backfill/${id} 'SELECT …'`)
      io.out(`Publish: limn backfill approve ${id}`)
      io.out(`Drop:    limn backfill discard ${id}`)
      return
    case 'sampled':
      io.out(`A sample is only to look at; drop it with: limn backfill discard ${id}`)
      return
    case 'nothing':
      io.out('Nothing to build: the range is outside the domain of every dataset selected.')
      return
    case 'failed':
      for (const { dataset, interval, error } of outcome.failures) {
        const when = interval ? ` ${formatMicros(interval.start)} … ${formatMicros(interval.end)}` : ''
        io.err(`${io.paint.red('failed')} ${dataset}${when}: ${error.message}`)
      }
      if (outcome.skipped.length > 0) io.err(`Not built, for what they read failed: ${outcome.skipped.join(', ')}`)
      io.out(
        `${counted(outcome.failures.length, 'step')} failed; nothing was published. The others stand on the branches.`,
      )
      return
  }
}

/** What each dataset changes, with what passes its tolerance. */
export function printChanges(changes: readonly DatasetChange[], io: Io): void {
  for (const { dataset, diff, intervals, unit } of changes) {
    io.out(io.paint.bold(dataset))
    for (const line of rowDiffText(diff, io.width)) io.out(line)
    const beyond = intervals.filter((one) => one.beyond.length > 0)
    if (intervals.length > 0)
      io.out(
        beyond.length === 0
          ? 'all within tolerance'
          : `${formatCount(beyond.length)} of ${formatCount(intervals.length)} beyond tolerance:`,
      )
    for (const one of beyond.slice(0, 10)) {
      const when = one.interval && unit ? formatInterval(unit, one.interval) : dataset
      io.out(`  ${when}: ${one.beyond.join('; ')}`)
    }
    if (beyond.length > 10) io.out(`  … and ${formatCount(beyond.length - 10)} more`)
    io.out('')
  }
}

function backfillValue(report: BackfillReport, looks: readonly Look[]) {
  const { id, outcome, request, datasets, changes, seconds } = report
  return {
    backfill: id,
    outcome: outcome.kind,
    ...(outcome.kind === 'published' || outcome.kind === 'refused'
      ? { run: outcome.report && reportValue(outcome.report), look: commandsOf(outcome.report?.run ?? '', looks) }
      : {}),
    ...(outcome.kind === 'waiting' ? { why: outcome.why } : {}),
    ...(outcome.kind === 'failed'
      ? {
          failures: outcome.failures.map(({ dataset, interval, error }) => ({
            dataset,
            interval: intervalValue(interval),
            kind: error.kind,
            message: error.message,
          })),
          skipped: outcome.skipped,
        }
      : {}),
    range: intervalValue(request.range),
    datasets,
    changes: changes && changesValue(changes),
    seconds,
  }
}

export function changesValue(changes: readonly DatasetChange[]) {
  return changes.map(({ dataset, diff, intervals }) => ({
    dataset,
    diff: rowDiffValue(diff, formatMicros),
    beyond: intervals
      .filter((one) => one.beyond.length > 0)
      .map((one) => ({ interval: intervalValue(one.interval), beyond: one.beyond })),
  }))
}

function intervalValue(interval: { readonly start: number; readonly end: number } | null) {
  return interval && { start: formatMicros(interval.start), end: formatMicros(interval.end) }
}
