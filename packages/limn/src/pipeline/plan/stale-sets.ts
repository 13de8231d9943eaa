import { type Interval, IntervalSet } from '../../dataset/index.ts'
import { type Change, unionOfChanges } from './change.ts'
import type { Reason } from './plan.ts'

/** Times that are stale for one reason. */
export interface StaleLayer {
  readonly times: IntervalSet
  readonly reason: Reason
  readonly because: string
  readonly atMost: boolean
  readonly changes: Change
}

/** An interval that is stale, by the first reason that applies, with what all reasons together may change. */
export interface StalePart extends Omit<StaleLayer, 'times'> {
  readonly interval: Interval
}

/** Gathers stale times by reason, and gives each time once. */
export class StaleSets {
  private readonly layers: StaleLayer[] = []

  add(layer: StaleLayer): void {
    if (!layer.times.isEmpty) this.layers.push(layer)
  }

  get times(): IntervalSet {
    return this.layers.reduce((all, layer) => all.union(layer.times), IntervalSet.empty)
  }

  /** In order of time. */
  parts(): readonly StalePart[] {
    let covered = IntervalSet.empty
    const parts: StalePart[] = []
    for (const [i, layer] of this.layers.entries()) {
      const own = layer.times.minus(covered)
      if (own.isEmpty) continue
      covered = covered.union(own)
      for (const { times, changes } of divided(own, layer.changes, this.layers.slice(i + 1)))
        for (const interval of times.intervals) parts.push({ ...layer, interval, changes })
    }
    return parts.sort((a, b) => a.interval.start - b.interval.start)
  }
}

/** Divides times by what may change in them, where later layers add to it. */
function divided(
  own: IntervalSet,
  changes: Change,
  later: readonly StaleLayer[],
): readonly { readonly times: IntervalSet; readonly changes: Change }[] {
  let pieces = [{ times: own, changes }]
  for (const layer of later) {
    pieces = pieces.flatMap((piece) => {
      const together = unionOfChanges(piece.changes, layer.changes)
      const both = together === piece.changes ? IntervalSet.empty : piece.times.intersect(layer.times)
      if (both.isEmpty) return [piece]
      const rest = { times: piece.times.minus(both), changes: piece.changes }
      return [...(rest.times.isEmpty ? [] : [rest]), { times: both, changes: together }]
    })
  }
  return pieces
}
