import { expect, it } from 'vitest'
import { MeddlingCatalog } from '../support/racing.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

/** Rows after a statement before whose first commit another one came. */
async function after(statement: string, first: string, mode: string) {
  await using made = await temporaryTables()
  const direct = runner(made.context)
  const modes = ['delete', 'update', 'merge'].map((one) => `'write.${one}.mode' = '${mode}'`).join(', ')
  await direct.run(`CREATE TABLE a.t (id BIGINT, n BIGINT) TBLPROPERTIES (${modes})`)
  await direct.run('INSERT INTO a.t VALUES (1, 10), (2, 20)')
  const catalog = new MeddlingCatalog(made.catalog)
  catalog.before = async (commit) => {
    if (commit === 1) await direct.run(first)
  }
  await runner({ ...made.context, catalog }).run(statement)
  expect(catalog.commits).toBeGreaterThan(0)
  return await direct.rows('SELECT id, n FROM a.t ORDER BY id, n')
}

it.each([
  [
    'an update of what it read of its own table',
    'UPDATE a.t SET n = (SELECT max(n) FROM a.t) + 1 WHERE id = 1',
    'INSERT INTO a.t VALUES (3, 50)',
    [
      [1n, 51n],
      [2n, 20n],
      [3n, 50n],
    ],
  ],
  [
    'an insert of what it read of its own table',
    'INSERT INTO a.t SELECT max(id) + 1, 0 FROM a.t',
    'INSERT INTO a.t VALUES (3, 50)',
    [
      [1n, 10n],
      [2n, 20n],
      [3n, 50n],
      [4n, 0n],
    ],
  ],
  [
    'a merge whose key another inserted',
    'MERGE INTO a.t USING (SELECT 3 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = n + 1 WHEN NOT MATCHED THEN INSERT VALUES (3, 0)',
    'INSERT INTO a.t VALUES (3, 50)',
    [
      [1n, 10n],
      [2n, 20n],
      [3n, 51n],
    ],
  ],
  [
    'a delete of rows that another appended',
    'DELETE FROM a.t WHERE n >= 20',
    'INSERT INTO a.t VALUES (3, 50)',
    [[1n, 10n]],
  ],
  [
    'an update of a row that another updated',
    'UPDATE a.t SET n = n + 1 WHERE id = 1',
    'UPDATE a.t SET n = n * 3 WHERE id = 1',
    [
      [1n, 31n],
      [2n, 20n],
    ],
  ],
  [
    'a replacement by what it read',
    'CREATE OR REPLACE TABLE a.t AS SELECT id, n + 1 AS n FROM a.t',
    'INSERT INTO a.t VALUES (3, 50)',
    [
      [1n, 11n],
      [2n, 21n],
      [3n, 51n],
    ],
  ],
])('%s comes to what it would have come to behind the other', async (_what, statement, first, rows) => {
  expect(await after(statement, first, 'copy-on-write')).toEqual(rows)
  expect(await after(statement, first, 'merge-on-read')).toEqual(rows)
})
