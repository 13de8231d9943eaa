import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { currentSchema, specById, transformToText } from '../../packages/limn/src/iceberg/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

async function lab() {
  const made = await temporaryTables()
  const load = async (name = 'a.t') => {
    const loaded = (await made.context.catalog.loadTables([tableId(name)])).get(tableId(name))
    if (!loaded) throw new Error(`${name} is there`)
    return loaded.metadata
  }
  return { ...made, ...runner(made.context), load }
}

describe('CREATE TABLE', () => {
  it('makes columns of every type with ids, partitions, properties and a comment', async () => {
    await using made = await lab()
    const created = await made.run(
      `
      CREATE TABLE a.t (
        id BIGINT NOT NULL COMMENT 'the id', "Name" STRING, price DECIMAL(10, 2), at TIMESTAMPTZ, local TIMESTAMP, k FIXED(16),
        p STRUCT<x: DOUBLE NOT NULL, tags: ARRAY<STRING>>, m MAP<STRING, INT>)
      USING iceberg PARTITIONED BY (months(at), bucket(8, id), truncate(name, 3), days(local))
      COMMENT 'all of it' TBLPROPERTIES ('format-version' = '3', write.parquet.compression-codec 'zstd')`.replace(
        "write.parquet.compression-codec 'zstd'",
        "'write.parquet.compression-codec' 'zstd'",
      ),
    )
    expect(created).toEqual({ kind: 'altered', change: 'created', of: 'table', name: 'a.t', snapshotId: null })
    const metadata = await made.load()
    expect(metadata.formatVersion).toBe(3)
    expect(currentSchema(metadata).fields).toMatchObject([
      { id: 1, name: 'id', type: 'long', required: true, doc: 'the id' },
      { id: 2, name: 'Name', type: 'string', required: false },
      { id: 3, name: 'price', type: 'decimal(10,2)' },
      { id: 4, name: 'at', type: 'timestamptz' },
      { id: 5, name: 'local', type: 'timestamp' },
      { id: 6, name: 'k', type: 'fixed[16]' },
      { id: 7, name: 'p', type: { type: 'struct', fields: [{ id: 9, name: 'x', required: true }, { id: 10 }] } },
      { id: 8, name: 'm', type: { type: 'map', keyId: 12, valueId: 13 } },
    ])
    expect(
      specById(metadata, metadata.defaultSpecId).fields.map((field) => [
        field.name,
        field.sourceId,
        transformToText(field.transform),
      ]),
    ).toEqual([
      ['at_month', 4, 'month'],
      ['id_bucket_8', 1, 'bucket[8]'],
      ['Name_trunc_3', 2, 'truncate[3]'],
      ['local_day', 5, 'day'],
    ])
    expect(metadata.properties).toMatchObject({ comment: 'all of it', 'write.parquet.compression-codec': 'zstd' })
  })

  it('reads back what SHOW CREATE TABLE says as the same table', async () => {
    await using made = await lab()
    await made.run(
      "CREATE TABLE a.t (id BIGINT NOT NULL, p STRUCT<\"a b\": INT, t: TIMESTAMPTZ> COMMENT 'it''s') PARTITIONED BY (bucket(4, id)) TBLPROPERTIES ('x' = 'y')",
    )
    const [[text] = []] = await made.rows('SHOW CREATE TABLE a.t')
    const again = String(text)
      .replace('a.t', 'a.u')
      .replace(/LOCATION '[^']*'/, '')
    await made.run(again)
    const [t, u] = [await made.load('a.t'), await made.load('a.u')]
    expect(u.schemas).toEqual(t.schemas)
    expect(u.partitionSpecs).toEqual(t.partitionSpecs)
    expect(u.properties).toEqual(t.properties)
    expect(u.location).not.toBe(t.location)
  })

  it('gives a column its default in rows that do not say, from format version 3', async () => {
    await using made = await lab()
    await made.run(
      "CREATE TABLE a.t (id BIGINT, v STRING DEFAULT 'a' || 'b', n DECIMAL(5, 2) DEFAULT 1.5) TBLPROPERTIES ('format-version' = '3')",
    )
    await made.run('INSERT INTO a.t (id) VALUES (1)')
    await made.run('INSERT INTO a.t (id, v) VALUES (2, NULL)')
    expect(await made.rows('SELECT id, v, n FROM a.t ORDER BY id')).toEqual([
      [1n, 'ab', '1.50'],
      [2n, null, '1.50'],
    ])
  })

  it.each([
    ['CREATE TABLE a.t (x INT DEFAULT 1)', 'schema/invalid-change', 'format version 3'],
    ['CREATE TABLE a.t (x VARIANT)', 'schema/invalid-change', 'format version 3'],
    ['CREATE TABLE a.t (x INT) PARTITIONED BY (y)', 'schema/invalid-change', 'There is no column y'],
    ['CREATE TABLE a.t (x INT) PARTITIONED BY (days(x))', 'schema/invalid-change', 'x'],
    ["CREATE TABLE a.t (x INT) TBLPROPERTIES ('format-version' = '9')", 'usage/argument', 'format version 9'],
    [
      "CREATE TABLE a.t (x INT DEFAULT 'a') TBLPROPERTIES ('format-version' = '3')",
      'sql/invalid',
      'Line 1, column 33: the default value cannot be worked out',
    ],
    ['CREATE TABLE a.b.c (x INT)', 'usage/unknown-table', 'There is no table a.b.c'],
    ['CREATE TABLE "A b".t (x INT)', 'usage/unknown-table', 'names no table'],
    ['REPLACE TABLE a.t (x INT)', 'usage/unknown-table', 'There is no table a.t to replace'],
  ])('refuses %s', async (sql, kind, message) => {
    await using made = await lab()
    await expect(made.run(sql)).rejects.toMatchObject({ kind, message: expect.stringContaining(message) })
    expect(await made.context.catalog.listTables()).toEqual([])
  })

  it('leaves a table that is there as it is', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (x INT)')
    expect(await made.run('CREATE TABLE IF NOT EXISTS a.t (y INT)')).toMatchObject({ change: 'unchanged' })
    await expect(made.run('CREATE TABLE a.t (y INT)')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    expect(currentSchema(await made.load()).fields.map((field) => field.name)).toEqual(['x'])
  })
})

