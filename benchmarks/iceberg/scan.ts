/**
 * A full scan of `millions` million rows in 64 files, 10 columns: planning and binding included, against `read_parquet`
 * over the same files. `kind`: none, positions, vectors or equality, 1 % of the rows deleted.
 */
import { join } from 'node:path'
import { tableId } from '../../packages/limn/dist/base/index.js'
import { currentSchema, ManifestReader, type PartitionSpec } from '../../packages/limn/dist/iceberg/index.js'
import type { Schema } from '../../packages/limn/dist/schema/index.js'
import { localFile } from '../../packages/limn/dist/storage/index.js'
import {
  append,
  createTable,
  deleteRows,
  pinRef,
  readPinned,
  upsertRows,
} from '../../packages/limn/dist/table/index.js'
import { bareDuckDb, openTables, pair, report, round } from './bench.ts'

const [folder = '', kind = 'none', millions = '50'] = process.argv.slice(2)
const count = Number(millions) * 1_000_000
const files = 64
const table = tableId('bench.scan')
await using context = await openTables(join(folder, `scan-${kind}-${millions}`))

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' },
    { id: 2, name: 'part', required: false, type: 'int' },
    { id: 3, name: 'customer', required: false, type: 'long' },
    { id: 4, name: 'quantity', required: false, type: 'int' },
    { id: 5, name: 'price', required: false, type: 'decimal(12,2)' },
    { id: 6, name: 'discount', required: false, type: 'double' },
    { id: 7, name: 'ordered_on', required: false, type: 'date' },
    { id: 8, name: 'changed_at', required: false, type: 'timestamp' },
    { id: 9, name: 'status', required: false, type: 'string' },
    { id: 10, name: 'flag', required: false, type: 'boolean' },
  ],
}
const spec: PartitionSpec = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: 'part', transform: { kind: 'identity' } }],
}
const rowsSql = `SELECT range AS id, (range // ${Math.ceil(count / files)})::INTEGER AS part, hash(range) % 1000000 AS customer,
  (hash(range + 1) % 50)::INTEGER AS quantity, ((hash(range + 2) % 1000000) / 100)::DECIMAL(12,2) AS price,
  (hash(range + 3) % 1000) / 1000 AS discount, DATE '2020-01-01' + (hash(range + 4) % 2000)::INTEGER AS ordered_on,
  make_timestamp((1600000000000000 + range * 1000000)::BIGINT) AS changed_at,
  ['open', 'paid', 'shipped', 'returned'][1 + (hash(range + 5) % 4)::INTEGER] AS status, hash(range + 6) % 2 = 0 AS flag
  FROM range(${count})`
const query = (from: string) => `SELECT count(*), sum(id), sum(customer), sum(quantity), sum(price), sum(discount),
  max(ordered_on), max(changed_at), min(status), count(*) FILTER (flag), max(part) FROM ${from}`

async function make(): Promise<void> {
  await createTable(context, table, {
    location: `${context.store.root}/bench/scan`,
    schema,
    spec,
    formatVersion: kind === 'vectors' ? 3 : 2,
    properties: { 'write.delete.mode': 'merge-on-read', 'write.target-file-size-bytes': String(2 ** 40) },
  })
  await append(context, table, { sql: rowsSql })
  if (kind === 'positions' || kind === 'vectors') await deleteRows(context, table, { filter: 'hash(id) % 100 = 0' })
  if (kind === 'equality')
    await upsertRows(context, table, {
      source: { sql: `SELECT * FROM (${rowsSql}) WHERE hash(id) % 100 = 0` },
      keys: ['id', 'part'],
      deleteWhen: 'true',
    })
}

if (process.argv.includes('make')) {
  await make()
} else {
  const duck = await bareDuckDb()
  const loaded = (await context.catalog.loadTables([table])).get(table)
  const pin = loaded && pinRef(loaded)
  if (!pin) throw new Error('make it first')
  let seen = ''
  const own = async () => {
    // Planned as by a process that has not seen the table.
    await using reading = await readPinned({ ...context, manifests: new ManifestReader(context.store) }, pin)
    await using session = await context.engine.session([reading.bound])
    const { rows } = await session.rows(query(table))
    seen = String(rows[0]?.[0])
  }
  await own()
  const reading = await readPinned(context, pin)
  const list = reading.scan.files.map((file) => `'${localFile(file.path)}'`).join(', ')
  await reading[Symbol.asyncDispose]()
  const peer = () => duck.run(query(`read_parquet([${list}])`))
  await peer()
  const times = await pair(5, own, peer)
  report({
    kind,
    rows: seen,
    files: reading.scan.files.length,
    columns: currentSchema(pin.metadata).fields.length,
    own_ms: round(times.own, 0),
    peer_ms: round(times.peer, 0),
    ratio: round(times.ratio, 3),
  })
  duck.close()
}
