import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { currentSchema, specById } from '../../packages/limn/src/iceberg/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

async function lab() {
  const made = await temporaryTables()
  const load = async (table = 'a.t') => {
    const loaded = (await made.context.catalog.loadTables([tableId(table)])).get(tableId(table))
    if (!loaded) throw new Error(`no table ${table}`)
    return loaded.metadata
  }
  return { ...made, ...runner(made.context), load }
}

describe('CREATE TABLE … AS', () => {
  it.each([2, 3])('makes the table and its rows in one commit, in version %i', async (version) => {
    await using made = await lab()
    const created = await made.run(
      `CREATE TABLE a.t PARTITIONED BY (truncate(10, id)) TBLPROPERTIES ('format-version' = '${version}') AS
       SELECT i AS id, 'v' || i AS v, i::UTINYINT AS tiny, [i] AS list FROM range(25) AS r(i)`,
    )
    expect(created).toMatchObject({ kind: 'changed', statement: 'create', rows: { inserted: 25 }, added: { files: 3 } })
    const metadata = await made.load()
    expect(metadata.snapshots.length).toBe(1)
    expect(metadata.formatVersion).toBe(version)
    expect(metadata.nextRowId).toBe(version === 3 ? 25n : 0n)
    expect(currentSchema(metadata).fields.map((field) => [field.name, field.type])).toMatchObject([
      ['id', 'long'],
      ['v', 'string'],
      ['tiny', 'int'],
      ['list', { type: 'list', element: 'long' }],
    ])
    expect(await made.rows('SELECT count(*), sum(id), max(v), sum(list[1]) FROM a.t')).toEqual([
      [25n, 300n, 'v9', 300n],
    ])
    await made.run("INSERT INTO a.t (id, v) VALUES (100, 'x')")
    expect(await made.rows('SELECT count(*) FROM a.t')).toEqual([[26n]])
  })

  it.each([
    ['CREATE TABLE a.t AS SELECT 1 AS x, 2 AS x', 'schema/invalid-change'],
    ["CREATE TABLE a.t AS SELECT CAST('x' AS INT) AS x", 'sql/failed'],
    ['CREATE TABLE a.t AS SELECT INTERVAL 1 DAY AS x', 'sql/invalid'],
    ['CREATE TABLE a.t (x INT) AS SELECT 1', 'sql/syntax'],
  ])('leaves no table behind of %s', async (sql, kind) => {
    await using made = await lab()
    await expect(made.run(sql)).rejects.toMatchObject({ kind })
    expect(await made.context.catalog.listTables()).toEqual([])
    expect(await made.run('CREATE TABLE IF NOT EXISTS a.t (y INT)')).toMatchObject({ change: 'created' })
  })

  it('comes to nothing where the table is there', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t AS SELECT 1 AS x')
    expect(await made.run('CREATE TABLE IF NOT EXISTS a.t AS SELECT 2 AS y')).toMatchObject({ change: 'unchanged' })
    await expect(made.run('CREATE TABLE a.t AS SELECT 2 AS y')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    expect(await made.rows('FROM a.t')).toEqual([[1]])
  })
})

describe('REPLACE TABLE', () => {
  it.each([2, 3])(
    'gives a table another shape and rows from its own, and keeps its history (version %i)',
    async (version) => {
      await using made = await lab()
      await made.run(
        `CREATE TABLE a.t (id BIGINT, v STRING) TBLPROPERTIES ('format-version' = '${version}', 'k' = '1')`,
      )
      await made.run("INSERT INTO a.t VALUES (1, 'one'), (2, 'two')")
      const before = await made.load()
      const [first] = await made.snapshots('a.t')
      const replaced = await made.run(
        "REPLACE TABLE a.t PARTITIONED BY (w) TBLPROPERTIES ('j' = '2') AS SELECT id * 10 AS id, upper(v) AS w FROM a.t",
      )
      expect(replaced).toMatchObject({ statement: 'replace', rows: { inserted: 2 }, removed: { files: 1, rows: 2 } })
      const after = await made.load()
      expect([after.tableUuid, after.location, after.formatVersion]).toEqual([
        before.tableUuid,
        before.location,
        version,
      ])
      expect(after.properties).toMatchObject({ k: '1', j: '2' })
      expect(currentSchema(after).fields.map((field) => [field.id, field.name])).toEqual([
        [1, 'id'],
        [3, 'w'],
      ])
      expect(specById(after, after.defaultSpecId).fields.map((field) => field.name)).toEqual(['w'])
      expect(await made.rows('SELECT id, w FROM a.t ORDER BY id')).toEqual([
        [10n, 'ONE'],
        [20n, 'TWO'],
      ])
      expect(await made.rows(`SELECT id, v FROM a.t VERSION AS OF ${first} ORDER BY id`)).toEqual([
        [1n, 'one'],
        [2n, 'two'],
      ])
      expect(await made.run('CREATE OR REPLACE TABLE a.t (x DATE)')).toMatchObject({ change: 'replaced' })
      expect(await made.rows('FROM a.t')).toEqual([])
      expect(await made.run('CREATE OR REPLACE TABLE a.u AS SELECT 1 AS x')).toMatchObject({ statement: 'create' })
    },
  )

  it.each([
    ["CREATE OR REPLACE TABLE a.t (x INT) LOCATION '/elsewhere'", 'usage/argument', 'keeps its place'],
    ["REPLACE TABLE a.t (x INT) TBLPROPERTIES ('format-version' = '3')", 'usage/argument', 'keeps its format version'],
    ["REPLACE TABLE a.t AS SELECT CAST('x' AS INT) AS x", 'sql/failed', ''],
    ['REPLACE TABLE a.t (x INT) PARTITIONED BY (y)', 'schema/invalid-change', 'There is no column y'],
  ])('leaves the table as it was with %s', async (sql, kind, message) => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t AS SELECT 1 AS x')
    const before = await made.load()
    await expect(made.run(sql)).rejects.toMatchObject({ kind, message: expect.stringContaining(message) })
    expect(await made.load()).toEqual(before)
  })
})

describe('INSERT OVERWRITE', () => {
  it.each([2, 3])('replaces the partitions that the rows fall into (version %i)', async (version) => {
    await using made = await lab()
    await made.run(
      `CREATE TABLE a.t (id BIGINT, kind STRING, day DATE) PARTITIONED BY (kind, months(day)) TBLPROPERTIES ('format-version' = '${version}')`,
    )
    await made.run(
      "INSERT INTO a.t SELECT i, ['x', 'y'][1 + i % 2], DATE '2026-01-15' + (i // 2 * 31)::INT FROM range(6) AS r(i)",
    )
    const changed = await made.run(
      "INSERT OVERWRITE a.t SELECT 100 + id, kind, day FROM a.t WHERE kind = 'x' AND id < 4",
    )
    expect(changed).toMatchObject({ rows: { inserted: 2 }, added: { files: 2 }, removed: { files: 2, rows: 2 } })
    expect((await made.rows('SELECT id FROM a.t ORDER BY id')).flat()).toEqual([1n, 3n, 4n, 5n, 100n, 102n])
    await made.run("INSERT OVERWRITE a.t PARTITION (kind = 'y', day) SELECT 7, DATE '2026-01-31'")
    expect((await made.rows('SELECT id FROM a.t ORDER BY id')).flat()).toEqual([3n, 4n, 5n, 7n, 100n, 102n])
    expect(await made.run('INSERT OVERWRITE a.t SELECT * FROM a.t WHERE FALSE')).toMatchObject({ snapshotId: null })
    expect((await made.rows('SELECT count(*) FROM a.t')).flat()).toEqual([6n])
  })
})
