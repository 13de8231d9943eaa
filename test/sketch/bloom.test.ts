import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BloomFilter, bloomFilterBytes, xxhash64 } from '../../packages/limn/src/sketch/index.ts'

const hash = (bytes: Uint8Array) => {
  const { high, low } = xxhash64(bytes)
  return ((BigInt(high) << 32n) | BigInt(low)).toString(16).padStart(16, '0')
}

/** XXH64 from its specification, step by step in whole numbers. */
function specified(bytes: Uint8Array): string {
  const [p1, p2, p3, p4, p5] = [
    0x9e3779b185ebca87n,
    0xc2b2ae3d27d4eb4fn,
    0x165667b19e3779f9n,
    0x85ebca77c2b2ae63n,
    0x27d4eb2f165667c5n,
  ] as const
  const u64 = (value: bigint) => BigInt.asUintN(64, value)
  const rotate = (value: bigint, by: bigint) => u64((value << by) | (u64(value) >> (64n - by)))
  const round = (acc: bigint, lane: bigint) => u64(rotate(u64(acc + lane * p2), 31n) * p1)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let at = 0
  let acc: bigint = p5
  if (bytes.length >= 32) {
    const lanes = [u64(p1 + p2), p2, 0n, u64(-p1)]
    for (; at + 32 <= bytes.length; at += 32)
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i] ?? 0n, view.getBigUint64(at + 8 * i, true))
    acc = u64(lanes.reduce((sum, lane, i) => sum + rotate(lane, [1n, 7n, 12n, 18n][i] ?? 0n), 0n))
    for (const lane of lanes) acc = u64((acc ^ round(0n, lane)) * p1 + p4)
  }
  acc = u64(acc + BigInt(bytes.length))
  for (; at + 8 <= bytes.length; at += 8) acc = u64(rotate(acc ^ round(0n, view.getBigUint64(at, true)), 27n) * p1 + p4)
  if (at + 4 <= bytes.length) {
    acc = u64(rotate(acc ^ u64(BigInt(view.getUint32(at, true)) * p1), 23n) * p2 + p3)
    at += 4
  }
  for (; at < bytes.length; at++) acc = u64(rotate(acc ^ u64(BigInt(bytes[at] ?? 0) * p5), 11n) * p1)
  acc = u64((acc ^ (acc >> 33n)) * p2)
  acc = u64((acc ^ (acc >> 29n)) * p3)
  return u64(acc ^ (acc >> 32n))
    .toString(16)
    .padStart(16, '0')
}

describe('XXH64', () => {
  it('gives the known hashes', () => {
    const known: readonly (readonly [string, string])[] = [
      ['', 'ef46db3751d8e999'],
      ['a', 'd24ec4f1a98c6e5b'],
      ['abc', '44bc2cf5ad770999'],
      ['Nobody inspects the spammish repetition', 'fbcea83c8a378bf1'],
    ]
    for (const [text, expected] of known) expect([text, hash(Buffer.from(text))]).toEqual([text, expected])
  })

  it('is what its specification says, of every length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 150 }), (bytes) => {
        expect(hash(bytes)).toBe(specified(bytes))
      }),
      { numRuns: 500, seed: 64 },
    )
  })
})

describe('A Bloom filter', () => {
  it('never denies what was added, and seldom admits what was not', () => {
    const text = (i: number) => Buffer.from(`value ${i}`)
    for (const rate of [0.1, 0.01, 0.001]) {
      const filter = new BloomFilter(bloomFilterBytes(3000, rate, 1 << 20))
      for (let i = 0; i < 3000; i++) {
        const { high, low } = xxhash64(text(i))
        filter.add(high, low)
      }
      const stored = new BloomFilter(filter.bytes)
      let admitted = 0
      for (let i = 0; i < 3000; i++) {
        expect(stored.mightContain(text(i))).toBe(true)
        if (stored.mightContain(text(i + 1_000_000))) admitted++
      }
      expect(admitted / 3000).toBeLessThan(rate * 1.3)
    }
  })
})
