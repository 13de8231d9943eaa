import { LimnError } from '../base/index.ts'
import { addUnits, floorTo, type Interval, parseMicros, unitOfText } from '../dataset/index.ts'

/** The half-open range of `--from D --to D` or `--date D`; null when none is given. Throws `usage/argument`. */
export function parseRange(options: {
  readonly from?: string
  readonly to?: string
  readonly date?: string
}): Interval | null {
  const { from, to, date } = options
  if (date !== undefined) {
    if (from !== undefined || to !== undefined)
      throw usage('--date stands alone.', 'Give either --date or --from and --to.')
    const unit = unitOfText(date)
    const start = floorTo(unit, parseMicros(date))
    return { start, end: addUnits(unit, start, 1) }
  }
  if (from === undefined && to === undefined) return null
  if (from === undefined || to === undefined)
    throw usage('--from and --to go together.', 'Give both; --to is exclusive.')
  const range = { start: parseMicros(from), end: parseMicros(to) }
  if (range.start >= range.end)
    throw usage(`--from ${from} is not before --to ${to}.`, 'The range is half-open: --to is exclusive.')
  return range
}

const waitUnits: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 }

/** `30s`, `10m`, `1h` in milliseconds; 0 when not given. */
export function parseWait(text: string | undefined): number {
  if (text === undefined) return 0
  const match = /^(\d+)([smh])$/.exec(text)
  const unit = waitUnits[match?.[2] ?? '']
  if (!match || unit === undefined) throw usage(`"${text}" is not a duration.`, 'Write 30s, 10m or 1h.')
  return Number(match[1]) * unit
}

function usage(message: string, remedy: string): LimnError {
  return new LimnError('usage/argument', { message, notDone: 'Nothing was run.', remedy })
}
