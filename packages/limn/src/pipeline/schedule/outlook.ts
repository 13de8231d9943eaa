import type { TableId } from '../../base/index.ts'
import { deadlineAfter } from '../../dataset/index.ts'
import type { LedgerRow } from '../ledger/ledger.ts'
import type { Project } from '../project/node.ts'
import { criticalPath, workOf } from './critical-path.ts'

/** How long something took: in the middle of what was seen, and where it was slow (nine times of ten it was quicker). */
export interface Took {
  readonly typicalMs: number
  readonly slowMs: number
}

/** What past runs took: each dataset, and the judging and publishing at their end. */
export interface History {
  readonly datasets: ReadonlyMap<TableId, Took>
  readonly judging: Took
}

/** This many of a dataset's latest runs are looked at. */
const runsSeenMax = 20

/** Durations from the ledger: the latest runs that worked on a dataset. Pure. */
export function historyOf(project: Project, rows: readonly LedgerRow[]): History {
  const seen = new Map<TableId, number[]>()
  const judging: number[] = []
  for (const own of [...Map.groupBy(rows, (row) => row.run).values()].reverse()) {
    const work = workOf(project, own)
    if (work.length === 0) continue
    for (const one of work) {
      const times = seen.get(one.dataset) ?? []
      if (times.length < runsSeenMax) times.push(one.endedMs - one.beganMs)
      seen.set(one.dataset, times)
    }
    const ended = Math.max(...work.map((one) => one.endedMs))
    if (judging.length < runsSeenMax) judging.push(Math.max(0, ...own.map((row) => row.judgedAtMs - ended)))
  }
  return { datasets: new Map([...seen].map(([id, times]) => [id, tookOf(times)])), judging: tookOf(judging) }
}

function tookOf(times: readonly number[]): Took {
  const sorted = [...times].sort((a, b) => a - b)
  const rank = (share: number) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  return { typicalMs: rank(0.5), slowMs: rank(0.9) }
}

/** A tick whose runs are to come, or under way. */
export interface AwaitedTick {
  /** What it is called: by its schedule, or by what it comes after. */
  readonly schedule: string
  /** The datasets whose promises it is to keep. */
  readonly promising: readonly TableId[]
  /** The runs until then, one after the other: what each is of. */
  readonly runs: readonly (readonly TableId[])[]
  readonly tickMs: number
  /** The run under way has staged these. */
  readonly staged: ReadonlySet<TableId>
}

/**
 * Whether a dataset will be published in time. `met` is not told of: it is the absence of the others.
 * `at-risk`: not if it takes as long as it did when it was slow; `will-be-late`: not as long as it usually takes;
 * `late`: its time has passed.
 */
export type Verdict = 'on-time' | 'at-risk' | 'will-be-late' | 'late'

export interface Outlook {
  readonly dataset: TableId
  /** Null: nothing runs it by itself, and what it promises is watched alone. */
  readonly schedule: string | null
  /** The tick that is awaited; without a schedule the time of the promise. */
  readonly tickMs: number
  /** By when: by its deadline, or before what readers see is older than promised. */
  readonly promise: 'deadline' | 'freshness'
  readonly byMs: number
  /** When it will be published, as long as it usually takes, and when it is slow. Null: nothing is known of the past. */
  readonly expectedMs: number | null
  readonly slowMs: number | null
  /** What decides when. */
  readonly chain: readonly TableId[]
  readonly verdict: Verdict
}

/**
 * What will become of the datasets that promise to be published by a time, from what past runs took. All outputs of a run
 * are published together, so the whole run counts: what is not staged yet, along its longest path, and the judging; and what
 * is run after its inputs begins when these are published. Where several ticks lead to one promise, the last to come counts. Pure.
 */
export function outlookOf(
  project: Project,
  history: History,
  awaited: readonly AwaitedTick[],
  publishedMs: ReadonlyMap<string, number>,
  nowMs: number,
): readonly Outlook[] {
  const found = awaited.flatMap(({ schedule, promising, runs, tickMs, staged }) => {
    const begins = Math.max(tickMs, nowMs)
    const known = runs.flat().some((id) => history.datasets.has(id))
    const along = (of: (took: Took) => number) => {
      const chain: TableId[] = []
      let atMs = begins
      for (const datasets of runs) {
        const takes = datasets.flatMap((id): [TableId, number][] => {
          const took = staged.has(id) ? undefined : history.datasets.get(id)
          return took ? [[id, of(took)]] : []
        })
        const path = criticalPath(project, new Map(takes))
        chain.push(...path.chain)
        atMs += path.totalMs + of(history.judging)
      }
      return { chain, atMs }
    }
    const typical = along((took) => took.typicalMs)
    const slow = along((took) => took.slowMs)
    return promising.flatMap((dataset) =>
      promisesOf(project, dataset, tickMs, publishedMs).map(
        ({ promise, byMs }): Outlook => ({
          dataset,
          schedule,
          tickMs,
          promise,
          byMs,
          expectedMs: known ? typical.atMs : null,
          slowMs: known ? slow.atMs : null,
          chain: typical.chain,
          verdict:
            nowMs > byMs
              ? 'late'
              : known && typical.atMs > byMs
                ? 'will-be-late'
                : known && slow.atMs > byMs
                  ? 'at-risk'
                  : 'on-time',
        }),
      ),
    )
  })
  const latest = new Map<string, Outlook>()
  for (const one of found) {
    const key = `${one.dataset} ${one.promise} ${one.byMs}`
    const other = latest.get(key)
    if (!other || (one.expectedMs ?? 0) > (other.expectedMs ?? 0)) latest.set(key, one)
  }
  return [...latest.values()]
}

/**
 * The same of datasets that nothing runs by itself. What they promise of freshness is kept or not; when they will be published
 * nobody knows. Pure.
 */
export function freshnessOf(
  project: Project,
  datasets: readonly TableId[],
  publishedMs: ReadonlyMap<string, number>,
  nowMs: number,
): readonly Outlook[] {
  return datasets.flatMap((dataset): Outlook[] => {
    const freshnessMs = project.nodes.get(dataset)?.timing.freshnessMs ?? null
    const published = publishedMs.get(dataset)
    if (freshnessMs === null || published === undefined) return []
    const byMs = published + freshnessMs
    const verdict = nowMs > byMs ? 'late' : 'on-time'
    const unknown = { schedule: null, expectedMs: null, slowMs: null, chain: [] }
    return [{ ...unknown, dataset, tickMs: byMs, promise: 'freshness', byMs, verdict }]
  })
}

function promisesOf(
  project: Project,
  dataset: TableId,
  tickMs: number,
  publishedMs: ReadonlyMap<string, number>,
): readonly { readonly promise: Outlook['promise']; readonly byMs: number }[] {
  const timing = project.nodes.get(dataset)?.timing
  const out: { promise: Outlook['promise']; byMs: number }[] = []
  if (timing?.deadline) out.push({ promise: 'deadline', byMs: deadlineAfter(timing.deadline, tickMs) })
  const published = publishedMs.get(dataset)
  if (timing && timing.freshnessMs !== null && published !== undefined)
    out.push({ promise: 'freshness', byMs: published + timing.freshnessMs })
  return out
}
