import type { TableId } from '../../base/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import { inputsOf, type Node } from '../project/node.ts'
import { targetOf } from '../stage/staged-table.ts'
import { standsWithout } from './forward-only.ts'
import type { PlanFacts, PlanItem } from './plan.ts'

export interface AcceptedEntry {
  readonly interval: Interval | null
  readonly inputs: Readonly<Record<string, bigint>>
}

/**
 * What the ledger says of intervals that a plan accepts as an earlier definition built them: each keeps the inputs it was built
 * from, so that later changes of those still make it stale. An input that it was built without counts from the snapshot that
 * this run reads: what changes in it afterwards makes stale what it touches. So do its own rows where it now reads itself and did not.
 */
export function acceptedEntries(node: Node, items: readonly PlanItem[], facts: PlanFacts): readonly AcceptedEntry[] {
  const accepted = items.filter((item) => item.reason === 'accepted')
  if (accepted.length === 0) return []
  const times = timesOfItems(accepted)
  const built = facts.ledger.get(node.id)?.built ?? []
  return built
    .filter((entry) => entry.fingerprint !== node.fingerprint)
    .flatMap(({ interval, fingerprint, ...entry }): AcceptedEntry[] => {
      const unread = inputsOf(node).filter((input) =>
        input === node.id ? !(input in entry.inputs) : standsWithout(node, facts, fingerprint, input),
      )
      const inputs = { ...entry.inputs, ...readNow(facts, unread) }
      return interval === null
        ? [{ interval, inputs }]
        : IntervalSet.of([interval])
            .intersect(times)
            .intervals.map((part) => ({ interval: part, inputs }))
    })
}

function timesOfItems(items: readonly PlanItem[]): IntervalSet {
  return IntervalSet.of(items.flatMap((item) => (item.interval ? [item.interval] : [])))
}

function readNow(facts: Pick<PlanFacts, 'heads'>, inputs: readonly TableId[]): Readonly<Record<string, bigint>> {
  return Object.fromEntries(
    inputs.flatMap((input): [string, bigint][] => {
      const snapshot = facts.heads.get(input)?.snapshotId ?? null
      return snapshot === null ? [] : [[input, snapshot]]
    }),
  )
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
