/**
 * An oracle of schedules that knows nothing of ours: it walks minute by minute, asks `Intl.DateTimeFormat` what the wall
 * clock shows, and matches the fields of a pattern one by one.
 */

const minute = 60_000

export class WallClock {
  private readonly format: Intl.DateTimeFormat

  constructor(zone: string) {
    this.format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      calendar: 'gregory',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    })
  }

  /** What the clock shows, as milliseconds of a clock in UTC that shows the same. */
  wallAt(instant: number): number {
    const part = Object.fromEntries(this.format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]))
    return Date.UTC(part.year ?? 0, (part.month ?? 1) - 1, part.day, part.hour, part.minute)
  }
}

/** Every minute of a stretch of time with what the wall clock showed. */
export interface Walk {
  readonly instants: readonly number[]
  readonly walls: readonly number[]
  /** Instants at which the clock showed a time. */
  readonly shown: ReadonlyMap<number, readonly number[]>
}

export function walk(zone: string, from: number, to: number): Walk {
  const clock = new WallClock(zone)
  const instants: number[] = []
  const walls: number[] = []
  const shown = new Map<number, number[]>()
  for (let at = from; at < to; at += minute) {
    const wall = clock.wallAt(at)
    instants.push(at)
    walls.push(wall)
    shown.set(wall, [...(shown.get(wall) ?? []), at])
  }
  return { instants, walls, shown }
}

/** Instants in a year at whose day the offset of a zone differs from the day before. */
export function daysOfChange(zone: string, year: number): readonly number[] {
  const clock = new WallClock(zone)
  const day = 1440 * minute
  const out: number[] = []
  let before = 0
  for (let at = Date.UTC(year, 0, 1); at < Date.UTC(year + 1, 0, 1); at += day) {
    const offset = clock.wallAt(at) - at
    if (at !== Date.UTC(year, 0, 1) && offset !== before) out.push(at)
    before = offset
  }
  return out
}

function valuesOf(field: string, low: number, high: number): ReadonlySet<number> {
  const out = new Set<number>()
  for (const part of field.split(',')) {
    const [range = '', step] = part.split('/')
    const [first = low, last = first] = range === '*' ? [low, high] : range.split('-').map(Number)
    for (let value = first; value <= last; value += Number(step ?? 1)) out.add(value)
  }
  return out
}

/** Whether a pattern of five fields (lists, ranges, steps of `*`) matches a wall time. Days by either field if both are given. */
export function matcher(pattern: string): (wall: number) => boolean {
  const [minutes = '', hours = '', days = '', months = '', weekdays = ''] = pattern.split(' ')
  const minuteSet = valuesOf(minutes, 0, 59)
  const hourSet = valuesOf(hours, 0, 23)
  const daySet = valuesOf(days, 1, 31)
  const monthSet = valuesOf(months, 1, 12)
  const weekdaySet = valuesOf(weekdays, 0, 6)
  const both = days !== '*' && weekdays !== '*'
  return (wall) => {
    const at = new Date(wall)
    if (!minuteSet.has(at.getUTCMinutes()) || !hourSet.has(at.getUTCHours())) return false
    const day = daySet.has(at.getUTCDate())
    const weekday = weekdaySet.has(at.getUTCDay())
    return monthSet.has(at.getUTCMonth() + 1) && (both ? day || weekday : day && weekday)
  }
}

/** Ticks the walk finds, by the rule that schedules state. */
export function ticksOfWalk(
  walked: Walk,
  pattern: string,
  rule: 'earlier' | 'later' | 'compatible',
): readonly number[] {
  const open = (pattern.split(' ')[1] ?? '').startsWith('*')
  const matches = matcher(pattern)
  if (open) return walked.instants.filter((_, i) => matches(walked.walls[i] ?? 0))
  const ticks = new Set<number>()
  const low = walked.walls.reduce((a, b) => Math.min(a, b))
  const high = walked.walls.reduce((a, b) => Math.max(a, b))
  for (let wall = low; wall <= high; wall += minute) {
    if (!matches(wall)) continue
    const shown = walked.shown.get(wall) ?? []
    const [first] = shown
    const last = shown.at(-1)
    if (first !== undefined && last !== undefined) {
      ticks.add(rule === 'later' ? last : first)
      continue
    }
    // Never shown: the clock jumped over it, from the minute `jump` to the next.
    const jump = walked.walls.findIndex((shownAt, i) => shownAt < wall && (walked.walls[i + 1] ?? 0) > wall)
    const before = (walked.walls[jump] ?? 0) - (walked.instants[jump] ?? 0)
    const after = (walked.walls[jump + 1] ?? 0) - (walked.instants[jump + 1] ?? 0)
    ticks.add(wall - (rule === 'earlier' ? after : before))
  }
  return [...ticks].sort((a, b) => a - b)
}
