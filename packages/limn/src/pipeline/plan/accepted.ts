import { type Interval, IntervalSet } from '../../dataset/index.ts'
import type { Built } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'
import type { PlanItem } from './plan.ts'

export interface AcceptedEntry {
  readonly interval: Interval | null
  readonly inputs: Readonly<Record<string, bigint>>
}

/**
 * What the ledger says of intervals that a plan accepts as an earlier definition built them: each keeps the inputs it was built
 * from, so that later changes of those still make it stale.
 */
export function acceptedEntries(
  node: Node,
  items: readonly PlanItem[],
  built: readonly Built[],
): readonly AcceptedEntry[] {
  const accepted = items.filter((item) => item.reason === 'accepted')
  if (accepted.length === 0) return []
  const times = IntervalSet.of(accepted.flatMap((item) => (item.interval ? [item.interval] : [])))
  return built
    .filter((entry) => entry.fingerprint !== node.fingerprint)
    .flatMap(({ interval, inputs }): AcceptedEntry[] =>
      interval === null
        ? [{ interval, inputs }]
        : IntervalSet.of([interval])
            .intersect(times)
            .intervals.map((part) => ({ interval: part, inputs })),
    )
}
