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

const ageUnits: Readonly<Record<string, number>> = { ...waitUnits, d: 86_400_000, w: 604_800_000 }

/** An age, `30m`, `12h`, `7d` or `2w`, in milliseconds; undefined when not given. Throws `usage/argument`. */
export function parseAge(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d+)([smhdw])$/.exec(text)
  const unit = ageUnits[match?.[2] ?? '']
  if (!match || unit === undefined) throw usage(`"${text}" is no age.`, 'Write 30m, 12h, 7d or 2w.')
  return Number(match[1]) * unit
}

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
}

/** A size, `512MiB`, `64MB` or a number of bytes; undefined when not given. Throws `usage/argument`. */
export function parseSize(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d+(?:\.\d+)?)([kMG]?B|[KMG]iB)?$/.exec(text)
  const unit = sizeUnits[match?.[2] ?? 'B']
  if (!match || unit === undefined) throw usage(`"${text}" is no size.`, 'Write 512MiB, 64MB or a number of bytes.')
  return Math.round(Number(match[1]) * unit)
}

/** A whole number of at least `min`; undefined when not given. Throws `usage/argument`. */
export function parseCount(name: string, text: string | undefined, min = 1): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= min) return value
  throw usage(`--${name} is "${text}".`, `Write a whole number, ${min} or more.`)
}

/** A share from 0 to 1, `0.05` or `5%`; undefined when not given. Throws `usage/argument`. */
export function parseShare(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(text)
  const value = match ? Number(match[1]) / (match[2] === '%' ? 100 : 1) : Number.NaN
  if (value >= 0 && value <= 1) return value
  throw usage(`--${name} is "${text}".`, 'Write a share from 0 to 1, for example 0.05 or 5%.')
}

/** A snapshot id. Throws `usage/argument`. */
export function parseSnapshotId(text: string): bigint {
  if (/^\d+$/.test(text)) return BigInt(text)
  throw usage(`"${text}" is no snapshot id.`, 'List the snapshots with: limn table history NAME')
}

export function usage(message: string, remedy: string): LimnError {
  return new LimnError('usage/argument', { message, notDone: 'Nothing was run.', remedy })
}
