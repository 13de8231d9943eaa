/** Bin-packs `files` small files of `rows` rows each; the peer is DuckDB reading them and writing the same rows. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tableId } from '../../packages/limn/dist/base/index.js'
import type { Schema } from '../../packages/limn/dist/schema/index.js'
import { localFile, type StorePath, storePath } from '../../packages/limn/dist/storage/index.js'
import {
  addFiles,
  alterRefs,
  createTable,
  liveTableFiles,
  rewriteDataFiles,
} from '../../packages/limn/dist/table/index.js'
import { alone, bareDuckDb, median, openTables, report, round, timed } from './bench.ts'

const [folder = '', files = '10000', rows = '1000'] = process.argv.slice(2)
const count = Number(files)
const rowsPerFile = Number(rows)
const table = tableId('bench.compact')
await using context = await openTables(join(folder, `compact-${files}-${rows}`))

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' },
    { id: 2, name: 'customer', required: false, type: 'long' },
    { id: 3, name: 'price', required: false, type: 'decimal(12,2)' },
    { id: 4, name: 'status', required: false, type: 'string' },
  ],
}

async function make(): Promise<void> {
  await createTable(context, table, {
    location: `${context.store.root}/bench/compact`,
    schema,
    spec: { specId: 0, fields: [] },
  })
  const duck = await bareDuckDb()
  const data = join(folder, `compact-${files}-${rows}`, 'warehouse', 'bench', 'compact', 'data')
  mkdirSync(data, { recursive: true })
  const paths: StorePath[] = []
  for (let i = 0; i < count; i++) {
    const path = join(data, `${i}.parquet`)
    await duck.run(`COPY (SELECT range AS id, (hash(range) % 1000000)::BIGINT AS customer,
      ((hash(range + 1) % 1000000) / 100)::DECIMAL(12,2) AS price, 'status ' || range % 5 AS status
      FROM range(${i * rowsPerFile}, ${(i + 1) * rowsPerFile}))
      TO '${path}' (FORMAT parquet, COMPRESSION zstd, FIELD_IDS {id: 1, customer: 2, price: 3, status: 4})`)
    paths.push(storePath(`file://${path}`))
  }
  await addFiles(context, table, { kind: 'files', files: paths })
  duck.close()
}

if (process.argv.includes('make')) {
  await make()
} else {
  const duck = await bareDuckDb()
  const own: number[] = []
  const peer: number[] = []
  for (let i = 0; i < 3; i++) {
    const loaded = (await context.catalog.loadTables([table])).get(table)
    if (!loaded) throw new Error('make it first')
    own.push(await timed(() => rewriteDataFiles(context, table, {})))
    const back = loaded.metadata.currentSnapshotId
    if (back !== null) await alterRefs(context, table, [{ kind: 'rollback', snapshotId: back }])
    if (alone) continue
    const files = await liveTableFiles(context, loaded)
    const list = files.map((file) => `'${localFile(file.path)}'`).join(', ')
    const out = join(folder, 'compact-peer')
    rmSync(out, { recursive: true, force: true })
    peer.push(
      await timed(() =>
        duck.run(
          `COPY (SELECT * FROM read_parquet([${list}])) TO '${out}' (FORMAT parquet, COMPRESSION zstd, PER_THREAD_OUTPUT true)`,
        ),
      ),
    )
  }
  report({
    files: count,
    rows: count * rowsPerFile,
    own_ms: round(median(own), 0),
    peer_ms: round(median(peer), 0),
    ratio: round(median(own.map((time, i) => time / (peer[i] ?? 1))), 2),
  })
  duck.close()
}
