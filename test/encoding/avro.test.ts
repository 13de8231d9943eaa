import { describe, expect, it } from 'vitest'
import { LimnError } from '../../packages/limn/src/base/index.ts'
import { type AvroSchema, readAvro, scanAvro, writeAvro } from '../../packages/limn/src/encoding/index.ts'
import { uncompressSnappy } from '../../packages/limn/src/encoding/snappy.ts'

/** Forty rows by another writer (fastavro), once in each codec. */
const foreign = {
  deflate:
    'T2JqAQYCawJ2FGF2cm8uY29kZWMOZGVmbGF0ZRZhdnJvLnNjaGVtYdACeyJ0eXBlIjogInJlY29yZCIsICJuYW1lIjogInIi' +
    'LCAiZmllbGRzIjogW3sibmFtZSI6ICJpZCIsICJ0eXBlIjogImxvbmciLCAiZmllbGQtaWQiOiAxfSwgeyJuYW1lIjogIm5h' +
    'bWUiLCAidHlwZSI6IFsibnVsbCIsICJzdHJpbmciXSwgImRlZmF1bHQiOiBudWxsLCAiZmllbGQtaWQiOiAyfV19AAABAgME' +
    'BQYHCAkKCwwNDg9QnAJ9jNEGgwAYRqcn2eVeLWqvsGeaSTIzk5mZTJJkMjMzM5NkkqQu0nfRxfkvPj/nOF033GrWjp+xsEx7' +
    'OZ9Mw7hWp2Lxz7hUp2AxZ/xT58vih/FbnReLT8YPde4sZoxv6qQsJoxjdSIWQ8ZXdQIWL4zP6pxYPDL21TmwuGe8U2fLosfY' +
    'VcdhccN4rU4Prd4NAAECAwQFBgcICQoLDA0ODw==',
  snappy:
    'T2JqAQYCawJ2FGF2cm8uY29kZWMMc25hcHB5FmF2cm8uc2NoZW1h0AJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAiciIs' +
    'ICJmaWVsZHMiOiBbeyJuYW1lIjogImlkIiwgInR5cGUiOiAibG9uZyIsICJmaWVsZC1pZCI6IDF9LCB7Im5hbWUiOiAibmFt' +
    'ZSIsICJ0eXBlIjogWyJudWxsIiwgInN0cmluZyJdLCAiZGVmYXVsdCI6IG51bGwsICJmaWVsZC1pZCI6IDJ9XX0AAAECAwQF' +
    'BgcICQoLDA0OD1DuA7IHAP8NAQh/AP0RChgCKGxpbW4gOgUAAPt2HwAA+REfBAD3EQpWSAAA9XYfAADzER8EAPERClZIAADv' +
    'dh8AAO0RHwQA6xEKVkgAAOl2HwAA5xEfBADlEQpWSAAA43YfAADhER8EAN8RClZIAADddh8AANsRHwQA2REKVkgAANd2HwAA' +
    '1REfBADTEQpWSAAA0XYfAADPER8EAM0RClZIAADLdh8AAMkRHwQAxxEKVkgAAMV2HwAAwxEfBADBEQpWSAAAv3YfAAC9ER8E' +
    'ALsRClZIAAC5dh8AALcRHwQAtREKVkgAALN2HwAksf////////9/AIilRawAAQIDBAUGBwgJCgsMDQ4P',
  zstandard:
    'T2JqAQYCawJ2FGF2cm8uY29kZWMSenN0YW5kYXJkFmF2cm8uc2NoZW1h0AJ7InR5cGUiOiAicmVjb3JkIiwgIm5hbWUiOiAi' +
    'ciIsICJmaWVsZHMiOiBbeyJuYW1lIjogImlkIiwgInR5cGUiOiAibG9uZyIsICJmaWVsZC1pZCI6IDF9LCB7Im5hbWUiOiAi' +
    'bmFtZSIsICJ0eXBlIjogWyJudWxsIiwgInN0cmluZyJdLCAiZGVmYXVsdCI6IG51bGwsICJmaWVsZC1pZCI6IDJ9XX0AAAEC' +
    'AwQFBgcICQoLDA0OD1CIAii1L/1gsgLVAwBkA///fwD9/38CKGxpbW4g+/kA9/XzAPHv7evp5+Xj4d/d29nX1dPRz83LycfF' +
    'w8G/vbu5t7WzsSog0EuxAYWIJ5gmxBNME/EEo4l4gmkiHsE0EU8wTYgnmCbiCUYT8QTTRDyCaVLEuwh8WZkTjBUtXhFSvOh8' +
    'kAFiAQABAgMEBQYHCAkKCwwNDg8=',
} as const
const foreignRows = Array.from({ length: 40 }, (_, i) => ({
  id: BigInt(i) - 2n ** 62n,
  name: i % 3 === 0 ? null : 'limn limn limn limn ',
}))
const bytesOf = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'))

