import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import {
  append,
  createTable,
  overwrite,
  pinRef,
  pinSnapshot,
  readPinned,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

const id = tableId('silver.t')
const schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' as const },
    { id: 2, name: 'ts', required: false, type: 'timestamp' as const },
  ],
}
const spec = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: 'ts_day', transform: { kind: 'day' as const } }],
}
const rows = (...ids: number[]) =>
  `SELECT * FROM (VALUES ${ids.map((one) => `(${one}::BIGINT, TIMESTAMP '2026-01-01' + INTERVAL (${one}) HOUR)`).join(', ')}) v(id, ts)`

async function make(context: TableContext) {
  await createTable(context, id, { location: `${context.store.root}/silver/t`, schema, spec })
}

async function idsOf(context: TableContext, snapshotId?: bigint): Promise<readonly number[]> {
  const loaded = (await context.catalog.loadTables([id])).get(id)
  const pin = loaded && (snapshotId === undefined ? pinRef(loaded) : pinSnapshot(loaded, snapshotId))
  if (!pin) return []
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound])
  return (await session.rows(`SELECT id FROM ${id} ORDER BY id`)).rows.map((row) => Number(row[0]))
}

describe('direct writes to a table', () => {
  it('say which columns a query lacks, and that a table is there already', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await expect(append(made.context, id, { sql: 'SELECT 1 AS idd' })).rejects.toMatchObject({
      kind: 'source/schema',
      message: 'The query lacks columns of the table: id, ts.',
    })
    await expect(make(made.context)).rejects.toMatchObject({
      kind: 'catalog/conflict',
      message: 'silver.t exists already.',
    })
    expect(await idsOf(made.context)).toEqual([])
  })

  it('append rows as one snapshot, and the former ones stay readable', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    const first = await append(made.context, id, { sql: rows(1, 2) })
    const second = await append(made.context, id, { sql: rows(30) })
    expect(await idsOf(made.context)).toEqual([1, 2, 30])
    expect(await idsOf(made.context, first.snapshotId)).toEqual([1, 2])
    expect([first.added.length, second.added.length]).toEqual([1, 1])
  })

  it('overwrite what a filter matches: whole files go, others are rewritten, the rest stay as they are', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await append(made.context, id, { sql: rows(1, 2, 25, 26, 50) })
    const change = await overwrite(made.context, id, "id >= 2 AND ts < TIMESTAMP '2026-01-03'", { sql: rows(7) })
    expect(await idsOf(made.context)).toEqual([1, 7, 50])
    expect([change.removed.length, change.added.length]).toEqual([2, 2])
  })

  it('keep rows for which the filter is null', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await append(made.context, id, {
      sql: "SELECT NULL::BIGINT AS id, TIMESTAMP '2026-01-01' AS ts UNION ALL SELECT 5, TIMESTAMP '2026-01-01'",
    })
    await overwrite(made.context, id, 'id > 1', { sql: `${rows(1)} WHERE FALSE` })
    expect(await idsOf(made.context)).toEqual([0])
  })

  it('lose nothing when two writers append at once', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    const other = made.another()
    const context = { ...made.context, catalog: other }
    const results = await Promise.allSettled([
      ...[1, 2, 3].map((n) => append(made.context, id, { sql: rows(n) })),
      ...[4, 5, 6].map((n) => append(context, id, { sql: rows(n) })),
    ])
    const done = results.filter((one) => one.status === 'fulfilled').length
    expect((await idsOf(made.context)).length).toBe(done)
    expect(done).toBeGreaterThanOrEqual(4)
    for (const one of results)
      if (one.status === 'rejected') expect(one.reason).toMatchObject({ kind: 'catalog/conflict', retryable: true })
    other.close()
  })

  it('write a branch without moving main, and prune by partition and bounds', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await append(made.context, id, { sql: rows(1, 30, 60) })
    await append(made.context, id, { sql: rows(99) }, { branch: 'try' })
    expect(await idsOf(made.context)).toEqual([1, 30, 60])
    const loaded = (await made.context.catalog.loadTables([id])).get(id)
    const pin = loaded && pinRef(loaded, 'try')
    if (!pin) throw new Error('the branch is there')
    await using reading = await readPinned(made.context, pin, {
      predicate: { kind: 'compare', operator: 'ge', column: 'id', value: 60n },
    })
    expect([reading.scan.considered.files, reading.scan.pruned.files, reading.scan.read.files]).toEqual([4, 2, 2])
  })

  it('say so when the table is not there', async () => {
    await using made = await temporaryTables()
    await expect(append(made.context, id, { sql: rows(1) })).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    await make(made.context)
    await expect(make(made.context)).rejects.toMatchObject({ kind: 'catalog/conflict' })
  })
})
