import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import type { Schema } from '../../packages/limn/src/schema/index.ts'
import {
  append,
  createTable,
  deleteRows,
  pinRef,
  readPinned,
  type TableContext,
  upsertRows,
} from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

const table = tableId('test.many')
const rowsPerFile = 20_001
const files = 3

const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' },
    { id: 2, name: 'part', required: false, type: 'int' },
  ],
}

/** Three files of a partition; the last one is a little longer, so that its bits are too. */
async function makeTable(context: TableContext, formatVersion: 2 | 3, rowsEach = rowsPerFile): Promise<void> {
  await createTable(context, table, {
    location: `${context.store.root}/test/many`,
    schema,
    spec: {
      specId: 0,
      fields: [{ sourceId: 2, fieldId: 1000, name: 'part', transform: { kind: 'identity' } }],
    },
    formatVersion,
    properties: { 'write.delete.mode': 'merge-on-read', 'write.delete.granularity': 'partition' },
  })
  for (let i = 0; i < files; i++) {
    const from = i * rowsEach
    const to = from + rowsEach + (i === files - 1 ? 5 : 0)
    await append(context, table, { sql: `SELECT range AS id, 7 AS part FROM range(${from}, ${to})` })
  }
}

async function idsOf(context: TableContext): Promise<{ readonly ids: readonly number[]; readonly sql: string }> {
  const loaded = (await context.catalog.loadTables([table])).get(table)
  const pin = loaded && pinRef(loaded)
  if (!pin) throw new Error('no table')
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound])
  const { rows } = await session.rows(`SELECT id FROM ${table} ORDER BY id`)
  const { rows: views } = await session.rows(
    `SELECT sql FROM duckdb_views() WHERE view_name = 'many' AND schema_name = 'test'`,
  )
  return { ids: rows.map(([id]) => Number(id)), sql: String(views[0]?.[0]) }
}

const all = Array.from({ length: files * rowsPerFile + 5 }, (_none, id) => id)

describe('rows of which many are deleted by position', () => {
  for (const formatVersion of [2, 3] as const) {
    it(`are told by a bit each (format ${formatVersion}), also in a file that lost none, and at both ends of one`, async () => {
      await using tables = await temporaryTables()
      const { context } = tables
      await makeTable(context, formatVersion)
      const last = all.length - 1
      const gone = (id: number) =>
        (id < rowsPerFile || id >= 2 * rowsPerFile) && (id % 3 === 0 || id === last || id === rowsPerFile - 1)
      await deleteRows(context, table, {
        filter: `(id < ${rowsPerFile} OR id >= ${2 * rowsPerFile}) AND (id % 3 = 0 OR id = ${last} OR id = ${rowsPerFile - 1})`,
      })
      const read = await idsOf(context)
      expect(read.sql).toContain('get_bit')
      expect(read.ids).toEqual(all.filter((id) => !gone(id)))
    })
  }

  it('are told by a bit each, made from their numbers, where they are a few in a hundred', async () => {
    await using tables = await temporaryTables()
    const { context } = tables
    const rowsEach = 100_001
    await makeTable(context, 2, rowsEach)
    const count = files * rowsEach + 5
    const gone = (id: number) => id % 20 === 7 || id === rowsEach - 1 || id === rowsEach || id === count - 1
    await deleteRows(context, table, {
      filter: `id % 20 = 7 OR id IN (${rowsEach - 1}, ${rowsEach}, ${count - 1})`,
    })
    const read = await idsOf(context)
    expect(read.sql).toContain('bitstring_agg')
    expect(read.ids).toEqual(Array.from({ length: count }, (_none, id) => id).filter((id) => !gone(id)))
  })

  it('are joined one by one where they are few', async () => {
    await using tables = await temporaryTables()
    const { context } = tables
    await makeTable(context, 3)
    await deleteRows(context, table, { filter: 'id % 100 = 0' })
    const read = await idsOf(context)
    expect(read.sql).not.toContain('get_bit')
    expect(read.ids).toEqual(all.filter((id) => id % 100 !== 0))
  })
})

describe('equality deletes whose key tells the partition', () => {
  it('are compared by key alone, and reach only rows that were there before', async () => {
    await using tables = await temporaryTables()
    const { context } = tables
    await makeTable(context, 2)
    await append(context, table, { sql: 'SELECT 1 AS id, 8 AS part' })
    const upsert = (sql: string) =>
      upsertRows(context, table, { source: { sql }, keys: ['id', 'part'], deleteWhen: 'id = 2' })
    await upsert('SELECT unnest([1, 2, 3])::BIGINT AS id, 7 AS part')
    await upsert('SELECT unnest([2, 3])::BIGINT AS id, 7 AS part')
    const read = await idsOf(context)
    expect(read.sql).not.toContain('scope')
    expect(read.ids).toEqual([0, 1, 1, ...all.slice(3)])
  })
})
