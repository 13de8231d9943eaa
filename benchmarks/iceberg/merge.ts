/**
 * MERGE of 100,000 rows, half of them updates, into `millions` million rows in 64 files: `mode` merge-on-read (m) or
 * copy-on-write (c). The peer of copy-on-write: DuckDB reading the files that limn rewrote, joining the same source, and
 * writing them anew.
 */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tableId } from '../../packages/limn/dist/base/index.js'
import type { DataFile } from '../../packages/limn/dist/iceberg/index.js'
import type { Schema } from '../../packages/limn/dist/schema/index.js'
import { localFile } from '../../packages/limn/dist/storage/index.js'
import { alterRefs, append, createTable, liveTableFiles, mergeRows } from '../../packages/limn/dist/table/index.js'
import { bareDuckDb, median, openTables, report, round, timed } from './bench.ts'

const [folder = '', mode = 'm', millions = '10', version = '2'] = process.argv.slice(2)
const count = Number(millions) * 1_000_000
const sourceCount = 100_000
const table = tableId('bench.merge')
await using context = await openTables(join(folder, `merge-${mode}-${millions}-v${version}`))

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' },
    { id: 2, name: 'customer', required: false, type: 'long' },
    { id: 3, name: 'price', required: false, type: 'decimal(12,2)' },
    { id: 4, name: 'changed_at', required: false, type: 'timestamp' },
    { id: 5, name: 'status', required: false, type: 'string' },
  ],
}
const rowOf = (id: string) => `${id}::BIGINT AS id, (hash(${id}) % 1000000)::BIGINT AS customer,
  ((hash(${id} + 1) % 1000000) / 100)::DECIMAL(12,2) AS price,
  make_timestamp((1600000000000000 + ${id} * 1000000)::BIGINT) AS changed_at,
  ['open', 'paid', 'shipped', 'returned'][1 + (hash(${id} + 2) % 4)::INTEGER] AS status`
const perFile = Math.ceil(count / 64)
/** Half of the rows are there already, spread over all files; the other half are new. */
const sourceSql = `SELECT ${rowOf('key')} FROM (
  SELECT CASE WHEN range % 2 = 0 THEN (range * ${Math.floor(count / sourceCount)}) ELSE ${count} + range END AS key
  FROM range(${sourceCount}))`

async function make(): Promise<void> {
  await createTable(context, table, {
    location: `${context.store.root}/bench/merge`,
    schema,
    spec: { specId: 0, fields: [] },
    formatVersion: version === '3' ? 3 : 2,
    properties: { 'write.merge.mode': mode === 'm' ? 'merge-on-read' : 'copy-on-write' },
  })
  for (let at = 0; at < count; at += perFile)
    await append(context, table, {
      sql: `SELECT ${rowOf('range')} FROM range(${at}, ${Math.min(count, at + perFile)})`,
    })
}

if (process.argv.includes('make')) {
  await make()
} else {
  const duck = await bareDuckDb()
  const times: number[] = []
  const peers: number[] = []
  let removed: readonly DataFile[] = []
  let counts = ''
  for (let round = 0; round < 3; round++) {
    const before = (await context.catalog.loadTables([table])).get(table)
    if (!before) throw new Error('make it first')
    const files = await liveTableFiles(context, before)
    times.push(
      await timed(async () => {
        const merged = await mergeRows(context, table, {
          source: { sql: sourceSql },
          on: 'target.id = source.id',
          clauses: [
            { when: 'matched', action: { kind: 'updateAll' } },
            { when: 'notMatched', action: { kind: 'insertAll' } },
          ],
        })
        counts = `${merged.inserted} inserted, ${merged.updated} updated, ${merged.copied} copied`
      }),
    )
    const after = (await context.catalog.loadTables([table])).get(table)
    if (!after) throw new Error('the table is gone')
    const kept = new Set((await liveTableFiles(context, after)).map((file) => file.path))
    removed = files.filter((file) => !kept.has(file.path))
    if (mode === 'c') {
      const out = join(folder, 'merge-peer')
      rmSync(out, { recursive: true, force: true })
      mkdirSync(out, { recursive: true })
      const list = removed.map((file) => `'${localFile(file.path)}'`).join(', ')
      peers.push(
        await timed(() =>
          duck.run(`COPY (SELECT coalesce(s.id, t.id) AS id, CASE WHEN s.id IS NULL THEN t.customer ELSE s.customer END AS customer,
            CASE WHEN s.id IS NULL THEN t.price ELSE s.price END AS price,
            CASE WHEN s.id IS NULL THEN t.changed_at ELSE s.changed_at END AS changed_at,
            CASE WHEN s.id IS NULL THEN t.status ELSE s.status END AS status
            FROM read_parquet([${list}]) t FULL JOIN (${sourceSql}) s ON t.id = s.id)
            TO '${out}' (FORMAT parquet, COMPRESSION zstd, PER_THREAD_OUTPUT true)`),
        ),
      )
    }
    // Each round merges into the same state.
    const back = before.metadata.currentSnapshotId
    if (back !== null) await alterRefs(context, table, [{ kind: 'rollback', snapshotId: back }])
  }
  report({
    mode: mode === 'm' ? 'merge-on-read' : 'copy-on-write',
    version,
    rows: count,
    counts,
    files_rewritten: removed.length,
    own_ms: round(median(times), 0),
    ...(peers.length > 0
      ? { peer_ms: round(median(peers), 0), ratio: round(median(times.map((time, i) => time / (peers[i] ?? 1))), 2) }
      : {}),
  })
  duck.close()
}
