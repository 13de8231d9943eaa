import { join } from 'node:path'
import { LimnError, noSteps, seededRandomness, systemClock, tableId } from '../../packages/limn/src/base/index.ts'
import { SqliteCatalog } from '../../packages/limn/src/catalog/index.ts'
import { openDuckDb } from '../../packages/limn/src/engine/index.ts'
import { ManifestReader } from '../../packages/limn/src/iceberg/index.ts'
import { LocalStore } from '../../packages/limn/src/storage/index.ts'
import { expireSnapshots, type TableContext } from '../../packages/limn/src/table/index.ts'
import { type Deed, perform } from './deeds.ts'
import { draws } from './hostile.ts'

/**
 * One of several processes at one table: `concurrency-driver.ts FOLDER NUMBER SEED SECONDS`. Prints a line of JSON per
 * deed: its name, what it was and how it ended.
 */
const [folder = '', number = '0', seed = '1', seconds = '5'] = process.argv.slice(2)
const draw = draws(Number(seed) * 1000 + Number(number))
const randomness = seededRandomness(`process ${seed} ${number}`)
const store = new LocalStore(join(folder, 'warehouse'))
const catalog = new SqliteCatalog({ path: join(folder, 'catalog.db'), name: 'test', store, randomness })
const engine = await openDuckDb({ threads: 1, memoryLimit: '300MB', temporaryFolder: join(folder, `spill-${number}`) })
const context: TableContext = {
  catalog,
  store,
  engine,
  manifests: new ManifestReader(store),
  clock: systemClock,
  randomness,
  steps: noSteps,
  signal: new AbortController().signal,
}
const table = tableId('silver.t')
const until = Date.now() + Number(seconds) * 1000
/** Ids no other process appends. */
let next = Number(number) * 1_000_000

function drawDeed(): Deed | { readonly kind: 'expire' } {
  const kind = draw(20)
  if (kind < 8) {
    const from = next
    next += 1 + draw(20)
    return { kind: 'append', from, to: next }
  }
  if (kind < 10) return { kind: 'delete', residue: draw(7) }
  if (kind < 16) {
    // Keys of any process, so that merges meet.
    const from = draw(8) * 1_000_000 + draw(60)
    return { kind: 'merge', from, to: from + 1 + draw(10), n: 1 + draw(1000) }
  }
  return kind < 18 ? { kind: 'compact' } : { kind: 'expire' }
}

for (let i = 0; Date.now() < until; i++) {
  const deed = drawDeed()
  const name = `${number}-${i}`
  let outcome = 'done'
  try {
    if (deed.kind === 'expire') await expireSnapshots(context, table, { maxSnapshotAgeMs: 5000, minSnapshotsToKeep: 5 })
    else await perform(context, table, deed, name)
  } catch (error) {
    if (!(error instanceof LimnError)) throw error
    outcome = error.kind
  }
  process.stdout.write(`${JSON.stringify({ name, deed, outcome })}\n`)
}
engine.close()
catalog.close()
