import { LimnError, type TableId } from '../../base/index.ts'
import {
  buildGraph,
  type CronSchedule,
  latestTicks,
  type Schedule,
  type ScheduleText,
  scheduleOf,
  select,
} from '../../dataset/index.ts'
import { foldLedger, isPublishedOutcome, type LedgerRow } from '../ledger/ledger.ts'
import type { Project } from '../project/node.ts'

/** A schedule of times and what it runs: a dataset's own, or a group's. */
export interface ScheduleEntry {
  /** The dataset, or the selection of the group: under this name its last tick is remembered. */
  readonly name: string
  /** In graph order. */
  readonly datasets: readonly TableId[]
  readonly schedule: CronSchedule
}

/** Everything that is run by itself: at times, or after what it reads. */
export interface Schedules {
  readonly entries: readonly ScheduleEntry[]
  /** Datasets that run when an input has published, in graph order. */
  readonly triggered: readonly TableId[]
}

/**
 * The schedules of a project: those that datasets state, and those of groups (`tag:daily`, `gold.*`) in the
 * configuration. A dataset's own schedule goes before its group's. Throws `config/invalid` for a group that is none, and
 * `usage/unknown-dataset` for one that selects nothing.
 */
export function schedulesOf(
  project: Project,
  groups: Readonly<Record<string, Schedule | ScheduleText>> = {},
): Schedules {
  const own = (id: TableId) => project.nodes.get(id)?.timing.schedule ?? null
  const entries: ScheduleEntry[] = []
  const triggered = new Set<TableId>()
  for (const id of project.order) {
    const schedule = own(id)
    if (schedule?.kind === 'cron') entries.push({ name: id, datasets: [id], schedule })
    if (schedule?.kind === 'upstream') triggered.add(id)
  }
  const graph = buildGraph(
    [...project.nodes.values()].map((node) => ({ id: node.id, inputs: [...node.edges.keys()], file: node.file })),
  )
  for (const [pattern, given] of Object.entries(groups)) {
    const schedule = groupSchedule(pattern, given)
    const datasets = select(graph, (id) => project.nodes.get(id)?.contract.tags ?? [], [pattern]).filter(
      (id) => own(id) === null,
    )
    if (schedule.kind === 'upstream')
      for (const id of datasets) if ((project.nodes.get(id)?.edges.size ?? 0) > 0) triggered.add(id)
    if (schedule.kind === 'cron' && datasets.length > 0) entries.push({ name: pattern, datasets, schedule })
  }
  return { entries, triggered: project.order.filter((id) => triggered.has(id)) }
}

function groupSchedule(pattern: string, given: Schedule | ScheduleText): Schedule {
  try {
    return scheduleOf(given)
  } catch (cause) {
    if (!(cause instanceof LimnError)) throw cause
    throw new LimnError('config/invalid', {
      message: `The schedule of ${pattern}: ${cause.message}`,
      notDone: 'Nothing was run.',
      ...(cause.remedy === undefined ? {} : { remedy: cause.remedy }),
      location: { file: 'limn.config.ts' },
      cause,
    })
  }
}

/** What is run at one tick: all entries that have it. */
export interface DueTick {
  readonly atMs: number
  readonly entries: readonly ScheduleEntry[]
  /** A later tick of each of its entries is due too: this one was missed. */
  readonly missed: boolean
}

/** More missed ticks of one schedule than this are not made up for one by one: the oldest are left out. */
export const missedTicksMax = 500

/** How far back the first tick of a schedule that never ticked may lie: the rarest day comes every eight years. */
const firstTickMs = 9 * 366 * 86_400_000

/**
 * The ticks that are due, in order: after the last one done, up to now. A schedule that never ticked begins with its
 * latest. A clock that went back makes nothing due before it has passed the last tick done again. Pure.
 */
export function dueTicks(
  entries: readonly ScheduleEntry[],
  lastDone: (entry: ScheduleEntry) => number | null,
  nowMs: number,
): readonly DueTick[] {
  const byTime = new Map<number, { entry: ScheduleEntry; latest: boolean }[]>()
  for (const entry of entries) {
    const { schedule } = entry
    const last = lastDone(entry)
    const from = last === null ? nowMs - firstTickMs : last + 1
    const max = last === null || schedule.missed === 'latest' ? 1 : missedTicksMax
    const ticks = latestTicks(schedule, from, nowMs + 1, max)
    for (const [i, tick] of ticks.entries()) {
      const at = byTime.get(tick) ?? []
      at.push({ entry, latest: i === ticks.length - 1 })
      byTime.set(tick, at)
    }
  }
  return [...byTime]
    .sort(([a], [b]) => a - b)
    .map(([atMs, found]) => ({
      atMs,
      entries: found.map((one) => one.entry),
      missed: found.every((one) => !one.latest),
    }))
}

