import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FileEngine, openDuckDb, type WriteTarget } from '../../packages/limn/src/engine/index.ts'
import type { Field } from '../../packages/limn/src/schema/index.ts'

let folder = ''
let engine: FileEngine
let plain: Awaited<ReturnType<DuckDBInstance['connect']>>
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'limn-bloom-'))
  engine = await openDuckDb({ threads: 2, memoryLimit: '500MB', temporaryFolder: folder })
  plain = await (await DuckDBInstance.create(':memory:')).connect()
})
afterAll(() => {
  plain.closeSync()
  engine.close()
  rmSync(folder, { recursive: true, force: true })
})

const optional = { required: false } as const
const fields: readonly Field[] = [
  { id: 1, name: 'n', type: 'int', ...optional },
  { id: 2, name: 'big', type: 'long', ...optional },
  { id: 3, name: 'x', type: 'float', ...optional },
  { id: 4, name: 'y', type: 'double', ...optional },
  { id: 5, name: 'word', type: 'string', ...optional },
  { id: 6, name: 'bytes', type: 'binary', ...optional },
  { id: 7, name: 'few', type: 'string', ...optional },
  { id: 8, name: 'none', type: 'string', ...optional },
  { id: 9, name: 'flag', type: 'boolean', ...optional },
  {
    id: 10,
    name: 'many',
    type: { type: 'list', elementId: 11, elementRequired: false, element: 'long' },
    ...optional,
  },
  { id: 12, name: 'hash', type: 'fixed[16]', ...optional },
]

const rows = `SELECT CASE WHEN i % 9 = 0 THEN NULL ELSE (i * 7919)::INTEGER END AS n, i * 1000003 AS big,
  (i / 8)::FLOAT AS x, i / 3.0::DOUBLE AS y, CASE WHEN i % 4 = 0 THEN NULL ELSE md5(i::VARCHAR) END AS word,
  encode('b' || i) AS bytes, 'few ' || (i % 10) AS few, NULL::VARCHAR AS none, i % 2 = 0 AS flag,
  [i * 2, NULL, -i] AS many, unhex(md5(i::VARCHAR)) AS hash
  FROM range(5000) t(i)`

const wish = { falseRate: 0.01, bytesMax: 1024 * 1024 }
let files = 0

async function write(wishes: WriteTarget['bloomFilters'], more: Partial<WriteTarget> = {}, sql = rows) {
  await using session = await engine.session([])
  const [file] = await session.write(sql, {
    schema: { schemaId: 0, identifierFieldIds: [], fields },
    spec: { specId: 0, fields: [] },
    folder: join(folder, String(files++)),
    compression: 'zstd',
    rowGroupSize: 2048,
    ...(wishes ? { bloomFilters: wishes } : {}),
    ...more,
  })
  if (!file) throw new Error('nothing was written')
  return file.local
}

const asJson = async (sql: string) => (await plain.runAndReadAll(sql)).getRowsJson()

/** Row groups that a filter excludes. */
async function excluded(local: string, column: string, value: string): Promise<readonly unknown[]> {
  const found = await asJson(`SELECT bloom_filter_excludes FROM parquet_bloom_probe('${local}', '${column}', ${value})`)
  return found.flat()
}

