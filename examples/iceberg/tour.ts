/**
 * Iceberg tables without a project: `limn/iceberg` from Node. Run it from the root of a clone with `npm run tour`, or
 * anywhere after `npm install limn`: `node tour.ts FOLDER`. Every table it leaves can be read by any Iceberg engine.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  alterRefs,
  alterTable,
  append,
  createTable,
  expireSnapshots,
  healthOf,
  mergeRows,
  openIceberg,
  pinRef,
  readChanges,
  rewriteDataFiles,
  tableId,
  transaction,
  upsertRows,
} from 'limn/iceberg'

const folder = process.argv[2] ?? mkdtempSync(join(tmpdir(), 'limn-tour-'))
await using tables = await openIceberg({ warehouse: folder })
const orders = tableId('shop.orders')

// A table: columns by id, hidden partitioning, deletes as deletion vectors (format version 3).
await createTable(tables, orders, {
  location: `${tables.store.root}/shop/orders`,
  formatVersion: 3,
  schema: {
    schemaId: 0,
    identifierFieldIds: [1],
    fields: [
      { id: 1, name: 'id', required: true, type: 'long' },
      { id: 2, name: 'ordered_at', required: false, type: 'timestamp' },
      { id: 3, name: 'amount', required: false, type: 'decimal(10,2)' },
    ],
  },
  spec: { specId: 0, fields: [{ sourceId: 2, fieldId: 1000, name: 'day', transform: { kind: 'day' } }] },
  properties: { 'write.merge.mode': 'merge-on-read' },
})
const rows = (from: number, to: number) =>
  `SELECT range AS id, TIMESTAMP '2026-01-01' + to_hours(range::INTEGER) AS ordered_at, (range * 1.25)::DECIMAL(10,2) AS amount
   FROM range(${from}, ${to})`
const first = await append(tables, orders, { sql: rows(0, 100) })
console.log(`appended ${first.inserted} rows in ${first.added.length} files`)

// MERGE, and what it changed.
const merged = await mergeRows(tables, orders, {
  source: { sql: rows(90, 110) },
  on: 'target.id = source.id',
  clauses: [
    { when: 'matched', and: 'source.id % 2 = 0', action: { kind: 'delete' } },
    { when: 'matched', action: { kind: 'update', set: { amount: 'target.amount + source.amount' } } },
    { when: 'notMatched', action: { kind: 'insertAll' } },
  ],
})
console.log(`merged: ${merged.inserted} inserted, ${merged.updated} updated, ${merged.deleted} deleted`)

// The rows that changed since the first snapshot, with images before and after.
const loaded = (await tables.catalog.loadTables([orders])).get(orders)
const pin = loaded && pinRef(loaded)
if (!pin) throw new Error('the table is there')
{
  await using changes = await readChanges(tables, pin, { from: first.snapshotId })
  await using session = await tables.engine.session(changes.bound)
  const { rows: counts } = await session.rows(
    `SELECT _change_type, count(*) FROM (${changes.sql}) GROUP BY ALL ORDER BY ALL`,
  )
  for (const [type, count] of counts) console.log(`${type}: ${count}`)
}

// Columns and partitioning change by metadata alone; rows written before stay readable.
await alterTable(tables, orders, [
  { kind: 'add-column', name: 'currency', type: 'string', default: 'EUR' },
  { kind: 'rename-column', column: 'amount', to: 'total' },
])

// Write on a branch, look, publish.
await alterRefs(tables, orders, [{ kind: 'create-branch', name: 'audit' }])
await append(
  tables,
  orders,
  { sql: rows(200, 210).replace('AS amount', "AS total, 'USD' AS currency") },
  { branch: 'audit' },
)
const seen = await tables.query('SELECT count(*) FROM shop.orders.branch_audit')
console.log(`on the branch: ${seen.rows[0]?.[0]} rows`)
await alterRefs(tables, orders, [{ kind: 'fast-forward', branch: 'main', to: 'audit' }])

// Several tables in one commit.
const totals = tableId('shop.totals')
await transaction(tables, async (inside) => {
  await createTable(inside, totals, {
    location: `${tables.store.root}/shop/totals`,
    schema: {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 'currency', required: false, type: 'string' },
        { id: 2, name: 'orders', required: false, type: 'long' },
      ],
    },
    spec: { specId: 0, fields: [] },
  })
  await append(inside, totals, { sql: "SELECT 'EUR' AS currency, 0::BIGINT AS orders" })
  await upsertRows(inside, totals, {
    source: { sql: "SELECT * FROM (VALUES ('EUR', 100), ('USD', 10)) AS t(currency, orders)" },
    keys: ['currency'],
  })
})

// SQL for everything else.
console.log(await tables.sql("DELETE FROM shop.orders WHERE ordered_at < TIMESTAMP '2026-01-02'"))
for (const row of (await tables.query('SELECT * FROM shop.totals ORDER BY currency')).rows) console.log(row.join(' '))

// Maintenance.
const health = await healthOf(tables, orders)
console.log(`${health.files.count} files, ${health.deletes.vectors} deletion vectors`)
for (const finding of health.findings) console.log(`${finding.severity}: ${finding.message}`)
const packed = await rewriteDataFiles(tables, orders, { minInputFiles: 2 })
console.log(`${packed.removed.files} files became ${packed.added.files}`)
const expired = await expireSnapshots(tables, orders, { maxSnapshotAgeMs: 0 })
console.log(`${expired.plan.expired.length} snapshots expired`)
