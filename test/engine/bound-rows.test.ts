import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { type BoundRows, type Datum, openDuckDb } from '../../packages/limn/src/engine/index.ts'
import type { Field, Type } from '../../packages/limn/src/schema/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'limn-rows-'))
const engine = await openDuckDb({ threads: 2, memoryLimit: '200MB', temporaryFolder: folder })
afterAll(() => {
  engine.close()
  rmSync(folder, { recursive: true, force: true })
})

const id = tableId('m.t')

function table(
  fields: readonly (readonly [string, Type])[],
  batches: () => Iterable<readonly (readonly Datum[])[]>,
): BoundRows {
  const schema = {
    schemaId: 0,
    identifierFieldIds: [],
    fields: fields.map(([name, type], i): Field => ({ id: i + 1, name, required: false, type })),
  }
  return {
    id,
    schema,
    async *rows() {
      yield* batches()
    },
  }
}

const list = (element: Type): Type => ({ type: 'list', elementId: 50, elementRequired: false, element })
const map = (key: Type, value: Type): Type => ({
  type: 'map',
  keyId: 51,
  key,
  valueId: 52,
  valueRequired: false,
  value,
})
const struct = (...fields: readonly (readonly [string, Type])[]): Type => ({
  type: 'struct',
  fields: fields.map(([name, type], i) => ({ id: 60 + i, name, required: false, type })),
})

describe('a table given by its rows', () => {
  it('holds values of every type, and their nulls, as DuckDB writes them', async () => {
    const fields: readonly (readonly [string, Type, Datum, string])[] = [
      ['b', 'boolean', true, 'true'],
      ['i', 'int', -7, '-7'],
      ['l', 'long', 9_007_199_254_740_993n, '9007199254740993'],
      ['f', 'float', 1.5, '1.5'],
      ['d', 'double', Number.NaN, 'nan'],
      ['n', 'decimal(38,3)', -12345678901234567890123n, '-12345678901234567890.123'],
      ['day', 'date', -1, '1969-12-31'],
      ['t', 'time', 3_723_000_001n, '01:02:03.000001'],
      ['ts', 'timestamp', -1n, '1969-12-31 23:59:59.999999'],
      ['tz', 'timestamptz', 0n, '1970-01-01 00:00:00+00'],
      ['ns', 'timestamp_ns', 1n, '1970-01-01 00:00:00.000000001'],
      ['s', 'string', 'żółw, 𝕏, and more than twelve bytes', 'żółw, 𝕏, and more than twelve bytes'],
      ['u', 'uuid', '00112233-4455-6677-8899-aabbccddeeff', '00112233-4455-6677-8899-aabbccddeeff'],
      ['y', 'binary', new Uint8Array([0, 97]), '\\x00a'],
      ['x', 'fixed[2]', new Uint8Array([98, 99]), 'bc'],
      ['st', struct(['p', 'int'], ['q', struct(['r', 'string'])]), [1, ['deep']], "{'p': 1, 'q': {'r': deep}}"],
      ['li', list('int'), [1, null, 3], '[1, NULL, 3]'],
      ['no', list('int'), [], '[]'],
      [
        'ma',
        map('int', 'binary'),
        new Map<number, Datum>([
          [1, new Uint8Array([97])],
          [2, null],
        ]),
        '{1=a, 2=NULL}',
      ],
    ]
    const rows = table(
      fields.map(([name, type]) => [name, type]),
      () => [[fields.map((one) => one[2])], [fields.map(() => null)]],
    )
    await using session = await engine.session([rows])
    const texts = fields.map(([name]) => `"${name}"::VARCHAR`).join(', ')
    const found = await session.rows(`SELECT ${texts} FROM ${id} ORDER BY i NULLS LAST`)
    expect(found.rows).toEqual([fields.map((one) => one[3]), fields.map(() => null)])
  })

  it('keeps rows of many batches apart: lists and nulls of one chunk do not reach the next', async () => {
    const rows = 10_000
    const of = (i: number): readonly Datum[] => [
      BigInt(i),
      i % 3 === 0 ? null : `row number ${i}`,
      i % 5 === 0 ? null : Array.from({ length: i % 4 }, (_, at) => (at === 1 ? null : BigInt(i + at))),
      i % 7 === 0 ? null : new Map([[i, `value of row ${i}`]]),
    ]
    const sizes = [1, 2048, 7, 5000, 2944]
    const given = table(
      [
        ['i', 'long'],
        ['s', 'string'],
        ['l', list('long')],
        ['m', map('int', 'string')],
      ],
      function* () {
        let at = 0
        for (const size of sizes) {
          yield Array.from({ length: size }, (_, k) => of(at + k))
          at += size
        }
      },
    )
    await using session = await engine.session([given])
    const expected = `SELECT i, CASE WHEN i % 3 <> 0 THEN 'row number ' || i END AS s,
      CASE WHEN i % 5 <> 0 THEN list_transform(range(i % 4), lambda k: CASE WHEN k <> 1 THEN i + k END) END AS l,
      CASE WHEN i % 7 <> 0 THEN MAP {i::INTEGER: 'value of row ' || i} END AS m FROM range(${rows}) r(i)`
    const counts = await session.rows(
      `SELECT (SELECT count(*) FROM ${id}), (SELECT count(*) FROM (FROM ${id} EXCEPT ALL (${expected}))), (SELECT count(*) FROM (${expected} EXCEPT ALL FROM ${id}))`,
    )
    expect(counts.rows).toEqual([[BigInt(rows), 0n, 0n]])
  })

  it('needs no more memory than the engine has: what does not fit is spilled', async () => {
    const small = await openDuckDb({ threads: 1, memoryLimit: '40MB', temporaryFolder: folder })
    const rows = 60_000
    const given = table(
      [
        ['i', 'long'],
        ['s', 'string'],
      ],
      function* () {
        for (let at = 0; at < rows; at += 2000)
          yield Array.from({ length: 2000 }, (_, k): readonly Datum[] => [
            BigInt(at + k),
            `${at + k} `.padEnd(1500, 'x'),
          ])
      },
    )
    const session = await small.session([given])
    const { rows: found } = await session.rows(`SELECT count(*), sum(length(s))::BIGINT FROM ${id}`)
    await session[Symbol.asyncDispose]()
    small.close()
    expect(found).toEqual([[BigInt(rows), BigInt(rows * 1500)]])
  })

  it('says what to give more of when memory does not suffice', async () => {
    const small = await openDuckDb({ threads: 1, memoryLimit: '15MB', temporaryFolder: folder })
    await using session = await small.session([])
    const sorted =
      'SELECT count(*) FROM (SELECT md5(i::VARCHAR) AS k, list(i) FROM range(1000000) t(i) GROUP BY 1 ORDER BY 1)'
    await expect(session.rows(sorted)).rejects.toMatchObject({
      kind: 'sql/failed',
      remedy: expect.stringContaining('engine.memory'),
    })
    small.close()
  })

  it('tells the error of whoever makes the rows, and a number that no column holds', async () => {
    const failing = table([['i', 'long']], function* () {
      yield [[1n]]
      throw new Error('the manifest is gone')
    })
    await expect(engine.session([failing])).rejects.toThrow(/the manifest is gone/)
    const large = table([['i', 'long']], () => [[[2n ** 63n]]])
    await expect(engine.session([large])).rejects.toMatchObject({ kind: 'iceberg/invalid-metadata' })
  })
})

