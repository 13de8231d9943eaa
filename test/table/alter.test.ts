import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import type { Catalog, TableChange } from '../../packages/limn/src/iceberg/index.ts'
import {
  alterTable,
  append,
  createTable,
  loadTable,
  pinRef,
  readPinned,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

const a: TableId = tableId('silver.a')

async function numbers(context: TableContext, location: string) {
  await createTable(context, a, {
    location,
    schema: {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 'id', required: false, type: 'int' },
        { id: 2, name: 'name', required: false, type: 'string' },
      ],
    },
    spec: { specId: 0, fields: [] },
  })
  await append(context, a, { sql: "SELECT 1::INTEGER AS id, 'one' AS name" })
}

async function rows(context: TableContext, sql: string) {
  const pin = pinRef(await loadTable(context, a))
  if (!pin) throw new Error('no main')
  await using reading = await readPinned(context, pin)
  await using session = await context.engine.session([reading.bound])
  return (await session.rows(sql)).rows
}

describe('altering a table', () => {
  it('leaves old rows readable under every change of their columns, and touches no data file', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await numbers(context, `${made.store.root}/a`)
    const files = async () =>
      (await Array.fromAsync(made.store.list(made.store.root))).filter((one) => one.path.endsWith('.parquet'))
    const before = await files()
    await alterTable(context, a, [
      { kind: 'rename-column', column: 'name', to: 'label' },
      { kind: 'change-type', column: 'id', type: 'long' },
      { kind: 'add-column', name: 'name', type: 'string', position: { at: 'first' } },
      { kind: 'add-partition-field', column: 'label', transform: { kind: 'truncate', width: 1 } },
    ])
    expect(await files()).toEqual(before)
    await append(context, a, { sql: "SELECT 'new' AS name, 9999999999 AS id, 'two' AS label" })
    expect(await rows(context, 'SELECT name, id, label FROM silver.a ORDER BY id')).toEqual([
      [null, 1n, 'one'],
      ['new', 9999999999n, 'two'],
    ])
    await alterTable(context, a, [{ kind: 'drop-column', column: 'name' }])
    await alterTable(context, a, [{ kind: 'add-column', name: 'name', type: 'string' }])
    expect(await rows(context, 'SELECT name FROM silver.a')).toEqual([[null], [null]])
  })

  it('judges again when another commit came between, and loses neither', async () => {
    await using made = await temporaryTables()
    await numbers(made.context, `${made.store.root}/a`)
    const add = (name: string): TableChange => ({ kind: 'add-column', name, type: 'int' })
    let raced = false
    const { catalog } = made
    const racing: Catalog = {
      capabilities: catalog.capabilities,
      listTables: () => catalog.listTables(),
      registerTable: (table, location) => catalog.registerTable(table, location),
      loadTables: async (ids) => {
        const loaded = await catalog.loadTables(ids)
        if (!raced) {
          raced = true
          await alterTable(made.context, a, [add('theirs')])
        }
        return loaded
      },
      commit: (changes, options) => catalog.commit(changes, options),
    }
    const { loaded } = await alterTable({ ...made.context, catalog: racing }, a, [add('ours')])
    expect(loaded.metadata.schemas.at(-1)?.fields.map((one) => [one.id, one.name])).toEqual([
      [1, 'id'],
      [2, 'name'],
      [3, 'theirs'],
      [4, 'ours'],
    ])
  })

  it('commits nothing when the table is as wanted, and says when there is none', async () => {
    await using made = await temporaryTables()
    await numbers(made.context, `${made.store.root}/a`)
    const before = await loadTable(made.context, a)
    const { changed } = await alterTable(made.context, a, [{ kind: 'make-optional', column: 'id' }])
    expect([changed, (await loadTable(made.context, a)).metadataLocation]).toEqual([false, before.metadataLocation])
    await expect(alterTable(made.context, tableId('silver.none'), [])).rejects.toMatchObject({
      kind: 'usage/unknown-table',
    })
  })
})
