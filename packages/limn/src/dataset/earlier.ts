import type { EarlierReads } from './dataset.ts'
import { addUnits, ceilTo, floorTo, type Interval, type IntervalUnit } from './interval.ts'
import { IntervalSet } from './interval-set.ts'

/** Which of its own intervals a dataset that reads itself sees, and which see one of them: values only. */

/** The last time that is exact in a number, in 2255: later than any interval. */
const endOfTime = Number.MAX_SAFE_INTEGER

/** Own times that an interval reads: `start` null where it reads all before it. The end is the interval's start, exclusive. */
export function earlierOf(
  { back }: EarlierReads,
  interval: Interval,
): { readonly start: number | null; readonly end: number } {
  return { start: back === null ? null : addUnits(back.unit, interval.start, -back.count), end: interval.start }
}

/** Whether an interval reads own rows of some times. */
export function readsEarlier(reads: EarlierReads, interval: Interval, times: IntervalSet): boolean {
  const { start, end } = earlierOf(reads, interval)
  return times.overlaps({ start: start ?? Number.MIN_SAFE_INTEGER, end })
}

/** Intervals that read own rows of `changed`, whole units; open to the end of time where nothing bounds how far back they read. */
export function laterOf({ back }: EarlierReads, unit: IntervalUnit, changed: IntervalSet): IntervalSet {
  return changed.map((interval) => {
    const end = ceilTo(unit, interval.end)
    return {
      start: addUnits(unit, floorTo(unit, interval.start), 1),
      end: back === null ? endOfTime : ceilTo(unit, addUnits(back.unit, end, back.count)),
    }
  })
}

/** Intervals that are to be built again because earlier ones are, and the first of those. */
export interface Later {
  readonly interval: Interval
  readonly because: Interval
}

/**
 * The intervals among `among` that read one of `stale`, directly or through each other. As an interval reads at least the one
 * before it, all that follow the first of a range without gaps do; a gap ends it where nothing reads across.
 */
export function followersOf(
  reads: EarlierReads,
  unit: IntervalUnit,
  stale: IntervalSet,
  among: IntervalSet,
): readonly Later[] {
  const out: Later[] = []
  const causes = [...stale.intervals]
  for (const part of among.intervals) {
    let first: Later | null = null
    for (const because of causes) {
      const [met] = laterOf(reads, unit, IntervalSet.of([because])).intersect(IntervalSet.of([part])).intervals
      if (met && (first === null || met.start < first.interval.start))
        first = { interval: { start: met.start, end: part.end }, because }
    }
    if (first === null) continue
    out.push(first)
    causes.push(first.interval)
  }
  return out
}
