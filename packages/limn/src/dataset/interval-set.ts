import type { Interval } from './interval.ts'

/** A set of times as sorted, disjoint, non-touching, non-empty half-open intervals. Immutable. */
export class IntervalSet {
  readonly intervals: readonly Interval[]

  private constructor(intervals: readonly Interval[]) {
    this.intervals = intervals
  }

  static readonly empty = new IntervalSet([])

  static of(intervals: readonly Interval[]): IntervalSet {
    const sorted = intervals.filter((part) => part.start < part.end).sort((a, b) => a.start - b.start)
    const merged: Interval[] = []
    for (const part of sorted) {
      const last = merged.at(-1)
      if (last && part.start <= last.end)
        merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, part.end) }
      else merged.push(part)
    }
    return new IntervalSet(merged)
  }

  get isEmpty(): boolean {
    return this.intervals.length === 0
  }

  /** The smallest interval that holds the whole set, or null when it is empty. */
  get hull(): Interval | null {
    const first = this.intervals[0]
    const last = this.intervals.at(-1)
    return first && last ? { start: first.start, end: last.end } : null
  }

  union(other: IntervalSet): IntervalSet {
    return IntervalSet.of([...this.intervals, ...other.intervals])
  }

  intersect(other: IntervalSet): IntervalSet {
    const out: Interval[] = []
    let j = 0
    for (const part of this.intervals) {
      while (j > 0 && (other.intervals[j - 1]?.end ?? 0) > part.start) j--
      for (; j < other.intervals.length; j++) {
        const right = other.intervals[j]
        if (!right || right.start >= part.end) break
        const start = Math.max(part.start, right.start)
        const end = Math.min(part.end, right.end)
        if (start < end) out.push({ start, end })
      }
    }
    return IntervalSet.of(out)
  }

  minus(other: IntervalSet): IntervalSet {
    const out: Interval[] = []
    for (const part of this.intervals) {
      let start = part.start
      for (const hole of other.intervals) {
        if (hole.end <= start) continue
        if (hole.start >= part.end) break
        if (hole.start > start) out.push({ start, end: hole.start })
        start = Math.max(start, hole.end)
        if (start >= part.end) break
      }
      if (start < part.end) out.push({ start, end: part.end })
    }
    return IntervalSet.of(out)
  }

  overlaps(interval: Interval): boolean {
    if (interval.start >= interval.end) return false
    return this.intervals.some((part) => part.start < interval.end && interval.start < part.end)
  }

  covers(interval: Interval): boolean {
    return (
      interval.start >= interval.end ||
      this.intervals.some((part) => part.start <= interval.start && interval.end <= part.end)
    )
  }

  /** The first time within `interval` that the set does not hold, or null when it holds all of it. */
  firstGapIn(interval: Interval): number | null {
    let at = interval.start
    for (const part of this.intervals) {
      if (at >= interval.end || part.start > at) break
      at = Math.max(at, part.end)
    }
    return at < interval.end ? at : null
  }

  map(change: (interval: Interval) => Interval): IntervalSet {
    return IntervalSet.of(this.intervals.map(change))
  }

  equals(other: IntervalSet): boolean {
    return (
      this.intervals.length === other.intervals.length &&
      this.intervals.every(
        (part, i) => part.start === other.intervals[i]?.start && part.end === other.intervals[i]?.end,
      )
    )
  }
}
