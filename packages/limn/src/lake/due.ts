import { asLimnError, type LimnError, type TableId } from '../base/index.ts'
import { formatInterval, formatMicros, pathAt, wallOf } from '../dataset/index.ts'
import {
  type DueTick,
  dueTicks,
  filesAreThere,
  independent,
  lastOfLedger,
  lastPublished,
  metMark,
  type PipelineContext,
  type PlanItem,
  type RunReport,
  refusals,
  type ScheduleEntry,
  ScheduleMarks,
  type Schedules,
  schedulesOf,
  type Triggered,
  tickMark,
  triedAgainMs,
  triesMark,
  triesMax,
  triggeredBy,
  triggerMark,
  unsealedText,
  waitingFor,
} from '../pipeline/index.ts'
import type { Lake } from './lake.ts'
import { withNotifications } from './notify.ts'
import { ledgerOf } from './tables.ts'

/** What a tick or a trigger came to. A line of `limn up`, and of `limn run --due`. */
export type DueEvent =
  | { readonly kind: 'tick'; readonly tickMs: number; readonly names: readonly string[]; readonly missed: boolean }
  | { readonly kind: 'trigger'; readonly datasets: readonly TableId[] }
  /** A file a tick needs is not there yet: it stays due, and its schedule's later ticks with it. */
  | {
      readonly kind: 'waiting'
      readonly tickMs: number
      readonly name: string
      readonly glob: string
      readonly untilMs: number
    }
  /** The file did not come in time: the tick is given up. */
  | { readonly kind: 'timed-out'; readonly tickMs: number; readonly name: string; readonly glob: string }
  /** Intervals that are stale and not complete: the run leaves them. */
  | { readonly kind: 'held'; readonly items: readonly PlanItem[] }
  | { readonly kind: 'published'; readonly datasets: readonly TableId[]; readonly report: RunReport }
  | { readonly kind: 'idle'; readonly datasets: readonly TableId[] }
  | { readonly kind: 'refused'; readonly datasets: readonly TableId[]; readonly report: RunReport }
  | { readonly kind: 'failed'; readonly datasets: readonly TableId[]; readonly error: LimnError }

export interface DueOptions {
  /** How long to wait for another run, or another scheduler, to finish. */
  readonly waitMs: number
  readonly onEvent?: (event: DueEvent) => void
  /** Says when no further run is to begin; one under way is finished. */
  readonly stopping?: () => boolean
}

export interface DueReport {
  readonly events: readonly DueEvent[]
}

/** The schedules of a lake's datasets and groups. Throws what is wrong with them. */
export async function lakeSchedules(lake: Lake): Promise<Schedules> {
  return schedulesOf(await lake.loadProject(), lake.config.schedules)
}

/**
 * Runs what is due: every tick since the last one done, in order, then what is triggered by what was published. One
 * scheduler at a time (lease `schedule`). A tick is done when its run has ended, however it ended; a tick whose run could
 * not begin, was interrupted or died stays due. A missed tick sees intervals as complete as they were at its time.
 *
 * Throws `lease/held` when another scheduler is at work, `interrupted`, and what makes every run impossible
 * (configuration, definitions). What goes wrong in one run, foreseen or not, is an event, and other datasets are run all
 * the same.
 */
export async function runDue(lake: Lake, options: DueOptions): Promise<DueReport> {
  const project = await lake.loadProject()
  const context = await lake.context(project)
  const { state, signal, pid, host, clock, progress } = context
  const lease = await state.acquire('schedule', `limn's scheduler (process ${pid} on ${host})`, {
    waitMs: options.waitMs,
    signal,
    onWait: (holders) => progress.note(waitingFor(holders)),
  })
  try {
    const schedules = await lakeSchedules(lake)
    const due = new DueRuns(lake, context, options)
    const published = lastPublished(await ledgerOf(lake))
    const last = (entry: ScheduleEntry) => due.marks.get(tickMark(entry.name)) ?? lastOfLedger(published, entry)
    await withNotifications(
      lake,
      async () => {
        for (const tick of dueTicks(schedules.entries, last, clock.nowMs())) await due.runTick(tick)
        await due.runTriggered(schedules)
        return due.failures
      },
      (failures) => failures,
    )
    return { events: due.events }
  } finally {
    await lease.release()
  }
}

/** How one run ended, for who decides whether it is run again. */
type Ended = 'done' | 'refused' | 'failed' | 'cancelled' | 'retry'

