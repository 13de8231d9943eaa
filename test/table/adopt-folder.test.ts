import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import {
  append,
  deleteRows,
  expireSnapshots,
  migrateFolder,
  removeOrphans,
  rewriteDataFiles,
  snapshotFolder,
} from '../../packages/limn/src/table/index.ts'
import { ask, bareDuck, bytesIn } from '../support/hive-folder.ts'
import { temporaryTables } from '../support/tables.ts'

const id = tableId('lab.t')

async function lab() {
  const made = await temporaryTables()
  const { context } = made
  const outside = join(made.folder, 'delivered')
  mkdirSync(outside)
  const duck = await bareDuck()
  return {
    ...made,
    duck,
    outside,
    delivered: storePath(`file://${outside}`),
    rows: (sql: string) => ask(context, id, sql),
    async [Symbol.asyncDispose]() {
      duck[Symbol.dispose]()
      await made[Symbol.asyncDispose]()
    },
  }
}

describe('snapshotFolder', () => {
  it('makes a table over files of growing columns, partitioned as the folders say, and leaves the folder as it is', async () => {
    await using made = await lab()
    await made.duck.file(made.outside, 'year=2025/zip=00501/a.parquet', 'SELECT 1::INTEGER AS id, {x: 1} AS s')
    await made.duck.file(
      made.outside,
      'year=2026/zip=__HIVE_DEFAULT_PARTITION__/b.parquet',
      "SELECT 2::BIGINT AS id, {x: 2, y: 'z'} AS s, [1.5::FLOAT] AS l, MAP {'k': 1} AS m",
    )
    const before = bytesIn(made.outside)
    const done = await snapshotFolder(made.context, id, made.delivered)
    expect(done).toMatchObject({ files: 2, rows: 2, partitions: 2, empty: 0, skipped: 0 })
    const { metadata } = done
    expect(metadata.schemas[0]?.fields.map((field) => [field.name, field.type])).toEqual([
      ['id', 'long'],
      ['s', expect.objectContaining({ type: 'struct' })],
      ['l', expect.objectContaining({ element: 'float' })],
      ['m', expect.objectContaining({ key: 'string', value: 'int' })],
      ['year', 'long'],
      ['zip', 'string'],
    ])
    expect(metadata.properties).toMatchObject({ 'gc.enabled': 'false', snapshot: 'true' })
    expect(await made.rows('SELECT id, s.x, s.y, l, m, year, zip FROM t ORDER BY id')).toEqual([
      [1n, 1, null, null, null, 2025n, '00501'],
      [2n, 2, 'z', expect.anything(), expect.anything(), 2026n, null],
    ])
    expect(bytesIn(made.outside)).toEqual(before)
  })

  it('goes its own way from then on, and never deletes a file of the folder', async () => {
    await using made = await lab()
    for (const n of [1, 2])
      await made.duck.file(made.outside, `p=${n}/a.parquet`, `SELECT range AS id FROM range(${n * 10})`)
    const before = bytesIn(made.outside)
    await snapshotFolder(made.context, id, made.delivered)
    await append(made.context, id, { sql: 'SELECT 99::BIGINT AS id, 3::BIGINT AS p' })
    await deleteRows(made.context, id, { filter: 'id < 5' })
    await rewriteDataFiles(made.context, id, { all: true, minInputFiles: 1 })
    await expireSnapshots(made.context, id, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 1 })
    await expect(removeOrphans(made.context, id, { ageMs: 3_600_000 })).rejects.toThrow(/gc\.enabled/)
    expect(await made.rows('SELECT count(*), sum(p) FROM t')).toEqual([[21n, 5n + 2n * 15n + 3n]])
    expect(bytesIn(made.outside)).toEqual(before)
  })

  it('keeps the field ids that the files state, and refuses files whose ids or types do not go together', async () => {
    await using made = await lab()
    await made.duck.file(made.outside, 'a.parquet', 'SELECT 1 AS x, 2 AS y', ', FIELD_IDS {x: 7, y: 4}')
    expect((await snapshotFolder(made.context, id, made.delivered)).metadata.schemas[0]?.fields).toMatchObject([
      { id: 7, name: 'x' },
      { id: 4, name: 'y' },
    ])
    expect(await made.rows('SELECT x, y FROM t')).toEqual([[1, 2]])
    const other = tableId('lab.other')
    await made.duck.file(made.outside, 'b.parquet', 'SELECT 1 AS x', ', FIELD_IDS {x: 8}')
    await expect(snapshotFolder(made.context, other, made.delivered)).rejects.toThrow(/other field ids/)
    await made.duck.file(made.outside, 'b.parquet', "SELECT 'one' AS x", ', FIELD_IDS {x: 7}')
    await expect(snapshotFolder(made.context, other, made.delivered)).rejects.toThrow(
      /x is int in files before and string/,
    )
    await made.duck.file(made.outside, 'b.parquet', 'SELECT 1 AS x')
    await expect(snapshotFolder(made.context, other, made.delivered)).rejects.toThrow(/one states field ids/)
    await expect(snapshotFolder(made.context, id, made.delivered)).rejects.toMatchObject({ kind: 'usage/table-exists' })
  })

  it('refuses files that do not lie equally deep, and columns that differ in case alone', async () => {
    await using made = await lab()
    await made.duck.file(made.outside, 'p=1/a.parquet', 'SELECT 1 AS x')
    await made.duck.file(made.outside, 'a.parquet', 'SELECT 1 AS x')
    await expect(snapshotFolder(made.context, id, made.delivered)).rejects.toThrow(/other partitions \(none; p\)/)
    const cased = join(made.outside, 'cased')
    await made.duck.file(cased, 'P=1/a.parquet', 'SELECT 1 AS p')
    await expect(snapshotFolder(made.context, id, storePath(`file://${cased}`))).rejects.toThrow(/differ in case alone/)
    expect(await made.context.catalog.listTables()).toEqual([])
  })

  it('makes nothing on a dry run', async () => {
    await using made = await lab()
    await made.duck.file(made.outside, 'a.parquet', 'SELECT 1 AS x')
    const would = await snapshotFolder(made.context, id, made.delivered, { dryRun: true })
    expect(would).toMatchObject({ snapshotId: null, files: 1, rows: 1 })
    expect(await made.context.catalog.listTables()).toEqual([])
  })

  // What DuckDB reads from a folder is what the table made over it holds.
  const texts = fc.oneof(
    fc.constant(null),
    fc.string({
      unit: fc.constantFrom('a', 'B', 'é', ' ', '/', '%', '=', '+', '*', '?', '[', ']', '!', "'", '"', '\\', '日'),
      minLength: 1,
      maxLength: 6,
    }),
  )
  const folders = fc.record({
    keys: fc.subarray(['p', 'q', 'n', 'd'] as const),
    files: fc.array(
      fc.record({
        text: texts,
        other: texts,
        number: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { nil: null }),
        day: fc.option(fc.integer({ min: -20_000, max: 40_000 }), { nil: null }),
        columns: fc.subarray(['i', 's', 'l', 'f'] as const, { minLength: 1 }),
        wide: fc.boolean(),
        rows: fc.integer({ min: 0, max: 5 }),
        salt: fc.nat(1000),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  })

  it('reads as DuckDB reads the folder, whatever its partitions and columns', { timeout: 60_000 }, async () => {
    await using made = await lab()
    let runs = 0
    await fc.assert(
      fc.asyncProperty(folders, async ({ keys, files }) => {
        const table = tableId(`lab.run_${runs}`)
        const folder = join(made.outside, `run ${runs++}`)
        const encode = (text: string | null) =>
          text === null
            ? '__HIVE_DEFAULT_PARTITION__'
            : encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
        for (const [i, file] of files.entries()) {
          const values = {
            p: file.text,
            q: file.other,
            n: file.number === null ? null : String(file.number),
            d: file.day === null ? null : new Date(file.day * 86_400_000).toISOString().slice(0, 10),
          }
          const path = keys.map((key) => `${encode(key)}=${encode(values[key])}/`).join('')
          const number = file.wide ? 'BIGINT' : 'INTEGER'
          const sql = {
            i: `(range + ${file.salt})::${number} AS i`,
            s: `CASE WHEN range % 3 = 0 THEN NULL ELSE 's' || range END AS s`,
            l: `[range::${number}, NULL] AS l`,
            f: `(range / 3)::${file.wide ? 'DOUBLE' : 'FLOAT'} AS f`,
          }
          await made.duck.file(
            folder,
            `${path}${i}.parquet`,
            `SELECT ${file.columns.map((one) => sql[one]).join(', ')} FROM range(${file.rows})`,
          )
        }
        const done = await snapshotFolder(made.context, table, storePath(`file://${folder}`), {
          partitionTypes: { p: 'string', q: 'string', n: 'long', d: 'date' },
        })
        const names = [...new Set([...files.flatMap((file) => file.columns), ...keys])].sort()
        const list = names.map((name) =>
          name === 'l' ? 'l::BIGINT[]::VARCHAR' : name === 'f' ? 'f::DOUBLE' : name === 'i' ? 'i::BIGINT' : `"${name}"`,
        )
        const types = 'hive_types = {p: VARCHAR, q: VARCHAR, n: BIGINT, d: DATE}'
        const scan = `read_parquet('${folder}/**/*.parquet', hive_partitioning = true, union_by_name = true${keys.length === 4 ? `, ${types}` : ', hive_types_autocast = false'})`
        const cast = list.map((one) => (one === '"n"' ? '"n"::BIGINT' : one === '"d"' ? '"d"::DATE' : one))
        const ofDuck = await made.duck.rows(
          `SELECT to_json([${cast.map((one) => `(${one})::VARCHAR`).join(', ')}])::VARCHAR FROM ${scan} ORDER BY 1`,
        )
        const ofTable = await ask(
          made.context,
          table,
          `SELECT to_json([${cast.map((one) => `(${one})::VARCHAR`).join(', ')}])::VARCHAR FROM t ORDER BY 1`,
        )
        expect(ofTable).toEqual(ofDuck)
        expect(done.rows).toBe(files.reduce((sum, file) => sum + file.rows, 0))
      }),
      { numRuns: 40, seed: 20261126 },
    )
  })
})

describe('migrateFolder', () => {
  it('makes the folder the table, which then writes and cleans there', async () => {
    await using made = await lab()
    const folder = join(made.folder, 'warehouse', 'landed')
    for (const p of [1, 2]) await made.duck.file(folder, `p=${p}/a.parquet`, 'SELECT range AS id FROM range(5)')
    writeFileSync(join(folder, '_SUCCESS'), '')
    const done = await migrateFolder(made.context, id, storePath(`file://${folder}/`))
    expect(done.metadata.location).toBe(`file://${folder}`)
    expect(done.metadata.properties).toMatchObject({ migrated: 'true' })
    expect(readdirSync(join(folder, 'metadata')).some((name) => name.endsWith('.metadata.json'))).toBe(true)
    await rewriteDataFiles(made.context, id, { all: true, minInputFiles: 1 })
    await expireSnapshots(made.context, id, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 1 })
    expect(readdirSync(join(folder, 'p=1'))).toEqual([])
    expect(await made.rows('SELECT p, count(*) FROM t GROUP BY p ORDER BY p')).toEqual([
      [1n, 5n],
      [2n, 5n],
    ])
    await expect(migrateFolder(made.context, tableId('lab.u'), storePath(`file://${folder}`))).rejects.toThrow(
      /where lab\.t lies, are within one another/,
    )
  })

  it('refuses a folder outside the warehouse', async () => {
    await using made = await lab()
    await made.duck.file(made.outside, 'a.parquet', 'SELECT 1 AS x')
    await expect(migrateFolder(made.context, id, made.delivered)).rejects.toMatchObject({ kind: 'table/unsafe-change' })
  })
})
