import { Cron } from 'croner'
import { LimnError } from '../base/index.ts'
import { durationMs } from './duration.ts'
import { instantOf, instantsOf, type LocalTimeRule, largestShiftMs, requireZone, wallOf } from './local-time.ts'

/**
 * When a dataset or a group of them is run. A value: it is asked for ticks, it starts nothing.
 *
 * A cron schedule names local times of its zone. Where the hour is given (`0 6 * * *`) they are appointments: each has
 * exactly one tick, and `rule` says which when a change of the clocks skips or repeats it; by default skipped times move
 * on by the length of the gap, and repeated ones tick the first time (`compatible`). Where the hour is left open (`*`
 * or `*` with a step) the schedule is a rhythm: it ticks whenever the wall clock shows a time that matches, so a repeated
 * hour ticks twice, and a skipped one, which the wall clock never shows, not at all.
 */
export interface CronSchedule {
  readonly kind: 'cron'
  /** Five fields, or a nickname such as `@daily`. */
  readonly pattern: string
  readonly zone: string
  readonly rule: LocalTimeRule
  /** Ticks that were missed: each is made up for in order, or the latest alone. */
  readonly missed: 'each' | 'latest'
  readonly waitFor: FileSensor | null
}

/** Runs when a dataset that it reads has published something it was not built from. */
export interface UpstreamSchedule {
  readonly kind: 'upstream'
}

export type Schedule = CronSchedule | UpstreamSchedule

/** Files a tick waits for. `%Y`, `%m`, `%d` and `%H` in the glob stand for the tick's local time. */
export interface FileSensor {
  readonly kind: 'files'
  readonly glob: string
  /** How long after the tick; when it has passed the tick is given up, and told as late. */
  readonly timeoutMs: number
}

/** What may be written where a schedule is wanted: `'0 6 * * * in Europe/Berlin'`, or a value. */
export type ScheduleText = `${string} in ${string}`

/**
 * A cron schedule in a zone. Throws `dataset/invalid` for a pattern that cannot be read or never comes true, and for a
 * zone that does not exist.
 */
export function cron(
  pattern: string,
  options: {
    readonly zone: string
    /** Of a local time that does not exist, or exists twice. Default `compatible`. */
    readonly rule?: LocalTimeRule
    /** Default `each`. */
    readonly missed?: 'each' | 'latest'
    readonly waitFor?: FileSensor
  },
): CronSchedule {
  const text = pattern.trim().replaceAll(/\s+/g, ' ')
  requirePattern(text)
  return {
    kind: 'cron',
    pattern: text,
    zone: requireZone(options.zone),
    rule: options.rule ?? 'compatible',
    missed: options.missed ?? 'each',
    waitFor: options.waitFor ?? null,
  }
}

/** Runs after a run that published an input of the dataset. */
export function onUpstream(): UpstreamSchedule {
  return { kind: 'upstream' }
}

/** Files that have to be there before a tick's run begins: `whenFiles('inbox/%Y-%m-%d/*.csv', { timeout: '2h' })`. */
export function whenFiles(glob: string, options: { readonly timeout: string }): FileSensor {
  return { kind: 'files', glob, timeoutMs: durationMs(options.timeout) }
}

/** Reads `'PATTERN in ZONE'`; a value is taken as it is. Throws `dataset/invalid`. */
export function scheduleOf(given: Schedule | ScheduleText): Schedule {
  if (typeof given !== 'string') return given
  const match = /^(.+?)\s+in\s+(\S+)$/.exec(given.trim())
  if (!match?.[1] || !match[2]) {
    throw new LimnError('dataset/invalid', {
      message: `The schedule "${given}" names no time zone.`,
      notDone: 'Nothing was run.',
      remedy: "Write '0 6 * * * in Europe/Berlin', or '0 6 * * * in UTC'.",
    })
  }
  return cron(match[1], { zone: match[2] })
}

/** `0 6 * * * in Europe/Berlin`, or `after its inputs`. */
export function formatSchedule(schedule: Schedule): string {
  return schedule.kind === 'cron' ? `${schedule.pattern} in ${schedule.zone}` : 'after its inputs'
}

