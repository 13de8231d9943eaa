import { describe, expect, it } from 'vitest'
import type { LimnError } from '../../packages/limn/src/base/index.ts'
import type { Cancel, ObjectStore, StorePath } from '../../packages/limn/src/storage/index.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

describe('a query', () => {
  it('reads a table at a snapshot, a branch, a tag and a time, also several at once', async () => {
    await using made = await temporaryTables()
    const { run, rows, snapshots } = runner(made.context)
    await run('CREATE TABLE a.t (id BIGINT, name STRING)')
    await run("INSERT INTO a.t VALUES (1, 'one')")
    await run("INSERT INTO a.t VALUES (2, 'two')")
    await run('ALTER TABLE a.t CREATE BRANCH try')
    await run("INSERT INTO a.t.branch_try VALUES (3, 'three')")
    const [first, second] = await snapshots('a.t')
    expect(await rows('SELECT id FROM a.t ORDER BY id')).toEqual([[1n], [2n]])
    expect(await rows(`SELECT id FROM a.t VERSION AS OF ${first}`)).toEqual([[1n]])
    expect(await rows(`SELECT t.id FROM a.t FOR VERSION AS OF ${first} WHERE t.name = 'one'`)).toEqual([[1n]])
    expect(await rows(`SELECT id FROM a.t AT (VERSION => ${second}) ORDER BY id`)).toEqual([[1n], [2n]])
    expect(await rows("SELECT id FROM a.t VERSION AS OF 'try' ORDER BY id")).toEqual([[1n], [2n], [3n]])
    expect(await rows(`SELECT count(*) FROM a.t VERSION AS OF '${first}'`)).toEqual([[1n]])
    expect(await rows('SELECT t.id FROM a.t.branch_try AS t ORDER BY 1')).toEqual([[1n], [2n], [3n]])
    const both = `SELECT count(*), count(b.id) FROM a.t.branch_try x LEFT JOIN a.t VERSION AS OF ${first} b ON x.id = b.id`
    expect(await rows(both)).toEqual([[3n, 1n]])
    const [old] = (await made.context.catalog.loadTables(['a.t' as never])).values()
    const time = old?.metadata.snapshotLog[0]?.timestampMs ?? 0
    const text = new Date(time).toISOString()
    expect(await rows(`SELECT id FROM a.t TIMESTAMP AS OF '${text}'`)).toEqual([[1n]])
    expect(await rows(`SELECT id FROM a.t FOR SYSTEM_TIME AS OF TIMESTAMPTZ '${text}' x`)).toEqual([[1n]])
    expect(await rows('SELECT count(*) FROM a.t TIMESTAMP AS OF now() + INTERVAL 1 HOUR')).toEqual([[2n]])
    expect(await rows(`SELECT count(*) FROM a.t TIMESTAMP AS OF ${Math.ceil(time / 1000) + 3600}`)).toEqual([[2n]])
    expect(await rows('WITH a AS (SELECT 7 AS x) SELECT `a`.`x` FROM `a`')).toEqual([[7]])
  })

  it('opens only the files that can hold a row it uses, at any version', async () => {
    await using made = await temporaryTables()
    const { run, snapshots } = runner(made.context)
    await run('CREATE TABLE a.t (id BIGINT) PARTITIONED BY (id)')
    await run('INSERT INTO a.t SELECT * FROM range(5)')
    const [first] = await snapshots('a.t')
    const leased: string[][] = []
    const store = made.context.store
    const watched: ObjectStore = Object.assign(Object.create(store), {
      lease: (paths: readonly StorePath[], options?: Cancel) => {
        leased.push(paths.map(String))
        return store.lease(paths, options)
      },
    })
    const { rows } = runner({ ...made.context, store: watched })
    expect(await rows(`SELECT id FROM a.t VERSION AS OF ${first} WHERE id = 3`)).toEqual([[3n]])
    expect(leased.map((paths) => paths.length)).toEqual([1])
  })

  it('counts the rows of a whole table from its metadata, and opens files only where a condition asks', async () => {
    await using made = await temporaryTables()
    const { run, snapshots } = runner(made.context)
    await run('CREATE TABLE a.t (id BIGINT)')
    await run('INSERT INTO a.t SELECT * FROM range(5)')
    await run('INSERT INTO a.t SELECT * FROM range(7)')
    const [first] = await snapshots('a.t')
    let opened = 0
    const store = made.context.store
    const watched: ObjectStore = Object.assign(Object.create(store), {
      lease: (paths: readonly StorePath[], options?: Cancel) => {
        opened += paths.length
        return store.lease(paths, options)
      },
    })
    const { rows } = runner({ ...made.context, store: watched })
    expect(await rows('SELECT count(*) FROM a.t')).toEqual([[12n]])
    expect(await rows(`select COUNT( * ) from a.t VERSION AS OF ${first};`)).toEqual([[5n]])
    expect(opened).toBe(0)
    expect(await rows('SELECT count(*) FROM a.t LIMIT 0')).toEqual([])
    expect(await rows('SELECT count(*) FROM a.t WHERE id > 3')).toEqual([[4n]])
    expect(opened).toBeGreaterThan(0)
  })

  it.each([
    ['SELECT * FROM a.t VERSION AS OF 7', 'usage/unknown-snapshot', 'a.t has nothing at snapshot 7.'],
    ["SELECT * FROM a.t VERSION AS OF 'nope'", 'usage/unknown-snapshot', 'a.t has nothing at nope.'],
    ["SELECT * FROM a.t TIMESTAMP AS OF '1999-01-01'", 'usage/unknown-snapshot', '1999-01-01T00:00:00.000Z'],
    ['SELECT * FROM a.t TIMESTAMP AS OF NULLIF(1, 1)::TIMESTAMP', 'usage/argument', 'is null'],
    ['SELECT * FROM a.u', 'usage/unknown-table', 'There is no table a.u.'],
    ['SELECT * FROM a.t.snapshot', 'usage/unknown-table', 'There is no table a.t.snapshot.'],
    ['SELECT\n  nope\nFROM a.t', 'sql/unknown-column', 'nope'],
    ['SELECT\n  id, FORM a.t', 'sql/syntax', 'line 2'],
  ])('that cannot be answered says why: %s', async (sql, kind, message) => {
    await using made = await temporaryTables()
    const { run } = runner(made.context)
    await run('CREATE TABLE a.t (id BIGINT)')
    await run('INSERT INTO a.t VALUES (1)')
    const error: LimnError = await run(sql).then(
      () => Promise.reject(new Error('it ran')),
      (one) => one,
    )
    expect([error.kind, error.message]).toEqual([kind, expect.stringContaining(message)])
  })
})
