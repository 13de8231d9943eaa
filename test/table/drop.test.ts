import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import type { Catalog, TableNames } from '../../packages/limn/src/iceberg/index.ts'
import type { StorePath } from '../../packages/limn/src/storage/index.ts'
import {
  append,
  createTable,
  dropTable,
  renameTable,
  type TableContext,
  transaction,
} from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

const a = tableId('silver.a')

async function filled(context: TableContext): Promise<void> {
  await createTable(context, a, {
    location: `${context.store.root}/a`,
    schema: { schemaId: 0, identifierFieldIds: [], fields: [{ id: 1, name: 'id', required: false, type: 'int' }] },
    spec: { specId: 0, fields: [] },
  })
  await append(context, a, { sql: 'SELECT 1 AS id' })
}

async function paths(context: TableContext): Promise<readonly string[]> {
  const out: string[] = []
  for await (const one of context.store.list(context.store.root)) out.push(one.path)
  return out
}

/** A context in which something happens right before names change. */
function meeting(context: TableContext, before: () => Promise<void>): TableContext {
  const real = context.catalog.names
  if (!real) throw new Error('the catalog has no names')
  const names: TableNames = {
    drop: async (table: TableId, metadataLocation: StorePath) => {
      await before()
      return real.drop(table, metadataLocation)
    },
    rename: async (from: TableId, to: TableId) => {
      await before()
      return real.rename(from, to)
    },
  }
  const catalog: Catalog = new Proxy(context.catalog, {
    get(target, key) {
      if (key === 'names') return names
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  return { ...context, catalog }
}

describe('dropping a table', () => {
  it('begins anew when another commit came between, and then purges that commit’s files too', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await filled(context)
    let times = 0
    const racing = meeting(context, async () => {
      if (times++ === 0) await append(context, a, { sql: 'SELECT 2 AS id' })
    })
    const { deleted, left } = await dropTable(racing, a, { purge: true })
    expect([times, left, await paths(context)]).toEqual([2, [], []])
    expect(deleted.filter((path) => path.endsWith('.parquet')).length).toBe(2)
  })

  it('that dies between the catalog and the files leaves files without a table, never a table without files', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await filled(context)
    const before = await paths(context)
    const store = Object.assign(Object.create(context.store), {
      delete: async () => {
        throw new Error('killed')
      },
    })
    await expect(dropTable({ ...context, store }, a, { purge: true })).rejects.toThrow('killed')
    expect(await context.catalog.listTables()).toEqual([])
    expect(await paths(context)).toEqual(before)
  })

  it('does not purge the files of a table that is registered twice', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await filled(context)
    const database = new DatabaseSync(join(made.folder, 'catalog.db'))
    database.exec(
      "INSERT INTO iceberg_tables SELECT catalog_name, table_namespace, 'twin', metadata_location, NULL, iceberg_type FROM iceberg_tables",
    )
    database.close()
    await expect(dropTable(context, a, { purge: true })).rejects.toMatchObject({
      kind: 'table/unsafe-change',
      message: expect.stringMatching(/silver\.twin is the same table/),
    })
    expect((await dropTable(context, a)).deleted).toEqual([])
    expect(await context.catalog.listTables()).toEqual(['silver.twin'])
  })

  it('is refused within a transaction, where names stay', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await filled(context)
    await expect(transaction(context, (inner) => dropTable(inner, a))).rejects.toMatchObject({
      kind: 'iceberg/unsupported',
    })
    expect(await context.catalog.listTables()).toEqual([a])
  })
})

describe('renaming a table', () => {
  it('carries along what another commits meanwhile', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await filled(context)
    await renameTable(
      meeting(context, async () => {
        await append(context, a, { sql: 'SELECT 2 AS id' })
      }),
      a,
      tableId('silver.b'),
    )
    const loaded = (await context.catalog.loadTables([tableId('silver.b')])).get(tableId('silver.b'))
    expect(loaded?.metadata.snapshots.length).toBe(2)
  })
})