/** The ticks of a schedule in `[from, to)`, in order: milliseconds since the epoch. Pure. */
export function ticksBetween(schedule: CronSchedule, from: number, to: number): readonly number[] {
  if (from >= to) return []
  const ticks = new Set<number>()
  const lastWall = wallOf(to, schedule.zone) + marginOf(schedule.zone)
  for (const wall of wallTimes(schedule, wallOf(from, schedule.zone) - marginOf(schedule.zone))) {
    if (wall > lastWall) break
    for (const tick of ticksOf(schedule, wall)) if (tick >= from && tick < to) ticks.add(tick)
  }
  return [...ticks].sort((a, b) => a - b)
}

/** The first tick after an instant. */
export function nextTick(schedule: CronSchedule, after: number): number {
  let found = Number.POSITIVE_INFINITY
  const margin = marginOf(schedule.zone)
  for (const wall of wallTimes(schedule, wallOf(after, schedule.zone) - margin)) {
    // Wall times come in order; instants do so only up to what a zone may shift its clocks by.
    if (found !== Number.POSITIVE_INFINITY && wall > wallOf(found, schedule.zone) + margin) break
    for (const tick of ticksOf(schedule, wall)) if (tick > after) found = Math.min(found, tick)
  }
  return found
}

/**
 * The ticks in `[from, to)`, but of more than `max` only the latest, with how many were left out unknown. Looks back from
 * `to` in growing windows, so that a clock that jumps by years costs no more than one that stands.
 */
export function latestTicks(schedule: CronSchedule, from: number, to: number, max: number): readonly number[] {
  for (let span = 3_600_000; ; span *= 8) {
    const start = Math.max(from, to - span)
    const ticks = ticksBetween(schedule, start, to)
    if (ticks.length > max) return ticks.slice(-max)
    if (start === from) return ticks
  }
}

function marginOf(zone: string): number {
  return zone === 'UTC' ? 0 : largestShiftMs
}

/** The instants at which a matching wall time ticks. */
function ticksOf(schedule: CronSchedule, wall: number): readonly number[] {
  if (!isRhythm(schedule.pattern)) return [instantOf(wall, schedule.zone, schedule.rule)]
  const found = instantsOf(wall, schedule.zone)
  switch (found.kind) {
    case 'once':
      return [found.at]
    case 'skipped':
      return []
    case 'twice':
      return [found.earlier, found.later]
  }
}

/** Whether the hour is left open. */
function isRhythm(pattern: string): boolean {
  return pattern === '@hourly' || (pattern.split(' ')[1] ?? '').startsWith('*')
}

/** Wall times that match, from `from` on. The library reads the pattern as UTC's, where no time is skipped or repeated. */
function* wallTimes(schedule: CronSchedule, from: number): Generator<number> {
  const calendar = calendarOf(schedule.pattern)
  for (let at = calendar.nextRun(new Date(from - 1)); at !== null; at = calendar.nextRun(at)) yield at.getTime()
}

function calendarOf(pattern: string): Cron {
  return new Cron(pattern, { mode: '5-part', utcOffset: 0, paused: true })
}

/** A day from which on a pattern that ever comes true does so. */
const anyDay = new Date('2001-01-01T00:00:00Z')

function requirePattern(pattern: string): void {
  let next: Date | null
  try {
    next = calendarOf(pattern).nextRun(anyDay)
  } catch (cause) {
    const said = cause instanceof Error ? cause.message.replace(/^CronPattern: /, '').replace(/\.$/, '') : String(cause)
    throw new LimnError('dataset/invalid', {
      message: `The schedule "${pattern}" cannot be read: ${said}.`,
      notDone: 'Nothing was run.',
      remedy: 'Write five fields: minute, hour, day of the month, month, day of the week; for example 0 6 * * 1-5.',
      cause,
    })
  }
  if (next === null) {
    throw new LimnError('dataset/invalid', {
      message: `The schedule "${pattern}" never comes true.`,
      notDone: 'Nothing was run.',
      remedy: 'Name a day that exists: no year has a 30 February.',
    })
  }
}
