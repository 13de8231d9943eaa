import { describe, expect, it } from 'vitest'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

async function lab(mode = 'copy-on-write', version = 2) {
  const made = await temporaryTables()
  const { run, rows, snapshots } = runner(made.context)
  const modes = ['delete', 'update', 'merge'].map((one) => `'write.${one}.mode' = '${mode}'`).join(', ')
  await run(
    `CREATE TABLE a.t (id BIGINT NOT NULL, n INT, s STRING, p STRUCT<x: INT, y: STRING>) TBLPROPERTIES (${modes}, 'format-version' = '${version}')`,
  )
  await run(
    "INSERT INTO a.t VALUES (1, 10, 'one', {x: 1, y: 'a'}), (2, 20, 'two', {x: 2, y: 'b'}), (3, NULL, 'three', NULL)",
  )
  return { ...made, run, rows, snapshots, all: () => rows('SELECT id, n, s FROM a.t ORDER BY id') }
}

const everyWay = [
  ['copy-on-write', 2],
  ['merge-on-read', 2],
  ['copy-on-write', 3],
  ['merge-on-read', 3],
] as const

describe.each(everyWay)('%s in version %i', (mode, version) => {
  it('updates rows by expressions, paths into structs, defaults and subqueries', async () => {
    await using made = await lab(mode, version)
    await made.run('CREATE TABLE b.u (id BIGINT, v STRING)')
    await made.run("INSERT INTO b.u VALUES (1, 'first'), (2, 'second')")
    const [first] = await made.snapshots('b.u')
    await made.run("INSERT OVERWRITE b.u VALUES (1, 'later')")
    const changed = await made.run(
      `UPDATE a.t AS x SET n = x.n + 1, P.x = id * 100, s = (SELECT v FROM b.u VERSION AS OF ${first} WHERE u.id = x.id)
       WHERE x.id IN (SELECT id FROM b.u) OR id = 3`,
    )
    expect(changed).toMatchObject({
      statement: 'update',
      rows: { updated: 2, copied: mode === 'copy-on-write' ? 1 : 0 },
      added: { files: 1, rows: mode === 'copy-on-write' ? 3 : 2 },
      removed: { files: mode === 'copy-on-write' ? 1 : 0 },
      deletes: { added: { files: mode === 'copy-on-write' ? 0 : 1 } },
    })
    expect(await made.rows('SELECT id, n, s, p.x, p.y FROM a.t ORDER BY id')).toEqual([
      [1n, 11, 'first', 100, 'a'],
      [2n, 20, 'two', 2, 'b'],
      [3n, null, null, 300, null],
    ])
    await made.run('UPDATE a.t SET s = DEFAULT, n = n * 2')
    expect(await made.all()).toEqual([
      [1n, 22, null],
      [2n, 40, null],
      [3n, null, null],
    ])
  })

  it('deletes rows for which the condition is true, also one that reads the table itself', async () => {
    await using made = await lab(mode, version)
    const changed = await made.run('DELETE FROM a.t WHERE n >= (SELECT max(n) FROM a.t) OR t.id > 10')
    expect(changed).toMatchObject({ statement: 'delete', rows: { deleted: 1 } })
    expect(await made.all()).toEqual([
      [1n, 10, 'one'],
      [3n, null, 'three'],
    ])
    expect(await made.run('DELETE FROM a.t WHERE id = 99')).toMatchObject({ snapshotId: null, rows: { deleted: 0 } })
    expect(await made.run('DELETE FROM a.t')).toMatchObject({ rows: { deleted: 2 }, added: { files: 0 } })
    expect(await made.all()).toEqual([])
  })

  it('merges under the names the statement gives', async () => {
    await using made = await lab(mode, version)
    await made.run('CREATE TABLE b.u (id BIGINT, n INT, s STRING)')
    await made.run("INSERT INTO b.u VALUES (1, 100, 'new'), (4, 400, 'four'), (5, NULL, 'gone')")
    const changed = await made.run(
      `MERGE INTO a.t AS old USING b.u ON old.id = u.id
       WHEN MATCHED AND u.n > old.n THEN UPDATE SET n = u.n + old.n, s = u.s
       WHEN NOT MATCHED AND n IS NOT NULL THEN INSERT (id, n, s) VALUES (id, n, DEFAULT)
       WHEN NOT MATCHED BY SOURCE AND n IS NULL THEN DELETE
       WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = n + 1, s = upper(s)`,
    )
    expect(changed).toMatchObject({ statement: 'merge', rows: { inserted: 1, updated: 2, deleted: 1 } })
    expect(await made.all()).toEqual([
      [1n, 110, 'new'],
      [2n, 21, 'TWO'],
      [4n, 400, null],
    ])
  })

  it('merges a query at another version with *, its columns renamed', async () => {
    await using made = await lab(mode, version)
    const [first] = await made.snapshots('a.t')
    await made.run('UPDATE a.t SET n = 0')
    await made.run('DELETE FROM a.t WHERE id = 3')
    await made.run(
      `MERGE INTO a.t USING (SELECT id, n + 1, s, p FROM a.t VERSION AS OF ${first}) AS s (ID, N, s, p) ON t.id = s.id
       WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *`,
    )
    expect(await made.all()).toEqual([
      [1n, 11, 'one'],
      [2n, 21, 'two'],
      [3n, null, 'three'],
    ])
  })

  it('changes a branch and leaves main alone', async () => {
    await using made = await lab(mode, version)
    await made.run('ALTER TABLE a.t CREATE BRANCH try')
    for (const statement of [
      'INSERT INTO a.t.branch_tyr (id) VALUES (4)',
      'UPDATE a.t.branch_tyr SET n = 7',
      'DELETE FROM a.t.branch_tyr',
      'TRUNCATE TABLE a.t.branch_tyr',
      'MERGE INTO a.t.branch_tyr USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE',
    ])
      await expect(made.run(statement)).rejects.toMatchObject({
        kind: 'usage/unknown-ref',
        remedy: 'Did you mean a.t.branch_try?',
      })
    await made.run('UPDATE a.t.branch_try SET n = 7')
    await made.run('MERGE INTO a.t.branch_try USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE')
    expect(await made.rows('SELECT id, n FROM a.t.branch_try ORDER BY id')).toEqual([
      [2n, 7],
      [3n, 7],
    ])
    expect(await made.rows('SELECT count(*), sum(n) FROM a.t')).toEqual([[3n, 30n]])
    expect(await made.run('TRUNCATE TABLE a.t.branch_try')).toMatchObject({ branch: 'try', rows: { deleted: 2 } })
    expect(await made.rows('SELECT count(*) FROM a.t')).toEqual([[3n]])
  })

  it.each([
    ['DELETE FROM a.t WHERE nope = 1', '(line 1, column 23)'],
    ['DELETE FROM a.t WHERE id =', '(line 1, column 27)'],
    ['DELETE FROM a.t\nWHERE id = 1 AND\n  nope = 1', '(line 3, column 3)'],
    ['UPDATE a.t SET n = nope', '(line 1, column 20)'],
    ['UPDATE a.t SET n = 1 WHERE id = 1 AND nope', '(line 1, column 39)'],
  ])('tells the place in the statement: %s', async (statement, place) => {
    await using made = await lab(mode, version)
    await expect(made.run(statement)).rejects.toMatchObject({ message: expect.stringContaining(place) })
  })

  it('names the key of a merge that is ambiguous, and leaves nothing behind of values that do not fit', async () => {
    await using made = await lab(mode, version)
    const before = await made.snapshots('a.t')
    const twice = 'MERGE INTO a.t USING (SELECT 2 AS id FROM range(2)) AS s ON t.id = s.id WHEN MATCHED THEN DELETE'
    await expect(made.run(twice)).rejects.toMatchObject({
      kind: 'table/ambiguous-merge',
      message: expect.stringContaining('id = 2'),
    })
    await expect(made.run('UPDATE a.t SET n = id * 3000000000')).rejects.toMatchObject({ kind: 'sql/failed' })
    await expect(made.run('UPDATE a.t SET id = NULL WHERE n = 10')).rejects.toMatchObject({
      message: expect.stringContaining('the column id must have a value'),
    })
    expect(await made.snapshots('a.t')).toEqual(before)
  })
})

