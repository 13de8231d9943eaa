import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { currentViewVersion, loadView, replaceView } from '../../packages/limn/src/iceberg/index.ts'
import type { Cancel, ObjectStore, StorePath } from '../../packages/limn/src/storage/index.ts'
import { pinSnapshot } from '../../packages/limn/src/table/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

const v = tableId('a.v')

async function lab() {
  const made = await temporaryTables()
  const { context } = made
  const ran = runner(context)
  await ran.run('CREATE TABLE a.t (id BIGINT, name STRING, price DECIMAL(10, 2))')
  await ran.run("INSERT INTO a.t VALUES (1, 'one', 1.50), (2, 'two', 2.50), (3, 'three', 3.50)")
  return { ...made, ...ran, version: async (view = v) => currentViewVersion((await loadView(context, view)).metadata) }
}

describe('CREATE VIEW', () => {
  it('keeps the query in the SQL of DuckDB, with columns named, typed and commented, and reads it', async () => {
    await using made = await lab()
    const { run, rows, context } = made
    const created = await run(
      "CREATE VIEW a.v (number COMMENT 'its number', `what` ) COMMENT 'cheap things' TBLPROPERTIES ('x' = 'y') AS\nSELECT `id`, upper(name) FROM a.t WHERE price < 3",
    )
    expect(created).toEqual({ kind: 'altered', change: 'created', of: 'view', name: 'a.v', snapshotId: null })
    const { metadata } = await loadView(context, v)
    expect(metadata.properties).toEqual({ x: 'y', comment: 'cheap things' })
    expect(metadata.schemas[0]?.fields).toEqual([
      { id: 1, name: 'number', required: false, type: 'long', doc: 'its number' },
      { id: 2, name: 'what', required: false, type: 'string' },
    ])
    const version = currentViewVersion(metadata)
    expect(version.representations).toEqual([
      { type: 'sql', dialect: 'duckdb', sql: 'SELECT "id", upper(name) FROM a.t WHERE price < 3' },
    ])
    expect([version.defaultCatalog, version.defaultNamespace]).toEqual([null, ['a']])
    expect(version.summary).toMatchObject({ 'engine-name': 'limn' })
    expect(await rows('SELECT v.what, number FROM a.v ORDER BY number')).toEqual([
      ['ONE', 1n],
      ['TWO', 2n],
    ])
    expect(await rows('SELECT count(*) FROM a.v')).toEqual([[2n]])
  })

  it('reads tables by a single word in its own namespace, by the catalog, and at versions', async () => {
    await using made = await lab()
    const { run, rows, snapshots, context, version } = made
    const [first] = await snapshots('a.t')
    await run("INSERT INTO a.t VALUES (4, 'four', 4.50)")
    await run('ALTER TABLE a.t CREATE TAG old AS OF VERSION '.concat(String(first)))
    const catalog = context.catalog.views?.name
    await run(
      `CREATE VIEW a.v AS SELECT t.id, o.id AS old_id, p.id AS tag_id FROM t
       LEFT JOIN ${catalog}.a.t VERSION AS OF ${first} o USING (id) LEFT JOIN t FOR VERSION AS OF 'old' AS p USING (id)`,
    )
    const [text] = (await version()).representations
    expect(text).toMatchObject({
      sql: expect.stringContaining(`${catalog}.a.t AT (VERSION => ${first}) o USING (id)`),
    })
    expect(await rows('SELECT * FROM a.v ORDER BY id')).toEqual([
      [1n, 1n, 1n],
      [2n, 2n, 2n],
      [3n, 3n, 3n],
      [4n, null, null],
    ])
    await run('CREATE VIEW a.s AS SELECT count(*) AS n FROM a.t.snapshots')
    expect(await rows('SELECT n FROM a.s')).toEqual([[2n]])
    await run("CREATE VIEW a.w AS SELECT id FROM t TIMESTAMP AS OF now() + INTERVAL 1 DAY WHERE name = 'four'")
    expect(await rows('SELECT * FROM a.w')).toEqual([[4n]])
  })

  it('shares its names with tables: neither is made where the other is', async () => {
    await using made = await lab()
    const { run } = made
    await expect(run('CREATE VIEW a.t AS SELECT 1 AS x')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    await expect(run('CREATE OR REPLACE VIEW a.t AS SELECT 1 AS x')).rejects.toMatchObject({
      kind: 'usage/table-exists',
      message: 'There is a table a.t already; tables and views share their names.',
    })
    await run('CREATE VIEW a.v AS SELECT 1 AS x')
    await expect(run('CREATE TABLE a.v (id BIGINT)')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    await expect(run('CREATE TABLE a.v AS SELECT 1 AS x')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    await expect(run('CREATE VIEW a.v AS SELECT 2 AS x')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    expect(await run('CREATE VIEW IF NOT EXISTS a.v AS SELECT 2 AS x')).toMatchObject({ change: 'unchanged' })
    await expect(run('DROP VIEW IF EXISTS a.t')).rejects.toMatchObject({ message: 'a.t is a table, not a view.' })
    await expect(run('ALTER VIEW a.v RENAME TO a.t')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    await expect(run('ALTER TABLE a.t RENAME TO a.v')).rejects.toMatchObject({ kind: 'usage/table-exists' })
  })

  it('refuses a query that does not bind, at its place, and columns that cannot be told apart', async () => {
    await using made = await lab()
    const { run } = made
    await expect(run('CREATE VIEW a.v AS\n  SELECT nope FROM a.t')).rejects.toMatchObject({
      kind: 'sql/unknown-column',
      message: expect.stringContaining('"nope"'),
    })
    await expect(run('CREATE VIEW a.v AS SELECT * FROM a.none')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    await expect(run('CREATE VIEW a.v AS SELECT 1 AS x, 2 AS X')).rejects.toMatchObject({ kind: 'sql/invalid' })
    await expect(run('CREATE VIEW a.v (x, x) AS SELECT 1 AS a, 2 AS b')).rejects.toMatchObject({ kind: 'sql/invalid' })
    await expect(run('CREATE VIEW a.v (x) AS SELECT 1 AS a, 2 AS b')).rejects.toMatchObject({ kind: 'sql/invalid' })
    await expect(run("CREATE VIEW a.v AS SELECT * FROM 'file.csv'")).rejects.toMatchObject({
      kind: 'usage/unknown-table',
    })
    await expect(run('CREATE VIEW a.v AS DROP TABLE a.t')).rejects.toMatchObject({ kind: 'sql/not-read-only' })
    await expect(run('CREATE VIEW a.v AS SELECT 1 AS x', { owner: () => 'the dataset x' })).rejects.toMatchObject({
      kind: 'usage/owned-table',
    })
    expect(await made.rows('SHOW VIEWS')).toEqual([])
  })

  it('replaces by a new version, and an equal one by the version that is there', async () => {
    await using made = await lab()
    const { run, rows, version } = made
    const one = 'CREATE OR REPLACE VIEW a.v AS SELECT id FROM a.t'
    expect(await run(one)).toMatchObject({ change: 'created' })
    expect(await run('CREATE OR REPLACE VIEW a.v AS SELECT id + 1 AS id FROM a.t')).toMatchObject({
      change: 'replaced',
    })
    expect((await version()).versionId).toBe(2)
    expect(await rows('SELECT sum(id)::INT FROM a.v')).toEqual([[9]])
    expect(await run(one)).toMatchObject({ change: 'replaced' })
    expect((await version()).versionId).toBe(1)
    expect(await run(one)).toMatchObject({ change: 'unchanged' })
    expect(await run('ALTER VIEW a.v AS SELECT id, name FROM a.t')).toMatchObject({ change: 'altered' })
    expect((await version()).versionId).toBe(3)
    expect(await rows('SELECT name FROM a.v WHERE id = 2')).toEqual([['two']])
  })
})

describe('reading a view', () => {
  it('opens only the files that can hold a row the query uses, through views of views', async () => {
    await using made = await lab()
    const { run, context } = made
    await run('CREATE TABLE a.p (id BIGINT, k BIGINT) PARTITIONED BY (id)')
    await run('INSERT INTO a.p SELECT range, range * 10 FROM range(5)')
    await run('CREATE VIEW a.v (number, k) AS SELECT id, k FROM p')
    await run('CREATE VIEW a.w AS SELECT number AS n, sum(k) AS k FROM v GROUP BY ALL')
    const leased: string[][] = []
    const { store } = context
    const watched: ObjectStore = Object.assign(Object.create(store), {
      lease: (paths: readonly StorePath[], options?: Cancel) => {
        leased.push(paths.map(String))
        return store.lease(paths, options)
      },
    })
    const { rows } = runner({ ...context, store: watched })
    expect(await rows('SELECT n, k::INT FROM a.w WHERE n = 3')).toEqual([[3n, 30]])
    expect(leased.map((paths) => paths.length)).toEqual([1])
  })

  it('pins its tables once for the whole statement, also where the query names them itself', async () => {
    await using made = await lab()
    const { run, context } = made
    await run('CREATE VIEW a.v AS SELECT * FROM t')
    const loads: string[][] = []
    const { catalog } = context
    const watched = Object.assign(Object.create(catalog), {
      loadTables: (ids: readonly never[], options?: object) => {
        loads.push(ids.map(String))
        return catalog.loadTables(ids, options)
      },
    })
    const { rows } = runner({ ...context, catalog: watched })
    expect(await rows('SELECT count(*) FROM a.v JOIN a.t USING (id)')).toEqual([[3n]])
    expect(loads).toEqual([['a.t']])
  })

  it('feeds statements that change rows, also of a table the view reads', async () => {
    await using made = await lab()
    const { run, rows } = made
    await run('CREATE VIEW a.v AS SELECT id, id + 10 AS other FROM t WHERE id < 3')
    await run('INSERT INTO a.t (id) SELECT other FROM a.v')
    await run("UPDATE a.t SET name = 'seen' WHERE id IN (SELECT id FROM a.v) AND id < (SELECT max(other) FROM a.v)")
    await run(
      "MERGE INTO a.t USING a.v AS s ON t.id = s.other WHEN MATCHED AND s.id > (SELECT min(id) FROM a.v) THEN UPDATE SET name = 'merged'",
    )
    await run('DELETE FROM a.t WHERE id = (SELECT min(id) FROM a.v)')
    await run('CREATE TABLE a.u AS SELECT * FROM a.v')
    expect(await rows('SELECT id, name FROM a.t ORDER BY id')).toEqual([
      [2n, 'seen'],
      [3n, 'three'],
      [11n, null],
      [12n, 'merged'],
    ])
    expect(await rows('SELECT * FROM a.u')).toEqual([[2n, 12n]])
  })

  it('gives the columns it was made with, when a table it reads has gained, moved or widened some', async () => {
    await using made = await lab()
    const { run, rows } = made
    await run('CREATE TABLE a.n (x INT, y INT)')
    await run('INSERT INTO a.n VALUES (1, 2)')
    await run('CREATE VIEW a.v (p, q) AS SELECT * FROM n')
    await run('ALTER TABLE a.n ADD COLUMN z INT FIRST')
    await run('ALTER TABLE a.n ALTER COLUMN y FIRST')
    expect(await rows('SELECT p, q, v.* FROM a.v')).toEqual([[1, 2, 1, 2]])
    await run('ALTER TABLE a.n ALTER COLUMN x TYPE BIGINT')
    await expect(rows('SELECT * FROM a.v')).rejects.toMatchObject({
      kind: 'sql/invalid',
      message: 'In the view a.v: the column p is BIGINT, and was INTEGER: a table it reads changed.',
    })
    await run('ALTER TABLE a.n RENAME COLUMN y TO other')
    await run('CREATE OR REPLACE VIEW a.v (p, q) AS SELECT x, other FROM n')
    await run('ALTER TABLE a.n DROP COLUMN other')
    await expect(rows('SELECT * FROM a.v')).rejects.toMatchObject({
      kind: 'sql/unknown-column',
      message: expect.stringContaining('In the view a.v: '),
    })
  })

  it('refuses versions, branches and metadata tables of a view, and changes of its rows', async () => {
    await using made = await lab()
    const { run, rows } = made
    await run('CREATE VIEW a.v AS SELECT id FROM a.t')
    for (const text of ['a.v VERSION AS OF 1', "a.v FOR TIMESTAMP AS OF '2026-01-01'", "a.v AT (VERSION => 'x')"])
      await expect(rows(`SELECT * FROM ${text}`)).rejects.toMatchObject({
        kind: 'sql/invalid',
        message: 'a.v is a view: it is read as it is now, at no version.',
      })
    for (const text of ['a.v.branch_x', 'a.v.tag_x', 'a.v.snapshots'])
      await expect(rows(`SELECT * FROM ${text}`)).rejects.toMatchObject({
        kind: 'sql/invalid',
        message: 'a.v is a view: it has no branches, tags or metadata tables.',
      })
    await expect(rows('DESCRIBE a.v.snapshots')).rejects.toMatchObject({ kind: 'sql/invalid' })
    for (const text of [
      'DROP TABLE a.v',
      'ALTER TABLE a.v RENAME TO a.x',
      'INSERT INTO a.v VALUES (1)',
      'DELETE FROM a.v',
      'ALTER TABLE a.v ADD COLUMN x INT',
    ])
      await expect(run(text)).rejects.toMatchObject({ kind: 'sql/invalid', message: /a\.v is a view/ })
  })

  it('refuses views that read themselves, when they are made and when they are read', async () => {
    await using made = await lab()
    const { run, rows, context } = made
    await run('CREATE VIEW a.v AS SELECT id FROM a.t')
    await run('CREATE VIEW a.w AS SELECT id FROM v')
    await expect(run('CREATE OR REPLACE VIEW a.v AS SELECT id FROM a.w')).rejects.toMatchObject({
      kind: 'sql/invalid',
      message: 'The view a.v reads itself: a.v → a.w → a.v.',
    })
    const { metadata } = await loadView(context, v)
    const [schema] = metadata.schemas
    if (!schema) throw new Error('a schema is there')
    // Another engine does not look.
    await replaceView(context, v, { schema, representations: [{ dialect: 'duckdb', sql: 'SELECT id FROM w' }] })
    await expect(rows('SELECT * FROM a.w')).rejects.toMatchObject({
      kind: 'sql/invalid',
      message: 'The view a.w reads itself: a.w → a.v → a.w.',
    })
  })

  it('prefers the dialect of DuckDB, and names those there are where it is not among them', async () => {
    await using made = await lab()
    const { run, rows, context } = made
    await run('CREATE VIEW a.v AS SELECT id FROM t')
    const { metadata } = await loadView(context, v)
    const [schema] = metadata.schemas
    if (!schema) throw new Error('a schema is there')
    const spark = { dialect: 'spark', sql: 'SELECT id FROM a.t LATERAL VIEW explode(x)' }
    await replaceView(context, v, { schema, representations: [spark, { dialect: 'DuckDB', sql: 'SELECT id FROM t' }] })
    expect(await rows('SELECT max(id) FROM a.v')).toEqual([[3n]])
    await expect(run('CREATE OR REPLACE VIEW a.v AS SELECT id + 1 AS id FROM t')).rejects.toMatchObject({
      kind: 'table/unsafe-change',
      context: { lost: ['spark'] },
    })
    await run("ALTER VIEW a.v SET TBLPROPERTIES ('replace.drop-dialect.allowed' = 'true')")
    await replaceView(context, v, { schema, representations: [spark, { dialect: 'trino', sql: 'SELECT 1' }] })
    await expect(rows('SELECT * FROM a.v')).rejects.toMatchObject({
      kind: 'iceberg/unsupported',
      message: 'In the view a.v: The view a.v is defined in spark, trino; limn reads duckdb.',
    })
    await run('CREATE OR REPLACE VIEW a.v AS SELECT id FROM t')
    expect(await rows('SELECT max(id) FROM a.v')).toEqual([[3n]])
  })

  it('is read at the time that pins all tables of a query, by its definition now', async () => {
    await using made = await lab()
    const { run, snapshots } = made
    const [first = 0n] = await snapshots('a.t')
    await run("INSERT INTO a.t VALUES (4, 'four', 4.50)")
    await run('CREATE VIEW a.v AS SELECT count(*) AS n FROM t')
    const result = await run('SELECT n FROM a.v', { pin: (loaded) => pinSnapshot(loaded, first) })
    expect(result).toMatchObject({ kind: 'rows', result: { rows: [[3n]] } })
  })

  it('runs nothing but a query that another engine stored', async () => {
    await using made = await lab()
    const { run, rows, context } = made
    await run('CREATE VIEW a.v AS SELECT id AS x FROM t')
    const [schema] = (await loadView(context, v)).metadata.schemas
    if (!schema) throw new Error('a schema is there')
    const store = (sql: string) => replaceView(context, v, { schema, representations: [{ dialect: 'duckdb', sql }] })
    for (const [sql, kind] of [
      ['DELETE FROM a.t', 'sql/not-read-only'],
      ['SELECT 1 AS x; DELETE FROM a.t', 'sql/syntax'],
      ['SELECT 1 AS x) AS q(c0), (SELECT 2', 'sql/syntax'],
      ["COPY (SELECT 1) TO 'f.csv'", 'sql/syntax'],
      ['SELECT 1 AS x, 2 AS y', 'sql/invalid'],
      ["SELECT 'text' AS x", 'sql/invalid'],
      ['SELECT 1.5 AS x', 'sql/invalid'],
    ] as const) {
      await store(sql)
      await expect(rows('SELECT * FROM a.v')).rejects.toMatchObject({
        kind,
        message: expect.stringMatching(/^In the view a\.v: /),
      })
    }
    await store("SELECT 7::INT AS other -- to the end ' of ) it")
    expect(await rows('SELECT x, typeof(x) FROM a.v')).toEqual([[7n, 'BIGINT']])
    expect(await rows('SELECT count(*) FROM a.t')).toEqual([[3n]])
  })

  it('says which namespace is for limn alone where a view reads one of the names limn gives', async () => {
    await using made = await lab()
    const { run, rows, snapshots } = made
    const [first] = await snapshots('a.t')
    await run('CREATE TABLE _0.t (id BIGINT)')
    await run('INSERT INTO _0.t VALUES (70)')
    await run('CREATE VIEW a.v AS SELECT id FROM _0.t')
    expect(await rows('SELECT id FROM a.v')).toEqual([[70n]])
    await expect(rows(`SELECT v.id FROM a.v, a.t VERSION AS OF ${first}`)).rejects.toMatchObject({
      kind: 'sql/invalid',
      message: 'The name _0.t means two tables here, one of them in a view.',
    })
  })

  it('looks single words up in the default namespace and catalog of the version', async () => {
    await using made = await lab()
    const { run, rows, context } = made
    await run('CREATE TABLE b.t (id BIGINT)')
    await run('INSERT INTO b.t VALUES (70)')
    await run('CREATE VIEW a.v AS SELECT id FROM t')
    const [schema] = (await loadView(context, v)).metadata.schemas
    if (!schema) throw new Error('a schema is there')
    const representations = [{ dialect: 'duckdb', sql: 'WITH t2 AS (SELECT id FROM t) SELECT t2.id FROM t2' }]
    await replaceView(context, v, { schema, representations, defaultNamespace: ['b'] })
    expect(await rows('SELECT id FROM a.v')).toEqual([[70n]])
    const defaultCatalog = context.catalog.views?.name.toUpperCase() ?? ''
    await replaceView(context, v, { schema, representations, defaultNamespace: ['a'], defaultCatalog })
    expect(await rows('SELECT count(id) FROM a.v')).toEqual([[3n]])
    await replaceView(context, v, { schema, representations, defaultNamespace: ['a'], defaultCatalog: 'prod' })
    await expect(rows('SELECT id FROM a.v')).rejects.toMatchObject({ kind: 'iceberg/unsupported' })
    for (const defaultNamespace of [[], ['a', 'b']]) {
      await replaceView(context, v, { schema, representations, defaultNamespace })
      await expect(rows('SELECT id FROM a.v')).rejects.toMatchObject({ kind: 'iceberg/unsupported' })
    }
  })
})

describe('views over views', () => {
  it('give the rows of the text with their queries in their places, and open no more files', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const opened = { files: 0 }
    const store: ObjectStore = Object.assign(Object.create(context.store), {
      lease: (paths: readonly StorePath[], options?: Cancel) => {
        opened.files += paths.length
        return context.store.lease(paths, options)
      },
    })
    const { run, rows } = runner({ ...context, store })
    await run('CREATE TABLE a.t (a BIGINT, b BIGINT) PARTITIONED BY (a)')
    await run('INSERT INTO a.t SELECT range % 6, range FROM range(60)')
    // Each layer puts out two columns of one's own names, from the layer below.
    const condition = fc.constantFrom('l < 3', 'l = 2', 'r > 20', 'l IN (1, 4)', 'l + r > 25', 'TRUE', 'r IS NULL')
    const layer = fc.oneof(
      condition.map((c) => (from: string) => `SELECT l, r FROM ${from} WHERE ${c}`),
      fc.constant((from: string) => `SELECT r AS l, l AS r FROM ${from}`),
      fc.constant((from: string) => `SELECT l, max(r) AS r FROM ${from} GROUP BY l`),
      fc.constant((from: string) => `SELECT x.l, y.r FROM ${from} x JOIN ${from} y ON x.l = y.l AND x.r = y.r`),
      fc.constant((from: string) => `SELECT l, r FROM ${from} UNION ALL SELECT a, b FROM a.t WHERE a = 5`),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(layer, { minLength: 1, maxLength: 4 }), condition, async (layers, last) => {
        let view = ''
        let text = 'a.t AS base(l, r)'
        for (const [i, one] of layers.entries()) {
          const from = i === 0 ? '(SELECT a AS l, b AS r FROM t)' : view
          view = `v${i}`
          await run(`CREATE OR REPLACE VIEW a.${view} (l, r) AS ${one(from)}`)
          text = `(${one(i === 0 ? '(SELECT a AS l, b AS r FROM a.t)' : text)})`
        }
        const asked = (from: string) => `SELECT l, r FROM ${from} WHERE ${last} ORDER BY ALL`
        const measure = async (sql: string) => {
          opened.files = 0
          return { rows: await rows(sql), files: opened.files }
        }
        expect(await measure(asked(`a.${view}`))).toEqual(await measure(asked(text)))
      }),
      { numRuns: 25 },
    )
  })
})

describe('statements about views', () => {
  it('list, describe and write down views', async () => {
    await using made = await lab()
    const { run, rows } = made
    await run(
      "CREATE VIEW a.v (id COMMENT 'a number', n) COMMENT 'it''s' TBLPROPERTIES ('x' = 'y') AS SELECT id, name FROM t",
    )
    await run('CREATE VIEW b.w AS SELECT id FROM a.v')
    expect(await rows('SHOW VIEWS')).toEqual([
      ['a', 'v'],
      ['b', 'w'],
    ])
    expect(await rows('SHOW VIEWS IN b')).toEqual([['b', 'w']])
    expect(await rows('SHOW TABLES')).toEqual([['a', 't']])
    const columns = [
      ['id', 'BIGINT', false, null, 'a number'],
      ['n', 'STRING', false, null, null],
    ]
    expect(await rows('DESCRIBE a.v')).toEqual(columns)
    expect(await rows('DESCRIBE VIEW a.v')).toEqual(columns)
    expect(await rows('SHOW COLUMNS IN a.v')).toEqual(columns)
    expect(await rows('SHOW TBLPROPERTIES a.v')).toEqual([
      ['comment', "it's"],
      ['format-version', '1'],
      ['x', 'y'],
    ])
    const [[text] = []] = await rows('SHOW CREATE VIEW a.v')
    expect(text).toBe(
      "CREATE VIEW a.v (id COMMENT 'a number', n) COMMENT 'it''s' TBLPROPERTIES ('x' = 'y') AS SELECT id, name FROM t",
    )
    await run('DROP VIEW a.v')
    await run(String(text))
    expect(await rows('SELECT n FROM a.v WHERE id = 2')).toEqual([['two']])
  })

  it('alter, rename and drop views', async () => {
    await using made = await lab()
    const { run, rows, context } = made
    await run('CREATE VIEW a.v AS SELECT id FROM t')
    expect(await run("ALTER VIEW a.v SET TBLPROPERTIES ('x' = '1', 'y' = '2')")).toMatchObject({ change: 'altered' })
    expect(await run("ALTER VIEW a.v UNSET TBLPROPERTIES ('x')")).toMatchObject({ change: 'altered', of: 'view' })
    expect((await loadView(context, v)).metadata.properties).toEqual({ y: '2' })
    await expect(run("ALTER VIEW a.v UNSET TBLPROPERTIES ('x')")).rejects.toMatchObject({ kind: 'usage/argument' })
    expect(await run("ALTER VIEW a.v UNSET TBLPROPERTIES IF EXISTS ('x')")).toMatchObject({ change: 'unchanged' })
    await expect(run("ALTER VIEW a.t SET TBLPROPERTIES ('x' = '1')")).rejects.toMatchObject({
      kind: 'usage/table-exists',
    })
    expect(await run('ALTER VIEW a.v RENAME TO b.u')).toMatchObject({ change: 'renamed', name: 'b.u' })
    // The version still says where its words are looked up.
    expect(await rows('SELECT max(id) FROM b.u')).toEqual([[3n]])
    await expect(rows('SELECT * FROM a.v')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    expect(await run('DROP VIEW b.u')).toMatchObject({ change: 'dropped', of: 'view' })
    await expect(run('DROP VIEW b.u')).rejects.toMatchObject({ kind: 'usage/unknown-view' })
    expect(await run('DROP VIEW IF EXISTS b.u')).toMatchObject({ change: 'unchanged' })
  })

  it('keep nothing on a dry run', async () => {
    await using made = await lab()
    const { run, rows } = made
    const dry = { dryRun: true } as const
    expect(await run('CREATE VIEW a.v AS SELECT id FROM t', dry)).toMatchObject({ change: 'created' })
    await run('CREATE VIEW a.w AS SELECT id FROM t')
    expect(await run('CREATE OR REPLACE VIEW a.w AS SELECT name FROM t', dry)).toMatchObject({ change: 'replaced' })
    expect(await run('ALTER VIEW a.w RENAME TO x', dry)).toMatchObject({ change: 'renamed', name: 'a.x' })
    expect(await run('DROP VIEW a.w', dry)).toMatchObject({ change: 'dropped' })
    expect(await rows('SHOW VIEWS')).toEqual([['a', 'w']])
    expect(await rows('SELECT id FROM a.w WHERE id = 1')).toEqual([[1n]])
  })
})
