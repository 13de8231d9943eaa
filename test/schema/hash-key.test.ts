import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashKeyOf, hashKeySql, type PrimitiveType, type Value } from '../../packages/limn/src/schema/index.ts'
import { sqlLiteral } from '../../packages/limn/src/sql/index.ts'
import { temporaryEngine } from '../support/duckdb.ts'

const micros = fc.bigInt({ min: -60_000_000_000_000_000n, max: 60_000_000_000_000_000n })
const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((value) => !value.includes('\0'))
const parts: fc.Arbitrary<{ type: PrimitiveType; value: Value | null }> = fc.oneof(
  ...(
    [
      ['boolean', fc.boolean()],
      ['int', fc.integer()],
      ['long', fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })],
      ['decimal(18,3)', fc.bigInt({ min: -(10n ** 18n) + 1n, max: 10n ** 18n - 1n })],
      ['date', fc.integer({ min: -700_000, max: 700_000 })],
      ['time', fc.bigInt({ min: 0n, max: 86_399_999_999n })],
      ['timestamp', micros],
      ['timestamptz', micros],
      ['string', text],
      ['uuid', fc.uuid()],
    ] as const
  ).map(([type, values]) => fc.option(values as fc.Arbitrary<Value>, { freq: 5 }).map((value) => ({ type, value }))),
)

describe('the hash-key encoding', () => {
  it('gives the same 16 bytes in SQL and TypeScript, for every type, null and unicode', async () => {
    await using made = await temporaryEngine()
    await using session = await made.engine.session([])
    await fc.assert(
      fc.asyncProperty(fc.array(parts, { minLength: 1, maxLength: 5 }), async (list) => {
        const sql = hashKeySql(list.map(({ type, value }) => ({ type, sql: sqlLiteral(type, value) })))
        const { rows } = await session.rows(`SELECT ${sql}`)
        expect(String(rows[0]?.[0])).toBe(hashKeyOf(list))
      }),
      { seed: 7, numRuns: 150 },
    )
  })

  it('is fixed for good', () => {
    // Computed with Python's hashlib over the encoded text.
    expect(
      hashKeyOf([
        { type: 'string', value: '' },
        { type: 'string', value: null },
      ]),
    ).toBe('4440478c-0168-eb69-e0ff-b18299671cf6')
    expect(
      hashKeyOf([
        { type: 'timestamp', value: -1n },
        { type: 'string', value: 'Zürich' },
      ]),
    ).toBe('871287a3-8da4-df93-a344-b7bc3785eda5')
    expect(
      hashKeyOf([
        { type: 'decimal(9,2)', value: -5n },
        { type: 'boolean', value: true },
      ]),
    ).toBe('deeb2677-9986-4175-a4da-7cab32a88057')
    expect(hashKeyOf([{ type: 'long', value: 34n }])).toBe(hashKeyOf([{ type: 'int', value: 34 }]))
  })

  it('tells null from empty, and where one part ends', () => {
    const key = (...values: (string | null)[]) => hashKeyOf(values.map((value) => ({ type: 'string', value })))
    const all = [
      key(null),
      key(''),
      key('N'),
      key('a', 'bc'),
      key('ab', 'c'),
      key('a', null),
      key(null, 'a'),
      key('1:a'),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  it('refuses types without a canonical text', () => {
    expect(() => hashKeySql([{ sql: 'x', type: 'double' }])).toThrow(/no canonical text/)
    expect(() => hashKeyOf([{ type: 'float', value: 1.5 }])).toThrow(/no canonical text/)
  })
})
