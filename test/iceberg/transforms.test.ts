import { describe, expect, it } from 'vitest'
import {
  applyTransform,
  decodeSingleValue,
  encodeSingleValue,
  hashValue,
  partitionPath,
  transformFromText,
  transformToText,
} from '../../packages/limn/src/iceberg/index.ts'
import type { PrimitiveType, Value } from '../../packages/limn/src/schema/index.ts'

const day = (text: string) => Date.parse(`${text}T00:00:00Z`) / 86_400_000
const micros = (text: string) => BigInt(Date.parse(`${text}Z`)) * 1000n

describe('partition transforms', () => {
  it('hash as the specification says (appendix B)', () => {
    const vectors: readonly (readonly [PrimitiveType, Value, number])[] = [
      ['int', 34, 2_017_239_379],
      ['long', 34n, 2_017_239_379],
      ['decimal(9,2)', 1420n, -500_754_589],
      ['date', day('2017-11-16'), -653_330_422],
      ['time', 81_068_000_000n, -662_762_989],
      ['timestamp', micros('2017-11-16T22:31:08'), -2_047_944_441],
      ['timestamptz', micros('2017-11-16T22:31:08'), -2_047_944_441],
      ['string', 'iceberg', 1_210_000_089],
      ['uuid', 'f79c3e09-677c-4bbd-a479-3f349cb785e7', 1_488_055_340],
      ['binary', Uint8Array.of(0, 1, 2, 3), -188_683_207],
    ]
    for (const [type, value, hash] of vectors) expect([type, hashValue(type, value)]).toEqual([type, hash])
  })

  it('bucket by the hash without its sign', () => {
    expect(applyTransform({ kind: 'bucket', count: 16 }, 'string', 'iceberg')).toBe((1_210_000_089 & 0x7fffffff) % 16)
    expect(applyTransform({ kind: 'bucket', count: 16 }, 'date', day('2017-11-16'))).toBe(
      (-653_330_422 & 0x7fffffff) % 16,
    )
    expect(applyTransform({ kind: 'bucket', count: 16 }, 'int', null)).toBeNull()
  })

  it('truncate towards negative infinity, and strings by code points', () => {
    const truncate = (width: number, type: PrimitiveType, value: Value) =>
      applyTransform({ kind: 'truncate', width }, type, value)
    expect([
      truncate(10, 'int', 1),
      truncate(10, 'int', -1),
      truncate(10, 'long', 1n),
      truncate(10, 'long', -1n),
    ]).toEqual([0, -10, 0n, -10n])
    expect(truncate(50, 'decimal(9,2)', 1065n)).toBe(1050n)
    expect([truncate(3, 'string', 'iceberg'), truncate(2, 'string', '🧊🌊x'), truncate(9, 'string', 'é')]).toEqual([
      'ice',
      '🧊🌊',
      'é',
    ])
    expect(truncate(2, 'binary', Uint8Array.of(1, 2, 3))).toEqual(Uint8Array.of(1, 2))
    // Below the least number the reference implementation wraps around, and partitions have to be the same.
    expect([truncate(3, 'int', -(2 ** 31)), truncate(3, 'long', -(2n ** 63n))]).toEqual([2 ** 31 - 1, 2n ** 63n - 1n])
  })

  it('count time units from 1970, also before it', () => {
    const units = ['year', 'month', 'day', 'hour'] as const
    const all = (type: PrimitiveType, value: Value) =>
      units.slice(0, type === 'date' ? 3 : 4).map((kind) => applyTransform({ kind }, type, value))
    expect(all('timestamp', micros('2017-12-01T10:12:55'))).toEqual([47, 575, 17_501, 420_034])
    expect(all('timestamp', -1n)).toEqual([-1, -1, -1, -1])
    expect(all('date', -1)).toEqual([-1, -1, -1])
    expect(all('timestamptz', 0n)).toEqual([0, 0, 0, 0])
    expect(all('date', day('1968-02-29'))).toEqual([-2, -23, -672])
  })

  it('are spelled as on the wire, and show in paths as people write them', () => {
    for (const text of ['identity', 'void', 'bucket[16]', 'truncate[4]', 'year', 'month', 'day', 'hour'])
      expect(transformToText(transformFromText(text))).toBe(text)
    expect(transformToText(transformFromText('zorder'))).toBe('zorder')
    expect(applyTransform(transformFromText('zorder'), 'int', 7)).toBe(null)
    const schema = {
      schemaId: 0,
      identifierFieldIds: [],
      fields: [
        { id: 1, name: 't', required: true, type: 'timestamp' as const },
        { id: 2, name: 's', required: false, type: 'string' as const },
      ],
    }
    const fields = [
      { sourceId: 1, fieldId: 1000, name: 't_month', transform: { kind: 'month' as const } },
      { sourceId: 2, fieldId: 1001, name: 's', transform: { kind: 'identity' as const } },
    ]
    expect(partitionPath({ specId: 0, fields }, schema, [377, 'a/b'])).toBe('t_month=2001-06/s=a_2Fb')
    expect(partitionPath({ specId: 0, fields }, schema, [null, null])).toBe('t_month=null/s=null')
  })
})

describe('single values (appendix D)', () => {
  it('come back as they went', () => {
    const values: readonly (readonly [PrimitiveType, Value])[] = [
      ['boolean', true],
      ['int', -7],
      ['long', -(2n ** 63n)],
      ['float', 1.5],
      ['double', -0.1],
      ['date', -719_162],
      ['time', 1n],
      ['timestamp', -1n],
      ['timestamptz', 2n ** 53n + 1n],
      ['string', 'größe 🧊'],
      ['uuid', 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
      ['decimal(38,0)', -(10n ** 38n) + 1n],
      ['decimal(9,2)', 0n],
      ['binary', Uint8Array.of(255, 0)],
    ]
    for (const [type, value] of values)
      expect([type, decodeSingleValue(type, encodeSingleValue(type, value))]).toEqual([type, value])
  })

  it('are laid out as the specification says', () => {
    expect([...encodeSingleValue('int', 1)]).toEqual([1, 0, 0, 0])
    expect([...encodeSingleValue('decimal(9,2)', 1420n)]).toEqual([0x05, 0x8c])
    expect([...encodeSingleValue('decimal(9,2)', -1n)]).toEqual([0xff])
    expect([...encodeSingleValue('decimal(9,2)', 128n)]).toEqual([0x00, 0x80])
  })

  it('of a narrower type are read after a promotion', () => {
    expect(decodeSingleValue('long', encodeSingleValue('int', -3))).toBe(-3n)
    expect(decodeSingleValue('double', encodeSingleValue('float', 0.5))).toBe(0.5)
    expect(() => decodeSingleValue('long', Uint8Array.of(1))).toThrow(/bytes/)
  })
})