describe('Bloom filters', () => {
  it('are there for the wished columns and for no others', async () => {
    const wishes = new Map([1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12].map((id) => [id, wish]))
    const having = (local: string) =>
      asJson(
        `SELECT DISTINCT path_in_schema FROM parquet_metadata('${local}') WHERE bloom_filter_offset IS NOT NULL ORDER BY ALL`,
      )
    const paths = ['big', 'bytes', 'few', 'hash', 'many, list, element', 'n', 'word', 'x', 'y']
    expect((await having(await write(wishes))).flat()).toEqual(paths)
    expect(await having(await write(undefined))).toEqual([])
    expect(await having(await write(new Map([[5, wish]])))).toEqual([['word']])
  })

  for (const compression of ['zstd', 'snappy', 'gzip', 'lz4_raw', 'brotli', 'uncompressed'] as const) {
    it(`hold every value of their row group and few others, ${compression}`, async () => {
      const local = await write(new Map([1, 2, 3, 4, 5, 6, 7].map((id) => [id, wish])), { compression })
      const count = await asJson(`SELECT count(*) FROM (FROM '${local}' EXCEPT ALL FROM (${rows}))`)
      expect(count).toEqual([['0']])
      // [column, a value of row 4001, in the second row group, values that no row has]
      const asked: readonly (readonly [string, string, (i: number) => string])[] = [
        ['n', `${4001 * 7919}::INTEGER`, (i) => `${i * 7919 + 1}::INTEGER`],
        ['big', `${4001 * 1000003}::BIGINT`, (i) => `${i * 1000003 + 1}::BIGINT`],
        ['x', '(4001 / 8)::FLOAT', (i) => `(${i} + 0.3)::FLOAT`],
        ['y', '4001 / 3.0::DOUBLE', (i) => `(${i} + 0.1)::DOUBLE`],
        ['word', "md5('4001')", (i) => `md5('x${i}')`],
        ['bytes', "encode('b4001')", (i) => `encode('c${i}')`],
        ['few', "'few 1'", (i) => `'fewer ${i}'`],
      ]
      for (const [column, there, absent] of asked) {
        expect([column, (await excluded(local, column, there))[1]]).toEqual([column, false])
        const answers: unknown[] = []
        for (let i = 0; i < 40; i++) answers.push(...(await excluded(local, column, absent(i))))
        expect(answers.length).toBe(120)
        expect([column, answers.filter((one) => one === false).length < 12]).toEqual([column, true])
      }
    })
  }

  it('are bit for bit those that DuckDB makes of the same values', async () => {
    const sql = `SELECT ((i % 50) * 7919)::INTEGER AS n, (i % 50) * 1000003 AS big, (i % 50)::FLOAT / 8 + 1 AS x,
      (i % 50) / 3.0::DOUBLE + 1 AS y, repeat('w', (i % 50)::INTEGER) || (i % 50) AS word, encode('b' || (i % 50)) AS bytes,
      'few' AS few, NULL::VARCHAR AS none, true AS flag, [1, 2] AS many, unhex(md5('1')) AS hash FROM range(4000) t(i)`
    const theirs = join(folder, 'theirs.parquet')
    await plain.run(`COPY (${sql}) TO '${theirs}' (FORMAT parquet, ROW_GROUP_SIZE 2048)`)
    const filtersOf = async (local: string) => {
      const bytes = await readFile(local)
      const found = await asJson(
        `SELECT path_in_schema, row_group_id, bloom_filter_offset, bloom_filter_length FROM parquet_metadata('${local}')
         WHERE path_in_schema IN ('n', 'big', 'x', 'y', 'word', 'bytes') ORDER BY ALL`,
      )
      return found.map(([path, group, offset, length]) => ({
        path,
        group,
        // The header is the same but for the size.
        header: bytes.subarray(Number(offset), Number(offset) + 1).toString('hex'),
        length: Number(length),
        filter: bytes.subarray(Number(offset), Number(offset) + Number(length)).toString('hex'),
      }))
    }
    const reference = await filtersOf(theirs)
    expect(reference.length).toBe(12)
    const size = (reference[0]?.length ?? 0) - 16
    const ours = await write(
      new Map([1, 2, 3, 4, 5, 6].map((id) => [id, { ...wish, distinct: 1_000_000, bytesMax: size }])),
      {},
      sql,
    )
    expect(await filtersOf(ours)).toEqual(reference)
  })

  it('have the size that the rate asks for, and no larger one than allowed', async () => {
    const sizes = async (more: Partial<typeof wish & { distinct: number }>) =>
      (
        await asJson(
          `SELECT DISTINCT bloom_filter_length FROM parquet_metadata('${await write(new Map([[2, { ...wish, ...more }]]))}')
           WHERE path_in_schema = 'big' AND row_group_num_rows = 2048`,
        )
      ).map(([length]) => Number(length))
    // 2,048 values take 2,048 × 10.0 bits at one percent, in the next power of two; the header takes 15 or 16 bytes.
    expect(await sizes({})).toEqual([4096 + 16])
    expect(await sizes({ falseRate: 0.0001 })).toEqual([8192 + 17])
    expect(await sizes({ bytesMax: 100 })).toEqual([64 + 16])
    expect(await sizes({ distinct: 10 })).toEqual([32 + 15])
  })

  it('find zeros of either sign and every NaN', async () => {
    const sql = `SELECT 1::INTEGER AS n, 1::BIGINT AS big, '-0.0'::FLOAT AS x, 'NaN'::DOUBLE AS y, '' AS word, ''::BLOB AS bytes,
      '' AS few, NULL::VARCHAR AS none, true AS flag, [1::BIGINT] AS many, unhex(md5('1')) AS hash`
    const local = await write(new Map([3, 4, 5, 6].map((id) => [id, wish])), {}, sql)
    expect(await asJson(`SELECT count(*) FROM '${local}' WHERE x = 0`)).toEqual([['1']])
    expect(await asJson(`SELECT count(*) FROM '${local}' WHERE y = 'NaN'::DOUBLE`)).toEqual([['1']])
    expect(await excluded(local, 'x', '0::FLOAT')).toEqual([false])
    expect(await excluded(local, 'word', "''")).toEqual([false])
    expect(await excluded(local, 'bytes', "''::BLOB")).toEqual([false])
  })
})
