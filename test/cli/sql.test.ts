import { join } from 'node:path'
import { Lake } from 'limn'
import { loadView, replaceView } from 'limn/iceberg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pointersOf } from '../support/contents.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { smallLake } from '../support/small-lake.ts'

let lake: ReturnType<typeof temporaryFolder>

beforeAll(async () => {
  lake = smallLake('sql')
  expect((await limn(lake.folder, 'run')).code).toBe(0)
})
afterAll(() => lake[Symbol.dispose]())

const sql = (...args: readonly string[]) => limn(lake.folder, 'sql', ...args)

async function json(...args: readonly string[]): Promise<Record<string, unknown>> {
  const ended = await sql('--json', ...args)
  expect([ended.code, ended.stderr]).toEqual([0, ''])
  return JSON.parse(ended.stdout) as Record<string, unknown>
}

async function refused(statement: string): Promise<Record<string, unknown>> {
  const before = pointersOf(lake.folder)
  const ended = await sql('--json', statement)
  expect(ended.code).toBe(2)
  expect(pointersOf(lake.folder)).toEqual(before)
  return (JSON.parse(ended.stderr || ended.stdout) as { error: Record<string, unknown> }).error
}

describe('limn sql', () => {
  it('makes a table that no dataset owns, fills it, and says what it did', async () => {
    const created = await sql('CREATE TABLE lab.note (id BIGINT NOT NULL, at TIMESTAMPTZ, text STRING)')
    expect(created.stdout.trim()).toBe('table lab.note created')
    const inserted = await sql("INSERT INTO lab.note (id, text) VALUES (1, 'one'), (2, 'two')")
    expect(inserted.stdout).toMatch(/^lab\.note: wrote 1 file with 2 rows, \d.* B, snapshot \d+\n$/)
    expect(await json('INSERT INTO lab.note SELECT id, happened_at, NULL FROM silver.event')).toMatchObject({
      kind: 'changed',
      statement: 'insert',
      table: 'lab.note',
      branch: 'main',
      added: { files: 1, rows: 3 },
      removed: { files: 0, rows: 0, bytes: 0 },
      snapshotId: expect.stringMatching(/^\d+$/),
      dryRun: false,
    })
    expect(await json('SELECT count(*), count(text) FROM lab.note')).toMatchObject({ rows: [[5, 2]] })
  })

  it('makes a view over tables of datasets, reads it as of a time, and takes it away', async () => {
    const created = await sql(
      'CREATE VIEW lab.busy (day, events) AS SELECT happened_at::DATE, count(*) FROM silver.event GROUP BY 1',
    )
    expect(created.stdout.trim()).toBe('view lab.busy created')
    expect(await json('SELECT sum(events)::INT FROM lab.busy')).toMatchObject({ rows: [[3]] })
    expect((await sql('--at', '2020-01-01', 'SELECT * FROM lab.busy')).stderr).toContain('silver.event has nothing at')
    expect(await json('SHOW VIEWS')).toMatchObject({ rows: [['lab', 'busy']] })
    expect((await sql('--dry-run', 'DROP VIEW lab.busy')).stdout).toBe(
      'view lab.busy dropped (dry run: nothing was changed)\n',
    )
    expect((await sql('ALTER VIEW lab.busy RENAME TO quiet')).stdout).toBe('view lab.quiet renamed\n')
    expect((await sql('DROP VIEW lab.quiet')).stdout).toBe('view lab.quiet dropped\n')
    expect(await refused('DROP VIEW lab.quiet')).toMatchObject({ kind: 'usage/unknown-view' })
  })

  it('reads a view that a program defined in several dialects', async () => {
    await sql('CREATE VIEW lab.shared AS SELECT id FROM silver.event')
    await using open = await Lake.open({ cwd: lake.folder })
    const context = await open.context()
    const { metadata } = await loadView(context, 'lab.shared')
    const [schema] = metadata.schemas
    if (!schema) throw new Error('a schema is there')
    await replaceView(context, 'lab.shared', {
      schema,
      representations: [
        { dialect: 'duckdb', sql: 'SELECT id FROM silver.event WHERE id > 1' },
        { dialect: 'spark', sql: 'SELECT id FROM silver.event WHERE id > 1' },
      ],
    })
    expect(await json('SELECT count(*) FROM lab.shared')).toMatchObject({ rows: [[2]] })
    expect(await refused('CREATE OR REPLACE VIEW lab.shared AS SELECT id FROM silver.event')).toMatchObject({
      kind: 'table/unsafe-change',
    })
  })

  it('works a change out and keeps nothing of it with --dry-run', async () => {
    await sql('CREATE TABLE lab.dry (id BIGINT)')
    const before = pointersOf(lake.folder)
    const tried = await sql('--dry-run', 'INSERT INTO lab.dry SELECT id FROM silver.event')
    expect(tried.stdout).toMatch(/^lab\.dry: wrote 1 file with 3 rows, .* B \(dry run: nothing was changed\)\n$/)
    expect((await sql('--dry-run', 'CREATE TABLE lab.never (id INT)')).stdout).toContain('lab.never created (dry run')
    expect(await json('--dry-run', 'ALTER TABLE lab.dry ADD COLUMN x INT')).toMatchObject({
      change: 'altered',
      snapshotId: null,
      dryRun: true,
    })
    expect(pointersOf(lake.folder)).toEqual(before)
    expect(await json('SELECT count(*) FROM lab.dry')).toMatchObject({ rows: [[0]] })
  })

  it('updates, merges and deletes rows, and says how many; a dry run says the same and keeps nothing', async () => {
    await sql('CREATE TABLE lab.row AS SELECT i AS id, i * 10 AS n FROM range(4) AS r(i)')
    await sql("ALTER TABLE lab.row SET TBLPROPERTIES ('write.merge.mode' = 'merge-on-read')")
    const before = pointersOf(lake.folder)
    const update = 'UPDATE lab.row SET n = n + 1 WHERE id IN (SELECT id FROM silver.event)'
    const merge =
      'MERGE INTO lab.row AS r USING (SELECT 3 AS id UNION ALL SELECT 9) AS s ON r.id = s.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)'
    const counts = { statement: 'merge', rows: { inserted: 1, updated: 0, deleted: 1, copied: 0 } }
    const files = { added: { files: 1, rows: 1 }, removed: { files: 0 }, deletes: { added: { files: 1, rows: 1 } } }
    expect(await json('--dry-run', merge)).toMatchObject({ ...counts, ...files, snapshotId: null, dryRun: true })
    const tried = await json('--dry-run', update)
    expect((await sql('--dry-run', update)).stdout).toMatch(
      /^lab\.row: updated \d rows; wrote 1 file with 4 rows, .* B; took out 1 file with 4 rows, .* B \(dry run: nothing was changed\)\n$/,
    )
    expect(pointersOf(lake.folder)).toEqual(before)
    const done = await json(update)
    expect(done).toMatchObject({ statement: 'update', snapshotId: expect.stringMatching(/^\d+$/), dryRun: false })
    expect(done.rows).toEqual(tried.rows)
    expect((await sql(merge)).stdout).toMatch(
      /^lab\.row: inserted 1 row, deleted 1 row; wrote 1 file with 1 row, .* B; wrote 1 delete file, .* B, snapshot \d+\n$/,
    )
    expect(await json('SELECT list(id ORDER BY id) FROM lab.row')).toMatchObject({ rows: [['[0, 1, 2, 9]']] })
    expect((await sql('DELETE FROM lab.row WHERE id > 100')).stdout).toBe('lab.row: no row was concerned\n')
    expect(await json("CALL system.expire_snapshots('lab.row', now(), 1)")).toMatchObject({
      columns: expect.arrayContaining(['deleted_data_files_count']),
    })
  })

  it.each([
    ['silver.event', 'UPDATE silver.event SET id = 1'],
    ['silver.event', 'MERGE INTO silver.event USING lab.note AS n ON n.id = event.id WHEN MATCHED THEN DELETE'],
    ['silver.event', 'DELETE FROM silver.event.branch_x'],
    ['gold.day', 'TRUNCATE TABLE gold.day'],
    ['gold.day', 'CREATE OR REPLACE TABLE gold.day AS SELECT 1 AS x'],
    ['gold.day', 'ALTER TABLE gold.day CREATE TAG x'],
    ['gold.day', 'CREATE VIEW gold.day AS SELECT 1 AS x'],
    ['silver.event_quarantine', 'CREATE OR REPLACE VIEW silver.event_quarantine AS SELECT 1 AS x'],
    ['gold.day', "CALL system.rollback_to_snapshot('gold.day', 1)"],
    ['silver.event', "INSERT INTO silver.event VALUES (9, TIMESTAMP '2026-01-01', 1)"],
    ['silver.event', "INSERT INTO silver.event.branch_x VALUES (9, TIMESTAMP '2026-01-01', 1)"],
    ['silver.event_quarantine', 'CREATE TABLE silver.event_quarantine (x INT)'],
    ['gold.day', 'ALTER TABLE gold.day ADD COLUMN x INT'],
    ['limn.run', "ALTER TABLE limn.run SET TBLPROPERTIES ('a' = 'b')"],
  ])('refuses to change %s, which changes through its contract: %s', async (table, statement) => {
    const error = await refused(statement)
    expect(error.kind).toBe('usage/owned-table')
    expect(error.message).toContain(`${table} belongs to `)
  })

  it.each([
    ['sql/syntax', 'INSERT INOT lab.note SELECT 1', 'Line 1, column 8: Expected INTO or OVERWRITE, found INOT.'],
    ['usage/unknown-table', 'INSERT INTO lab.nope SELECT 1', 'There is no table lab.nope.'],
    ['usage/table-exists', 'CREATE TABLE lab.note (x INT)', 'lab.note exists already.'],
    ['sql/unknown-column', 'INSERT INTO lab.note (id, txet) VALUES (1, 2)', 'lab.note has no column txet.'],
    ['sql/invalid', 'INSERT INTO lab.note VALUES (1)', 'lab.note takes 3 columns here (id, at, text), the query has 1'],
  ])('leaves nothing behind of a statement that is wrong (%s): %s', async (kind, statement, message) => {
    const error = await refused(statement)
    expect(error).toMatchObject({ kind, message: expect.stringContaining(message), notDone: 'Nothing was run.' })
  })

  it('leaves nothing behind of a statement whose rows are wrong', async () => {
    const before = pointersOf(lake.folder)
    const ended = await sql("INSERT INTO lab.note (text) SELECT 'x' WHERE 1 = 1")
    expect([ended.code, ended.stderr]).toEqual([1, expect.stringContaining('the column id must have a value')])
    const cast = await sql("INSERT INTO lab.note (id) VALUES ('a')")
    expect(cast.code).not.toBe(0)
    expect(pointersOf(lake.folder)).toEqual(before)
  })

  it('does not change what was', async () => {
    const ended = await sql('--at', 'main', 'INSERT INTO lab.note (id) VALUES (1)')
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('--at is for queries')])
  })

  it('reads the metadata tables of any table, a dataset’s too, also at another time and into a file', async () => {
    const history = await json('SELECT snapshot_id, operation FROM silver.event.snapshots')
    expect(history).toMatchObject({ rows: [[expect.anything(), 'append']] })
    const text = (await sql('SELECT snapshot_id FROM silver.event.history')).stdout
    const [id = ''] = /\d{10,}/.exec(text.replaceAll(/[,_]/g, '')) ?? []
    expect(
      await json('--at', id, 'SELECT count(*), sum(record_count)::BIGINT FROM silver.event.data_files'),
    ).toMatchObject({
      rows: [[3, 3]],
    })
    const early = await sql('--at', '2001-01-01', 'SELECT * FROM silver.event.files')
    expect([early.code, early.stderr]).toEqual([2, expect.stringContaining('has nothing at')])
    const out = join(lake.folder, 'files.parquet')
    expect((await sql('--format', 'parquet', '--out', out, 'SELECT * FROM silver.event.files')).code).toBe(0)
    expect(await json(`SELECT count(*) FROM '${out}'`)).toMatchObject({ rows: [[3]] })
  })

  it('drops and renames tables that no dataset owns, and no others', async () => {
    await sql('CREATE TABLE lab.gone AS SELECT 1 AS id')
    expect((await sql('ALTER TABLE lab.gone RENAME TO lab.away')).stdout).toBe('table lab.away renamed\n')
    expect((await sql('--dry-run', 'DROP TABLE lab.away PURGE')).stdout).toContain('lab.away dropped (dry run')
    expect((await sql('DROP TABLE lab.away PURGE')).stdout).toBe('table lab.away dropped\n')
    expect((await sql('DROP TABLE IF EXISTS lab.away')).stdout).toBe('table lab.away was so already\n')
    for (const statement of [
      'DROP TABLE silver.event',
      'ALTER TABLE silver.event RENAME TO lab.e',
      'DROP TABLE limn.run PURGE',
    ])
      expect((await refused(statement)).kind).toBe('usage/owned-table')
  })
})
