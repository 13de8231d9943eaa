import type { TableId } from '../base/index.ts'
import { latestTicks, nextTick } from '../dataset/index.ts'
import {
  type AwaitedTick,
  followersOf,
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
  triggeredBy,
} from '../pipeline/index.ts'
import { lakeSchedules } from './due.ts'
import type { Lake } from './lake.ts'
import { ledgerOf } from './tables.ts'

/** How far back a tick that was not met is looked for: the rarest day comes every eight years. */
const ticksSinceMs = 9 * 366 * 86_400_000

/**
 * What will become of the datasets that promise to be published by a time: for the latest tick of their schedule while it
 * is not met, else for the next; of those that run after their inputs, for the ticks that lead to them. A run under way counts
 * with what it has staged. Of datasets that nothing runs by itself, whether they are as fresh as they promise.
 */
export async function outlookOn(lake: Lake): Promise<readonly Outlook[]> {
  const project = await lake.loadProject()
  const { entries, triggered } = await lakeSchedules(lake)
  const { state, runs, clock } = await lake.context(project)
  const promises = (id: TableId) => {
    const timing = project.nodes.get(id)?.timing
    return timing !== undefined && (timing.deadline !== null || timing.freshnessMs !== null)
  }
  const followers = new Map(entries.map((entry) => [entry, followersOf(project, triggered, entry.datasets)]))
  const scheduled = new Set([...followers].flatMap(([entry, groups]) => [...entry.datasets, ...groups.flat()]))
  const others = project.order.filter((id) => !scheduled.has(id) && promises(id))
  if (![...scheduled].some(promises) && others.length === 0) return []
  const rows = await ledgerOf(lake)
  const published = lastPublished(rows)
  const marks = new ScheduleMarks(state)
  const nowMs = clock.nowMs()
  const live = runs.runs().filter((run) => livePhases.includes(run.phase))
  const stagedSince = (tickMs: number | null): ReadonlySet<TableId> => {
    const since = tickMs === null ? [] : live.filter((one) => one.startedAtMs >= tickMs)
    const refs = since.flatMap((run) => runs.refs(run.id).filter((one) => one.ref === runBranch(run.id)))
    return new Set(refs.map((one) => one.table))
  }
  const unread = new Set(triggeredBy(triggered, project, rows, () => 0).map((one) => one.dataset))
  const awaited = [...followers].flatMap(([entry, groups]): AwaitedTick[] => {
    const { schedule, datasets, name } = entry
    const open = openTick(entry, marks.get(metMark(name)) ?? lastOfLedger(published, entry), nowMs)
    const next = nextTick(schedule, nowMs)
    const [latest] = latestTicks(schedule, nowMs - ticksSinceMs, nowMs + 1, 1)
    const own = { schedule: name, promising: datasets, runs: [datasets], tickMs: open ?? next }
    return [
      { ...own, staged: stagedSince(open) },
      ...groups.flatMap((group) =>
        group.filter(promises).map((dataset): AwaitedTick => {
          // What its inputs published since the tick is still to be built, or they have yet to publish.
          const waits = open ?? (unread.has(dataset) && latest !== undefined ? latest : null)
          const tickMs = waits === null || (published.get(dataset) ?? 0) >= waits ? null : waits
          const before = tickMs === null || open !== null ? [datasets] : []
          const after = { schedule: `after ${name}`, promising: [dataset], runs: [...before, group] }
          return { ...after, tickMs: tickMs ?? next, staged: stagedSince(tickMs) }
        }),
      ),
    ]
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
