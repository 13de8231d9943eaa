import { LimnError } from '../base/index.ts'

/** Units an interval dataset is built by. All are calendar units of UTC, or of the zoneless column itself. */
export type IntervalUnit = 'hour' | 'day' | 'month' | 'year'

/** Half-open `[start, end)` in integer microseconds since 1970-01-01T00:00:00 (exact in a number until 2255). */
export interface Interval {
  readonly start: number
  readonly end: number
}

const hourMicros = 3_600_000_000
const dayMicros = 24 * hourMicros

/** The start of the unit that contains `at`. */
export function floorTo(unit: IntervalUnit, at: number): number {
  switch (unit) {
    case 'hour':
      return Math.floor(at / hourMicros) * hourMicros
    case 'day':
      return Math.floor(at / dayMicros) * dayMicros
    case 'month':
    case 'year': {
      const date = new Date(Math.floor(at / 1000))
      return Date.UTC(date.getUTCFullYear(), unit === 'year' ? 0 : date.getUTCMonth(), 1) * 1000
    }
  }
}

/** `start` of a unit moved by `count` units. `start` must be a boundary of the unit. */
export function addUnits(unit: IntervalUnit, start: number, count: number): number {
  switch (unit) {
    case 'hour':
      return start + count * hourMicros
    case 'day':
      return start + count * dayMicros
    case 'month':
    case 'year': {
      const date = new Date(start / 1000)
      const months = date.getUTCMonth() + (unit === 'year' ? 12 * count : count)
      return Date.UTC(date.getUTCFullYear(), months, 1) * 1000
    }
  }
}

/** The smallest boundary of the unit that is not before `at`. */
export function ceilTo(unit: IntervalUnit, at: number): number {
  const floor = floorTo(unit, at)
  return floor === at ? at : addUnits(unit, floor, 1)
}

/** `interval` widened to whole units. */
export function alignTo(unit: IntervalUnit, interval: Interval): Interval {
  return { start: floorTo(unit, interval.start), end: ceilTo(unit, interval.end) }
}

/** The single intervals of one unit that make up an aligned interval, in order. */
export function splitBy(unit: IntervalUnit, interval: Interval): readonly Interval[] {
  const parts: Interval[] = []
  for (let start = interval.start; start < interval.end; ) {
    const end = addUnits(unit, start, 1)
    parts.push({ start, end })
    start = end
  }
  return parts
}

/** How many units an aligned interval has. */
export function countUnits(unit: IntervalUnit, interval: Interval): number {
  if (interval.start >= interval.end) return 0
  switch (unit) {
    case 'hour':
      return Math.round((interval.end - interval.start) / hourMicros)
    case 'day':
      return Math.round((interval.end - interval.start) / dayMicros)
    case 'month':
    case 'year': {
      const [from, to] = [new Date(interval.start / 1000), new Date(interval.end / 1000)]
      const years = to.getUTCFullYear() - from.getUTCFullYear()
      return unit === 'year' ? years : 12 * years + to.getUTCMonth() - from.getUTCMonth()
    }
  }
}

/** `2001-06-01T00:00:00` (zoneless, microseconds only when needed). */
export function formatMicros(at: number): string {
  const millis = Math.floor(at / 1000)
  const micros = at - Math.floor(at / 1_000_000) * 1_000_000
  const whole = new Date(millis).toISOString().slice(0, 19)
  return micros === 0 ? whole : `${whole}.${String(micros).padStart(6, '0')}`
}

/** An instant as short as its unit allows: `2001`, `2001-06`, `2001-06-14`, `2001-06-14T05:00`. */
export function formatStart(unit: IntervalUnit, at: number): string {
  const text = formatMicros(at)
  switch (unit) {
    case 'hour':
      return text.slice(0, 16)
    case 'day':
      return text.slice(0, 10)
    case 'month':
      return text.slice(0, 7)
    case 'year':
      return text.slice(0, 4)
  }
}

/** `2001-06-10` for one unit, `2001-06-10 … 2001-06-14` (both ends included, as people say it) for several. */
export function formatInterval(unit: IntervalUnit, interval: Interval): string {
  const first = formatStart(unit, interval.start)
  const last = formatStart(unit, addUnits(unit, floorTo(unit, interval.end - 1), 0))
  return first === last ? first : `${first} … ${last}`
}

const isoForm = /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?)?)?Z?$/

/** Parses `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, `YYYY-MM-DDTHH:MM[:SS[.ffffff]]` as a zoneless time. Throws `usage/argument`. */
export function parseMicros(text: string): number {
  const match = isoForm.exec(text.trim())
  if (match) {
    const [, year, month = '01', day = '01', hour = '00', minute = '00', second = '00', fraction = ''] = match
    const millis = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second))
    const back = new Date(millis).toISOString().slice(0, 19)
    if (back === `${year}-${month}-${day}T${hour}:${minute}:${second}`) {
      return millis * 1000 + Number(fraction.padEnd(6, '0'))
    }
  }
  throw new LimnError('usage/argument', {
    message: `"${text}" is not a date or time.`,
    remedy: 'Write it as 2001-06, 2001-06-14 or 2001-06-14T05:00.',
  })
}

/** The unit whose interval a written date names: `2001-06` a month, `2001-06-14` a day. */
export function unitOfText(text: string): IntervalUnit {
  const length = text.trim().length
  return length <= 4 ? 'year' : length <= 7 ? 'month' : length <= 10 ? 'day' : 'hour'
}
