import type { TableId } from '../../base/index.ts'
import type { LedgerRow } from '../ledger/ledger.ts'
import type { Project } from '../project/node.ts'

/** The chain of work that decides when all of it is done, and how much later the rest could have been. */
export interface CriticalPath {
  /** From the first to the last; each reads the one before, directly or through datasets with nothing to do. */
  readonly chain: readonly TableId[]
  readonly totalMs: number
  /** Of every dataset with work: how much longer it could take without deciding the finish. 0 on the chain. */
  readonly slackMs: ReadonlyMap<TableId, number>
}

/**
 * The longest path through the graph, a dataset being as long as its work takes; one that is not named takes no time. Of
 * chains of the same length the first in graph order is named. Pure.
 */
export function criticalPath(project: Project, takes: ReadonlyMap<TableId, number>): CriticalPath {
  const lasts = (id: TableId) => takes.get(id) ?? 0
  const inputsOf = (id: TableId) => [...(project.nodes.get(id)?.edges.keys() ?? [])]
  /** When it is done at the earliest, and the input that decides when it begins. */
  const done = new Map<TableId, number>()
  const after = new Map<TableId, TableId>()
  for (const id of project.order) {
    let begins = 0
    for (const input of inputsOf(id)) {
      const at = done.get(input) ?? 0
      if (at <= begins) continue
      begins = at
      after.set(id, input)
    }
    done.set(id, begins + lasts(id))
  }
  const totalMs = Math.max(0, ...done.values())
  /** What still follows when it is done, at the longest. */
  const follows = new Map<TableId, number>()
  for (const id of project.order.toReversed()) {
    const own = (follows.get(id) ?? 0) + lasts(id)
    for (const input of inputsOf(id)) follows.set(input, Math.max(follows.get(input) ?? 0, own))
  }
  const slackMs = new Map<TableId, number>()
  for (const id of project.order)
    if (takes.has(id)) slackMs.set(id, totalMs - (done.get(id) ?? 0) - (follows.get(id) ?? 0))
  const chain: TableId[] = []
  let at = totalMs > 0 ? project.order.find((id) => done.get(id) === totalMs) : undefined
  for (; at !== undefined; at = after.get(at)) if (lasts(at) > 0) chain.unshift(at)
  return { chain, totalMs, slackMs }
}

/**
 * When a run worked on a dataset: from the first of its intervals to the last. What it took over from earlier runs counts as if
 * it had been done right before it began: nobody worked while it waited for somebody to look.
 */
export interface Work {
  readonly dataset: TableId
  readonly beganMs: number
  readonly endedMs: number
  /** When the work began by the clock, earlier runs included. */
  readonly firstMs: number
}

const worked: ReadonlySet<string> = new Set(['landed', 'built', 'kept', 'refused'])

/** What one run worked on, by its ledger rows; datasets it only carried on or judged are not work. */
export function workOf(project: Project, rows: readonly LedgerRow[]): readonly Work[] {
  const found = new Map<string, Omit<Work, 'dataset'>>()
  const done = rows.filter((row) => worked.has(row.outcome) && row.dataset !== '*')
  const waited = waitedAfter(done)
  for (const row of done) {
    const firstMs = row.startedAtMs
    const beganMs = firstMs + waited(firstMs)
    const endedMs = beganMs + lastedMs(row)
    const before = found.get(row.dataset) ?? { beganMs, endedMs, firstMs }
    found.set(row.dataset, {
      beganMs: Math.min(before.beganMs, beganMs),
      endedMs: Math.max(before.endedMs, endedMs),
      firstMs: Math.min(before.firstMs, firstMs),
    })
  }
  return project.order.flatMap((dataset) => {
    const one = found.get(dataset)
    return one ? [{ dataset, ...one }] : []
  })
}

function lastedMs(row: LedgerRow): number {
  return Math.round(row.seconds * 1000)
}

/** Of work that began at a time before the run itself: how long nothing was done from then until the run began. */
function waitedAfter(rows: readonly LedgerRow[]): (startedAtMs: number) => number {
  const [first] = rows
  const runMs = first === undefined ? null : startOfRun(first.run)
  if (runMs === null) return () => 0
  const earlier = rows.filter((row) => row.startedAtMs < runMs).sort((a, b) => a.startedAtMs - b.startedAtMs)
  const spans: { beganMs: number; endedMs: number }[] = []
  for (const row of earlier) {
    const endedMs = Math.min(runMs, row.startedAtMs + lastedMs(row))
    const last = spans.at(-1)
    if (last && row.startedAtMs <= last.endedMs) last.endedMs = Math.max(last.endedMs, endedMs)
    else spans.push({ beganMs: row.startedAtMs, endedMs })
  }
  const waits: { readonly beganMs: number; readonly waitedMs: number }[] = []
  let nextMs = runMs
  let waitedMs = 0
  for (const span of spans.toReversed()) {
    waitedMs += nextMs - span.endedMs
    waits.push({ beganMs: span.beganMs, waitedMs })
    nextMs = span.beganMs
  }
  return (startedAtMs) => {
    if (startedAtMs >= runMs) return 0
    return waits.find((one) => one.beganMs <= startedAtMs)?.waitedMs ?? 0
  }
}

/** The second in which a run began, which its id begins with; null: it is no id of a run. */
function startOfRun(id: string): number | null {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)-/.exec(id)
  if (!found) return null
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1).map(Number)
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/** How a run came to end when it did. */
export interface RunPath {
  readonly path: CriticalPath
  readonly work: readonly Work[]
  /** Of each dataset of the chain: how long it waited though all it reads was there: others were at work. */
  readonly waitedMs: ReadonlyMap<TableId, number>
  /** From the last dataset's end until the gate had judged. */
  readonly judgingMs: number
  readonly beganMs: number
  readonly judgedMs: number
}

/** The critical path of one run, from its ledger rows; null when it worked on nothing. */
export function pathOfRun(project: Project, rows: readonly LedgerRow[]): RunPath | null {
  const work = workOf(project, rows)
  if (work.length === 0) return null
  const path = criticalPath(project, new Map(work.map((one) => [one.dataset, one.endedMs - one.beganMs])))
  const beganMs = Math.min(...work.map((one) => one.beganMs))
  const endedMs = Math.max(...work.map((one) => one.endedMs))
  const judgedMs = Math.max(endedMs, ...rows.map((row) => row.judgedAtMs))
  const waitedMs = new Map<TableId, number>()
  let ready = beganMs
  for (const id of path.chain) {
    const one = work.find((each) => each.dataset === id)
    if (!one) continue
    waitedMs.set(id, Math.max(0, one.beganMs - ready))
    ready = one.endedMs
  }
  return { path, work, waitedMs, judgingMs: judgedMs - endedMs, beganMs, judgedMs }
}
