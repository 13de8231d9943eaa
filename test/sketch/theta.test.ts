import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { ThetaSketch } from '../../packages/limn/src/sketch/index.ts'

const sketchOf = (values: Iterable<Uint8Array>) => {
  const sketch = new ThetaSketch()
  for (const value of values) sketch.add(value)
  return sketch
}
const text = (value: string) => Buffer.from(value)
const long = (value: number) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(BigInt(value))
  return bytes
}
const list = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i))
const hashesOf = (bytes: Uint8Array) => bytes.subarray((bytes[0] ?? 0) * 8)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** What Apache DataSketches 6.2.0 (Java) makes of the same values: its hashes, or the SHA-256 of all its bytes. */
const reference = [
  { name: 'nothing', values: [], estimate: 0, hashes: '' },
  { name: 'one text', values: [text('limn')], estimate: 1, hashes: '85a3422301e8d01f' },
  {
    name: 'three texts, one twice',
    values: ['a', 'bb', 'ccc', 'a'].map(text),
    estimate: 3,
    hashes: '715cfea71415010d83eb24d96dfeb73417c11d528507017b',
  },
  {
    name: 'texts of every length up to 59',
    values: list(59, (i) => text('x'.repeat(i + 1))),
    estimate: 59,
    sha256: 'f40bdc10f8b6c56eb6ca4c49ed874c8c70c3bece43efa7e874cecbc87849ffbb',
  },
  {
    name: '5,003 longs, some negative',
    values: list(5003, (i) => long(i - 3)),
    estimate: 5003,
    sha256: 'e444c6988572a202c8634b5bb113280d302830560cdb0a3640f12ae53964c15b',
  },
  {
    name: '100,000 longs',
    values: list(100_000, long),
    estimate: 97891.78614058554,
    sha256: 'bf0cd717080d04d75a83774b51107d9f74167ec996c60fa38f5c07e8aa57a51d',
  },
  {
    name: '300,000 texts',
    values: list(300_000, (i) => text(`name ${i}`)),
    estimate: 301940.03112603875,
    sha256: '8483eca17bce88eb8758a3896e511bc92ae8193e35c71b01ccbd8b7f7c00a38d',
  },
]

describe('a theta sketch', () => {
  for (const { name, values, estimate, hashes, sha256: digest } of reference) {
    it(`is what Apache DataSketches makes of the same values: ${name}`, () => {
      const sketch = sketchOf(values)
      const bytes = sketch.encode()
      expect(sketch.estimate).toBeCloseTo(estimate, 6)
      if (hashes !== undefined) expect(Buffer.from(hashesOf(bytes)).toString('hex')).toBe(hashes)
      else expect(sha256(bytes)).toBe(digest)
      const again = ThetaSketch.decode(bytes)
      expect([again.estimate, again.isEmpty]).toEqual([sketch.estimate, values.length === 0])
      expect(again.encode()).toEqual(bytes)
    })
  }

  it('has the header Java writes: empty, one value, several', () => {
    const head = (sketch: ThetaSketch, length: number) =>
      Buffer.from(sketch.encode().subarray(0, length)).toString('hex')
    expect(head(new ThetaSketch(), 8)).toBe('01030300001ecc93')
    expect(head(sketchOf([text('a')]), 8)).toBe('01030300003acc93')
    expect(head(sketchOf([text('a'), text('b')]), 16)).toBe('02030300001acc93020000000000803f')
    // One value without its flag, as the C++ library writes it.
    expect(ThetaSketch.decode(Buffer.from('01030300001acc9385a3422301e8d01f', 'hex')).estimate).toBe(1)
  })

  it('unites to what one sketch over everything would say, exactly while exact', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(6000)), fc.uniqueArray(fc.nat(6000)), (left, right) => {
        const united = sketchOf(left.map(long))
        united.addAll(sketchOf(right.map(long)))
        expect(united.encode()).toEqual(sketchOf([...left, ...right].map(long)).encode())
      }),
      { numRuns: 50 },
    )
    const all = new ThetaSketch()
    for (let part = 0; part < 5; part++) all.addAll(sketchOf(list(40_000, (i) => long(part * 30_000 + i))))
    expect(Math.abs(all.estimate / 160_000 - 1)).toBeLessThan(0.05)
    const small = sketchOf(list(10, long))
    small.addAll(sketchOf(list(100_000, long)))
    expect(Math.abs(small.estimate / 100_000 - 1)).toBeLessThan(0.05)
  })

  it('passes over the empty value', () => {
    expect(sketchOf([new Uint8Array()]).isEmpty).toBe(true)
  })

  it('refuses what is damaged, of another version, or hashed with another seed', () => {
    const kind = (bytes: Uint8Array) => {
      try {
        ThetaSketch.decode(bytes)
      } catch (error) {
        return error instanceof LimnError ? error.kind : error
      }
      return 'accepted'
    }
    const whole = sketchOf(list(20_000, long)).encode()
    for (const length of [0, 7, 8, 15, 23, 24, 100, whole.length - 1])
      expect([length, kind(whole.subarray(0, length))]).toEqual([length, 'iceberg/invalid-metadata'])
    const changed = (at: number, value: number) => {
      const bytes = Uint8Array.from(whole)
      bytes[at] = value
      return kind(bytes)
    }
    expect(changed(1, 4)).toBe('iceberg/unsupported')
    expect(changed(2, 2)).toBe('iceberg/unsupported')
    expect(changed(6, 0)).toBe('iceberg/unsupported')
    expect(changed(11, 255)).toBe('iceberg/invalid-metadata')
    expect(changed(23, 255)).toBe('iceberg/invalid-metadata')
    expect(changed(31, 127)).toBe('iceberg/invalid-metadata')
  })
})
