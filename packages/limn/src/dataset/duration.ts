import { LimnError } from '../base/index.ts'

const units: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
}

/** A span as people write it, `90s`, `30m`, `2h`, `3d` or `1w`, in milliseconds. Throws `dataset/invalid`. */
export function durationMs(text: string): number {
  const match = /^(\d+) ?([smhdw])$/.exec(text.trim())
  const unit = units[match?.[2] ?? '']
  if (!match || unit === undefined) {
    throw new LimnError('dataset/invalid', {
      message: `"${text}" is not a span of time.`,
      notDone: 'Nothing was run.',
      remedy: 'Write 90s, 30m, 2h, 3d or 1w.',
    })
  }
  return Number(match[1]) * unit
}

/** A span for people: `45 s`, `12 min`, `2 h 5 min`, `3 d 4 h`. Rounded to the second; the smaller of two parts is left out when 0. */
export function formatDuration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const parts = (big: number, bigName: string, small: number, smallName: string) =>
    small === 0 ? `${big} ${bigName}` : `${big} ${bigName} ${small} ${smallName}`
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return parts(Math.floor(seconds / 60), 'min', seconds % 60, 's')
  if (seconds < 86_400) return parts(Math.floor(seconds / 3600), 'h', Math.floor((seconds % 3600) / 60), 'min')
  return parts(Math.floor(seconds / 86_400), 'd', Math.floor((seconds % 86_400) / 3600), 'h')
}