it.each([
  ['UPDATE a.t SET nn = 1', 'sql/unknown-column', 'Line 1, column 16: there is no column nn'],
  ['UPDATE a.t SET n = 1\nWHERE idd = 3', 'sql/unknown-column', 'line 2, column 7'],
  ['UPDATE a.t SET n = row_number() OVER ()', 'sql/invalid', 'window'],
  ['UPDATE a.t SET n = sum(n)', 'sql/invalid', 'aggregate'],
  ['UPDATE a.t SET n = 1, p.x = 2, p = NULL', 'sql/invalid', 'p is set twice'],
  ['UPDATE a.t SET n.x = 1', 'sql/invalid', 'n is no struct'],
  ['DELETE FROM a.t WHERE nope', 'sql/unknown-column', 'nope'],
  ['DELETE FROM a.t.snapshots', 'sql/invalid', 'read-only'],
  ['DELETE FROM a.nope', 'usage/unknown-table', 'There is no table a.nope'],
  ['UPDATE a.t SET n = (SELECT x FROM a.nope)', 'usage/unknown-table', 'There is no table a.nope'],
  ['TRUNCATE TABLE a.nope', 'usage/unknown-table', 'There is no table a.nope'],
  ['MERGE INTO a.t USING a.t ON true WHEN MATCHED THEN DELETE', 'sql/invalid', 'both called t'],
  ['MERGE INTO a.t USING (SELECT 1 AS id) s ON t.id = s.idd WHEN MATCHED THEN DELETE', 'sql/invalid', 'idd'],
  [
    'MERGE INTO a.t USING (SELECT 1 AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *',
    'sql/unknown-column',
    'the source has no column n',
  ],
  [
    'MERGE INTO a.t USING (SELECT 1 AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (t.id)',
    'sql/invalid',
    'table "t" not found',
  ],
  [
    'MERGE INTO a.t USING (SELECT 1 AS id) s ON t.id = s.id WHEN NOT MATCHED BY SOURCE THEN UPDATE SET n = s.id',
    'sql/invalid',
    "field 'id'",
  ],
  [
    'MERGE INTO a.t USING (SELECT 1 AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (1)',
    'sql/invalid',
    '1 values for 4 columns',
  ],
])('says what is wrong with %s', async (sql, kind, message) => {
  await using made = await lab()
  const before = await made.snapshots('a.t')
  await expect(made.run(sql)).rejects.toMatchObject({ kind, message: expect.stringContaining(message) })
  expect(await made.snapshots('a.t')).toEqual(before)
})
