import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { RoaringPositions } from '../../packages/limn/src/encoding/index.ts'

const ascending = (values: Iterable<bigint>) => [...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))

/** Positions as deletes make them: scattered, in runs, dense, far apart; in any order. */
const positions: fc.Arbitrary<readonly bigint[]> = fc
  .array(
    fc.record({
      base: fc.oneof(
        fc.constantFrom(0n, 65535n, 65536n, 2n ** 32n - 3n, 2n ** 32n, 2n ** 53n, 2n ** 62n),
        fc.bigInt({ min: 0n, max: 2n ** 34n }),
      ),
      step: fc.constantFrom(1n, 2n, 3n, 1000n, 70_000n),
      length: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(4095, 4096, 4097, 9000)),
    }),
    { maxLength: 5 },
  )
  .map((parts) =>
    parts.flatMap(({ base, step, length }) => Array.from({ length }, (_, i) => base + step * BigInt(i))).reverse(),
  )

describe('a set of row positions', () => {
  it('answers as a plain set does, before and after its bytes', () => {
    fc.assert(
      fc.property(positions, fc.array(fc.bigInt({ min: 0n, max: 2n ** 34n }), { maxLength: 20 }), (given, others) => {
        const plain = ascending(given)
        const held = new Set(given)
        const made = RoaringPositions.from(given)
        for (const set of [made, RoaringPositions.decode(made.encode())]) {
          expect(set.size).toBe(plain.length)
          expect([...set.toArray()]).toEqual(plain)
          expect([...set]).toEqual(plain)
          expect(set.last).toBe(plain.at(-1))
          for (const one of [...others, ...given.slice(0, 20), ...given.slice(0, 20).map((each) => each + 1n)])
            expect([one, set.has(one)]).toEqual([one, held.has(one)])
          const narrow = set.toUint32Array()
          if ((plain.at(-1) ?? 0n) < 2n ** 32n) expect([...(narrow ?? [])].map(BigInt)).toEqual(plain)
          else expect(narrow).toBeNull()
        }
      }),
      { numRuns: 60 },
    )
  })

  it('unites as plain sets do, and equal sets have equal bytes however they came about', () => {
    fc.assert(
      fc.property(positions, positions, (left, right) => {
        const united = RoaringPositions.from(left).union(RoaringPositions.from(right))
        expect([...united.toArray()]).toEqual(ascending([...left, ...right]))
        expect(united.encode()).toEqual(RoaringPositions.from([...right, ...left, ...left]).encode())
      }),
      { numRuns: 60 },
    )
  })

  it('takes numbers and bigint, and refuses what is no position', () => {
    expect([...RoaringPositions.from([3, 1n, 3n])]).toEqual([1n, 3n])
    for (const wrong of [-1, -1n, 1.5, Number.NaN, 2 ** 53, (2n ** 31n - 1n) << 32n])
      expect(() => RoaringPositions.from([wrong])).toThrow(/not the position of a row/)
    const last = ((2n ** 31n - 1n) << 32n) - 1n
    expect(RoaringPositions.decode(RoaringPositions.from([last]).encode()).last).toBe(last)
  })

  it('stores runs as runs: a billion neighbouring rows take a few hundred kilobytes', () => {
    // One bitmap of 16,384 full containers, written by hand: no set of a billion is built on the way.
    const count = 16_384
    const header = 8 + 4 + 4 + count / 8 + count * 8
    const view = new DataView(new ArrayBuffer(header + count * 6))
    view.setUint8(0, 1)
    view.setUint32(12, 12347 | ((count - 1) << 16), true)
    for (let i = 0; i < count / 8; i++) view.setUint8(16 + i, 0xff)
    for (let i = 0; i < count; i++) {
      const at = 16 + count / 8 + i * 4
      view.setUint16(at, i, true)
      view.setUint16(at + 2, 0xffff, true)
      view.setUint32(16 + count / 8 + count * 4 + i * 4, header - 12 + i * 6, true)
      view.setUint16(header + i * 6, 1, true)
      view.setUint16(header + i * 6 + 4, 0xffff, true)
    }
    const bytes = new Uint8Array(view.buffer)
    const set = RoaringPositions.decode(bytes)
    expect(set.size).toBe(2 ** 30)
    expect([set.has(2 ** 30 - 1), set.has(2 ** 30)]).toEqual([true, false])
    expect(set.encode()).toEqual(bytes)
  })

  it('decodes a million positions in milliseconds', () => {
    const million = RoaringPositions.from(Array.from({ length: 1_000_000 }, (_, i) => i * 7)).encode()
    RoaringPositions.decode(million).toArray()
    const start = performance.now()
    const values = RoaringPositions.decode(million).toArray()
    expect(values.length).toBe(1_000_000)
    expect(values[999_999]).toBe(6_999_993n)
    // A few milliseconds on an idle machine; the bound leaves room for a busy one.
    expect(performance.now() - start).toBeLessThan(250)
  })

  it('refuses bytes that are cut off, extended, or out of order, whatever they claim', () => {
    const refusal = (bytes: Uint8Array) => {
      try {
        RoaringPositions.decode(bytes)
      } catch (error) {
        return error instanceof LimnError ? error.kind : error
      }
      return 'accepted'
    }
    const whole = RoaringPositions.from([
      ...Array(5000).keys(),
      70_000,
      2 ** 33,
      2 ** 33 + 2,
      ...[...Array(9000).keys()].map((i) => 131_072 + i * 3),
    ]).encode()
    for (let length = 0; length < whole.length; length += length < 200 ? 1 : 97)
      expect([length, refusal(whole.subarray(0, length))]).toEqual([length, 'iceberg/invalid-metadata'])
    expect(refusal(Uint8Array.of(...whole, 0))).toBe('iceberg/invalid-metadata')

    const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
    const one = '0100000000000000 00000000'
    const damages = {
      'values that descend': hex(`${one} 3a300000 01000000 00000100 10000000 0500 0300`),
      'a value twice': hex(`${one} 3a300000 01000000 00000100 10000000 0500 0500`),
      'an offset elsewhere': hex(`${one} 3a300000 01000000 00000100 11000000 0300 0500`),
      'an unknown cookie': hex(`${one} 3c300000 01000000 00000100 10000000 0300 0500`),
      'runs that overlap': hex(`${one} 3b300000 01 00000500 0200 0100 0200 0200 0200`),
      'a run past the end': hex(`${one} 3b300000 01 00000100 0100 ffff 0100`),
      'runs of another count': hex(`${one} 3b300000 01 00000100 0100 0100 0200`),
      'four billion containers': hex(`${one} 3a300000 ffffffff 00000100 10000000 0300 0500`),
      'endless bitmaps': hex('ffffffffffffffff 00000000 3a300000 00000000'),
      'keys that do not ascend': hex(`0200000000000000 ${'00000000 3a300000 00000000'.repeat(2)}`),
      'a key beyond rows': hex('0100000000000000 ffffff7f 3a300000 00000000'),
    }
    for (const [name, bytes] of Object.entries(damages))
      expect([name, refusal(bytes)]).toEqual([name, 'iceberg/invalid-metadata'])
  })

  it('never answers wrongly about damaged bytes: it refuses them, or what it reads is a set that agrees with itself', () => {
    const whole = RoaringPositions.from([1, 5, 9, ...[...Array(300).keys()].map((i) => 70_000 + i), 2 ** 33]).encode()
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (flips) => {
          const bytes = Uint8Array.from(whole)
          for (const [at, value] of flips) bytes[at] = value
          try {
            const set = RoaringPositions.decode(bytes)
            const values = [...set.toArray()]
            expect(values).toEqual(ascending(values))
            expect(set.size).toBe(values.length)
            for (const value of values) expect(set.has(value)).toBe(true)
          } catch (error) {
            if (!(error instanceof LimnError)) throw error
            expect(error.kind).toBe('iceberg/invalid-metadata')
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})