/** When each dataset was last run and published, by the ledger: what ticks fall back on when the state database is new. */
export function lastPublished(rows: readonly LedgerRow[]): ReadonlyMap<string, number> {
  const out = new Map<string, number>()
  for (const row of rows) {
    if (!isPublishedOutcome(row.outcome)) continue
    out.set(row.dataset, Math.max(out.get(row.dataset) ?? 0, row.startedAtMs))
  }
  return out
}

/** The tick an entry has certainly had: that of the dataset of it which was run longest ago, or null when one never was. */
export function lastOfLedger(published: ReadonlyMap<string, number>, entry: ScheduleEntry): number | null {
  let oldest = Number.POSITIVE_INFINITY
  for (const id of entry.datasets) {
    const at = published.get(id)
    if (at === undefined) return null
    oldest = Math.min(oldest, at)
  }
  return oldest
}

/** A dataset that has something new to read, and up to which ledger row. */
export interface Triggered {
  readonly dataset: TableId
  readonly seq: number
}

/**
 * Datasets to run after their inputs: one of these has published rows that they were not built from, later than what
 * they were last run for. Progress is the ledger's; `lastSeq` only keeps a build that was refused, or failed too often, from
 * being tried over and over. Pure.
 */
export function triggeredBy(
  triggered: readonly TableId[],
  project: Project,
  rows: readonly LedgerRow[],
  lastSeq: (id: TableId) => number,
): readonly Triggered[] {
  const standing = foldLedger(rows)
  const changedAt = new Map<string, number>()
  for (const row of rows) {
    if (row.outcome === 'landed' || row.outcome === 'built' || row.outcome === 'edited')
      changedAt.set(row.dataset, Math.max(changedAt.get(row.dataset) ?? 0, row.seq))
  }
  return triggered.flatMap((id) => {
    const inputs = [...(project.nodes.get(id)?.edges.keys() ?? [])]
    const built = standing.get(id)?.built ?? []
    const unread = inputs.filter((input) => {
      const output = standing.get(input)?.outputSnapshot ?? null
      return output !== null && (built.length === 0 || built.some((entry) => entry.inputs[input] !== output))
    })
    const seq = Math.max(0, ...unread.map((input) => changedAt.get(input) ?? 0))
    return unread.length > 0 && seq > lastSeq(id) ? [{ dataset: id, seq }] : []
  })
}

/**
 * The triggered datasets that run when some others have published, at whatever distance, in groups that are run together: in
 * graph order. Pure.
 */
export function followersOf(
  project: Project,
  triggered: readonly TableId[],
  after: readonly TableId[],
): readonly (readonly TableId[])[] {
  const published = new Set(after)
  const follow = project.order.filter((id) => {
    const inputs = [...(project.nodes.get(id)?.edges.keys() ?? [])]
    if (!triggered.includes(id) || published.has(id) || !inputs.some((input) => published.has(input))) return false
    published.add(id)
    return true
  })
  return independent(project, follow)
}

/** A triggered dataset that fails is tried so often before it is left until an input publishes anew. */
export const triesMax = 8

const [retryFirstMs, retryMostMs] = [60_000, 3_600_000]

/** When a triggered dataset is tried again that has failed so often, the last time then: a minute later, and twice as long each time. */
export function triedAgainMs(failures: number, lastMs: number): number {
  return lastMs + Math.min(retryFirstMs * 2 ** (failures - 1), retryMostMs)
}

/**
 * Datasets that have to be run together: those that read each other, at whatever distance, or are compared by checks.
 * Others are run apart, so that one that fails does not keep them from being published. In graph order. Pure.
 */
export function independent(project: Project, datasets: readonly TableId[]): readonly (readonly TableId[])[] {
  const group = new Map<TableId, number>()
  const chosen = project.order.filter((id) => datasets.includes(id))
  for (const [i, id] of chosen.entries()) {
    group.set(id, i)
    const node = project.nodes.get(id)
    for (const other of [...(node?.edges.keys() ?? []), ...(node?.checkInputs ?? [])]) {
      const theirs = group.get(other)
      const mine = group.get(id)
      if (theirs === undefined || mine === undefined || theirs === mine) continue
      for (const [each, of] of group) if (of === mine) group.set(each, theirs)
    }
  }
  return [...Map.groupBy(chosen, (id) => group.get(id)).values()]
}
