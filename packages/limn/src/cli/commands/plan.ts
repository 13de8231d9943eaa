import { formatMicros, type Interval } from '../../dataset/index.ts'
import { isBuild, isFollower, type PlanItem, type PlannedDataset, type PlanReport } from '../../pipeline/index.ts'
import type { Invocation } from '../main.ts'
import { planTree } from '../plan-text.ts'
import { toJson } from '../text.ts'
import { heldOf } from './held.ts'
import { openLake, runOptionsOf } from './open.ts'

export default async function plan(invocation: Invocation): Promise<number> {
  const { io, options } = invocation
  const asked = runOptionsOf(invocation)
  await using lake = await openLake(invocation)
  const report = await lake.plan(asked)
  const { items } = report.plan
  const pending = items.some(
    (item) => item.reason !== 'asked-at-run' && item.reason !== 'unsealed' && !onlyAsked(item, items),
  )
  if (io.json) {
    io.out(toJson(planValue(report)))
  } else {
    for (const run of report.inDoubt)
      io.err(
        `${io.paint.yellow('In doubt:')} run ${run.id} of process ${run.pid} ended without a word; the next limn run settles it.`,
      )
    for (const { from, to } of report.renames)
      io.err(`${io.paint.yellow('Renamed:')} ${from} becomes ${to} at the next run.`)
    for (const id of report.orphans)
      io.err(`${io.paint.yellow('Orphan:')} ${id} has a table and no definition. Take it away: limn drop ${id}`)
    io.out(items.length === 0 ? 'Nothing to do.' : planTree(report, io.paint).join('\n'))
  }
  return options.exitCode === true && pending ? 4 : 0
}

/** Below a source that is only asked at run, nothing is known to be pending. */
function onlyAsked(item: PlanItem, items: readonly PlanItem[]): boolean {
  if (isFollower(item)) {
    const own = items.filter((one) => one.dataset === item.dataset && !isFollower(one))
    return own.length > 0 && own.every((one) => onlyAsked(one, items))
  }
  if (!item.atMost || item.reason !== 'input-changed') return false
  const upstream = items.filter((one) => one.dataset === item.because)
  return upstream.length > 0 && upstream.every((one) => one.reason === 'asked-at-run' || onlyAsked(one, items))
}

export function itemValue(item: PlanItem) {
  return {
    dataset: item.dataset,
    interval: item.interval && { start: formatMicros(item.interval.start), end: formatMicros(item.interval.end) },
    reason: item.reason,
    because: item.because,
    atMost: item.atMost,
  }
}

/** A plan as JSON; `docs/planning.md` says what each field means. */
export function planValue(report: PlanReport) {
  return {
    items: report.plan.items.map(itemValue),
    held: heldOf(report.plan),
    datasets: report.datasets.map((one) => datasetValue(one, report)),
    estimate: {
      rows: totalOf(report, 'rows'),
      bytes: totalOf(report, 'bytes'),
      seconds: totalOf(report, 'seconds'),
      unknown: report.datasets.filter((one) => one.causes.some(isBuild) && one.estimate.seconds === null).length,
    },
    inDoubt: report.inDoubt,
    renames: report.renames,
    orphans: report.orphans,
  }
}

function totalOf(report: PlanReport, key: 'rows' | 'bytes' | 'seconds'): number {
  return report.datasets.reduce((sum, one) => sum + (one.estimate[key] ?? 0), 0)
}

function datasetValue(one: PlannedDataset, report: PlanReport) {
  const { dataset, unit, parents, breaks, unbroken, estimate } = one
  return {
    dataset,
    unit,
    parents,
    causes: one.causes.map(({ reason, because, atMost, intervals, units, columns, rows, diff }) => ({
      reason,
      because,
      atMost,
      intervals: intervals.map(intervalValue),
      units,
      columns,
      rows,
      ...(diff === null ? {} : { diff: report.diffs.get(dataset) ?? [] }),
    })),
    breaks,
    unbroken,
    estimate,
  }
}

function intervalValue(interval: Interval) {
  return { start: formatMicros(interval.start), end: formatMicros(interval.end) }
}
