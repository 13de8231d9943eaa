import type { TableId } from '../../base/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Built } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'
import { targetOf } from '../stage/staged-table.ts'
import type { PlanItem } from './plan.ts'

export interface AcceptedEntry {
  readonly interval: Interval | null
  readonly inputs: Readonly<Record<string, bigint>>
}

/**
 * What the ledger says of intervals that a plan accepts as an earlier definition built them: each keeps the inputs it was built
 * from, so that later changes of those still make it stale. Of one that now reads itself and did not, those are its own rows as
 * they are, at snapshot `own`.
 */
export function acceptedEntries(
  node: Node,
  items: readonly PlanItem[],
  built: readonly Built[],
  own: bigint | null,
): readonly AcceptedEntry[] {
  const accepted = items.filter((item) => item.reason === 'accepted')
  if (accepted.length === 0) return []
  const times = IntervalSet.of(accepted.flatMap((item) => (item.interval ? [item.interval] : [])))
  return built
    .filter((entry) => entry.fingerprint !== node.fingerprint)
    .flatMap(({ interval, ...entry }): AcceptedEntry[] => {
      const inputs = node.self && own !== null ? { [node.id]: own, ...entry.inputs } : entry.inputs
      return interval === null
        ? [{ interval, inputs }]
        : IntervalSet.of([interval])
            .intersect(times)
            .intervals.map((part) => ({ interval: part, inputs }))
    })
}

/**
 * Rows that are accepted stay in a table of the new contract's columns: throws `contract/breaking-change` where they cannot be
 * read by them, for then no later interval could be built beside them.
 */
export function requireReadable(
  context: PipelineContext,
  items: readonly PlanItem[],
  mains: ReadonlyMap<TableId, LoadedTable | null>,
): void {
  for (const id of new Set(items.filter((item) => item.reason === 'accepted').map((item) => item.dataset))) {
    const [node, main] = [context.project.nodes.get(id), mains.get(id)]
    if (node && main) targetOf(context, node.contract, main)
  }
}
