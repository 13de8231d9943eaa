import { describe, expect, it } from 'vitest'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

/** Conditions on parts of columns, each with the ids of the rows that satisfy it. */
const conditions: readonly (readonly [string, readonly number[]])[] = [
  ['p.x = 5', [1]],
  ['p.x < 6', [1]],
  ["p.q.z = 'b'", [2]],
  ['p.x IS NULL', [3, 4]],
  ['p IS NULL', [4]],
  ['l[1] = 6', [2]],
  ['l[2] IS NULL AND len(l) > 1', [3]],
  ['list_contains(l, 7)', [2]],
  ["m['k'] = 1.5", [1]],
  ["m['n'] IS NULL", [1, 2, 3, 4]],
  ["map_contains(m, 'n')", [3]],
  ['s[1].y = 1', [1]],
  ['v::INT = 5', [1]],
  ['p.x = 5 OR id = 2', [1, 2]],
  ['id = 3 OR l[1] = 6', [2, 3]],
  ["id = 4 OR m['k'] > 1", [1, 2, 4]],
  ['id = 4 OR v::INT = 5', [1, 4]],
  ['NOT (p.x = 5)', [2]],
  ['coalesce(p.x, 0) = 0', [3, 4]],
]

async function nested(mode: string) {
  const made = await temporaryTables()
  const { run, rows } = runner(made.context)
  await run(`CREATE TABLE a.t (id INT, p STRUCT<x INT, q STRUCT<z STRING>>, l ARRAY<INT>, m MAP<STRING, DOUBLE>, s ARRAY<STRUCT<y INT>>, v VARIANT)
    PARTITIONED BY (id) TBLPROPERTIES ('format-version' = '3', 'write.delete.mode' = '${mode}', 'write.update.mode' = '${mode}')`)
  await run(`INSERT INTO a.t VALUES
    (1, {'x': 5, 'q': {'z': 'a'}}, [5], MAP {'k': 1.5}, [{'y': 1}], 5::VARIANT),
    (2, {'x': 6, 'q': {'z': 'b'}}, [6, 7], MAP {'k': 2.5}, [{'y': 2}], 6::VARIANT),
    (3, {'x': NULL, 'q': NULL}, [8, NULL], MAP {'n': NULL}, [], 7::VARIANT),
    (4, NULL, NULL, NULL, NULL, NULL)`)
  return { ...made, run, rows }
}

describe('a condition on a part of a column', () => {
  it('finds the rows that satisfy it, whatever files hold them', async () => {
    await using made = await nested('copy-on-write')
    for (const [condition, ids] of conditions) {
      const found = await made.rows(`SELECT id FROM a.t WHERE ${condition} ORDER BY id`)
      expect([condition, found]).toEqual([condition, ids.map((id) => [id])])
    }
  })

  it.each(['copy-on-write', 'merge-on-read'])('chooses the rows that a statement changes (%s)', async (mode) => {
    await using made = await nested(mode)
    const [[whole] = []] = await made.rows('SELECT snapshot_id FROM a.t.snapshots')
    for (const [i, [condition, ids]] of conditions.entries()) {
      await made.run(`ALTER TABLE a.t CREATE BRANCH b${i} AS OF VERSION ${whole}`)
      await made.run(`DELETE FROM a.t.branch_b${i} WHERE ${condition}`)
      const left = await made.rows(`SELECT id FROM a.t.branch_b${i} ORDER BY id`)
      expect([condition, left]).toEqual([condition, [1, 2, 3, 4].filter((id) => !ids.includes(id)).map((id) => [id])])
    }
    await made.run('UPDATE a.t SET p.x = 9 WHERE p.x = 5 OR l[1] = 6')
    expect(await made.rows('SELECT id FROM a.t WHERE p.x = 9 ORDER BY id')).toEqual([[1], [2]])
  })
})
