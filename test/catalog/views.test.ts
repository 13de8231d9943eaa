import { readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { seededRandomness, tableId } from '../../packages/limn/src/base/index.ts'
import { SqliteCatalog } from '../../packages/limn/src/catalog/index.ts'
import {
  alterViewProperties,
  createView,
  currentViewVersion,
  dropView,
  findView,
  listViews,
  loadView,
  renameView,
  replaceView,
  rollbackView,
  type ViewDefinition,
  viewsOf,
} from '../../packages/limn/src/iceberg/index.ts'
import type { ObjectStore } from '../../packages/limn/src/storage/index.ts'
import { temporaryTables } from '../support/tables.ts'
import { create } from './suite.ts'

const v = tableId('silver.v')
const w = tableId('gold.w')
const at = { timestampMs: 1_000 }

const definition = (sql: string, more: Partial<ViewDefinition> = {}): ViewDefinition => ({
  schema: { schemaId: 0, identifierFieldIds: [], fields: [{ id: 1, name: 'x', required: false, type: 'int' }] },
  representations: [{ dialect: 'duckdb', sql }],
  ...more,
})

function file(location: string): string {
  return location.startsWith('file:') ? fileURLToPath(location) : location
}

describe('views of a SQLite catalog', () => {
  it('are made, loaded, listed by namespace, and seen by another process', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const loaded = await createView(context, v, definition('SELECT 1 AS x', { properties: { comment: 'one' } }))
    await createView(context, w, definition('SELECT 2 AS x'))
    expect(await listViews(context)).toEqual([w, v])
    expect(await listViews(context, { namespace: 'gold' })).toEqual([w])
    const other = made.another()
    expect(await loadView({ catalog: other }, v)).toEqual(loaded)
    expect(loaded.metadata.properties).toEqual({ comment: 'one' })
    expect(currentViewVersion(loaded.metadata)).toMatchObject({ defaultNamespace: ['silver'], defaultCatalog: null })
    other.close()
    expect(await made.catalog.listTables()).toEqual([])
    expect(await findView(context, 'silver.none')).toBeNull()
    for (const name of ['v', 'Silver.v', 'a.b.c', ''])
      await expect(loadView(context, name)).rejects.toMatchObject({ kind: 'usage/argument' })
    await expect(loadView(context, 'silver.vv')).rejects.toMatchObject({
      kind: 'usage/unknown-view',
      remedy: 'Did you mean silver.v?',
    })
  })

  it('stand in the rows that Java keeps views in', async () => {
    await using made = await temporaryTables()
    const { context, folder } = made
    const first = await createView(context, v, definition('SELECT 1 AS x'))
    const second = await replaceView(context, v, definition('SELECT 2 AS x'))
    const database = new DatabaseSync(`${folder}/catalog.db`)
    expect(database.prepare('SELECT * FROM iceberg_tables').all()).toMatchObject([
      {
        catalog_name: 'test',
        table_namespace: 'silver',
        table_name: 'v',
        metadata_location: second.metadataLocation,
        previous_metadata_location: first.metadataLocation,
        iceberg_type: 'VIEW',
      },
    ])
    database.close()
    expect(first.metadataLocation).toMatch(/\/metadata\/00000-[0-9a-f-]{36}\.metadata\.json$/)
    expect(second.metadataLocation).toMatch(/\/metadata\/00001-[0-9a-f-]{36}\.metadata\.json$/)
  })

  it('share their names with tables, in both directions', async () => {
    await using made = await temporaryTables()
    const { context, catalog, store } = made
    const t = tableId('silver.t')
    await catalog.commit([create(t, store.root)], at)
    await createView(context, v, definition('SELECT 1 AS x'))
    for (const attempt of [
      () => createView(context, t, definition('SELECT 1 AS x')),
      () => createView(context, v, definition('SELECT 1 AS x')),
      () => renameView(context, v, t),
      () => catalog.commit([create(v, store.root)], at),
    ])
      await expect(attempt()).rejects.toMatchObject({ kind: 'usage/table-exists' })
    expect((await catalog.loadTables([v])).get(v)).toBeNull()
    expect((await catalog.views.loadViews([t])).get(t)).toBeNull()
    expect(await dropView(context, t)).toBe(false)
    expect(await catalog.listTables()).toEqual([t])
    expect(await listViews(context)).toEqual([v])
  })

  it('keep both of two changes that meet, whoever comes first', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await createView(context, v, definition('SELECT 1 AS x'))
    const other = made.another()
    const writers = [context, { ...context, catalog: other, randomness: seededRandomness('other') }]
    await Promise.all(
      Array.from({ length: 12 }, (_one, i) => {
        const writer = writers[i % 2] ?? context
        return i < 6
          ? alterViewProperties(writer, v, { set: { [`p${i}`]: String(i) } })
          : replaceView(writer, v, definition(`SELECT ${i} AS x`))
      }),
    )
    const { metadata } = await loadView(context, v)
    expect(Object.keys(metadata.properties).sort()).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5'])
    const queries = metadata.versions.map((one) =>
      one.representations[0]?.type === 'sql' ? one.representations[0].sql : '',
    )
    expect(queries.sort()).toEqual(['1', '10', '11', '6', '7', '8', '9'].map((n) => `SELECT ${n} AS x`))
    expect(metadata.versions.map((one) => one.versionId)).toEqual([1, 2, 3, 4, 5, 6, 7])
    // A file that lost its race is taken away again.
    const names = readdirSync(dirname(file((await loadView(context, v)).metadataLocation)))
    expect(names.filter((name) => name.endsWith('.metadata.json'))).toHaveLength(13)
    other.close()
  })

  it('let one of two that make the same view win', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const other = made.another()
    const outcomes = await Promise.allSettled(
      [context, { ...context, catalog: other, randomness: seededRandomness('other') }].map((writer, i) =>
        createView(writer, v, definition(`SELECT ${i} AS x`)),
      ),
    )
    expect(outcomes.map((one) => one.status).sort()).toEqual(['fulfilled', 'rejected'])
    const lost = outcomes.find((one) => one.status === 'rejected')
    expect(lost?.status === 'rejected' && lost.reason).toMatchObject({ kind: 'usage/table-exists' })
    other.close()
  })

  it('are not changed in the place of another that took the name', async () => {
    await using made = await temporaryTables()
    const { context, catalog } = made
    const { metadata } = await createView(context, v, definition('SELECT 1 AS x'))
    await dropView(context, v)
    await createView(context, v, definition('SELECT 2 AS x'))
    const updates = [{ action: 'set-properties', updates: { a: '1' } } as const]
    const requirements = [{ type: 'assert-view-uuid', uuid: metadata.viewUuid } as const]
    expect(await catalog.views.commitView({ view: v, requirements, updates }, at)).toEqual({
      kind: 'conflict',
      requirement: requirements[0],
    })
  })

  it('are renamed and dropped by the pointer alone', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const first = await createView(context, v, definition('SELECT 1 AS x'))
    await renameView(context, v, w)
    expect(await findView(context, v)).toBeNull()
    expect(await loadView(context, w)).toEqual({ ...first, view: w })
    await expect(renameView(context, v, w)).rejects.toMatchObject({ kind: 'usage/unknown-view' })
    expect(await dropView(context, w)).toBe(true)
    expect(await dropView(context, w)).toBe(false)
    expect(await listViews(context)).toEqual([])
  })

  it('go back to a version they keep', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await createView(context, v, definition('SELECT 1 AS x'))
    await replaceView(context, v, definition('SELECT 2 AS x'))
    const { metadata } = await rollbackView(context, v, 1)
    expect(metadata.versionLog.map((one) => one.versionId)).toEqual([1, 2, 1])
    await expect(rollbackView(context, v, 7)).rejects.toMatchObject({
      kind: 'usage/argument',
      remedy: 'It keeps: 1, 2.',
    })
  })

  it('say which view is damaged, and where', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const { metadataLocation } = await createView(context, v, definition('SELECT 1 AS x'))
    writeFileSync(file(metadataLocation), '{"format-version": 1}')
    const other = made.another()
    await expect(loadView({ catalog: other }, v)).rejects.toMatchObject({
      kind: 'iceberg/invalid-metadata',
      message: "silver.v: The view's metadata is damaged: view-uuid is not text.",
      context: { view: v, metadataLocation },
    })
    other.close()
  })

  it('are as they were when their metadata cannot be written', async () => {
    await using made = await temporaryTables()
    const { context, folder, store } = made
    const before = await createView(context, v, definition('SELECT 1 AS x'))
    const full: ObjectStore = Object.assign(Object.create(store), {
      write: () => Promise.reject(new Error('the disk is full')),
    })
    const catalog = new SqliteCatalog({
      path: `${folder}/catalog.db`,
      name: 'test',
      store: full,
      randomness: seededRandomness('full'),
    })
    await expect(replaceView({ ...context, catalog }, v, definition('SELECT 2 AS x'))).rejects.toThrow('disk is full')
    catalog.close()
    expect(await loadView(context, v)).toEqual(before)
  })

  it('are refused by a catalog that holds none', () => {
    expect(() => viewsOf({})).toThrow('This catalog holds no views.')
  })
})
