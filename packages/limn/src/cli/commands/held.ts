import { formatInterval, formatMicros } from '../../dataset/index.ts'
import { type Plan, unsealedText } from '../../pipeline/index.ts'
import type { Io } from '../io.ts'

/** Says on standard error which stale intervals wait to be complete, until when, and for what. */
export function printHeld(plan: Plan, io: Io): void {
  for (const { dataset, interval, unit, open } of plan.items) {
    if (!interval || !unit || !open) continue
    const whose = open.by === dataset ? '' : ` (says ${open.by})`
    io.err(`${io.paint.yellow('Held:')} ${dataset} ${formatInterval(unit, interval)} is ${unsealedText(open)}${whose}.`)
  }
}

/** The same as JSON. */
export function heldOf(plan: Plan) {
  return plan.items.flatMap(({ dataset, interval, open }) =>
    interval && open
      ? [
          {
            dataset,
            interval: { start: formatMicros(interval.start), end: formatMicros(interval.end) },
            until: open.untilMs === null ? null : new Date(open.untilMs).toISOString(),
            missing: open.missing,
            by: open.by,
          },
        ]
      : [],
  )
}