describe('the columns a query uses', () => {
  const columns = [
    { name: 'a', type: 'int' as const },
    { name: 'b', type: struct(['x', 'int'], ['y', 'string']) },
    { name: 'c', type: 'string' as const },
  ]
  const view = tableId('m.v')
  it.each<readonly [string, readonly string[]]>([
    ['SELECT count(*) FROM m.t', []],
    ['SELECT b.x FROM m.t WHERE a = 3', ['a', 'b']],
    ['SELECT a FROM m.t WHERE b.x = 5 ORDER BY c', ['a', 'b', 'c']],
    ['FROM m.t', ['a', 'b', 'c']],
    ['SELECT * EXCLUDE (c) FROM m.t', ['a', 'b']],
    ['SELECT t FROM m.t', ['a', 'b', 'c']],
    ['SELECT one FROM m.t AS t(one, two, three)', ['a']],
    ['SELECT A FROM m.t WHERE false', ['a']],
    ["SELECT columns('[ac]') FROM m.t", ['a', 'c']],
    ['SELECT count(*) FROM m.t x JOIN m.t y USING (c)', ['c']],
    ['WITH w AS (SELECT a, b FROM m.t) SELECT count(*) FROM w, w AS z WHERE w.a = z.a', ['a', 'b']],
    ['SELECT (SELECT max(c) FROM m.t WHERE t.a < r.i) FROM range(3) r(i)', ['a', 'c']],
    ["SELECT 1 WHERE EXISTS (FROM m.t WHERE c = 'x')", ['a', 'b', 'c']],
    ['SELECT k FROM m.v', ['a']],
  ])('%s', async (sql, expected) => {
    const tables = new Map([
      [id, { columns }],
      [view, { columns: [{ name: 'k', type: 'int' as const }], query: 'SELECT a FROM m.t' }],
    ])
    const used = await engine.columnsUsed(sql, tables)
    expect([...(used.get(id) ?? [])].sort()).toEqual(expected)
  })
})
