import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import type { PartitionSpec } from '../../packages/limn/src/iceberg/index.ts'
import type { Field } from '../../packages/limn/src/schema/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import { addFiles, alterTable, append, createTable } from '../../packages/limn/src/table/index.ts'
import { ask, bareDuck } from '../support/hive-folder.ts'
import { MeddlingCatalog } from '../support/racing.ts'
import { temporaryTables } from '../support/tables.ts'

const id = tableId('lab.t')
const columns: readonly Field[] = [
  { id: 1, name: 'id', required: false, type: 'long' },
  { id: 2, name: 'name', required: false, type: 'string' },
  { id: 3, name: 'day', required: false, type: 'date' },
]
const flat: PartitionSpec = { specId: 0, fields: [] }
const by = (
  name: string,
  sourceId: number,
  transform: PartitionSpec['fields'][number]['transform'],
): PartitionSpec => ({
  specId: 0,
  fields: [{ fieldId: 1000, sourceId, name, transform }],
})
const byDay = by('day', 3, { kind: 'identity' })

async function lab(spec: PartitionSpec = flat, fields = columns, formatVersion: 2 | 3 = 2) {
  const made = await temporaryTables()
  const { context, folder } = made
  await createTable(context, id, {
    location: `${context.store.root}/lab/t`,
    schema: { schemaId: 0, fields, identifierFieldIds: [] },
    spec,
    formatVersion,
  })
  const outside = join(folder, 'delivered')
  mkdirSync(outside)
  const duck = await bareDuck()
  const metadata = async () => (await context.catalog.loadTables([id])).get(id)?.metadata
  return {
    context,
    duck,
    outside,
    folder: storePath(`file://${outside}`),
    metadata,
    rows: (sql: string) => ask(context, id, sql),
    async [Symbol.asyncDispose]() {
      duck[Symbol.dispose]()
      await made[Symbol.asyncDispose]()
    },
  }
}

const row = (n: number, day = '2026-01-01') => `SELECT ${n}::BIGINT AS id, 'n${n}' AS name, DATE '${day}' AS day`

