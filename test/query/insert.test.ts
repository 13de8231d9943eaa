import { describe, expect, it } from 'vitest'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

async function lab() {
  const made = await temporaryTables()
  return { ...made, ...runner(made.context) }
}

describe('INSERT', () => {
  it('fills columns by position, by list and by name, and the rest with null', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT, "Name" STRING, d DATE)')
    await made.run("INSERT INTO a.t VALUES (1, 'one', DATE '2026-01-01')")
    await made.run("INSERT INTO a.t (name, ID) SELECT 'two', 2")
    await made.run("INSERT INTO a.t BY NAME SELECT DATE '2026-01-03' AS d, 3 AS id")
    await made.run(
      "WITH c AS (SELECT 4 AS id),\n d AS (FROM c) INSERT INTO a.t WITH e AS (FROM d) SELECT id, 'four', NULL FROM e",
    )
    expect(await made.rows('SELECT id, "Name", d::VARCHAR FROM a.t ORDER BY id')).toEqual([
      [1n, 'one', '2026-01-01'],
      [2n, 'two', null],
      [3n, null, '2026-01-03'],
      [4n, 'four', null],
    ])
  })

  it('reads the table it writes, also at another version, as it was before', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT)')
    await made.run('INSERT INTO a.t VALUES (1), (2)')
    await made.run('INSERT INTO a.t SELECT id + 10 FROM a.t')
    const [first] = await made.snapshots('a.t')
    await made.run(`WITH old AS (SELECT id FROM a.t VERSION AS OF ${first}) INSERT INTO a.t SELECT id + 100 FROM old`)
    expect(await made.rows('SELECT id FROM a.t ORDER BY id')).toEqual([[1n], [2n], [11n], [12n], [101n], [102n]])
  })

  it('replaces what a condition matches, and nothing by a row that does not', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT, v STRING)')
    await made.run("INSERT INTO a.t VALUES (1, 'a'), (2, 'b'), (3, NULL)")
    const changed = await made.run("INSERT INTO a.t REPLACE WHERE id >= 2 AND v = 'b' SELECT 2, 'b' FROM range(2)")
    expect(changed).toMatchObject({ kind: 'changed', statement: 'insert', snapshotId: expect.any(BigInt) })
    expect(await made.rows('SELECT id, v FROM a.t ORDER BY id')).toEqual([
      [1n, 'a'],
      [2n, 'b'],
      [2n, 'b'],
      [3n, null],
    ])
    const wrong = made.run("INSERT INTO a.t REPLACE WHERE t.id = 2 SELECT 7, 'x'")
    await expect(wrong).rejects.toMatchObject({ kind: 'sql/failed', message: expect.stringContaining('lies outside') })
    expect(await made.rows('SELECT count(*) FROM a.t')).toEqual([[4n]])
  })

  it('replaces the partition that it names with its value', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT, kind STRING) PARTITIONED BY (kind)')
    await made.run("INSERT INTO a.t VALUES (1, 'x'), (2, 'y'), (3, 'y'), (4, NULL)")
    await made.run("INSERT OVERWRITE a.t PARTITION (kind = 'y') SELECT 9")
    await made.run('INSERT OVERWRITE a.t PARTITION (kind = NULL) (id) SELECT 8')
    expect(await made.rows('SELECT id, kind FROM a.t ORDER BY id')).toEqual([
      [1n, 'x'],
      [8n, null],
      [9n, 'y'],
    ])
  })

  it('replaces everything where nothing is partitioned', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT)')
    await made.run('INSERT INTO a.t VALUES (1), (2)')
    await made.run('INSERT OVERWRITE a.t SELECT 3')
    expect(await made.rows('FROM a.t')).toEqual([[3n]])
  })

  it('refuses a null where a value must be, and commits nothing', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT NOT NULL, v STRING)')
    await expect(made.run("INSERT INTO a.t VALUES (1, 'x'), (NULL, 'y')")).rejects.toMatchObject({
      message: expect.stringContaining('the column id must have a value'),
    })
    await expect(made.run("INSERT INTO a.t (v) VALUES ('y')")).rejects.toMatchObject({
      message: expect.stringContaining('the column id must have a value'),
    })
    expect(await made.snapshots('a.t')).toEqual([])
  })

  it.each([
    ['INSERT INTO a.t VALUES (1)', 'sql/invalid', 'takes 2 columns here (id, v), the query has 1 column'],
    ['INSERT INTO a.t (id, ID) VALUES (1, 2)', 'sql/invalid', 'id is given twice'],
    ['INSERT INTO a.t (idd) VALUES (1)', 'sql/unknown-column', 'Line 1, column 18: a.t has no column idd'],
    ['INSERT INTO a.t (v.x) VALUES (1)', 'sql/unknown-column', 'v.x is within a column'],
    ['INSERT INTO a.t BY NAME SELECT 1 AS idd', 'sql/invalid', 'a.t takes no column idd from the query'],
    ['INSERT INTO a.t BY NAME SELECT 1 AS id, 2 AS ID', 'sql/invalid', 'The query has two columns'],
    ['INSERT INTO a.t SELECT 1,\n  nope', 'sql/unknown-column', 'nope'],
    ['INSERT INTO a.t\nSELECT 1, 2 FORM x y', 'sql/syntax', 'line 2'],
    ['INSERT OVERWRITE a.t PARTITION (v = 1) SELECT 1', 'sql/invalid', 'v is no partition of a.t'],
    ['INSERT INTO a.t.tag_x SELECT 1, 2', 'sql/invalid', 'a.t.tag_x is read-only'],
    ['INSERT INTO a.t.snapshots SELECT 1, 2', 'sql/invalid', 'a.t.snapshots is read-only'],
    ['INSERT INTO t SELECT 1, 2', 'usage/unknown-table', '"t" names no table'],
    ["INSERT INTO a.t VALUES ('x', 'y')", 'sql/failed', 'x'],
  ])('says what is wrong with %s', async (sql, kind, message) => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT, v STRING)')
    await expect(made.run(sql)).rejects.toMatchObject({ kind, message: expect.stringContaining(message) })
    expect(await made.snapshots('a.t')).toEqual([])
  })
})
