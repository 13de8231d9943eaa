import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { RoaringPositions } from '../../packages/limn/src/encoding/index.ts'
import { decodeDeletionVector, encodeDeletionVector } from '../../packages/limn/src/iceberg/index.ts'

const refusal = (bytes: Uint8Array) => {
  try {
    decodeDeletionVector(bytes)
  } catch (error) {
    return error instanceof LimnError ? error.kind : error
  }
  return 'accepted'
}

describe('a deletion vector', () => {
  const deleted = [1n, 3n, 5n, 7n, 9n]

  it('is written byte for byte as the reference implementation writes it', () => {
    expect(Buffer.from(encodeDeletionVector(RoaringPositions.from(deleted))).toString('hex')).toBe(
      '0000002ad1d3396401000000000000000000000' + '03a3000000100000000000400100000000100030005000700' + '0900b3fb20be',
    )
  })

  it('refuses a cardinality that the manifest does not state', () => {
    const bytes = encodeDeletionVector(RoaringPositions.from(deleted))
    expect([...decodeDeletionVector(bytes, { cardinality: 5n })]).toEqual(deleted)
    expect(() => decodeDeletionVector(bytes, { cardinality: 6n })).toThrow(/holds 5 positions.*states 6/)
  })

  it('refuses every truncation and every flipped bit', () => {
    const bytes = encodeDeletionVector(RoaringPositions.from([...deleted, 70_000n, 2n ** 40n]))
    for (let length = 0; length < bytes.length; length++)
      expect([length, refusal(bytes.subarray(0, length))]).toEqual([length, 'iceberg/invalid-metadata'])
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Uint8Array.from(bytes)
      flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
      expect([bit, refusal(flipped)]).toEqual([bit, 'iceberg/invalid-metadata'])
    }
  })
})
