import { describe, expect, it } from 'vitest'
import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { type Catalog, createTableUpdates, type TableCommit } from '../../packages/limn/src/iceberg/index.ts'

export const a: TableId = tableId('silver.a')
export const b: TableId = tableId('silver.b')

export function create(table: TableId, location: string): TableCommit {
  const schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: [{ id: 1, name: 'id', required: false, type: 'long' as const }],
  }
  return {
    table,
    requirements: [{ type: 'assert-create' }],
    updates: createTableUpdates({
      tableUuid: `uuid-${table}`,
      location: `${location}/${table}`,
      schema,
      spec: { specId: 0, fields: [] },
      properties: {},
    }),
  }
}

export const setProperty = (table: TableId, key: string, value: string): TableCommit => ({
  table,
  requirements: [],
  updates: [{ action: 'set-properties', updates: { [key]: value } }],
})

/** What every catalog must do, whichever way it keeps its pointers. */
export function catalogSuite(
  name: string,
  open: () => Promise<AsyncDisposable & { readonly catalog: Catalog; readonly location: string }>,
): void {
  describe(name, () => {
    const at = { timestampMs: 1_000 }

    it('makes, loads and lists tables; one that is not there is null', async () => {
      await using made = await open()
      expect((await made.catalog.loadTables([a])).get(a)).toBeNull()
      expect((await made.catalog.commit([create(a, made.location)], at)).kind).toBe('committed')
      expect((await made.catalog.loadTables([a, b])).get(a)?.metadata.tableUuid).toBe('uuid-silver.a')
      expect(await made.catalog.listTables()).toEqual([a])
    })

    it('makes no table where a view has the name', async () => {
      await using made = await open()
      const { catalog, location } = made
      const version = {
        versionId: 1,
        schemaId: -1,
        timestampMs: 1,
        summary: {},
        representations: [{ type: 'sql', sql: 'SELECT 1 AS x', dialect: 'duckdb' }],
        defaultCatalog: null,
        defaultNamespace: ['silver'],
      } as const
      const schema = { schemaId: 0, identifierFieldIds: [], fields: [] }
      const outcome = await catalog.views?.commitView(
        {
          view: a,
          requirements: [{ type: 'assert-create' }],
          updates: [
            { action: 'assign-uuid', uuid: 'v' },
            { action: 'set-location', location: `${location}/v` },
            { action: 'add-schema', schema },
            { action: 'add-view-version', version },
            { action: 'set-current-view-version', versionId: -1 },
          ],
        },
        at,
      )
      expect(outcome?.kind).toBe('committed')
      await expect(catalog.commit([create(a, location)], at)).rejects.toMatchObject({ kind: 'usage/table-exists' })
      expect((await catalog.loadTables([a])).get(a)).toBeNull()
      expect(await catalog.listTables()).toEqual([])
    })

    it('names the requirement that failed and changes nothing', async () => {
      await using made = await open()
      await made.catalog.commit([create(a, made.location)], at)
      expect(await made.catalog.commit([create(a, made.location)], at)).toMatchObject({
        kind: 'conflict',
        table: a,
        requirement: { type: 'assert-create' },
      })
      const wrong = {
        ...setProperty(a, 'x', '1'),
        requirements: [{ type: 'assert-table-uuid' as const, uuid: 'other' }],
      }
      expect(await made.catalog.commit([wrong], at)).toMatchObject({
        kind: 'conflict',
        requirement: { type: 'assert-table-uuid' },
      })
      expect((await made.catalog.loadTables([a])).get(a)?.metadata.properties).toEqual({})
    })

    it('remembers the former metadata file', async () => {
      await using made = await open()
      await made.catalog.commit([create(a, made.location)], at)
      const before = (await made.catalog.loadTables([a])).get(a)
      await made.catalog.commit([setProperty(a, 'x', '1')], at)
      const after = (await made.catalog.loadTables([a])).get(a)
      expect(after?.metadata.metadataLog.map((entry) => entry.metadataFile)).toEqual([before?.metadataLocation])
    })
  })
}
