import type { TableId } from '../base/index.ts'
import { latestTicks, nextTick } from '../dataset/index.ts'
import {
  type AwaitedTick,
  freshnessOf,
  historyOf,
  lastOfLedger,
  lastPublished,
  livePhases,
  metMark,
  type Outlook,
  outlookOf,
  runBranch,
  type ScheduleEntry,
  ScheduleMarks,
} from '../pipeline/index.ts'
import { lakeSchedules } from './due.ts'
import type { Lake } from './lake.ts'
import { ledgerOf } from './tables.ts'

/** How far back a tick that was not met is looked for: the rarest day comes every eight years. */
const ticksSinceMs = 9 * 366 * 86_400_000

/**
 * What will become of the datasets that promise to be published by a time: for the latest tick of their schedule while it
 * is not met, else for the next. A run under way counts with what it has staged. Of datasets without such a schedule, whether
 * they are as fresh as they promise.
 */
export async function outlookOn(lake: Lake): Promise<readonly Outlook[]> {
  const project = await lake.loadProject()
  const { entries } = await lakeSchedules(lake)
  const { state, runs, clock } = await lake.context(project)
  const promising = entries.filter((entry) =>
    entry.datasets.some((id) => {
      const timing = project.nodes.get(id)?.timing
      return timing?.deadline || timing?.freshnessMs
    }),
  )
  const scheduled = new Set(entries.flatMap((entry) => entry.datasets))
  const others = project.order.filter(
    (id) => !scheduled.has(id) && (project.nodes.get(id)?.timing.freshnessMs ?? null) !== null,
  )
  if (promising.length + others.length === 0) return []
  const rows = await ledgerOf(lake)
  const published = lastPublished(rows)
  const marks = new ScheduleMarks(state)
  const nowMs = clock.nowMs()
  const live = runs.runs().filter((run) => livePhases.includes(run.phase))
  const awaited = promising.map((entry): AwaitedTick => {
    const open = openTick(entry, marks.get(metMark(entry.name)) ?? lastOfLedger(published, entry), nowMs)
    const tickMs = open ?? nextTick(entry.schedule, nowMs)
    const staged = new Set<TableId>()
    for (const run of open === null ? [] : live.filter((one) => one.startedAtMs >= open))
      for (const { table, ref } of runs.refs(run.id)) if (ref === runBranch(run.id)) staged.add(table)
    return { entry, tickMs, staged }
  })
  return [
    ...outlookOf(project, historyOf(project, rows), awaited, published, nowMs),
    ...freshnessOf(project, others, published, nowMs),
  ]
}

/** The latest tick, unless it was met. */
function openTick(entry: ScheduleEntry, metMs: number | null, nowMs: number): number | null {
  const [latest] = latestTicks(entry.schedule, nowMs - ticksSinceMs, nowMs + 1, 1)
  return latest === undefined || (metMs !== null && metMs >= latest) ? null : latest
}
