import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

async function lab() {
  const made = await temporaryTables()
  const { run, rows, snapshots } = runner(made.context)
  await run("CREATE TABLE a.t (id BIGINT) TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')")
  for (const id of [1, 2, 3]) await run(`INSERT INTO a.t VALUES (${id})`)
  const [first = 0n, second = 0n, third = 0n] = await snapshots('a.t')
  const refs = async () => {
    const loaded = (await made.context.catalog.loadTables([tableId('a.t')])).get(tableId('a.t'))
    return loaded?.metadata.refs ?? {}
  }
  const ids = async (of = 'a.t') => (await rows(`SELECT id FROM ${of} ORDER BY id`)).map(([id]) => Number(id))
  return { ...made, run, rows, first, second, third, refs, ids }
}

describe('CALL', () => {
  it('moves main back, elsewhere, and by time', async () => {
    await using made = await lab()
    const { first, second, third } = made
    expect(await made.rows(`CALL system.rollback_to_snapshot('a.t', ${second})`)).toEqual([[third, second]])
    expect(await made.ids()).toEqual([1, 2])
    await expect(made.run(`CALL system.rollback_to_snapshot('a.t', ${third})`)).rejects.toMatchObject({
      kind: 'table/unsafe-change',
    })
    const set = `CALL lake.system.set_current_snapshot(snapshot_id => ${third}, table => 'a.t')`
    expect(await made.rows(set)).toEqual([[second, third]])
    await made.run(`ALTER TABLE a.t CREATE TAG one AS OF VERSION ${first}`)
    expect(await made.rows("CALL system.set_current_snapshot(table => 'a.t', ref => 'one')")).toEqual([[third, first]])
    await made.run('INSERT INTO a.t VALUES (9)')
    await made.run("CALL system.rollback_to_timestamp('a.t', now() + INTERVAL 1 HOUR)")
    expect(await made.ids()).toEqual([1, 9])
    await expect(made.run("CALL system.rollback_to_timestamp('a.t', TIMESTAMP '2001-01-01')")).rejects.toMatchObject({
      kind: 'table/unsafe-change',
    })
  })

  it('takes a snapshot of a branch over, and moves main to a branch', async () => {
    await using made = await lab()
    await made.run('ALTER TABLE a.t CREATE BRANCH try')
    await made.run('INSERT INTO a.t.branch_try VALUES (4)')
    const staged = (await made.refs()).try?.snapshotId ?? 0n
    await made.run('INSERT INTO a.t VALUES (5)')
    await expect(made.run("CALL system.fast_forward('a.t', 'main', 'try')")).rejects.toMatchObject({
      kind: 'table/unsafe-change',
    })
    const [[source, now] = []] = await made.rows(`CALL system.cherrypick_snapshot('a.t', ${staged})`)
    expect([source, now]).toEqual([staged, (await made.refs()).main?.snapshotId])
    expect(await made.ids()).toEqual([1, 2, 3, 4, 5])
    await made.run('ALTER TABLE a.t CREATE BRANCH next')
    await made.run('INSERT INTO a.t.branch_next VALUES (6)')
    const next = (await made.refs()).next?.snapshotId
    expect(await made.rows("CALL system.fast_forward('a.t', 'main', 'next')")).toEqual([['main', now, next]])
    expect(await made.ids()).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('maintains a table, and on a dry run says what it would do', async () => {
    await using made = await lab()
    await made.run('DELETE FROM a.t WHERE id = 2')
    const compact =
      "CALL system.rewrite_data_files(table => 'a.t', options => map('rewrite-all', 'true', 'min-input-files', '1'))"
    const before = await made.refs()
    expect((await made.run(compact, { dryRun: true })).kind).toBe('rows')
    expect(await made.refs()).toEqual(before)
    const [compacted = []] = await made.rows(compact)
    expect(compacted.slice(0, 2)).toEqual([2n, 1n])
    expect(await made.ids()).toEqual([1, 3])
    await made.run('INSERT INTO a.t VALUES (0)')
    await made.rows(
      "CALL system.rewrite_data_files('a.t', 'sort', 'id DESC NULLS LAST', map('rewrite-all', 'true'), 'id >= 0')",
    )
    expect((await made.rows('SELECT id FROM a.t')).map(([id]) => Number(id))).toEqual([3, 1, 0])
    expect((await made.rows("CALL system.rewrite_manifests('a.t')")).length).toBe(1)
    expect((await made.rows("CALL system.rewrite_position_delete_files('a.t')"))[0]?.[0]).toBe(0n)
    const expire = "CALL system.expire_snapshots(table => 'a.t', older_than => now(), retain_last => 1)"
    const [would] = await made.rows(expire.replace('now()', "TIMESTAMP '2001-01-01'"))
    expect(would).toEqual([0n, 0n, 0n, 0n, 0n])
    const [expired = []] = await made.rows(expire)
    expect(Number(expired[0])).toBeGreaterThan(0)
    expect(await made.ids()).toEqual([0, 1, 3])
    expect(await made.rows("CALL system.remove_orphan_files(table => 'a.t', dry_run => true)")).toEqual([])
  })

  it.each([
    ["CALL system.rollback_to_snapshto('a.t', 1)", 'usage/argument', 'no procedure system.rollback_to_snapshto'],
    ["CALL other.rewrite_manifests('a.t')", 'usage/argument', 'no procedure other.rewrite_manifests'],
    ["CALL system.rollback_to_snapshot('a.t')", 'usage/argument', 'needs snapshot_id'],
    ["CALL system.rollback_to_snapshot('a.t', 1)", 'usage/unknown-snapshot', 'no snapshot 1'],
    ["CALL system.rewrite_manifests('a.nope')", 'usage/unknown-table', 'There is no table a.nope'],
    ["CALL system.rewrite_manifests(tabel => 'a.t')", 'usage/argument', 'has no parameter tabel'],
    ["CALL system.set_current_snapshot('a.t')", 'usage/argument', 'needs snapshot_id or ref'],
    ["CALL system.set_current_snapshot(table => 'a.t', ref => 'x')", 'usage/unknown-ref', 'no branch or tag x'],
    ["CALL system.rewrite_data_files(table => 'a.t', options => map('x', '1'))", 'usage/argument', 'has no option x'],
    ["CALL system.rewrite_data_files(table => 'a.t', strategy => 'magic')", 'usage/argument', 'has no strategy magic'],
    ["CALL system.remove_orphan_files('a.t', now())", 'usage/argument', ''],
  ])('says what is wrong with %s', async (sql, kind, message) => {
    await using made = await lab()
    const before = await made.refs()
    await expect(made.run(sql)).rejects.toMatchObject({ kind, message: expect.stringContaining(message) })
    expect(await made.refs()).toEqual(before)
  })

  it('says which argument is of another type, in its own words', async () => {
    await using made = await lab()
    for (const given of ["retain_last => 'many'", "snapshot_ids => array('x')", "older_than => 'soon'"])
      await expect(made.run(`CALL system.expire_snapshots(table => 'a.t', ${given})`)).rejects.toMatchObject({
        kind: 'usage/argument',
        message: `The procedure expire_snapshots is given ${given}.`,
      })
    await expect(made.run("CALL system.rewrite_data_files(table => 'a.t', where => 'nope = 1')")).rejects.toMatchObject(
      {
        kind: 'sql/unknown-column',
        message: expect.stringContaining('(line 1, column 1)'),
      },
    )
  })

  it('moves no table that a dataset owns', async () => {
    await using made = await lab()
    const owned = runner(made.context, { owner: () => 'the dataset in x.ts' })
    for (const sql of [
      `CALL system.rollback_to_snapshot('a.t', ${made.first})`,
      `ALTER TABLE a.t CREATE TAG x`,
      'UPDATE a.t SET id = 1',
      'DELETE FROM a.t',
      'TRUNCATE TABLE a.t',
      'MERGE INTO a.t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE',
      'CREATE OR REPLACE TABLE a.t AS SELECT 1 AS id',
    ])
      await expect(owned.run(sql)).rejects.toMatchObject({ kind: 'usage/owned-table' })
    expect((await owned.rows("CALL system.rewrite_manifests('a.t')")).length).toBe(1)
  })
})

describe('a branch or a tag', () => {
  it('is made, kept, replaced and dropped, with its retention', async () => {
    await using made = await lab()
    const { first, second, third } = made
    const alter = (action: string) => made.run(`ALTER TABLE a.t ${action}`)
    const kept = `CREATE BRANCH b AS OF VERSION ${first} RETAIN 7 DAYS WITH SNAPSHOT RETENTION 3 SNAPSHOTS 2 HOURS`
    expect(await alter(kept)).toMatchObject({
      change: 'created',
      of: 'branch',
      name: 'a.t.branch_b',
      snapshotId: first,
    })
    expect((await made.refs()).b).toEqual({
      type: 'branch',
      snapshotId: first,
      maxRefAgeMs: 604_800_000,
      minSnapshotsToKeep: 3,
      maxSnapshotAgeMs: 7_200_000,
    })
    expect(await alter('CREATE BRANCH IF NOT EXISTS b')).toMatchObject({ change: 'unchanged' })
    await expect(alter('CREATE BRANCH b')).rejects.toMatchObject({ kind: 'table/unsafe-change' })
    expect(await alter(`CREATE OR REPLACE BRANCH b AS OF VERSION ${second}`)).toMatchObject({ change: 'replaced' })
    expect(await made.ids('a.t.branch_b')).toEqual([1, 2])
    expect(await alter('CREATE TAG v RETAIN 30 DAYS')).toMatchObject({ change: 'created', snapshotId: third })
    expect(await alter(`REPLACE TAG v AS OF VERSION ${second}`)).toMatchObject({ change: 'replaced', of: 'tag' })
    await expect(alter('REPLACE TAG w')).rejects.toMatchObject({ kind: 'usage/unknown-ref' })
    await expect(alter('DROP BRANCH v')).rejects.toMatchObject({ kind: 'table/unsafe-change' })
    await expect(alter('CREATE TAG w AS OF VERSION 77')).rejects.toMatchObject({ kind: 'usage/unknown-snapshot' })
    expect(await alter('DROP TAG v')).toMatchObject({ change: 'dropped', of: 'tag', snapshotId: null })
    expect(await alter('DROP TAG IF EXISTS v')).toMatchObject({ change: 'unchanged' })
    await expect(alter('DROP TAG v')).rejects.toMatchObject({ kind: 'usage/unknown-ref' })
    expect(Object.keys(await made.refs()).sort()).toEqual(['b', 'main'])
  })
})
