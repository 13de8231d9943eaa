import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import {
  decodePuffinFooter,
  type PuffinBlobInput,
  readBlob,
  readPuffinFooter,
  writePuffin,
} from '../../packages/limn/src/encoding/index.ts'

const blob: PuffinBlobInput = {
  type: 'some-blob',
  fields: [1, 2147483645],
  snapshotId: 9007199254740993n,
  sequenceNumber: -1n,
  properties: { 'referenced-data-file': 'file:///a/b.parquet' },
  bytes: Buffer.from('some bytes '.repeat(40)),
}

const rangesOf = (file: Uint8Array) => {
  const asked: [number, number][] = []
  return {
    asked,
    read: async (start: number, end: number) => {
      asked.push([start, end])
      return file.subarray(start, end)
    },
  }
}

describe('a Puffin file', () => {
  it('gives back its blobs, plain and compressed, with every word about them', async () => {
    const given: readonly PuffinBlobInput[] = [
      blob,
      { ...blob, fields: [], codec: 'zstd' },
      { ...blob, bytes: new Uint8Array() },
    ]
    const { bytes, blobs, footerBytes } = writePuffin(given, { 'created-by': 'limn' })
    expect(blobs.map(({ offset }) => offset)).toEqual([4, 444, 444 + (blobs[1]?.length ?? 0)])
    expect(blobs[1]?.length).toBeLessThan(100)
    const { read, asked } = rangesOf(bytes)
    const footer = await readPuffinFooter(read, bytes.length)
    expect(asked).toEqual([[0, bytes.length]])
    expect(footer).toEqual({ blobs, properties: { 'created-by': 'limn' }, footerBytes })
    expect(decodePuffinFooter(bytes)).toEqual(footer)
    for (const [i, one] of footer.blobs.entries()) {
      expect(Buffer.from(await readBlob(read, one))).toEqual(Buffer.from(given[i]?.bytes ?? []))
      expect(await readBlob(bytes, one)).toEqual(await readBlob(read, one))
    }
  })

  it('is read in two reads when its footer is long', async () => {
    const many = Array.from({ length: 300 }, (_, i) => ({ ...blob, fields: [i] }))
    const { bytes, footerBytes } = writePuffin(many, {})
    const { read, asked } = rangesOf(bytes)
    expect((await readPuffinFooter(read, bytes.length)).blobs.map(({ fields }) => fields[0])).toEqual([...many.keys()])
    expect(asked).toEqual([
      [bytes.length - 8192, bytes.length],
      [bytes.length - footerBytes, bytes.length],
    ])
  })

  it('is refused when it is cut off or damaged, and never in another way', () => {
    const { bytes } = writePuffin([blob, { ...blob, codec: 'zstd' }], {})
    const refusal = (file: Uint8Array) => {
      try {
        decodePuffinFooter(file)
      } catch (error) {
        return error instanceof LimnError ? error.kind : error
      }
      return 'accepted'
    }
    for (let length = 0; length < bytes.length; length++)
      expect([length, refusal(bytes.subarray(0, length))]).toEqual([length, 'iceberg/invalid-metadata'])
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const file = Uint8Array.from(bytes)
        file[at] = value
        expect(['accepted', 'iceberg/invalid-metadata', 'iceberg/unsupported']).toContain(refusal(file))
      }),
      { numRuns: 500 },
    )
  })

  it('refuses blobs outside the file, footers that claim too much, and flags and codecs it does not know', () => {
    const withFooter = (json: unknown, flags = 0, claim?: number) => {
      const payload = Buffer.from(JSON.stringify(json))
      const tail = Buffer.alloc(12)
      tail.writeUInt32LE(claim ?? payload.length, 0)
      tail.writeUInt32LE(flags, 4)
      tail.write('PFA1', 8)
      return Buffer.concat([Buffer.from('PFA1xxxxPFA1'), payload, tail])
    }
    const one = { type: 't', fields: [], 'snapshot-id': 1, 'sequence-number': 1, offset: 4, length: 4 }
    expect(decodePuffinFooter(withFooter({ blobs: [one] })).blobs).toHaveLength(1)
    for (const change of [
      { offset: 3 },
      { length: 5 },
      { offset: -1 },
      { length: 2 ** 60 },
      { offset: '4' },
      { type: 7 },
      { fields: 'x' },
      { fields: [0.5] },
      { 'snapshot-id': 'x' },
      { properties: { a: 1 } },
    ])
      expect(() => decodePuffinFooter(withFooter({ blobs: [{ ...one, ...change }] }))).toThrow(/is damaged/)
    expect(() => decodePuffinFooter(withFooter({ blobs: [one] }, 0, 0xffffffff))).toThrow(/claims 4294967295 bytes/)
    expect(() => decodePuffinFooter(withFooter({ blobs: 3 }))).toThrow(/lists no blobs/)
    expect(() => decodePuffinFooter(withFooter({ blobs: [one] }, 2))).toThrow(/the flags 2/)
    expect(() => decodePuffinFooter(withFooter({ blobs: [{ ...one, 'compression-codec': 'brotli' }] }))).toThrow(
      /compressed with brotli/,
    )
  })
})
