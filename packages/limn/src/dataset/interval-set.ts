import type { Interval } from './interval.ts'

/** A set of times as sorted, disjoint, non-touching, non-empty half-open intervals. Immutable. */
export class IntervalSet {
  readonly intervals: readonly Interval[]

  private constructor(intervals: readonly Interval[]) {
    this.intervals = intervals
  }

  static readonly empty = new IntervalSet([])

  static of(intervals: readonly Interval[]): IntervalSet {
    const sorted = intervals.filter((part) => part.start < part.end)
    if (sorted.some((part, i) => i > 0 && part.start < (sorted[i - 1]?.start ?? 0)))
      sorted.sort((a, b) => a.start - b.start)
    const merged: Interval[] = []
    for (const part of sorted) append(merged, part)
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

  /** Linear in both. */
  union(other: IntervalSet): IntervalSet {
    if (this.isEmpty) return other
    if (other.isEmpty) return this
    const merged: Interval[] = []
    const [left, right] = [this.intervals, other.intervals]
    for (let i = 0, j = 0; i < left.length || j < right.length; ) {
      const [a, b] = [left[i], right[j]]
      const part = a && (!b || a.start <= b.start) ? a : b
      if (!part) break
      if (part === a) i++
      else j++
      append(merged, part)
    }
    return new IntervalSet(merged)
  }

  /** Linear in both. */
  intersect(other: IntervalSet): IntervalSet {
    const out: Interval[] = []
    const [left, right] = [this.intervals, other.intervals]
    for (let i = 0, j = 0; i < left.length && j < right.length; ) {
      const [a, b] = [left[i], right[j]]
      if (!a || !b) break
      const start = Math.max(a.start, b.start)
      const end = Math.min(a.end, b.end)
      if (start < end) out.push({ start, end })
      if (a.end <= b.end) i++
      else j++
    }
    return new IntervalSet(out)
  }

  /** Linear in both. */
  minus(other: IntervalSet): IntervalSet {
    if (other.isEmpty) return this
    const out: Interval[] = []
    let j = 0
    for (const part of this.intervals) {
      let { start } = part
      for (; ; j++) {
        const hole = other.intervals[j]
        if (!hole || hole.start >= part.end) break
        if (hole.end <= start) continue
        if (hole.start > start) out.push({ start, end: hole.start })
        start = hole.end
        // The hole may reach into the next part too.
        if (start >= part.end) break
      }
      if (start < part.end) out.push({ start, end: part.end })
    }
    return new IntervalSet(out)
  }

  overlaps(interval: Interval): boolean {
    if (interval.start >= interval.end) return false
    const part = this.intervals[this.firstEndingAfter(interval.start)]
    return part !== undefined && part.start < interval.end
  }

  covers(interval: Interval): boolean {
    if (interval.start >= interval.end) return true
    const part = this.intervals[this.firstEndingAfter(interval.start)]
    return part !== undefined && part.start <= interval.start && interval.end <= part.end
  }

  /** Index of the first interval that ends after a time; the number of intervals when none does. */
  private firstEndingAfter(at: number): number {
    let [low, high] = [0, this.intervals.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.intervals[middle]?.end ?? 0) > at) high = middle
      else low = middle + 1
    }
    return low
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

/** Adds an interval that starts no earlier than the last one, joined with it where they touch. */
function append(merged: Interval[], part: Interval): void {
  const last = merged.at(-1)
  if (last && part.start <= last.end)
    merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, part.end) }
  else merged.push(part)
}