describe('ALTER TABLE', () => {
  it('changes columns at every depth, and rows written before stay readable', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id INT, name STRING)')
    await made.run("INSERT INTO a.t VALUES (1, 'one')")
    await made.run("ALTER TABLE a.t ADD COLUMNS (size INT COMMENT 'in cm' FIRST, p STRUCT<x: INT> AFTER id)")
    await made.run('ALTER TABLE a.t ADD COLUMN p.y BIGINT')
    await made.run('ALTER TABLE a.t ALTER COLUMN ID TYPE BIGINT')
    await made.run('ALTER TABLE a.t RENAME COLUMN Name TO title')
    await made.run("ALTER TABLE a.t ALTER COLUMN title COMMENT 'what it is'")
    await made.run('ALTER TABLE a.t ALTER COLUMN title AFTER size')
    await made.run('ALTER TABLE a.t DROP COLUMN IF EXISTS (nope, p.x)')
    const { fields } = currentSchema(await made.load())
    expect(fields.map((field) => [field.id, field.name, field.doc])).toEqual([
      [3, 'size', 'in cm'],
      [2, 'title', 'what it is'],
      [1, 'id', undefined],
      [4, 'p', undefined],
    ])
    expect(fields[3]?.type).toMatchObject({ type: 'struct', fields: [{ id: 6, name: 'y', type: 'long' }] })
    await made.run('ALTER TABLE a.t DROP COLUMN p')
    expect(await made.rows('SELECT size, title, id FROM a.t')).toEqual([[null, 'one', 1n]])
    expect(await made.rows('DESCRIBE a.t')).toEqual([
      ['size', 'INT', false, null, 'in cm'],
      ['title', 'STRING', false, null, 'what it is'],
      ['id', 'BIGINT', false, null, null],
    ])
  })

  it.each([
    ["'write.delete.mode' = 'sometimes'", /write\.delete\.mode is "sometimes"/],
    ["'write.merge.isolation-level' = 'strict'", /isolation-level is "strict"/],
    ["'write.target-file-size-bytes' = 'huge'", /target-file-size-bytes is "huge"/],
    ["'write.parquet.compression-codec' = 'zip'", /compression-codec is "zip"/],
    ["'gc.enabled' = 'flase'", /gc.enabled is "flase"/],
    ["'history.expire.max-snapshot-age-ms' = 'soon'", /max-snapshot-age-ms is "soon"/],
  ])('sets no property that writers could not make sense of: %s', async (property, message) => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id INT)')
    const refused = { kind: 'usage/argument', message: expect.stringMatching(message) }
    await expect(made.run(`ALTER TABLE a.t SET TBLPROPERTIES (${property})`)).rejects.toMatchObject(refused)
    await expect(made.run(`CREATE TABLE a.u (id INT) TBLPROPERTIES (${property})`)).rejects.toMatchObject(refused)
    await made.run('INSERT INTO a.t VALUES (1)')
  })

  it('changes partitioning, order, identifier fields, properties, place and format version', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT NOT NULL, at TIMESTAMP, kind STRING NOT NULL)')
    await made.run('ALTER TABLE a.t ADD PARTITION FIELD bucket(8, id) AS shard')
    await made.run('ALTER TABLE a.t ADD PARTITION FIELD days(at)')
    await made.run('ALTER TABLE a.t ADD PARTITION FIELD kind')
    await made.run('ALTER TABLE a.t REPLACE PARTITION FIELD at_day WITH hours(at)')
    await made.run('ALTER TABLE a.t DROP PARTITION FIELD shard')
    await made.run('ALTER TABLE a.t DROP PARTITION FIELD identity(kind)')
    await made.run('ALTER TABLE a.t WRITE DISTRIBUTED BY PARTITION ORDERED BY kind DESC, bucket(4, id)')
    await made.run('ALTER TABLE a.t SET IDENTIFIER FIELDS id, kind')
    await made.run('ALTER TABLE a.t DROP IDENTIFIER FIELDS kind')
    await made.run("ALTER TABLE a.t SET TBLPROPERTIES ('a' = '1', 'b' = '2', 'format-version' = '3')")
    await made.run("ALTER TABLE a.t UNSET TBLPROPERTIES ('b')")
    const location = `${made.store.root}/elsewhere`
    await made.run(`ALTER TABLE a.t SET LOCATION '${location}'`)
    const metadata = await made.load()
    expect(specById(metadata, metadata.defaultSpecId).fields.map((field) => field.name)).toEqual(['at_hour'])
    expect(metadata.sortOrders.find((one) => one.orderId === metadata.defaultSortOrderId)?.fields).toEqual([
      { sourceId: 3, transform: { kind: 'identity' }, direction: 'desc', nullOrder: 'nulls-last' },
      { sourceId: 1, transform: { kind: 'bucket', count: 4 }, direction: 'asc', nullOrder: 'nulls-first' },
    ])
    expect(currentSchema(metadata).identifierFieldIds).toEqual([1])
    expect(metadata.properties).toEqual({ a: '1', 'write.distribution-mode': 'hash' })
    expect([metadata.location, metadata.formatVersion]).toEqual([location, 3])
    expect(await made.run('ALTER TABLE a.t WRITE UNORDERED')).toMatchObject({ change: 'altered' })
    expect(await made.run("ALTER TABLE a.t SET TBLPROPERTIES ('a' = '1')")).toMatchObject({ change: 'unchanged' })
  })

  it.each([
    ['ADD COLUMN x INT NOT NULL', 'schema/unsafe-change'],
    ['ALTER COLUMN id TYPE INT', 'schema/unsafe-change'],
    ['ALTER COLUMN p TYPE STRUCT<x: BIGINT>', 'schema/unsafe-change'],
    ['ALTER COLUMN name SET NOT NULL', 'schema/unsafe-change'],
    ['RENAME COLUMN nope TO x', 'schema/invalid-change'],
    ['RENAME COLUMN name TO id', 'schema/invalid-change'],
    ['DROP COLUMN nope', 'schema/invalid-change'],
    ['DROP PARTITION FIELD nope', 'schema/invalid-change'],
    ['ADD PARTITION FIELD days(id)', 'schema/invalid-change'],
    ['SET IDENTIFIER FIELDS name', 'schema/invalid-change'],
    ['DROP IDENTIFIER FIELDS name', 'schema/invalid-change'],
    ["UNSET TBLPROPERTIES ('nope')", 'usage/argument'],
    ["SET TBLPROPERTIES ('format-version' = '7')", 'usage/argument'],
  ])('refuses %s and leaves the table as it was', async (action, kind) => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT, name STRING, p STRUCT<x: INT>)')
    const before = await made.load()
    await expect(made.run(`ALTER TABLE a.t ${action}`)).rejects.toMatchObject({ kind })
    expect(await made.load()).toEqual(before)
  })
})