/** The runs of one call of `runDue`. */
class DueRuns {
  readonly marks: ScheduleMarks
  readonly events: DueEvent[] = []
  /** What went wrong in runs, to be told to owners. */
  readonly failures: LimnError[] = []
  private readonly lake: Lake
  private readonly context: PipelineContext
  private readonly options: DueOptions
  /** Schedules whose later ticks have to wait: a file is missing, or a run failed. */
  private readonly blocked = new Set<string>()

  constructor(lake: Lake, context: PipelineContext, options: DueOptions) {
    this.lake = lake
    this.context = context
    this.options = options
    this.marks = new ScheduleMarks(context.state)
  }

  async runTick(tick: DueTick): Promise<void> {
    const ready: ScheduleEntry[] = []
    for (const entry of tick.entries) {
      if (this.blocked.has(entry.name) || this.stopping()) continue
      if (await this.filesReady(entry, tick.atMs)) ready.push(entry)
    }
    if (ready.length === 0) return
    const names = ready.map((entry) => entry.name)
    this.tell({ kind: 'tick', tickMs: tick.atMs, names, missed: tick.missed })
    const datasets = [...new Set(ready.flatMap((entry) => entry.datasets))]
    const failed = new Set<TableId>()
    const held = new Set<TableId>()
    for (const group of independent(this.context.project, datasets)) {
      if (this.stopping()) {
        for (const id of group) held.add(id)
        continue
      }
      const outcome = await this.runGroup(group, tick.missed ? tick.atMs : null)
      if (outcome !== 'done') for (const id of group) failed.add(id)
      if (outcome === 'retry') for (const id of group) held.add(id)
    }
    for (const entry of ready) {
      if (entry.datasets.some((id) => failed.has(id) || held.has(id))) this.blocked.add(entry.name)
      if (entry.datasets.some((id) => held.has(id))) continue
      const nowMs = this.context.clock.nowMs()
      await this.marks.advance(tickMark(entry.name), tick.atMs, nowMs)
      if (!entry.datasets.some((id) => failed.has(id))) await this.marks.advance(metMark(entry.name), tick.atMs, nowMs)
    }
  }

  /** Runs datasets whose inputs have published, and those that wait for these in turn. */
  async runTriggered(schedules: Schedules): Promise<void> {
    if (schedules.triggered.length === 0 || this.stopping()) return
    const { project, clock } = this.context
    const rows = await ledgerOf(this.lake)
    const last = (id: TableId) => this.marks.get(triggerMark(id)) ?? 0
    const found = triggeredBy(schedules.triggered, project, rows, last).filter((one) => !this.rests(one))
    if (found.length === 0) return
    const chosen = new Set(found.map((one) => one.dataset))
    for (const id of schedules.triggered)
      if ([...(project.nodes.get(id)?.edges.keys() ?? [])].some((input) => chosen.has(input))) chosen.add(id)
    const datasets = project.order.filter((id) => chosen.has(id))
    this.tell({ kind: 'trigger', datasets })
    for (const group of independent(project, datasets)) {
      if (this.stopping()) return
      const outcome = await this.runGroup(group, null)
      if (outcome === 'retry') continue
      for (const one of found) {
        if (!group.includes(one.dataset)) continue
        if (outcome === 'failed' && (await this.failedAgain(one)) < triesMax) continue
        await this.marks.advance(triggerMark(one.dataset), one.seq, clock.nowMs())
      }
    }
  }

  /** Whether it has failed lately for what triggered it, and is not tried again yet. */
  private rests({ dataset, seq }: Triggered): boolean {
    const name = triesMark(dataset, seq)
    const lastMs = this.marks.setAtMs(name)
    return lastMs !== null && this.context.clock.nowMs() < triedAgainMs(this.marks.get(name) ?? 1, lastMs)
  }

  private async failedAgain({ dataset, seq }: Triggered): Promise<number> {
    const name = triesMark(dataset, seq)
    const failures = (this.marks.get(name) ?? 0) + 1
    await this.marks.advance(name, failures, this.context.clock.nowMs())
    return failures
  }

  private async filesReady(entry: ScheduleEntry, tickMs: number): Promise<boolean> {
    const sensor = entry.schedule.waitFor
    if (!sensor) return true
    const { folder, clock } = this.context
    const glob = pathAt(sensor.glob, wallOf(tickMs, entry.schedule.zone) * 1000)
    if (await filesAreThere(folder, glob)) return true
    const untilMs = tickMs + sensor.timeoutMs
    const { name } = entry
    if (clock.nowMs() < untilMs) {
      this.blocked.add(name)
      this.tell({ kind: 'waiting', tickMs, name, glob, untilMs })
    } else {
      this.tell({ kind: 'timed-out', tickMs, name, glob })
      await this.marks.advance(tickMark(name), tickMs, clock.nowMs())
    }
    return false
  }

