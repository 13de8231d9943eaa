import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import {
  currentViewVersion,
  decodeViewMetadata,
  encodeViewMetadata,
  listViews,
  loadView,
  replaceView,
  schemaOfViewVersion,
  viewMetadataFromJson,
} from '../../packages/limn/src/iceberg/index.ts'
import { schemaToJson } from '../../packages/limn/src/schema/index.ts'
import { Peer, PeerError, peersPresent } from '../support/peers.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

interface Seen {
  readonly json: string
  readonly uuid: string
  readonly version: number
  readonly namespace: string
  readonly sql?: string
}

const v = tableId('a.v')

describe.runIf(peersPresent('java'))('Views that limn and the reference implementation share', () => {
  let java: Peer

  beforeAll(() => {
    java = new Peer('java')
  })
  afterAll(() => java[Symbol.asyncDispose]())

  async function lab() {
    const made = await temporaryTables({ seed: 'views' })
    const { context, folder } = made
    const ran = runner(context)
    await ran.run(
      'CREATE TABLE a.t (id BIGINT, name STRING, price DECIMAL(9, 2), at TIMESTAMPTZ, tags ARRAY<STRING>, p STRUCT<x: DOUBLE>, m MAP<STRING, DATE>)',
    )
    await ran.run(
      "INSERT INTO a.t VALUES (1, 'one', 1.5, '2026-01-01 00:00:00+00', ['a'], {x: 0.5}, map {'k': DATE '2026-01-02'}), (2, 'two', 2.5, NULL, NULL, NULL, NULL)",
    )
    const catalog = { db: `${folder}/catalog.db`, name: 'test', warehouse: `${folder}/warehouse` }
    const ask = <T = Seen>(op: string, more: object = {}) => java.ask<T>({ op, catalog, ...more })
    return { ...made, ...ran, ask }
  }

  it('is read by Java as limn wrote it, columns of every kind, versions and properties', async () => {
    await using made = await lab()
    const { run, context, ask } = made
    await run(
      "CREATE VIEW a.v (id COMMENT 'a number', name, price, at, tags, p, m, n) COMMENT 'all' TBLPROPERTIES ('x' = 'ü') AS SELECT *, 1 FROM t",
    )
    await run('CREATE OR REPLACE VIEW a.v AS SELECT id, name FROM `t` WHERE id > 1')
    await run("ALTER VIEW a.v SET TBLPROPERTIES ('y' = '2')")
    const loaded = await loadView(context, v)
    const seen = await ask('readView', { view: 'a.v' })
    expect(seen).toMatchObject({
      uuid: loaded.metadata.viewUuid,
      version: 2,
      namespace: 'a',
      sql: 'SELECT id, name FROM "t" WHERE id > 1',
    })
    // What Java writes down again, limn reads as the same view.
    expect(viewMetadataFromJson(JSON.parse(seen.json))).toEqual(loaded.metadata)
    expect(await ask('listViews')).toEqual({ views: ['a.v'] })
    expect(await ask('list')).toEqual({ tables: ['a.t'] })
  })

  it('is read by limn as Java wrote it, and its rows where it has the dialect of DuckDB', async () => {
    await using made = await lab()
    const { rows, context, ask } = made
    const schema = {
      type: 'struct',
      'schema-id': 0,
      fields: [
        { id: 1, name: 'number', required: false, type: 'long', doc: 'a number' },
        { id: 2, name: 'label', required: false, type: 'string' },
      ],
    }
    const spark = 'SELECT id, concat(name, "!") FROM t'
    await ask('writeView', {
      view: 'a.v',
      action: 'create',
      schema,
      namespace: 'a',
      properties: { comment: 'from Java' },
      queries: { spark },
    })
    await expect(rows('SELECT * FROM a.v')).rejects.toMatchObject({
      kind: 'iceberg/unsupported',
      message: 'In the view a.v: The view a.v is defined in spark; limn reads duckdb.',
    })
    const queries = { spark, duckdb: "SELECT id, name || '!' FROM t" }
    const seen = await ask('writeView', { view: 'a.v', action: 'replace', schema, namespace: 'a', queries })
    const { metadata, metadataLocation } = await loadView(context, v)
    expect(metadata).toEqual(viewMetadataFromJson(JSON.parse(seen.json)))
    expect(schemaToJson(schemaOfViewVersion(metadata, currentViewVersion(metadata)))).toEqual(schema)
    expect(metadata.properties).toEqual({ comment: 'from Java' })
    expect(await rows('SELECT number, v.label FROM a.v ORDER BY number DESC')).toEqual([
      [2n, 'two!'],
      [1n, 'one!'],
    ])
    const bytes = readFileSync(
      metadataLocation.startsWith('file:') ? fileURLToPath(metadataLocation) : metadataLocation,
    )
    expect(decodeViewMetadata(bytes)).toEqual(metadata)
    const { json } = await ask('parseView', { json: Buffer.from(encodeViewMetadata(metadata)).toString() })
    expect(JSON.parse(json)).toEqual(JSON.parse(seen.json))
  })

  it('is changed by both in turn: each goes on from where the other left it', async () => {
    await using made = await lab()
    const { run, rows, context, ask } = made
    await run('CREATE VIEW a.v AS SELECT id FROM t')
    const { metadata } = await loadView(context, v)
    const [schema] = metadata.schemas
    if (!schema) throw new Error('a schema is there')
    const queries = { duckdb: 'SELECT id + 10 AS id FROM t', trino: 'SELECT id + 10 AS id FROM t' }
    await ask('writeView', { view: 'a.v', action: 'replace', schema: schemaToJson(schema), namespace: 'a', queries })
    // limn heeds the dialects that Java added, as Java heeds limn's.
    await expect(run('CREATE OR REPLACE VIEW a.v AS SELECT id FROM t')).rejects.toMatchObject({
      kind: 'table/unsafe-change',
    })
    expect(await rows('SELECT max(id) FROM a.v')).toEqual([[12n]])
    const both = [
      { dialect: 'duckdb', sql: 'SELECT id + 20 AS id FROM t' },
      { dialect: 'trino', sql: 'SELECT id + 20 AS id FROM t' },
    ]
    await replaceView(context, v, { schema, representations: both })
    const lost = {
      view: 'a.v',
      action: 'replace',
      schema: schemaToJson(schema),
      namespace: 'a',
      queries: { spark: 'x' },
    }
    await expect(ask('writeView', lost)).rejects.toThrow(PeerError)
    await ask('alterView', { view: 'a.v', set: { 'version.history.num-entries': '2' } })
    await replaceView(context, v, { schema, representations: both.map((one) => ({ ...one, sql: 'SELECT 7 AS id' })) })
    const after = await loadView(context, v)
    expect(after.metadata.versions.map((one) => one.versionId)).toEqual([3, 4])
    const seen = await ask('readView', { view: 'a.v' })
    expect(viewMetadataFromJson(JSON.parse(seen.json))).toEqual(after.metadata)
    expect(seen.uuid).toBe(metadata.viewUuid)
    expect(await ask('alterView', { view: 'a.v', to: 'a.w' })).toEqual({ views: ['a.w'] })
    expect(await listViews(context)).toEqual(['a.w'])
    await run('ALTER VIEW a.w RENAME TO b.u')
    expect(await ask('listViews')).toEqual({ views: ['b.u'] })
    await run('DROP VIEW b.u')
    expect(await ask('listViews')).toEqual({ views: [] })
  })

  it('keeps the versions that Java keeps, after any number of changes', async () => {
    await using made = await lab()
    const { run, context, ask } = made
    const schema = { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'x', required: false, type: 'int' }] }
    const query = (i: number) => `SELECT ${i % 5} AS x`
    await run(`CREATE VIEW a.l TBLPROPERTIES ('version.history.num-entries' = '3') AS ${query(0)}`)
    const properties = { 'version.history.num-entries': '3' }
    const write = (i: number, action: string) =>
      ask('writeView', { view: 'a.j', action, schema, namespace: 'a', properties, queries: { duckdb: query(i) } })
    await write(0, 'create')
    const shape = async (view: string) => {
      const { metadata } = await loadView(context, tableId(view))
      return {
        current: metadata.currentVersionId,
        log: metadata.versionLog.map((one) => one.versionId),
        versions: new Map(
          metadata.versions.map((one) => [
            one.versionId,
            one.representations.map((r) => (r.type === 'sql' ? r.sql : r)),
          ]),
        ),
      }
    }
    for (const i of [1, 2, 1, 1, 3, 4, 5, 0, 7, 6, 8, 9, 9, 3]) {
      await run(`CREATE OR REPLACE VIEW a.l AS ${query(i)}`)
      await write(i, 'replace')
      expect(await shape('a.l')).toEqual(await shape('a.j'))
    }
  })
})
