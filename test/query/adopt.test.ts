import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { localFile } from '../../packages/limn/src/storage/index.ts'
import { bareDuck } from '../support/hive-folder.ts'
import { runner } from '../support/statements.ts'
import { temporaryTables } from '../support/tables.ts'

async function lab(owner: (table: string) => string | null = () => null) {
  const made = await temporaryTables()
  const duck = await bareDuck()
  const outside = join(made.folder, 'delivered')
  for (const n of [1, 2]) await duck.file(outside, `p=${n}/a.parquet`, `SELECT range + ${n * 10} AS id FROM range(3)`)
  return {
    ...made,
    ...runner(made.context, { owner }),
    outside,
    duck,
    async [Symbol.asyncDispose]() {
      duck[Symbol.dispose]()
      await made[Symbol.asyncDispose]()
    },
  }
}

describe('CALL', () => {
  it('adds files, of one partition or all, and answers as Spark does', async () => {
    await using made = await lab()
    await made.run('CREATE TABLE a.t (id BIGINT, p INT) PARTITIONED BY (p)')
    const source = `source_table => '\`parquet\`.\`${made.outside}\`'`
    const one = `CALL system.add_files(table => 'a.t', ${source}, partition_filter => map('p', '2'))`
    expect((await made.run(one, { dryRun: true })).kind).toBe('rows')
    expect(await made.rows('SELECT count(*) FROM a.t')).toEqual([[0n]])
    expect(await made.rows(one)).toEqual([[1n, 1n]])
    await expect(made.run(`CALL system.add_files('a.t', '\`parquet\`.\`${made.outside}\`')`)).rejects.toThrow(/already/)
    const file = `'parquet.\`file://${made.outside}/p=1/a.parquet\`'`
    expect(await made.rows(`CALL system.add_files('a.t', ${file})`)).toEqual([[1n, 1n]])
    expect(await made.rows('SELECT p, sum(id) FROM a.t GROUP BY p ORDER BY p')).toEqual([
      [1, 33n],
      [2, 63n],
    ])
    await made.duck.file(made.outside, 'p=3/a.parquet', 'SELECT 1::BIGINT AS id, 2 AS more')
    const more = `CALL system.add_files(table => 'a.t', ${source}, partition_filter => map('p', '3')`
    await expect(made.run(`${more})`)).rejects.toMatchObject({ kind: 'source/schema' })
    expect(await made.rows(`${more}, extra_columns => 'ignore')`)).toEqual([[1n, 1n]])
  })

  it('makes tables over folders and over tables, and registers and migrates', async () => {
    await using made = await lab()
    const folder = `'\`parquet\`.\`${made.outside}\`'`
    const snapshot = `CALL system.snapshot(${folder}, 'a.s', properties => map('comment', 'try'))`
    expect((await made.run(snapshot, { dryRun: true })).kind).toBe('rows')
    expect(await made.rows(snapshot)).toEqual([[2n]])
    const copy = "CALL system.snapshot(source_table => 'a.s', table => 'a.copy')"
    expect((await made.run(copy, { dryRun: true })).kind).toBe('rows')
    expect(await made.rows(copy)).toEqual([[2n]])
    expect(await made.rows('SELECT count(*), sum(p) FROM a.copy')).toEqual([[6n, 9n]])
    const location = (await made.context.catalog.loadTables([tableId('a.s')])).get(tableId('a.s'))?.metadataLocation
    const metadata = localFile(location ?? made.context.store.root)
    await expect(made.run(`CALL system.register_table('a.r', '${metadata}')`)).rejects.toThrow(/is the table a\.s/)
    await using other = await temporaryTables({ seed: 'other' })
    const there = runner({ ...made.context, catalog: other.context.catalog })
    const [registered = []] = await there.rows(
      `CALL system.register_table(table => 'a.r', metadata_file => '${metadata}')`,
    )
    expect(registered.slice(1)).toEqual([6n, 2n])
    const landed = join(made.folder, 'warehouse/landed')
    await made.duck.file(landed, 'a.parquet', 'SELECT 1 AS x')
    const migrate = `CALL system.migrate(table => 'a.m', source_table => 'parquet.\`${landed}\`')`
    expect(await made.rows(migrate)).toEqual([[1n]])
    expect(await made.rows('SELECT x FROM a.m')).toEqual([[1]])
    await expect(made.run(migrate)).rejects.toThrow(/There is a table a\.m already/)
  })

  it('leaves names alone that a dataset owns, and refuses paths that begin nowhere', async () => {
    await using made = await lab((table) => (table === 'a.owned' ? 'the dataset in x.ts' : null))
    const folder = `'\`parquet\`.\`${made.outside}\`'`
    await expect(made.run(`CALL system.snapshot(${folder}, 'a.owned')`)).rejects.toMatchObject({
      kind: 'usage/owned-table',
    })
    await expect(made.run("CALL system.snapshot('`parquet`.`here`', 'a.s')")).rejects.toThrow(
      /given source_table = 'here'/,
    )
    await expect(made.run("CALL system.migrate('a.s')")).rejects.toThrow(/needs source_table/)
  })
})
