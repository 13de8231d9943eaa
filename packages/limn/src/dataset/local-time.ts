import { LimnError } from '../base/index.ts'

/**
 * Local times of a zone and instants. Wall times are milliseconds as if the wall clock were UTC's, so that they can be
 * compared and counted on; which instants a wall time names is the zone's affair alone.
 */

// Node 24 has no Temporal of its own.
const temporal = typeof Temporal === 'undefined' ? (await import('temporal-polyfill')).Temporal : Temporal

/**
 * What a local time means that a change of the clocks skips, or repeats. `earlier` and `later` take the earlier and later
 * of the two instants it may name (in a gap: read with the offset after the change, or before it). `compatible`, as
 * Temporal and iCalendar have it: skipped times move on by the length of the gap, repeated ones are the first.
 */
export type LocalTimeRule = 'earlier' | 'later' | 'compatible'

/** How far a zone has ever moved its clocks at once (Samoa left out a whole day), and an hour more. */
export const largestShiftMs = 25 * 3_600_000

/** The zone's name as the time zone database has it. Throws `dataset/invalid` for one it does not have. */
export function requireZone(zone: string): string {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone === 'UTC' ? 'UTC' : zone
  } catch (cause) {
    throw new LimnError('dataset/invalid', {
      message: `"${zone}" is not a time zone.`,
      notDone: 'Nothing was run.',
      remedy: 'Name one of the time zone database, for example Europe/Berlin, or UTC.',
      cause,
    })
  }
}

/** What the wall clock of the zone shows at an instant. */
export function wallOf(instantMs: number, zone: string): number {
  if (zone === 'UTC') return instantMs
  const local = temporal.Instant.fromEpochMilliseconds(instantMs).toZonedDateTimeISO(zone)
  return instantMs + local.offsetNanoseconds / 1_000_000
}

/** Whether a wall time names one instant, none (the two that it may mean, then), or two. */
export type Instants =
  | { readonly kind: 'once'; readonly at: number }
  | { readonly kind: 'skipped' | 'twice'; readonly earlier: number; readonly later: number }

export function instantsOf(wallMs: number, zone: string): Instants {
  if (zone === 'UTC') return { kind: 'once', at: wallMs }
  const wall = temporal.Instant.fromEpochMilliseconds(wallMs).toZonedDateTimeISO('UTC').toPlainDateTime()
  const first = wall.toZonedDateTime(zone, { disambiguation: 'earlier' })
  const [earlier, later] = [
    first.epochMilliseconds,
    wall.toZonedDateTime(zone, { disambiguation: 'later' }).epochMilliseconds,
  ]
  if (earlier === later) return { kind: 'once', at: earlier }
  return { kind: first.toPlainDateTime().equals(wall) ? 'twice' : 'skipped', earlier, later }
}

/** The instant of a wall time by a rule. */
export function instantOf(wallMs: number, zone: string, rule: LocalTimeRule): number {
  const found = instantsOf(wallMs, zone)
  if (found.kind === 'once') return found.at
  switch (rule) {
    case 'earlier':
      return found.earlier
    case 'later':
      return found.later
    case 'compatible':
      return found.kind === 'twice' ? found.earlier : found.later
  }
}