  /** One run. `retry`: it could not begin, or said that the same may succeed when simply repeated. */
  private async runGroup(datasets: readonly TableId[], asOfMs: number | null): Promise<Ended> {
    try {
      const report = await this.lake.run({
        select: datasets,
        waitMs: this.options.waitMs,
        ...(asOfMs === null ? {} : { asOfMs }),
      })
      const items = report.carriedOut.items.filter((item) => item.reason === 'unsealed')
      if (items.length > 0) this.tell({ kind: 'held', items })
      if (report.outcome === 'idle') this.tell({ kind: 'idle', datasets })
      else this.tell({ kind: report.outcome, datasets, report })
      return report.outcome === 'refused' ? 'refused' : 'done'
    } catch (error) {
      this.context.signal.throwIfAborted()
      // What nobody foresaw fails these datasets alone, like any other failure.
      const failure = asLimnError(error)
      this.tell({ kind: 'failed', datasets, error: failure })
      // Whoever stopped it knows that it stopped.
      if (!failure.retryable && failure.kind !== 'interrupted') this.failures.push(failure)
      if (failure.kind === 'interrupted') return 'cancelled'
      return failure.retryable ? 'retry' : 'failed'
    }
  }

  private stopping(): boolean {
    return this.options.stopping?.() ?? false
  }

  private tell(event: DueEvent): void {
    this.events.push(event)
    this.options.onEvent?.(event)
  }
}

/** One line about an event. */
export function dueText(event: DueEvent, zoneless: (ms: number) => string = isoText): string {
  switch (event.kind) {
    case 'tick':
      return `tick ${zoneless(event.tickMs)}${event.missed ? ' (missed)' : ''}: ${event.names.join(', ')}`
    case 'trigger':
      return `inputs have published: ${event.datasets.join(', ')}`
    case 'waiting':
      return `${event.name} waits for ${event.glob}, until ${zoneless(event.untilMs)} at most`
    case 'timed-out':
      return `${event.name}: ${event.glob} did not come in time; the tick of ${zoneless(event.tickMs)} is given up`
    case 'held':
      return event.items
        .flatMap(({ dataset, unit, interval, open }) =>
          unit && interval && open
            ? [`held: ${dataset} ${formatInterval(unit, interval)} is ${unsealedText(open)}`]
            : [],
        )
        .join('; ')
    case 'published':
      return `published run ${event.report.run}: ${event.datasets.join(', ')} (${event.report.seconds.toFixed(1)} s)`
    case 'idle':
      return `nothing to do: ${event.datasets.join(', ')}`
    case 'refused':
      return `refused to publish run ${event.report.run}: ${refusals(event.report.judgements)
        .map((one) => `${one.dataset}: ${one.check}: ${one.explanation}`)
        .join(' · ')}`
    case 'failed':
      return `failed: ${event.datasets.join(', ')}: ${event.error.message}${event.error.retryable ? ' (stays due)' : ''}`
  }
}

/** An event as JSON. */
export function dueValue(event: DueEvent) {
  switch (event.kind) {
    case 'tick':
      return { event: event.kind, tick: isoText(event.tickMs), names: event.names, missed: event.missed }
    case 'trigger':
    case 'idle':
      return { event: event.kind, datasets: event.datasets }
    case 'waiting':
      return {
        event: event.kind,
        tick: isoText(event.tickMs),
        name: event.name,
        glob: event.glob,
        until: isoText(event.untilMs),
      }
    case 'timed-out':
      return { event: event.kind, tick: isoText(event.tickMs), name: event.name, glob: event.glob }
    case 'held':
      return {
        event: event.kind,
        held: event.items.map(({ dataset, interval, open }) => ({
          dataset,
          interval: interval && { start: formatMicros(interval.start), end: formatMicros(interval.end) },
          until: open?.untilMs ? isoText(open.untilMs) : null,
          missing: open?.missing ?? null,
          by: open?.by ?? dataset,
        })),
      }
    case 'published':
    case 'refused':
      return { event: event.kind, datasets: event.datasets, run: event.report.run, seconds: event.report.seconds }
    case 'failed':
      return {
        event: event.kind,
        datasets: event.datasets,
        error: { kind: event.error.kind, message: event.error.message, retryable: event.error.retryable },
      }
  }
}

function isoText(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z')
}