describe('addFiles', () => {
  it('makes files without field ids part of a table in one snapshot, and sets the name mapping they are read by', async () => {
    await using made = await lab()
    await made.duck.file(made.outside, 'a.parquet', row(1))
    await made.duck.file(made.outside, 'deep/b.parquet', `${row(2)} UNION ALL ${row(3, '2026-02-02')}`)
    const before = readdirSync(made.outside, { recursive: true }).sort()
    const done = await addFiles(made.context, id, { kind: 'folder', folder: made.folder })
    expect(done).toMatchObject({ files: 2, rows: 3, empty: 0, mapped: true, ignoredColumns: [] })
    expect(await made.rows('SELECT id, name, day FROM t ORDER BY id')).toEqual([
      [1n, 'n1', '2026-01-01'],
      [2n, 'n2', '2026-01-01'],
      [3n, 'n3', '2026-02-02'],
    ])
    const metadata = await made.metadata()
    expect(metadata?.snapshots).toHaveLength(1)
    expect(metadata?.snapshots[0]?.summary).toMatchObject({ 'added-records': '3', 'added-data-files': '2' })
    expect(readdirSync(made.outside, { recursive: true }).sort()).toEqual(before)
    await alterTable(made.context, id, [{ kind: 'rename-column', column: 'name', to: 'title' }])
    expect(await made.rows('SELECT title FROM t WHERE id = 2')).toEqual([['n2']])
  })

  it('takes partition values from folder names, null and encoded ones among them', async () => {
    await using made = await lab(by('name', 2, { kind: 'identity' }))
    const values = 'SELECT 1::BIGINT AS id'
    await made.duck.file(made.outside, 'name=a%2Fb %C3%A9/x.parquet', values)
    await made.duck.file(made.outside, 'name=__HIVE_DEFAULT_PARTITION__/x.parquet', values)
    await made.duck.file(made.outside, 'name=100%/x.parquet', values)
    const done = await addFiles(made.context, id, { kind: 'folder', folder: made.folder })
    expect(done).toMatchObject({ files: 3, partitions: 3 })
    expect(await made.rows('SELECT name FROM t ORDER BY name NULLS FIRST')).toEqual([[null], ['100%'], ['a/b é']])
    expect(await made.rows("SELECT count(*) FROM t WHERE name = 'a/b é'")).toEqual([[1n]])
  })

  it('reads files whose paths hold what a glob would mean otherwise', async () => {
    await using made = await lab(by('name', 2, { kind: 'identity' }))
    for (const [i, name] of ['[ab]', 'a*', 'a?', 'ab', "o'clock", '{a,b}'].entries())
      await made.duck.file(made.outside, `name=${name}/x.parquet`, `SELECT ${i}::BIGINT AS id`)
    await addFiles(made.context, id, { kind: 'folder', folder: made.folder })
    expect(await made.rows('SELECT id, name FROM t ORDER BY id')).toEqual([
      [0n, '[ab]'],
      [1n, 'a*'],
      [2n, 'a?'],
      [3n, 'ab'],
      [4n, "o'clock"],
      [5n, '{a,b}'],
    ])
  })

  it('infers the partition from bounds where all rows must lie in one, and refuses where they may not', async () => {
    await using made = await lab(by('day_month', 3, { kind: 'month' }))
    await made.duck.file(made.outside, 'a.parquet', `${row(1, '2026-01-01')} UNION ALL ${row(2, '2026-01-31')}`)
    await made.duck.file(made.outside, 'b.parquet', 'SELECT 5::BIGINT AS id, NULL::DATE AS day')
    expect(await addFiles(made.context, id, { kind: 'folder', folder: made.folder })).toMatchObject({ partitions: 2 })
    await made.duck.file(made.outside, 'c.parquet', `${row(3, '2026-01-31')} UNION ALL ${row(4, '2026-02-01')}`)
    await expect(
      addFiles(made.context, id, { kind: 'folder', folder: made.folder }, { duplicates: 'skip' }),
    ).rejects.toThrow(/1 of 1 files do not fit lab\.t.*c\.parquet: its rows cannot be told to lie in one partition/s)
    expect(await made.rows('SELECT count(*) FROM t')).toEqual([[3n]])
  })

  it('hashes a single value into its bucket, and refuses a range of them', async () => {
    await using made = await lab(by('id_bucket', 1, { kind: 'bucket', count: 4 }))
    await made.duck.file(made.outside, 'a.parquet', `${row(7)} UNION ALL ${row(7, '2026-03-03')}`)
    await addFiles(made.context, id, { kind: 'folder', folder: made.folder })
    expect(await made.rows('SELECT count(*) FROM t WHERE id = 7')).toEqual([[2n]])
    const more = await made.duck.file(made.outside, 'b.parquet', `${row(1)} UNION ALL ${row(9)}`)
    await expect(addFiles(made.context, id, { kind: 'files', files: [more] })).rejects.toMatchObject({
      kind: 'source/schema',
    })
  })

  it('refuses files whose columns do not fit, with every reason, and adds none of the others', async () => {
    await using made = await lab(flat, [{ id: 1, name: 'id', required: true, type: 'int' }, ...columns.slice(1)])
    await made.duck.file(made.outside, 'good.parquet', "SELECT 1::INTEGER AS id, 'x' AS name")
    const cases: readonly (readonly [string, string, RegExp])[] = [
      ['type', 'SELECT 1::BIGINT AS id', /id is long and the table's int/],
      ['lacks', "SELECT 'x' AS name", /it lacks the column id, which the table requires/],
      ['nulls', 'SELECT unnest([1, NULL]::INTEGER[]) AS id', /id may hold null, and the table requires a value/],
      ['extra', 'SELECT 1::INTEGER AS id, 2 AS more', /it has a column more that the table lacks/],
      ['spelling', "SELECT 1::INTEGER AS id, 'x' AS NAME", /NAME that the table lacks \(which has name/],
    ]
    for (const [name, sql, why] of cases) {
      const bad = await made.duck.file(made.outside, `${name}.parquet`, sql)
      const good = storePath(`file://${made.outside}/good.parquet`)
      await expect(addFiles(made.context, id, { kind: 'files', files: [good, bad] })).rejects.toThrow(why)
    }
    expect((await made.metadata())?.snapshots).toEqual([])
    const done = await addFiles(
      made.context,
      id,
      { kind: 'files', files: [storePath(`file://${made.outside}/extra.parquet`)] },
      { extraColumns: 'ignore' },
    )
    expect(done.ignoredColumns).toEqual(['more'])
    expect(await made.rows('SELECT * FROM t')).toEqual([[1, null, null]])
  })

  it('refuses a file whose field ids say other than its names, and reads one by ids that agree', async () => {
    await using made = await lab()
    const swapped = await made.duck.file(made.outside, 'a.parquet', row(1), ', FIELD_IDS {id: 2, name: 1, day: 3}')
    await expect(addFiles(made.context, id, { kind: 'files', files: [swapped] })).rejects.toThrow(
      /id states the field id 2, which is name in the table/,
    )
    const partly = await made.duck.file(made.outside, 'b.parquet', row(1), ', FIELD_IDS {id: 1}')
    await expect(addFiles(made.context, id, { kind: 'files', files: [partly] })).rejects.toThrow(/states no field id/)
    const right = await made.duck.file(made.outside, 'c.parquet', row(1), ', FIELD_IDS {id: 1, name: 2, day: 3}')
    expect(await addFiles(made.context, id, { kind: 'files', files: [right] })).toMatchObject({ mapped: false })
    expect(await made.rows('SELECT id, name FROM t')).toEqual([[1n, 'n1']])
  })

  it('refuses a path that contradicts the rows, or that tells of a column which is no partition', async () => {
    await using made = await lab(byDay)
    const right = await made.duck.file(made.outside, 'day=2026-01-01/a.parquet', row(1))
    await addFiles(made.context, id, { kind: 'files', files: [right] })
    const wrong = await made.duck.file(made.outside, 'day=2026-01-02/a.parquet', row(1))
    await expect(addFiles(made.context, id, { kind: 'files', files: [wrong] })).rejects.toThrow(/its path says day/)
    const none = await made.duck.file(made.outside, 'day=2026-02-30/a.parquet', 'SELECT 1::BIGINT AS id')
    await expect(addFiles(made.context, id, { kind: 'files', files: [none] })).rejects.toThrow(/which is no date/)
    const other = await made.duck.file(made.outside, 'day=2026-01-01/name=x/a.parquet', 'SELECT 1::BIGINT AS id')
    await expect(addFiles(made.context, id, { kind: 'files', files: [other] })).rejects.toThrow(
      /tells of name, by which the table is not partitioned/,
    )
  })

  it('adds no file of another table, which would be deleted under its feet', async () => {
    await using made = await lab()
    const { context } = made
    const other = tableId('lab.other')
    await createTable(context, other, {
      location: `${context.store.root}/lab/other`,
      schema: { schemaId: 0, fields: columns, identifierFieldIds: [] },
      spec: flat,
    })
    const { added } = await append(context, other, { sql: "SELECT 1 AS id, 'a' AS name, NULL AS day" })
    for (const found of [
      { kind: 'folder', folder: storePath(`${context.store.root}/lab/other/data`) },
      { kind: 'files', files: added.map((one) => one.path) },
    ] as const)
      await expect(addFiles(context, id, found)).rejects.toMatchObject({
        kind: 'table/unsafe-change',
        message: expect.stringContaining('lies in the folder of lab.other'),
      })
  })

  it('adds no file twice, and no file that another writer has just added', async () => {
    await using made = await lab()
    const found = { kind: 'folder', folder: made.folder } as const
    await made.duck.file(made.outside, 'a.parquet', row(1))
    await addFiles(made.context, id, found)
    await expect(addFiles(made.context, id, found)).rejects.toThrow(/has 1 of these 1 files already/)
    await made.duck.file(made.outside, 'b.parquet', row(2))
    expect(await addFiles(made.context, id, found, { duplicates: 'skip' })).toMatchObject({ files: 1, alreadyThere: 1 })
    await made.duck.file(made.outside, 'c.parquet', row(3))
    const catalog = new MeddlingCatalog(made.context.catalog)
    catalog.before = async (commit) => {
      if (commit === 1) await addFiles(made.context, id, found, { duplicates: 'skip' })
    }
    const late = { ...made.context, catalog, wait: async () => undefined }
    expect(await addFiles(late, id, found, { duplicates: 'skip' })).toMatchObject({ files: 0, alreadyThere: 3 })
    expect(await made.rows('SELECT id FROM t ORDER BY id')).toEqual([[1n], [2n], [3n]])
  })

  it('keeps its work when others append meanwhile, and never deletes a file it gives up', async () => {
    await using made = await lab()
    const file = await made.duck.file(made.outside, 'a.parquet', row(1))
    const catalog = new MeddlingCatalog(made.context.catalog)
    catalog.before = async (commit) => {
      if (commit === 1) await append(made.context, id, { sql: row(9) })
    }
    const late = { ...made.context, catalog, wait: async () => undefined }
    await addFiles(late, id, { kind: 'files', files: [file] })
    expect(await made.rows('SELECT id FROM t ORDER BY id')).toEqual([[1n], [9n]])
    expect(await made.context.store.stat(file)).not.toBeNull()
  })

  it('passes over hidden files and empty ones, and refuses folders of other table formats and other files', async () => {
    await using made = await lab()
    const found = { kind: 'folder', folder: made.folder } as const
    await expect(addFiles(made.context, id, found)).rejects.toMatchObject({ kind: 'source/missing' })
    await made.duck.file(made.outside, 'a.parquet', row(1))
    await made.duck.file(made.outside, 'none.parquet', `${row(1)} LIMIT 0`)
    await made.duck.file(made.outside, '_temporary/b.parquet', row(2))
    writeFileSync(join(made.outside, '_SUCCESS'), '')
    writeFileSync(join(made.outside, 'notes.txt'), 'x')
    await expect(addFiles(made.context, id, found)).rejects.toThrow(/notes\.txt is not named as a Parquet file/)
    const skipping = { ...found, others: 'skip' } as const
    expect(await addFiles(made.context, id, skipping)).toMatchObject({ files: 1, empty: 1, skipped: 1 })
    for (const [path, format] of [
      ['metadata/v1.metadata.json', 'Iceberg'],
      ['_delta_log/0.json', 'Delta'],
      ['.hoodie/hoodie.properties', 'Hudi'],
    ] as const) {
      const folder = join(made.outside, format)
      mkdirSync(join(folder, path, '..'), { recursive: true })
      writeFileSync(join(folder, path), '{}')
      await expect(
        addFiles(made.context, id, { kind: 'folder', folder: storePath(`file://${folder}`) }),
      ).rejects.toThrow(new RegExp(`holds a table of the format ${format}`))
    }
    writeFileSync(join(made.outside, 'torn.parquet'), 'PAR1 no')
    await expect(addFiles(made.context, id, skipping, { duplicates: 'skip' })).rejects.toMatchObject({
      kind: 'table/unsafe-change',
    })
    const torn = storePath(`file://${made.outside}/torn.parquet`)
    await expect(addFiles(made.context, id, { kind: 'files', files: [torn] })).rejects.toThrow(/torn\.parquet/)
  })

  it('says on a dry run what it would do, and does nothing', async () => {
    await using made = await lab(byDay)
    await made.duck.file(made.outside, 'day=2026-01-01/a.parquet', 'SELECT 1::BIGINT AS id')
    await made.duck.file(made.outside, 'day=2026-01-02/a.parquet', 'SELECT 2::BIGINT AS id')
    const found = { kind: 'folder', folder: made.folder } as const
    const would = await addFiles(made.context, id, found, { dryRun: true })
    expect(would).toMatchObject({ snapshotId: null, files: 2, rows: 2, partitions: 2 })
    expect((await made.metadata())?.snapshots).toEqual([])
    const only = { partition: { day: '2026-01-02' } }
    expect(await addFiles(made.context, id, found, only)).toMatchObject({ files: 1, rows: 1 })
    await expect(addFiles(made.context, id, found, { partition: { day: '2031-01-01' } })).rejects.toMatchObject({
      kind: 'source/missing',
    })
  })

  it('gives row ids to added files of a version 3 table, and promotes what the table widened', async () => {
    await using made = await lab(flat, columns, 3)
    const file = await made.duck.file(made.outside, 'a.parquet', "SELECT 1::INTEGER AS id, 'x' AS name")
    await addFiles(made.context, id, { kind: 'files', files: [file] })
    const metadata = await made.metadata()
    expect(metadata?.nextRowId).toBe(1n)
    expect(await made.rows('SELECT typeof(id), id FROM t')).toEqual([['BIGINT', 1n]])
  })
})
