import { formatInterval, formatMicros } from '../../dataset/index.ts'
import { type HeldInterval, type Plan, unsealedText } from '../../pipeline/index.ts'
import type { Io } from '../io.ts'

/** Says on standard error which stale intervals wait to be complete, until when, and for what. */
export function printHeld(plan: Plan, io: Io): void {
  for (const one of plan.held ?? []) {
    const whose = one.by === one.dataset ? '' : ` (says ${one.by})`
    io.err(
      `${io.paint.yellow('Held:')} ${one.dataset} ${formatInterval(one.unit, one.interval)} is ${unsealedText(one)}${whose}.`,
    )
  }
}

export function heldValue(one: HeldInterval) {
  return {
    dataset: one.dataset,
    interval: { start: formatMicros(one.interval.start), end: formatMicros(one.interval.end) },
    until: one.untilMs === null ? null : new Date(one.untilMs).toISOString(),
    missing: one.missing,
    by: one.by,
  }
}
