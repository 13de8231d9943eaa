import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { transformSql } from '../../packages/limn/src/engine/duckdb/write/write-transforms.ts'
import { valueOfText, valueText } from '../../packages/limn/src/engine/duckdb/write/write-values.ts'
import { openDuckDb } from '../../packages/limn/src/engine/index.ts'
import { applyTransform, type Transform, transformResultType } from '../../packages/limn/src/iceberg/index.ts'
import type { PrimitiveType, Value } from '../../packages/limn/src/schema/index.ts'
import { duckType, sqlLiteral } from '../../packages/limn/src/sql/index.ts'

const engine = await openDuckDb({ threads: 2, memoryLimit: '500MB', temporaryFolder: '/tmp' })
afterAll(() => engine.close())

const unit = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.string({ unit: 'grapheme', maxLength: 9 }))
const bytes = fc.uint8Array({ maxLength: 20 })
const long = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.bigInt({ min: -300n, max: 300n }))
const micros = fc.bigInt({ min: -62_135_596_800_000_000n, max: 253_402_300_799_999_999n })
const nanos = fc.bigInt({ min: -(2n ** 63n) + 10n ** 18n, max: 2n ** 63n - 10n ** 9n })
const wide = (digits: bigint) =>
  fc.oneof(fc.bigInt({ min: 1n - 10n ** digits, max: 10n ** digits - 1n }), fc.bigInt({ min: -700n, max: 700n }))

/** DuckDB shows no U+0000 in text it was not given as bytes, so strings go in as bytes. */
const types: readonly (readonly [PrimitiveType, fc.Arbitrary<Value>])[] = [
  ['int', fc.oneof(fc.integer(), fc.integer({ min: -50, max: 50 }), fc.constant(-(2 ** 31)))],
  ['long', fc.oneof(long, fc.constant(-(2n ** 63n)))],
  ['decimal(4,2)', wide(4n)],
  ['decimal(9,0)', wide(9n)],
  ['decimal(18,6)', wide(18n)],
  ['decimal(38,10)', wide(37n)],
  ['date', fc.integer({ min: -719_162, max: 2_932_896 })],
  ['time', fc.bigInt({ min: 0n, max: 86_399_999_999n })],
  ['timestamp', micros],
  ['timestamptz', micros],
  ['timestamp_ns', nanos],
  ['timestamptz_ns', nanos],
  ['string', unit.filter((text) => text.isWellFormed())],
  ['uuid', fc.uuid()],
  ['binary', bytes],
  ['boolean', fc.boolean()],
  ['float', fc.float()],
  ['double', fc.double()],
]

function literal(type: PrimitiveType, value: Value | null): string {
  if (value === null) return `NULL::${duckType(type)}`
  if (type === 'string') return `decode(from_hex('${Buffer.from(String(value)).toString('hex')}'))`
  if (type === 'float' || type === 'double') return `'${Object.is(value, -0) ? '-0.0' : value}'::${duckType(type)}`
  return sqlLiteral(type, value)
}

/** Iceberg's value of each, as DuckDB computes it. The zone of the session must not matter. */
async function inSql(transform: Transform, type: PrimitiveType, values: readonly (Value | null)[]) {
  const result =
    transform.kind === 'truncate' && type.startsWith('decimal') ? 'long' : transformResultType(transform, type)
  const text = result === 'date' && transform.kind === 'day' ? 'int' : result
  const sql = valueText(text, transformSql(transform, 'x', type))
  await using session = await engine.session([])
  const rows = values.map((value, i) => `(${i}, ${literal(type, value)})`).join(', ')
  const shown = text === 'string' ? `hex(encode(${sql}))` : sql
  const { rows: out } = await session.rows(`SELECT ${shown} FROM (VALUES ${rows}) t(i, x) ORDER BY i`)
  return out.map(([cell]) => {
    if (cell === null || cell === undefined) return null
    return text === 'string' ? Buffer.from(String(cell), 'hex').toString() : valueOfText(text, String(cell))
  })
}

const bucketed = types.filter(([type]) => !['boolean', 'float', 'double'].includes(type))
const truncated = types.filter(([type]) => /^(int|long|string|binary|decimal.*)$/.test(type))
const timed = types.filter(([type]) => /^(date|timestamp.*)$/.test(type))

describe('a transform in SQL', () => {
  const cases: readonly (readonly [string, Transform, PrimitiveType, fc.Arbitrary<Value>])[] = [
    ...types.map(([type, values]) => ['identity', { kind: 'identity' }, type, values] as const),
    ...bucketed.map(([type, values]) => ['bucket', { kind: 'bucket', count: 1_000_003 }, type, values] as const),
    ...truncated.flatMap(([type, values]) =>
      [1, 3, 50].map((width) => ['truncate', { kind: 'truncate', width }, type, values] as const),
    ),
    ...timed.flatMap(([type, values]) => [
      ...(['year', 'month', 'day'] as const).map((kind) => [kind, { kind }, type, values] as const),
      ...(type === 'date' ? [] : [['hour', { kind: 'hour' }, type, values] as const]),
    ]),
  ]
  it.each(cases)('gives the value of the specification: %s %o of %s', async (_name, transform, type, values) => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(values), { minLength: 40, maxLength: 40 }), async (given) => {
        const exact = given.map((value) => (type === 'float' && value !== null ? Math.fround(Number(value)) : value))
        expect(await inSql(transform, type, exact)).toEqual(
          exact.map((value) => applyTransform(transform, type, value)),
        )
      }),
      { seed: 11, numRuns: 5 },
    )
  })

  it('hashes as appendix B says', async () => {
    const bucket = async (type: PrimitiveType, value: Value) =>
      (await inSql({ kind: 'bucket', count: 2 ** 31 - 1 }, type, [value]))[0]
    const positive = (hash: number) => (hash & 0x7fffffff) % (2 ** 31 - 1)
    expect(await bucket('int', 34)).toBe(positive(2_017_239_379))
    expect(await bucket('decimal(9,2)', 1420n)).toBe(positive(-500_754_589))
    expect(await bucket('date', 17_486)).toBe(positive(-653_330_422))
    expect(await bucket('time', 81_068_000_000n)).toBe(positive(-662_762_989))
    expect(await bucket('string', 'iceberg')).toBe(positive(1_210_000_089))
    expect(await bucket('uuid', 'f79c3e09-677c-4bbd-a479-3f349cb785e7')).toBe(positive(1_488_055_340))
    expect(await bucket('binary', Uint8Array.of(0, 1, 2, 3))).toBe(positive(-188_683_207))
  })

  it('is refused by name where nobody knows it', () => {
    expect(() => transformSql({ kind: 'unknown', text: 'zorder[3]' }, 'x', 'int')).toThrow(/zorder\[3\]/)
  })
})
