import type { RunId } from '../../base/index.ts'
import { StagedCatalog } from '../../catalog/index.ts'
import type { PipelineContext } from '../context.ts'

/** A run's view of the catalog: its unregistered tables, whose pointers the state database keeps, over the registered ones. */
export function stagedCatalog(
  context: PipelineContext,
  run: RunId,
  options: { readonly settlesItself?: boolean } = {},
): StagedCatalog {
  const { runs } = context
  return new StagedCatalog({
    catalog: context.catalog,
    store: context.store,
    steps: context.steps,
    randomness: context.randomness,
    ...options,
    pointers: {
      get: async (table) => {
        const metadataLocation = runs.pointer(run, table)
        return metadataLocation === null ? null : { metadataLocation }
      },
      compareAndSet: (table, expected, next) => runs.swapPointer(run, table, expected, next),
      list: async () => runs.pointers(run).map((one) => one.table),
    },
  })
}
