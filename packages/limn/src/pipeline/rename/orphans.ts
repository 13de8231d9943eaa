import { namespaceOf, type TableId } from '../../base/index.ts'
import type { PipelineContext } from '../context.ts'
import type { DatasetLedger } from '../ledger/ledger.ts'

/** The namespace of tables that were dropped and can still be had back. */
export const droppedNamespace = 'limn_dropped'

/** Tables of datasets that runs built or landed and that nothing defines any more, in order of names. */
export async function orphansOf(
  context: PipelineContext,
  standing: ReadonlyMap<TableId, DatasetLedger>,
): Promise<readonly TableId[]> {
  const gone = [...standing]
    .filter(([id, ledger]) => !context.project.nodes.has(id) && (ledger.built.length > 0 || ledger.lastOrdinal > 0))
    .map(([id]) => id)
    .filter((id) => namespaceOf(id) !== droppedNamespace)
  if (gone.length === 0) return []
  const loaded = await context.catalog.loadTables(gone, { signal: context.signal })
  return gone.filter((id) => loaded.get(id)).sort()
}
