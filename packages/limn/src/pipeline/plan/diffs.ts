import type { TableId } from '../../base/index.ts'
import { renameTables } from '../../sql/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Definition } from '../ledger/definition.ts'
import { type DefinitionKey, definitionKey, definitionsOf } from '../ledger/definition-store.ts'
import type { DatasetLedger } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'
import { columnsOf } from '../project/reads.ts'
import { type DefinitionDiff, diffChecks, diffDefinitions, unknownDiff } from './definition-diff.ts'

/** How the present definitions of datasets differ from those that stand in the ledger, by `dataset fingerprint`. */
export async function diffsOf(
  context: PipelineContext,
  selected: ReadonlySet<TableId>,
  ledger: ReadonlyMap<TableId, DatasetLedger>,
): Promise<ReadonlyMap<string, DefinitionDiff>> {
  const { order, nodes } = context.project
  const rejudged = (dataset: TableId) => {
    const judged = ledger.get(dataset)?.checksHash ?? null
    return judged !== null && judged !== nodes.get(dataset)?.checksHash
  }
  const wanted: DefinitionKey[] = order
    .filter((id) => selected.has(id))
    .flatMap((dataset) => {
      const present = nodes.get(dataset)?.fingerprint
      const used = new Set((ledger.get(dataset)?.built ?? []).map((entry) => entry.fingerprint))
      return [...used]
        .filter((fingerprint) => fingerprint !== present || rejudged(dataset))
        .map((fingerprint) => ({ dataset, fingerprint }))
    })
  const definitions = await definitionsOf(context, wanted)
  const tables = columnsOf(new Map([...nodes].map(([id, node]) => [id, node.contract])))
  return new Map(
    wanted.map((one) => {
      const key = definitionKey(one)
      const node = nodes.get(one.dataset)
      const before = definitions.get(key)
      const diff =
        !node || !before
          ? unknownDiff('the lake does not remember it')
          : before.fingerprint === node.fingerprint
            ? diffChecks(before.contract, node.contract)
            : diffDefinitions(inPresentNames(before, nodes), node, tables)
      return [key, diff] as const
    }),
  )
}

/** A remembered definition with its inputs called as they are now: that one was renamed is no difference. */
function inPresentNames(before: Definition, nodes: ReadonlyMap<TableId, Node>): Definition {
  const names = new Map<string, string>()
  for (const [id, node] of nodes)
    for (const former of node.renamedFrom ?? []) if (former in before.edges) names.set(former, id)
  if (names.size === 0) return before
  const edges = Object.fromEntries(Object.entries(before.edges).map(([id, edge]) => [names.get(id) ?? id, edge]))
  return { ...before, edges, tree: before.tree === '' ? '' : renameTables(before.tree, names) }
}
