import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { ManifestReader } from '../../packages/limn/src/iceberg/index.ts'
import type { TableContext } from '../../packages/limn/src/table/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

async function filesUnder(context: TableContext): Promise<readonly string[]> {
  const paths: string[] = []
  for await (const one of context.store.list(context.store.root)) paths.push(one.path)
  return paths.sort()
}

async function withRows(table = 'a.t') {
  const made = await temporaryTables()
  const { run, rows } = runner(made.context)
  await run(
    `CREATE TABLE ${table} (id BIGINT, k STRING) PARTITIONED BY (k) TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')`,
  )
  await run(`INSERT INTO ${table} VALUES (1, 'x'), (2, 'x'), (3, 'y')`)
  await run(`DELETE FROM ${table} WHERE id = 1`)
  return { ...made, run, rows, files: () => filesUnder(made.context) }
}

describe('DROP TABLE', () => {
  it('takes the name away and leaves every file', async () => {
    await using made = await withRows()
    const { run, files } = made
    const before = await files()
    expect(await run('DROP TABLE a.t')).toEqual({
      kind: 'altered',
      change: 'dropped',
      of: 'table',
      name: 'a.t',
      snapshotId: null,
    })
    expect(await files()).toEqual(before)
    expect(await made.context.catalog.listTables()).toEqual([])
    await expect(run('SELECT * FROM a.t')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    await expect(run('DROP TABLE a.t')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    expect(await run('DROP TABLE IF EXISTS a.t PURGE')).toMatchObject({ change: 'unchanged' })
    await run('CREATE TABLE a.t (other STRING)')
    expect(await made.rows('SELECT * FROM a.t')).toEqual([])
  })

  it('with PURGE deletes what the metadata leads to, and nothing beside it', async () => {
    await using made = await withRows()
    const { run, rows, files, context } = made
    await run('CREATE TABLE a.u AS SELECT 7 AS id')
    const others = (await files()).filter((path) => path.includes('/a/u'))
    const [[one] = []] = await rows('SELECT file_path FROM a.t.data_files LIMIT 1')
    const stray = `${String(one).slice(0, String(one).lastIndexOf('/'))}/stray.parquet`
    await context.store.write(stray as never, new Uint8Array([1]))
    expect((await files()).length).toBeGreaterThan(others.length + 8)
    await run('DROP TABLE a.t PURGE')
    expect(await files()).toEqual([stray, ...others].sort())
    expect(await rows('SELECT id FROM a.u')).toEqual([[7]])
  })

  it('works a dry run out and changes nothing', async () => {
    await using made = await withRows()
    const { run, rows, files } = made
    const before = await files()
    expect(await run('DROP TABLE a.t PURGE', { dryRun: true })).toMatchObject({ change: 'dropped' })
    expect(await run('ALTER TABLE a.t RENAME TO a.u', { dryRun: true })).toMatchObject({
      change: 'renamed',
      name: 'a.u',
    })
    expect(await files()).toEqual(before)
    expect(await rows('SELECT count(*) FROM a.t')).toEqual([[2n]])
  })

  it('purges no files that are not the table’s own, nor those a run relies on', async () => {
    await using made = await withRows()
    const { run, files, context } = made
    const before = await files()
    const live = async () => ({ refs: new Set(['limn-pin/1']) })
    await expect(run('DROP TABLE a.t PURGE', { live })).rejects.toMatchObject({ kind: 'lease/held' })
    await run("ALTER TABLE a.t SET TBLPROPERTIES ('gc.enabled' = 'false')")
    await expect(run('DROP TABLE a.t PURGE')).rejects.toMatchObject({ kind: 'table/unsafe-change' })
    for (const path of before) expect(await context.store.stat(path as never)).not.toBeNull()
    expect(await run('DROP TABLE a.t', { live })).toMatchObject({ change: 'dropped' })
  })

  it('refuses a table that a dataset owns, a branch and a metadata table, with the words of the other statements', async () => {
    await using made = await withRows()
    const { run } = made
    const owner = (table: string) => (table === 'a.t' ? 'the dataset in datasets/t.ts' : null)
    for (const sql of [
      'DROP TABLE a.t',
      'DROP TABLE IF EXISTS a.t PURGE',
      'ALTER TABLE a.t RENAME TO a.u',
      'ALTER TABLE a.w RENAME TO a.t',
    ])
      await expect(run(sql, { owner })).rejects.toMatchObject({
        kind: 'usage/owned-table',
        message: 'a.t belongs to the dataset in datasets/t.ts: it changes through its contract and its runs alone.',
      })
    await expect(run('DROP TABLE a.t.branch_x')).rejects.toMatchObject({ kind: 'sql/invalid' })
    await expect(run('DROP TABLE a.t.files')).rejects.toMatchObject({ kind: 'sql/invalid' })
  })

  it('gives up nothing when metadata cannot be read: the table stays', async () => {
    await using made = await withRows()
    const { run, rows, context } = made
    const [[list] = []] = await rows('SELECT manifest_list FROM a.t.snapshots ORDER BY committed_at LIMIT 1')
    await context.store.delete([String(list) as never])
    const fresh = runner({ ...context, manifests: new ManifestReader(context.store) })
    await expect(fresh.run('DROP TABLE a.t PURGE')).rejects.toMatchObject({ kind: 'storage/missing' })
    expect(await context.catalog.listTables()).toEqual(['a.t'])
    expect(await run('DROP TABLE a.t')).toMatchObject({ change: 'dropped' })
  })
})

describe('ALTER TABLE … RENAME TO', () => {
  it('gives the table another name, in another namespace too, with its rows and history', async () => {
    await using made = await withRows()
    const { run, rows, files } = made
    const before = await files()
    expect(await run('ALTER TABLE a.t RENAME TO b.moved')).toMatchObject({ change: 'renamed', name: 'b.moved' })
    expect(await run('ALTER TABLE b.moved RENAME TO again')).toMatchObject({ name: 'b.again' })
    expect(await files()).toEqual(before)
    expect(await rows('SELECT id FROM b.again ORDER BY id')).toEqual([[2n], [3n]])
    expect(await rows('SELECT count(*) FROM b.again.snapshots')).toEqual([[2n]])
    await run("INSERT INTO b.again VALUES (4, 'z')")
    expect(await rows('SELECT count(*) FROM b.again')).toEqual([[3n]])
    await expect(run('SELECT * FROM a.t')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    const shown = await run('SHOW TABLES')
    expect(shown.kind === 'rows' && shown.result.rows).toEqual([['b', 'again']])
  })

  it('takes no name that is taken, and knows no table that is not there', async () => {
    await using made = await withRows()
    const { run, rows } = made
    await run('CREATE TABLE a.u (id INT)')
    await expect(run('ALTER TABLE a.t RENAME TO a.u')).rejects.toMatchObject({ kind: 'usage/table-exists' })
    await expect(run('ALTER TABLE a.none RENAME TO a.v')).rejects.toMatchObject({ kind: 'usage/unknown-table' })
    expect(await rows('SELECT count(*) FROM a.t')).toEqual([[2n]])
  })

  it('loses no commit that races it: the writer is told, and nothing comes back under the old name', async () => {
    await using made = await withRows()
    const { run, context } = made
    const other = made.another()
    const stale = (await other.loadTables([tableId('a.t')])).get(tableId('a.t'))
    await run('ALTER TABLE a.t RENAME TO a.u')
    const outcome = await other.commit(
      [
        {
          table: tableId('a.t'),
          requirements: [{ type: 'assert-table-uuid', uuid: stale?.metadata.tableUuid ?? '' }],
          updates: [{ action: 'set-properties', updates: { late: 'yes' } }],
        },
      ],
      { timestampMs: 1 },
    )
    other.close()
    expect(outcome.kind).toBe('conflict')
    expect(await context.catalog.listTables()).toEqual(['a.u'])
  })
})

describe('DESCRIBE', () => {
  it('tells the columns of a metadata table', async () => {
    await using made = await withRows()
    const shown = await made.run('DESCRIBE a.t.partitions')
    expect(shown.kind === 'rows' && shown.result.rows.slice(0, 3)).toEqual([
      ['partition', 'STRUCT<k: STRING>', true, null, null],
      ['spec_id', 'INT', true, null, null],
      ['record_count', 'BIGINT', true, null, null],
    ])
  })
})
