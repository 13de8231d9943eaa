import { formatInterval, formatMicros } from '../../dataset/index.ts'
import type { PlanItem } from '../../pipeline/index.ts'
import { parseRange } from '../arguments.ts'
import type { Invocation } from '../main.ts'
import { formatTable, toJson } from '../text.ts'
import { openLake, rangeOptionsOf } from './open.ts'

export default async function plan(invocation: Invocation): Promise<number> {
  const { io, args, options } = invocation
  const range = parseRange(rangeOptionsOf(invocation))
  await using lake = await openLake(invocation)
  const report = await lake.plan({ select: args, range, full: options.full === true })
  const { items } = report.plan
  const pending = items.some((item) => item.reason !== 'asked-at-run' && !onlyAsked(item, items))
  if (io.json) {
    io.out(
      toJson({
        items: items.map(itemValue),
        inDoubt: report.inDoubt,
        renames: report.renames,
        orphans: report.orphans,
      }),
    )
  } else {
    for (const run of report.inDoubt)
      io.err(
        `${io.paint.yellow('In doubt:')} run ${run.id} of process ${run.pid} ended without a word; the next limn run settles it.`,
      )
    for (const { from, to } of report.renames)
      io.err(`${io.paint.yellow('Renamed:')} ${from} becomes ${to} at the next run.`)
    for (const id of report.orphans)
      io.err(`${io.paint.yellow('Orphan:')} ${id} has a table and no definition. Take it away: limn drop ${id}`)
    if (items.length === 0) io.out('Nothing to do.')
    else io.out(formatTable(['dataset', 'interval', 'reason', '', 'because'], items.map(planRow), io.width))
  }
  return options.exitCode === true && pending ? 4 : 0
}

/** Below a source that is only asked at run, nothing is known to be pending. */
function onlyAsked(item: PlanItem, items: readonly PlanItem[]): boolean {
  if (!item.atMost || item.reason !== 'input-changed') return false
  const upstream = items.filter((one) => one.dataset === item.because)
  return upstream.length > 0 && upstream.every((one) => one.reason === 'asked-at-run' || onlyAsked(one, items))
}

function planRow(item: PlanItem) {
  return [item.dataset, intervalText(item), item.reason, item.atMost ? 'at most' : '', item.because]
}

export function intervalText(item: Pick<PlanItem, 'interval' | 'unit' | 'atMost'>): string {
  if (item.interval && item.unit) return formatInterval(item.unit, item.interval)
  return item.unit ? 'any' : 'whole'
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