describe('SHOW', () => {
  it('lists tables, properties and columns', async () => {
    await using made = await lab()
    await made.run("CREATE TABLE a.t (x INT NOT NULL) TBLPROPERTIES ('k' = 'v')")
    await made.run('CREATE TABLE b.u (x ARRAY<STRUCT<a: INT>>)')
    expect(await made.rows('SHOW TABLES')).toEqual([
      ['a', 't'],
      ['b', 'u'],
    ])
    expect(await made.rows('SHOW TABLES IN B')).toEqual([['b', 'u']])
    expect(await made.rows('SHOW TBLPROPERTIES a.t')).toEqual([
      ['format-version', '2'],
      ['k', 'v'],
    ])
    expect(await made.rows('SHOW COLUMNS IN b.u')).toEqual([['x', 'ARRAY<STRUCT<a: INT>>', false, null, null]])
    await expect(made.run('DESCRIBE a.nope')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
  })
})

describe('a dry run', () => {
  it('comes to what the real run comes to, and keeps nothing', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT) PARTITIONED BY (truncate(10, id))')
    await made.run('INSERT INTO a.t SELECT * FROM range(30)')
    const before = await made.load()
    const files = async () => {
      const all: string[] = []
      for await (const one of made.store.list(made.store.root)) all.push(one.path)
      return all
    }
    const held = await files()
    const statement = 'INSERT INTO a.t REPLACE WHERE id >= 15 SELECT 15 FROM range(3)'
    const tried = await made.run(statement, { dryRun: true })
    expect(await made.load()).toEqual(before)
    expect(await files()).toEqual(held)
    const real = await made.run(statement)
    const numbers = (result: typeof real) =>
      result.kind === 'changed' ? [result.added.files, result.added.rows, result.removed] : []
    expect(numbers(tried)).toEqual(numbers(real))
    expect(numbers(tried)).toEqual([2, 8, { files: 2, rows: 20, bytes: expect.any(Number) }])
  })
})
