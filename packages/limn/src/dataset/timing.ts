import { LimnError } from '../base/index.ts'
import { durationMs } from './duration.ts'
import { requireZone } from './local-time.ts'
import { cron, nextTick, type Schedule, type ScheduleText, scheduleOf } from './schedule.ts'
import { type Seal, type SealSpec, sealOf } from './seal.ts'

/** When a dataset has to be published: a span after the tick that runs it, or a time of day in a zone. */
export type Deadline =
  | { readonly kind: 'within'; readonly ms: number }
  | { readonly kind: 'at'; readonly hour: number; readonly minute: number; readonly zone: string }

/** When a dataset is run, when its intervals are complete and when it has to be done. All outside the fingerprint. */
export interface Timing {
  readonly schedule: Schedule | null
  readonly seal: Seal | null
  readonly deadline: Deadline | null
  /** How old what readers see may become; null: nothing is promised. */
  readonly freshnessMs: number | null
}

/** What an author may state of it. */
export interface TimingSpec {
  /** `'0 6 * * * in Europe/Berlin'`, `cron(…)`, or `onUpstream()`. `limn run --due` and `limn up` go by it. */
  readonly schedule?: Schedule | ScheduleText
  /** When an interval is complete; one that is not is not built. */
  readonly seal?: SealSpec
  /** Published at most this long after its tick (`90m`), or by a time of day (`08:00 in Europe/Berlin`). */
  readonly deadline?: string
  /** How old what readers see may become: `26h`. */
  readonly freshness?: string
}

export const noTiming: Timing = { schedule: null, seal: null, deadline: null, freshnessMs: null }

/** Throws `dataset/invalid`. */
export function timingOf(spec: TimingSpec): Timing {
  return {
    schedule: spec.schedule === undefined ? null : scheduleOf(spec.schedule),
    seal: spec.seal === undefined ? null : sealOf(spec.seal),
    deadline: spec.deadline === undefined ? null : deadlineOf(spec.deadline),
    freshnessMs: spec.freshness === undefined ? null : durationMs(spec.freshness),
  }
}

function deadlineOf(text: string): Deadline {
  const at = /^(\d{1,2}):(\d{2}) in (\S+)$/.exec(text.trim())
  if (!at) return { kind: 'within', ms: durationMs(text) }
  const [hour, minute] = [Number(at[1]), Number(at[2])]
  if (hour > 23 || minute > 59) {
    throw new LimnError('dataset/invalid', {
      message: `The deadline "${text}" is not a time of day.`,
      notDone: 'Nothing was run.',
      remedy: "Write '08:00 in Europe/Berlin', or a span after the tick: '90m'.",
    })
  }
  return { kind: 'at', hour, minute, zone: requireZone(at[3] ?? 'UTC') }
}

/** The instant by which what a tick runs has to be published. */
export function deadlineAfter(deadline: Deadline, tick: number): number {
  switch (deadline.kind) {
    case 'within':
      return tick + deadline.ms
    case 'at':
      return nextTick(cron(`${deadline.minute} ${deadline.hour} * * *`, { zone: deadline.zone }), tick)
  }
}
