import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { type ParquetFooter, readParquetFooter } from '../../packages/limn/src/encoding/index.ts'

let folder = ''
let file: Uint8Array = new Uint8Array()

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'limn-parquet-'))
  const path = join(folder, 'a.parquet')
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run(`
    COPY (SELECT i::INTEGER a, i::DECIMAL(30,2) d, i::VARCHAR s, [i] l, {x: i, y: 'z'} o, MAP {i: 'v'} m
          FROM range(5000) t(i))
    TO '${path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 2048, KV_METADATA {who: 'limn'},
      FIELD_IDS {a: 1, d: 2, s: 3, l: {__duckdb_field_id: 4, element: 5}, o: {__duckdb_field_id: 6, x: 7, y: 8},
                 m: {__duckdb_field_id: 9, key: 10, value: 11}})`)
  file = new Uint8Array(readFileSync(path))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const read = (bytes: Uint8Array): Promise<ParquetFooter> =>
  readParquetFooter(async (start, end) => bytes.subarray(start, end), bytes.length)
const outcome = async (bytes: Uint8Array): Promise<unknown> => {
  try {
    await read(bytes)
    return 'accepted'
  } catch (error) {
    return error instanceof LimnError ? error.kind : error
  }
}

describe("a Parquet file's footer", () => {
  it('says what is in the file: schema with field ids, row groups, chunks, text', async () => {
    const footer = await read(file)
    expect(footer.rowCount).toBe(5000n)
    expect(footer.rowGroups.map((group) => group.rowCount)).toEqual([2048n, 2048n, 904n])
    expect(footer.rowGroups[0]?.offset).toBe(4n)
    expect(footer.keyValues).toEqual(new Map([['who', 'limn']]))
    expect(footer.createdBy).toMatch(/DuckDB/)
    expect(footer.fields.map(({ name, fieldId, kind }) => [name, fieldId, kind])).toEqual([
      ['a', 1, 'leaf'],
      ['d', 2, 'leaf'],
      ['s', 3, 'leaf'],
      ['l', 4, 'group'],
      ['o', 6, 'group'],
      ['m', 9, 'group'],
    ])
    expect(footer.leaves.map(({ path, fieldId }) => [path.join('.'), fieldId])).toEqual([
      ['a', 1],
      ['d', 2],
      ['s', 3],
      ['l.list.element', 5],
      ['o.x', 7],
      ['o.y', 8],
      ['m.key_value.key', 10],
      ['m.key_value.value', 11],
    ])
    expect(footer.leaves[1]).toMatchObject({
      physical: 'fixed-len-byte-array',
      length: 16,
      logical: { kind: 'decimal', precision: 30, scale: 2 },
    })
    expect(footer.rowGroups[1]?.columns[0]).toMatchObject({
      codec: 'zstd',
      valueCount: 2048n,
      statistics: { nullCount: 0n, min: Uint8Array.of(0, 8, 0, 0), max: Uint8Array.of(255, 15, 0, 0) },
    })
  })

  it('is read at the end of the file alone, once or, when it is long, twice', async () => {
    const asked: [number, number][] = []
    const footer = await readParquetFooter(async (start, end) => {
      asked.push([start, end])
      return file.subarray(start, end)
    }, file.length)
    expect(asked).toEqual([[Math.max(0, file.length - 65536), file.length]])
    // The same footer behind padding longer than the first read, as many columns make it.
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    const columns = Array.from({ length: 900 }, (_, i) => `${i} AS column_${i}`).join(', ')
    await connection.run(`COPY (SELECT ${columns}) TO '${folder}/wide.parquet' (FORMAT parquet)`)
    const wide = new Uint8Array(readFileSync(join(folder, 'wide.parquet')))
    asked.length = 0
    const long = await readParquetFooter(async (start, end) => {
      asked.push([start, end])
      return wide.subarray(start, end)
    }, wide.length)
    expect(long.leaves).toHaveLength(900)
    expect(long.footerBytes).toBeGreaterThan(65536)
    expect(asked).toEqual([
      [wide.length - 65536, wide.length],
      [wide.length - long.footerBytes, wide.length],
    ])
    expect(footer.footerBytes).toBeLessThan(65536)
  })

  it('is refused when it is cut off or claims more than there is', async () => {
    for (const length of [0, 3, 11, 12, 100, file.length - 1])
      expect([length, await outcome(file.subarray(0, length))]).toEqual([length, 'iceberg/invalid-metadata'])
    const { footerBytes } = await read(file)
    const claiming = (bytes: number) => {
      const out = Uint8Array.from(file)
      new DataView(out.buffer).setUint32(out.length - 8, bytes, true)
      return out
    }
    for (const claim of [0, 1, footerBytes - 9, footerBytes - 7, file.length, 0xffffffff])
      expect([claim, await outcome(claiming(claim))]).toEqual([claim, 'iceberg/invalid-metadata'])
    // A struct that nests without end, and a list that claims two billion structs.
    for (const body of [
      Array.from({ length: 5000 }, () => 0x1c),
      [0x29, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0],
      [0x19, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ]) {
      const tail = new DataView(new ArrayBuffer(8))
      tail.setUint32(0, body.length, true)
      tail.setUint32(4, 0x31524150, true)
      const bytes = Uint8Array.of(0x50, 0x41, 0x52, 0x31, ...body, ...new Uint8Array(tail.buffer))
      expect(await outcome(bytes)).toBe('iceberg/invalid-metadata')
    }
  })

  it('ends in a footer or a clear error whatever bytes are changed', async () => {
    const { footerBytes } = await read(file)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(footerBytes - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        async (changes) => {
          const bytes = Uint8Array.from(file)
          for (const [back, value] of changes) bytes[bytes.length - 1 - back] = value
          expect(['accepted', 'iceberg/invalid-metadata', 'iceberg/unsupported']).toContain(await outcome(bytes))
        },
      ),
      { numRuns: 600 },
    )
  })
})