const schema: AvroSchema = {
  type: 'record',
  name: 'r',
  fields: [
    { name: 'id', type: { type: 'long', logicalType: 'timestamp-micros' }, 'field-id': 1 },
    {
      name: 'counts',
      type: {
        type: 'array',
        logicalType: 'map',
        items: {
          type: 'record',
          name: 'k_v',
          fields: [
            { name: 'key', type: 'int', 'field-id': 3 },
            { name: 'value', type: 'long', 'field-id': 4 },
          ],
        },
      },
      'field-id': 2,
    },
  ],
}
const rows = [
  { id: 2n ** 63n - 1n, counts: [] },
  { id: -(2n ** 63n), counts: [{ key: 1, value: 2n ** 53n + 1n }] },
]

describe('Avro containers', () => {
  for (const [codec, base64] of Object.entries(foreign)) {
    it(`of another writer are read, compressed with ${codec}`, () => {
      const file = readAvro(bytesOf(base64))
      expect(file.metadata['avro.codec']).toBe(codec)
      expect(file.metadata.k).toBe('v')
      expect(file.rows.map((row) => ({ ...row }))).toEqual(foreignRows)
    })
  }

  it('are cut into blocks of about a mebibyte, which are read one at a time', () => {
    const text: AvroSchema = { type: 'record', name: 't', fields: [{ name: 'text', type: 'string' }] }
    const many = Array.from({ length: 40 }, (_, i) => ({ text: String(i % 10).repeat(100_000) }))
    const bytes = writeAvro(text, many, {}, { codec: 'null' })
    expect(readAvro(bytes).rows).toEqual(many)
    // What is cut off inside the last block is found when that is reached, and not before.
    const cut = scanAvro(bytes.subarray(0, bytes.length - 50_000)).rows
    const before = Array.from({ length: 33 }, () => cut.next().value)
    expect(before).toEqual(many.slice(0, 33))
    expect(() => [...cut]).toThrow(/damaged/)
  })

  it('keep longs beyond 2^53, and what the row codec would drop from the schema', () => {
    const file = readAvro(writeAvro(schema, rows, { content: 'größe' }))
    expect(
      file.rows.map((row) => JSON.stringify(row, (_key, one) => (typeof one === 'bigint' ? `${one}` : one))),
    ).toEqual(rows.map((row) => JSON.stringify(row, (_key, one) => (typeof one === 'bigint' ? `${one}` : one))))
    expect(file.schema).toEqual(schema)
    expect(file.metadata.content).toBe('größe')
  })

  it('may hold no row', () => {
    expect(readAvro(writeAvro(schema, [], {})).rows).toEqual([])
  })

  it('are the same bytes for the same rows, and other bytes for others', () => {
    const write = (list: readonly unknown[]) => Buffer.from(writeAvro(schema, list, {})).toString('hex')
    expect(write(rows)).toBe(write(rows))
    expect(write(rows)).not.toBe(write(rows.slice(1)))
  })

  it('follow a type that is named again instead of defined', () => {
    const twice: AvroSchema = {
      type: 'record',
      name: 'r',
      fields: [
        { name: 'a', type: { type: 'fixed', name: 'two', size: 2 } },
        { name: 'b', type: ['null', 'two'] },
      ],
    }
    const [row] = readAvro(writeAvro(twice, [{ a: Buffer.of(1, 2), b: Buffer.of(3, 4) }], {})).rows
    expect([row?.a, row?.b].map((one) => Buffer.from(one as Uint8Array).toString('hex'))).toEqual(['0102', '0304'])
  })

  it('cut off anywhere are refused as damaged, never read in part', () => {
    // Cut right after its header a container is a whole one without rows; the manifest codec sees to that one.
    for (const bytes of [writeAvro(schema, rows, {}), bytesOf(foreign.snappy), bytesOf(foreign.zstandard)]) {
      const header = headerLength(bytes)
      for (let end = 0; end < bytes.length; end++) {
        if (end === header) continue
        expect(kindOf(() => readAvro(bytes.subarray(0, end)))).toBe('iceberg/invalid-metadata')
      }
    }
  })

  it('with a changed byte in a snappy block are told by the checksum', () => {
    const bytes = bytesOf(foreign.snappy)
    // Within the literal bytes at the end of the block: it still decompresses, to something else.
    const at = bytes.length - 16 - 4 - 3
    bytes[at] = (bytes[at] ?? 0) ^ 1
    expect(() => readAvro(bytes)).toThrow(/checksum/)
  })

  it('with a block that counts fewer rows than it holds are refused', () => {
    const bytes = bytesOf(foreign.deflate)
    const at = headerLength(bytes)
    expect(bytes[at]).toBe(80)
    bytes[at] = 78
    expect(() => readAvro(bytes)).toThrow(/more than its rows/)
  })

  it('in a codec limn does not read are refused by its name', () => {
    const bytes = Buffer.from(foreign.deflate, 'base64').toString('latin1').replace('deflate', 'xzcodec')
    expect(kindOf(() => readAvro(Buffer.from(bytes, 'latin1')))).toBe('iceberg/unsupported')
  })
})

