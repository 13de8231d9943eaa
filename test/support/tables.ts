import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { noSteps, type Steps, seededRandomness, systemClock } from '../../packages/limn/src/base/index.ts'
import { SqliteCatalog } from '../../packages/limn/src/catalog/index.ts'
import { openDuckDb } from '../../packages/limn/src/engine/index.ts'
import { ManifestReader } from '../../packages/limn/src/iceberg/index.ts'
import { LocalStore } from '../../packages/limn/src/storage/index.ts'
import type { TableContext } from '../../packages/limn/src/table/index.ts'
import { scratchFolder } from './scratch.ts'

/** A catalog, a store and an engine in a folder of their own; disposing closes and removes them. */
export async function temporaryTables(options: { readonly steps?: Steps; readonly seed?: string } = {}) {
  const folder = scratchFolder('tables')
  const steps = options.steps ?? noSteps
  const randomness = seededRandomness(options.seed ?? 'tables')
  const store = new LocalStore(join(folder, 'warehouse'), { steps })
  const catalog = new SqliteCatalog({ path: join(folder, 'catalog.db'), name: 'test', store, randomness, steps })
  const engine = await openDuckDb({ threads: 2, memoryLimit: '500MB', temporaryFolder: folder })
  const context: TableContext = {
    catalog,
    store,
    engine,
    manifests: new ManifestReader(store),
    clock: systemClock,
    randomness,
    steps,
    signal: new AbortController().signal,
  }
  return {
    folder,
    context,
    store,
    catalog,
    /** Another process's view of the same catalog. */
    another: () =>
      new SqliteCatalog({
        path: join(folder, 'catalog.db'),
        name: 'test',
        store,
        randomness: seededRandomness(`${folder} other`),
        steps,
      }),
    async [Symbol.asyncDispose]() {
      engine.close()
      catalog.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
