import type { TableId } from '../../base/index.ts'
import {
  addUnits,
  alignTo,
  type Edge,
  floorTo,
  type Interval,
  type IntervalSet,
  type IntervalUnit,
  laterOf,
} from '../../dataset/index.ts'
import type { Built } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'

/** Which output times depend on which input times, and how stale times become builds. */

export function touchedKey(dataset: TableId, input: TableId, from: bigint | null, to: bigint | null): string {
  return `${dataset}<${input}:${from}..${to}`
}

export function boundKey(dataset: TableId, input: TableId): string {
  return `${dataset}<${input}`
}

/** Output intervals that can depend on input rows with times in `changed`, whole units. */
export function impliedBy(edge: Edge, unit: IntervalUnit, changed: IntervalSet): IntervalSet | null {
  switch (edge.reads.kind) {
    case 'all':
      return null
    case 'same':
      return changed.map((interval) => alignTo(unit, interval))
    case 'shift': {
      // [s, e) reads [s - before, e + after), so an input row at t reaches outputs in (t - after, t + before].
      const { before, after } = edge.reads
      return changed.map((interval) => alignTo(unit, { start: interval.start - after, end: interval.end + before }))
    }
    case 'earlier':
      return laterOf(edge.reads, unit, changed)
  }
}

/**
 * What of a dataset that reads itself was built by reading itself: all but what an earlier definition built that did not, which is
 * stale for that or accepted.
 */
export function standingOnItself(node: Pick<Node, 'id' | 'fingerprint'>, built: readonly Built[]): readonly Built[] {
  return built.filter((entry) => entry.fingerprint === node.fingerprint || entry.inputs[node.id] !== undefined)
}

/** Stale intervals of one dataset, joined into builds of at most one `batch` unit each, in order. */
export function batchesOf(stale: IntervalSet, batch: IntervalUnit): readonly Interval[] {
  return stale.intervals.flatMap((interval) => {
    const parts: Interval[] = []
    for (let start = interval.start; start < interval.end; ) {
      const end = Math.min(interval.end, addUnits(batch, floorTo(batch, start), 1))
      parts.push({ start, end })
      start = end
    }
    return parts
  })
}
