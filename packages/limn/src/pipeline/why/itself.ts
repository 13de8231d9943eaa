import { type Edge, IntervalSet, laterOf } from '../../dataset/index.ts'
import type { Node, Shape } from '../project/node.ts'
import { readsOf, type Scope } from './scope.ts'

/** Where two states of a dataset that reads itself part first: the rest follows from there. Pure. */

/**
 * Of a dataset that reads itself, the intervals that part and read no other that does: those after them part because they do, or
 * are told of when these no longer part.
 */
export function firstOf(node: Node | undefined, times: IntervalSet | null): IntervalSet | null {
  if (times === null || !node?.self || node.shape.kind !== 'interval') return times
  return times.minus(laterOf(node.self, node.shape.unit, times))
}

/**
 * Where the own rows that an interval `read` began to part: from those that it read back through those which they read in turn, as
 * far as all of them are among the `parting` ones. Gone through at once, so that a long chain is one step.
 */
export function beganAt(edge: Edge, shape: Shape, read: Scope, parting: IntervalSet): Scope {
  if (shape.kind !== 'interval' || edge.reads.kind !== 'earlier' || read.times === null) return read
  let chain = parting.intersect(read.times)
  for (;;) {
    const further = readsOf(edge, shape, shape, chain, false).times ?? IntervalSet.empty
    const longer = chain.union(parting.intersect(further))
    if (longer.equals(chain)) break
    chain = longer
  }
  return chain.isEmpty
    ? read
    : { times: chain.minus(laterOf(edge.reads, shape.unit, chain)), where: null, conditions: [] }
}
