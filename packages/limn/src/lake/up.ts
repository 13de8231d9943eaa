import { renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { asLimnError, LimnError, makeFolder } from '../base/index.ts'
import { formatSchedule, nextTick } from '../dataset/index.ts'
import type { Outlook, Schedules } from '../pipeline/index.ts'
import { type DueEvent, dueText, dueValue, lakeSchedules, runDue } from './due.ts'
import type { Lake } from './lake.ts'
import { notify } from './notify.ts'
import { outlookOn } from './outlook.ts'

/** What a scheduler tells of itself, beside what it runs. */
export type UpEvent =
  | DueEvent
  | { readonly kind: 'started'; readonly next: readonly NextTick[]; readonly triggered: readonly string[] }
  /** What past runs let expect of a promise, when it is not that it will be kept; told when it changes. */
  | { readonly kind: 'outlook'; readonly outlook: Outlook }
  /** Something that is not one run's affair went wrong; the scheduler goes on. */
  | { readonly kind: 'error'; readonly error: LimnError }
  | { readonly kind: 'stopped' }

export interface NextTick {
  readonly name: string
  readonly schedule: string
  readonly atMs: number
}

export interface UpOptions {
  /** Looks at least this often for ticks, files and publications of others. */
  readonly pollMs: number
  readonly onEvent: (event: UpEvent) => void
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** Aborted: no further run begins, and the one under way is finished. The lake's own signal interrupts it. */
  readonly stop: AbortSignal
  readonly health?: Health
  /** Calls back every so often, also while a run is under way, until what it gives is called. Default: not at all. */
  readonly every?: (ms: number, body: () => Promise<void>) => () => void
}

/**
 * A small scheduler: runs what is due until it is told to stop. Several may be up on one lake; one works at a time, and a
 * tick is run once. What it has done is in the lake: it can be killed at any moment. Throws what makes the lake unusable
 * before the first run, and `interrupted`.
 */
export async function up(lake: Lake, options: UpOptions): Promise<void> {
  const { stop, health } = options
  const schedules = await lakeSchedules(lake)
  if (schedules.entries.length + schedules.triggered.length === 0) {
    throw new LimnError('config/invalid', {
      message: 'No dataset and no group has a schedule.',
      notDone: 'Nothing is up.',
      remedy:
        "State one in a dataset (schedule: '0 6 * * * in Europe/Berlin') or for a group (schedules in limn.config.ts).",
    })
  }
  const { clock, signal } = await lake.context()
  const next = () => nextTicks(schedules, clock.nowMs())
  options.onEvent({ kind: 'started', next: next(), triggered: schedules.triggered })
  const sign = (...said: Parameters<Health['write']>) => {
    try {
      health?.write(...said)
    } catch (error) {
      // A full disk is no reason to stop: whoever watches the file sees that it is not written.
      options.onEvent({ kind: 'error', error: asLimnError(error) })
    }
  }
  const watch = new PromiseWatch(lake, options.onEvent)
  const waiting = new Set<string>()
  const onDue = (event: DueEvent) => {
    // A tick that waits is looked at again and again, and told of once.
    const key = event.kind === 'waiting' ? `${event.name} ${event.tickMs}` : null
    if (key !== null && waiting.has(key)) return
    if (key !== null) waiting.add(key)
    options.onEvent(event)
  }
  while (!stop.aborted) {
    sign('running', next())
    const rest = options.every?.(options.pollMs, () => watch.look())
    try {
      await runDue(lake, { waitMs: 0, onEvent: onDue, stopping: () => stop.aborted })
    } catch (error) {
      signal.throwIfAborted()
      const told = asLimnError(error)
      // Another scheduler, or another run, is at work: what is due stays due.
      if (told.kind !== 'lease/held') options.onEvent({ kind: 'error', error: told })
    } finally {
      rest?.()
    }
    if (stop.aborted) break
    await watch.look()
    sign('idle', next())
    const soonest = Math.min(...next().map((one) => one.atMs)) - clock.nowMs()
    await options.sleep(Math.max(0, Math.min(soonest, options.pollMs)), stop)
  }
  sign('stopped', [])
  options.onEvent({ kind: 'stopped' })
}

/** Looks whether promises will be kept, and tells what changed; owners are told too. */
class PromiseWatch {
  private readonly lake: Lake
  private readonly onEvent: (event: UpEvent) => void
  private readonly told = new Set<string>()
  private looking = false

  constructor(lake: Lake, onEvent: (event: UpEvent) => void) {
    this.lake = lake
    this.onEvent = onEvent
  }

  async look(): Promise<void> {
    if (this.looking) return
    this.looking = true
    try {
      let worse = false
      for (const outlook of await outlookOn(this.lake)) {
        const key = `${outlook.dataset} ${outlook.promise} ${outlook.byMs} ${outlook.verdict}`
        if (outlook.verdict === 'on-time' || this.told.has(key)) continue
        this.told.add(key)
        this.onEvent({ kind: 'outlook', outlook })
        worse = true
      }
      if (worse) await notify(this.lake)
    } catch (error) {
      this.onEvent({ kind: 'error', error: asLimnError(error) })
    } finally {
      this.looking = false
    }
  }
}

/** When each schedule ticks next, soonest first. */
export function nextTicks(schedules: Schedules, nowMs: number): readonly NextTick[] {
  return schedules.entries
    .map(({ name, schedule }) => ({
      name,
      schedule: formatSchedule(schedule),
      atMs: nextTick(schedule, nowMs),
    }))
    .sort((a, b) => a.atMs - b.atMs || (a.name < b.name ? -1 : 1))
}

/** A file that says that the scheduler is alive: whoever watches it looks at `heartbeat`. Written whole, by renaming. */
export class Health {
  private readonly path: string
  private readonly about: { readonly pid: number; readonly host: string; readonly version: string }
  private readonly nowMs: () => number
  private last: { state: string; next: readonly NextTick[] } = { state: 'starting', next: [] }

  constructor(
    path: string,
    about: { readonly pid: number; readonly host: string; readonly version: string },
    nowMs: () => number,
  ) {
    this.path = path
    this.about = about
    this.nowMs = nowMs
    makeFolder(dirname(path))
  }

  write(state: 'running' | 'idle' | 'stopped', next: readonly NextTick[]): void {
    this.last = { state, next }
    this.beat()
  }

  /** Says again what was said last, now. */
  beat(): void {
    const { state, next } = this.last
    const text = JSON.stringify({
      ...this.about,
      state,
      heartbeat: new Date(this.nowMs()).toISOString(),
      next: next.map((one) => ({ ...one, atMs: undefined, at: new Date(one.atMs).toISOString() })),
    })
    writeFileSync(`${this.path}.tmp`, `${text}\n`)
    renameSync(`${this.path}.tmp`, this.path)
  }
}

/** One line about an event. */
export function upText(event: UpEvent): string {
  switch (event.kind) {
    case 'started': {
      const ticks = event.next.map(
        (one) => `${one.name} (${one.schedule}) at ${new Date(one.atMs).toISOString().slice(0, 16)}Z`,
      )
      const after = event.triggered.length > 0 ? [`after their inputs: ${event.triggered.join(', ')}`] : []
      return `up; next: ${[...ticks, ...after].join('; ')}`
    }
    case 'error':
      return `error[${event.error.kind}]: ${event.error.message}`
    case 'outlook': {
      const { dataset, verdict, promise, byMs, expectedMs, slowMs } = event.outlook
      const at = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
      const expected = expectedMs === null ? '' : `, expected ${at(expectedMs)}`
      const slow = verdict === 'at-risk' && slowMs !== null ? `, when slow ${at(slowMs)}` : ''
      return `${verdict}: ${dataset}, promised by ${at(byMs)} (${promise})${expected}${slow}`
    }
    case 'stopped':
      return 'stopped'
    default:
      return dueText(event)
  }
}

/** An event as JSON. */
export function upValue(event: UpEvent) {
  switch (event.kind) {
    case 'started':
      return {
        event: event.kind,
        next: event.next.map((one) => ({
          name: one.name,
          schedule: one.schedule,
          at: new Date(one.atMs).toISOString(),
        })),
        triggered: event.triggered,
      }
    case 'error':
      return { event: event.kind, error: { kind: event.error.kind, message: event.error.message } }
    case 'outlook': {
      const { dataset, verdict, promise, byMs, expectedMs, chain } = event.outlook
      const expected = expectedMs === null ? null : new Date(expectedMs).toISOString()
      return { event: event.kind, dataset, verdict, promise, by: new Date(byMs).toISOString(), expected, chain }
    }
    case 'stopped':
      return { event: event.kind }
    default:
      return dueValue(event)
  }
}
