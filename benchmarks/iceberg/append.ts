/** Appends of one small file to a table of `snapshots` snapshots, SQLite catalog: the first of a process, and later ones. */
import { join } from 'node:path'
import { tableId } from '../../packages/limn/dist/base/index.js'
import { createTableUpdates, type Update } from '../../packages/limn/dist/iceberg/index.js'
import { append } from '../../packages/limn/dist/table/index.js'
import { median, openTables, report, round, timed } from './bench.ts'

const [folder = '', count = '100'] = process.argv.slice(2)
const snapshots = Number(count)
const table = tableId('bench.append')
const began = performance.now()
await using context = await openTables(join(folder, `append-${snapshots}`))
const rows = { sql: "SELECT range AS id, 'name ' || range AS name, range * 1.5 AS amount FROM range(100)" }

/** A real first append, then snapshots that repeat it: only the metadata's size matters here. */
async function make(): Promise<void> {
  const created = await context.catalog.commit(
    [
      {
        table,
        requirements: [{ type: 'assert-create' }],
        updates: createTableUpdates({
          tableUuid: '9c12d441-03fe-4693-9a96-a0705ddf69c1',
          location: `${context.store.root}/bench/append`,
          schema: {
            schemaId: 0,
            identifierFieldIds: [],
            fields: [
              { id: 1, name: 'id', required: false, type: 'long' },
              { id: 2, name: 'name', required: false, type: 'string' },
              { id: 3, name: 'amount', required: false, type: 'double' },
            ],
          },
          spec: { specId: 0, fields: [] },
          properties: {},
        }),
      },
    ],
    { timestampMs: 1 },
  )
  if (created.kind !== 'committed') throw new Error(created.kind)
  await append(context, table, rows)
  const loaded = (await context.catalog.loadTables([table])).get(table)
  const [first] = loaded?.metadata.snapshots ?? []
  if (!loaded || !first) throw new Error('the first append is not there')
  const updates: Update[] = []
  let parent = first
  for (let i = 1; i < snapshots; i++) {
    const snapshot = {
      ...parent,
      snapshotId: first.snapshotId + BigInt(i),
      parentSnapshotId: parent.snapshotId,
      sequenceNumber: first.sequenceNumber + BigInt(i),
      timestampMs: first.timestampMs + i,
    }
    updates.push({ action: 'add-snapshot', snapshot })
    updates.push({
      action: 'set-snapshot-ref',
      ref: 'main',
      to: { type: 'branch', snapshotId: snapshot.snapshotId },
    })
    parent = snapshot
  }
  await context.catalog.commit([{ table, requirements: [], updates }], { timestampMs: first.timestampMs + snapshots })
}

if (process.argv.includes('make')) {
  await make()
} else {
  const cold = await timed(() => append(context, table, rows))
  const fromStart = performance.now() - began
  const times: number[] = []
  for (let i = 0; i < 41; i++) times.push(await timed(() => append(context, table, rows)))
  times.sort((a, b) => a - b)
  report({
    snapshots,
    warm_p50_ms: round(median(times), 1),
    warm_p95_ms: round(times[38] ?? 0, 1),
    cold_ms: round(cold, 1),
    cold_with_opening_ms: round(fromStart, 1),
  })
}
