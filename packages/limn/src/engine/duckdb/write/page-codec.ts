import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  gunzipSync,
  gzipSync,
  zstdCompressSync,
  zstdDecompressSync,
} from 'node:zlib'
import { LimnError } from '../../../base/index.ts'
import { uncompressSnappy } from '../../../encoding/index.ts'

/**
 * A compression of Parquet pages, by its number in the footer (parquet.thrift, `CompressionCodec`). Snappy and LZ4 are
 * written as literals alone: valid, not smaller.
 */
export interface PageCodec {
  decode(bytes: Uint8Array, size: number): Uint8Array
  encode(bytes: Uint8Array): Uint8Array
}

export function pageCodec(codec: number): PageCodec {
  switch (codec) {
    case 0:
      return { decode: (bytes) => bytes, encode: (bytes) => bytes }
    case 1:
      return { decode: uncompressSnappy, encode: snappyLiterals }
    case 2:
      return { decode: (bytes) => gunzipSync(bytes), encode: (bytes) => gzipSync(bytes) }
    case 4:
      return { decode: (bytes) => brotliDecompressSync(bytes), encode: brotli }
    case 6:
      return { decode: (bytes) => zstdDecompressSync(bytes), encode: (bytes) => zstdCompressSync(bytes) }
    case 7:
      return { decode: uncompressLz4, encode: lz4Literals }
    default:
      throw new LimnError('internal', { message: `A page is compressed by the unknown codec ${codec}.` })
  }
}

/** The default quality, the highest, takes ten times as long for little. */
function brotli(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })
}

/** The length as a varint, then one literal whose tag says that four bytes of its length follow. */
function snappyLiterals(bytes: Uint8Array): Uint8Array {
  const head: number[] = []
  let rest = bytes.length
  for (; rest > 127; rest >>>= 7) head.push((rest & 127) | 128)
  head.push(rest)
  if (bytes.length === 0) return Uint8Array.of(...head)
  const tag = Buffer.alloc(5)
  tag[0] = 63 << 2
  tag.writeUInt32LE(bytes.length - 1, 1)
  return Buffer.concat([Uint8Array.of(...head), tag, bytes])
}

/** One sequence without a match: a length of 15 or more goes on in bytes of up to 255. */
function lz4Literals(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 15) return Buffer.concat([Uint8Array.of(bytes.length << 4), bytes])
  const over = bytes.length - 15
  const more = Buffer.alloc(Math.floor(over / 255) + 1, 255)
  more[more.length - 1] = over % 255
  return Buffer.concat([Uint8Array.of(15 << 4), more, bytes])
}

/** LZ4's block format: literals, then a match of at least four bytes at a two-byte distance; the last has no match. */
function uncompressLz4(input: Uint8Array, size: number): Uint8Array {
  const output = new Uint8Array(size)
  let at = 0
  let to = 0
  const next = () => {
    const byte = input[at++]
    if (byte === undefined) throw new LimnError('internal', { message: 'A compressed page is cut off.' })
    return byte
  }
  const lengthOf = (nibble: number) => {
    let length = nibble
    if (nibble === 15) for (let byte = 255; byte === 255; length += byte) byte = next()
    return length
  }
  while (at < input.length) {
    const token = next()
    const literals = lengthOf(token >> 4)
    output.set(input.subarray(at, at + literals), to)
    at += literals
    to += literals
    if (at >= input.length) break
    const distance = next() + next() * 256
    const match = lengthOf(token & 15) + 4
    // A match may overlap what it writes, so it runs byte by byte.
    for (let i = 0; i < match; i++, to++) output[to] = output[to - distance] ?? 0
  }
  return output
}