describe('snappy blocks', () => {
  it('by another compressor come back', () => {
    const text = Buffer.concat([
      Buffer.from(`${'limn '.repeat(40)}manifest_entry snapshot_id `),
      Buffer.from(Array.from({ length: 64 }, (_, i) => i)),
      Buffer.from('limn '.repeat(10) + 'x'.repeat(300)),
    ])
    const block = Buffer.from(
      '8105106c696d6e20fe0500fe0500ee05000d05f05b6d616e69666573745f656e74727920736e617073686f745f696420' +
        '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f' +
        '303132333435363738393a3b3c3d3e3f6cc223010078fe0100fe0100fe0100fe0100aa0100',
      'hex',
    )
    expect(Buffer.from(uncompressSnappy(block)).equals(text)).toBe(true)
    expect(uncompressSnappy(Uint8Array.of(0)).length).toBe(0)
  })

  it('with long literals and far copies come back', () => {
    const literal = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 31) & 0xff))
    // 70,004 as a varint; tag 62 with three bytes of length - 1; then a copy of 4 bytes from the start (four-byte offset).
    const block = Buffer.concat([
      Buffer.of(0xf4, 0xa2, 0x04),
      Buffer.of(62 << 2, 69_999 & 0xff, (69_999 >> 8) & 0xff, 69_999 >> 16),
      literal,
      Buffer.of((3 << 2) | 3, 70_000 & 0xff, (70_000 >> 8) & 0xff, 70_000 >> 16, 0),
    ])
    const plain = uncompressSnappy(block)
    expect(Buffer.from(plain).equals(Buffer.concat([literal, literal.subarray(0, 4)]))).toBe(true)
  })

  it('that reach outside, end early or claim too much are refused', () => {
    expect(() => uncompressSnappy(Uint8Array.of(4, 1, 1))).toThrow(/outside/)
    expect(() => uncompressSnappy(Uint8Array.of(4, 0, 65))).toThrow(/cut off/)
    expect(() => uncompressSnappy(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f))).toThrow(/cannot have/)
    expect(() => uncompressSnappy(Uint8Array.of())).toThrow(/cut off/)
  })
})

describe('fixed values', () => {
  it('have no length before them, and one only on request', () => {
    // Bytes are written as a length and they; the header then says that they are fixed, in as many characters.
    const stored = '{"type":"bytes","pad":"           "}'
    const claimed = '{"type":"fixed","name":"f","size":4}'
    const list = [Buffer.from('00010203', 'hex'), Buffer.from('08080808', 'hex'), Buffer.from('ffffffff', 'hex')]
    const bytes = Buffer.from(
      writeAvro(
        { type: 'record', name: 'r', fields: [{ name: 'four', type: JSON.parse(stored) as AvroSchema }] },
        list.map((four) => ({ four })),
        {},
        { codec: 'null' },
      ),
    )
    bytes.write(claimed, bytes.indexOf(stored), 'latin1')
    expect(() => readAvro(bytes)).toThrow(LimnError)
    expect(readAvro(bytes, { lengthBeforeFixed: true }).rows).toEqual(list.map((four) => ({ four })))
    bytes[bytes.indexOf(list[2] ?? '') - 1] = 6
    expect(() => readAvro(bytes, { lengthBeforeFixed: true })).toThrow(LimnError)
  })
})

/** Where the header of a container ends: after the schema's closing zero and the marker, which also ends the file. */
function headerLength(bytes: Uint8Array): number {
  const marker = Buffer.from(bytes.subarray(bytes.length - 16))
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(marker) + 16
}

function kindOf(body: () => unknown): string {
  try {
    body()
  } catch (error) {
    return error instanceof LimnError ? error.kind : String(error)
  }
  return 'no error'
}
