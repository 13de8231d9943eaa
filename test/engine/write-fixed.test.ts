import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { readParquetFooter } from '../../packages/limn/src/encoding/index.ts'
import {
  type Compression,
  type FileEngine,
  openDuckDb,
  type WrittenFile,
} from '../../packages/limn/src/engine/index.ts'
import type { Field } from '../../packages/limn/src/schema/index.ts'

let folder = ''
let engine: FileEngine
let plain: Awaited<ReturnType<DuckDBInstance['connect']>>
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'limn-fixed-'))
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
  { id: 1, name: 'id', type: 'long', ...optional },
  { id: 2, name: 'unique', type: 'fixed[16]', ...optional },
  { id: 3, name: 'few', type: 'fixed[3]', ...optional },
  { id: 4, name: 'none', type: 'fixed[2]', ...optional },
  {
    id: 5,
    name: 'many',
    type: { type: 'list', elementId: 6, elementRequired: false, element: 'fixed[20]' },
    ...optional,
  },
  {
    id: 7,
    name: 'inside',
    type: { type: 'struct', fields: [{ id: 8, name: 'hash', type: 'fixed[16]', ...optional }] },
    ...optional,
  },
  {
    id: 9,
    name: 'named',
    type: { type: 'map', keyId: 10, key: 'string', valueId: 11, valueRequired: false, value: 'fixed[1]' },
    ...optional,
  },
  { id: 12, name: 'after', type: 'string', ...optional },
]

/** Nulls at every level, empty lists, values that repeat and values that do not; more rows than one row group. */
const rows = `SELECT i::BIGINT AS id,
  CASE WHEN i % 11 = 0 THEN NULL ELSE unhex(md5(i::VARCHAR)) END AS "unique",
  CASE WHEN i % 7 = 0 THEN NULL ELSE unhex(substring(md5((i % 5)::VARCHAR), 1, 6)) END AS few,
  NULL::BLOB AS none,
  CASE WHEN i % 13 = 0 THEN NULL ELSE list_transform(range(i % 4), lambda j:
    CASE WHEN j = 2 THEN NULL ELSE unhex(md5((i + j)::VARCHAR) || '0a0b0c0d') END) END AS many,
  CASE WHEN i % 3 = 0 THEN NULL ELSE struct_pack(hash := CASE WHEN i % 2 = 0 THEN NULL ELSE unhex(md5('in' || i)) END) END AS inside,
  CASE WHEN i % 5 = 0 THEN NULL ELSE MAP(['a', 'b'], [unhex('0' || (i % 8)), NULL]) END AS named,
  'row ' || i AS after
  FROM range(9000) t(i)`

async function write(compression: Compression, sql = rows, wanted = fields): Promise<WrittenFile> {
  await using session = await engine.session([])
  const [file] = await session.write(sql, {
    schema: { schemaId: 0, identifierFieldIds: [], fields: wanted },
    spec: { specId: 0, fields: [] },
    folder: join(folder, compression),
    compression,
    rowGroupSize: 2048,
  })
  if (!file) throw new Error('nothing was written')
  return file
}

const asJson = async (sql: string) => (await plain.runAndReadAll(sql)).getRowsJson()

async function footerOf(local: string) {
  await using file = await open(local)
  const { size } = await file.stat()
  return await readParquetFooter(async (start, end) => {
    const bytes = Buffer.alloc(end - start)
    await file.read(bytes, 0, end - start, start)
    return bytes
  }, size)
}

describe('columns of fixed length', () => {
  for (const codec of ['uncompressed', 'snappy', 'gzip', 'zstd', 'lz4_raw', 'brotli'] as const) {
    it(`are stored without lengths and read back equal, ${codec}`, async () => {
      const { local } = await write(codec)
      const schema = await asJson(
        `SELECT name, type, type_length, field_id FROM parquet_schema('${local}') WHERE type IS NOT NULL ORDER BY field_id`,
      )
      expect(schema).toEqual([
        ['id', 'INT64', null, '1'],
        ['unique', 'FIXED_LEN_BYTE_ARRAY', '16', '2'],
        ['few', 'FIXED_LEN_BYTE_ARRAY', '3', '3'],
        ['none', 'FIXED_LEN_BYTE_ARRAY', '2', '4'],
        ['element', 'FIXED_LEN_BYTE_ARRAY', '20', '6'],
        ['hash', 'FIXED_LEN_BYTE_ARRAY', '16', '8'],
        ['key', 'BYTE_ARRAY', null, '10'],
        ['value', 'FIXED_LEN_BYTE_ARRAY', '1', '11'],
        ['after', 'BYTE_ARRAY', null, '12'],
      ])
      const count = (a: string, b: string) => asJson(`SELECT count(*) FROM (FROM ${a} EXCEPT ALL FROM ${b})`)
      expect(await count(`'${local}'`, `(${rows})`)).toEqual([['0']])
      expect(await count(`(${rows})`, `'${local}'`)).toEqual([['0']])
      const encodings = await asJson(
        `SELECT DISTINCT path_in_schema, encodings FROM parquet_metadata('${local}') WHERE path_in_schema IN ('few', 'unique') ORDER BY ALL`,
      )
      expect(encodings).toEqual([
        ['few', 'PLAIN_DICTIONARY'],
        ['unique', 'PLAIN'],
      ])
    })
  }

  it('leave the footer true: chunks follow one another, sizes add up, bounds prune', async () => {
    const { local, lowerBounds, upperBounds } = await write('zstd')
    const footer = await footerOf(local)
    expect(footer.rowGroups.length).toBeGreaterThan(3)
    let at = 4n
    for (const group of footer.rowGroups) {
      expect(group.offset).toBe(at)
      for (const column of group.columns) {
        expect(column.dictionaryPageOffset ?? column.dataPageOffset).toBe(at)
        at += column.compressedBytes
      }
      expect(group.totalBytes).toBe(group.columns.reduce((sum, column) => sum + column.uncompressedBytes, 0n))
    }
    const extremes = await asJson(`SELECT lower(hex(min("unique"))), lower(hex(max("unique"))) FROM (${rows})`)
    expect([lowerBounds, upperBounds].map((one) => Buffer.from(one.get(2) ?? []).toString('hex'))).toEqual(extremes[0])
    const [one] = await asJson(
      `SELECT "unique" = unhex(md5('4711')) FROM '${local}' WHERE "unique" = unhex(md5('4711'))`,
    )
    expect(one).toEqual([true])
  })

  it('take a value of another length for an error, and write nothing', async () => {
    const wrong = "SELECT 1::BIGINT AS id, '\\x01\\x02'::BLOB AS short"
    const short: readonly Field[] = [
      { id: 1, name: 'id', type: 'long', ...optional },
      { id: 2, name: 'short', type: 'fixed[3]', ...optional },
    ]
    const error = await write('zstd', wrong, short).catch((cause: unknown) => cause)
    expect(error instanceof LimnError && error.message).toMatch(/A value of short does not have 3 bytes/)
  })
})
