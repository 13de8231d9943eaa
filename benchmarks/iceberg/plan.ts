/** Plans over `files` files × 20 columns with bounds, 100 to a manifest: by partition, by a bound, count(*). */
import { join } from 'node:path'
import { tableId } from '../../packages/limn/dist/base/index.js'
import {
  createTableUpdates,
  type DataFile,
  encodeSingleValue,
  ManifestReader,
  planScan,
  stageSnapshot,
} from '../../packages/limn/dist/iceberg/index.js'
import { storePath } from '../../packages/limn/dist/storage/index.js'
import { median, openTables, report, round, timed } from './bench.ts'

const [folder = '', count = '100000'] = process.argv.slice(2)
const files = Number(count)
const perManifest = 100
const table = tableId('bench.plan')
await using context = await openTables(join(folder, `plan-${files}`))

async function make(): Promise<void> {
  const fields = Array.from({ length: 20 }, (_, i) => ({
    id: i + 1,
    name: `c${i}`,
    required: false,
    type: 'long' as const,
  }))
  const schema = { schemaId: 0, identifierFieldIds: [], fields }
  const spec = {
    specId: 0,
    fields: [{ sourceId: 1, fieldId: 1000, name: 'c0', transform: { kind: 'identity' as const } }],
  }
  const location = `${context.store.root}/bench/plan`
  const created = await context.catalog.commit(
    [
      {
        table,
        requirements: [{ type: 'assert-create' }],
        updates: createTableUpdates({
          tableUuid: '9c12d441-03fe-4693-9a96-a0705ddf69c1',
          location,
          schema,
          spec,
          properties: { 'commit.manifest-merge.enabled': 'false' },
        }),
      },
    ],
    { timestampMs: 1 },
  )
  if (created.kind !== 'committed') throw new Error(created.kind)
  for (let at = 0; at < files; at += perManifest) {
    const added = Array.from({ length: perManifest }, (_, i): DataFile => {
      const n = BigInt(at + i)
      const bound = (offset: bigint) =>
        new Map(fields.map((field, c) => [field.id, encodeSingleValue('long', c === 0 ? n : n * 1000n + offset)]))
      const each = (value: bigint) => new Map(fields.map((field) => [field.id, value]))
      return {
        content: 0,
        path: storePath(`${location}/data/${at + i}-0000-4693-9a96-a0705ddf69c1.parquet`),
        format: 'parquet',
        specId: 0,
        partition: [n],
        recordCount: 1000n,
        fileSizeInBytes: 100_000n,
        columnSizes: each(5000n),
        valueCounts: each(1000n),
        nullValueCounts: each(0n),
        nanValueCounts: new Map(),
        lowerBounds: bound(0n),
        upperBounds: bound(999n),
        splitOffsets: [4n],
        equalityIds: [],
        sortOrderId: null,
      }
    })
    const loaded = (await context.catalog.loadTables([table])).get(table)
    if (!loaded) throw new Error('no table')
    const staged = await stageSnapshot({
      store: context.store,
      manifests: context.manifests,
      steps: context.steps,
      randomness: context.randomness,
      base: loaded.metadata,
      parentSnapshotId: loaded.metadata.currentSnapshotId,
      ref: 'main',
      operation: 'append',
      added,
      removed: [],
      snapshotId: BigInt(at + 1),
      timestampMs: at + 2,
      manifestMerging: 'fast',
    })
    await context.catalog.commit([{ table, ...staged }], { timestampMs: at + 2 })
  }
}

if (process.argv.includes('make')) {
  await make()
} else {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  const snapshotId = loaded?.metadata.currentSnapshotId
  if (!loaded || !snapshotId) throw new Error('make it first')
  const plan = (predicate: Parameters<typeof planScan>[0]['predicate']) =>
    planScan({
      manifests: new ManifestReader(context.store),
      metadata: loaded.metadata,
      snapshotId,
      ...(predicate ? { predicate } : {}),
    })
  const time = async (rounds: number, body: () => unknown) => {
    const times: number[] = []
    for (let i = 0; i < rounds; i++) times.push(await timed(body))
    return round(median(times), 1)
  }
  const byPartition = { kind: 'compare', operator: 'eq', column: 'c0', value: BigInt(files / 2) } as const
  const byBound = { kind: 'compare', operator: 'eq', column: 'c7', value: BigInt(files / 2) * 1000n + 5n } as const
  const one = await plan(byPartition)
  const other = await plan(byBound)
  report({
    files,
    partition_filter_ms: await time(5, () => plan(byPartition)),
    every_manifest_ms: await time(3, () => plan(byBound)),
    found: `${one.files.length} and ${other.files.length}`,
  })
}
