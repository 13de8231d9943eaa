import { crc32 } from 'node:zlib'
import { LimnError } from '../../base/index.ts'
import { RoaringPositions } from '../../encoding/index.ts'

/**
 * The blob `deletion-vector-v1` (Puffin specification, "Blob types"): which rows of one data file are deleted.
 *
 *   u32 big-endian     length of magic and vector
 *   D1 D3 39 64        magic
 *   vector             positions as a 64-bit roaring bitmap, portable
 *   u32 big-endian     CRC-32 of magic and vector
 *
 * The blob stands uncompressed in its Puffin file, its properties are `referenced-data-file` and `cardinality`.
 */
export const deletionVectorBlobType = 'deletion-vector-v1'
const magic = 0xd1d33964

export function encodeDeletionVector(positions: RoaringPositions): Uint8Array {
  const vector = positions.encode()
  const out = new Uint8Array(12 + vector.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, 4 + vector.length)
  view.setUint32(4, magic)
  out.set(vector, 8)
  view.setUint32(8 + vector.length, crc32(out.subarray(4, 8 + vector.length)))
  return out
}

/**
 * The deleted positions. `cardinality` is what the manifest states as record count. Throws `iceberg/invalid-metadata` when
 * length, magic, checksum, bitmap or cardinality do not agree: a wrong vector would show deleted rows or hide live ones.
 */
export function decodeDeletionVector(
  bytes: Uint8Array,
  expected: { readonly cardinality?: bigint } = {},
): RoaringPositions {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.byteLength < 20) throw damaged('it is cut off')
  const length = view.getUint32(0)
  if (length !== view.byteLength - 8)
    throw damaged(`it states ${length} bytes and its blob leaves ${view.byteLength - 8}`)
  if (view.getUint32(4) !== magic) throw damaged('it does not begin as one')
  if (view.getUint32(4 + length) !== crc32(bytes.subarray(4, 4 + length)))
    throw damaged('it does not match its checksum')
  const positions = RoaringPositions.decode(bytes.subarray(8, 4 + length))
  if (expected.cardinality !== undefined && BigInt(positions.size) !== expected.cardinality)
    throw damaged(`it holds ${positions.size} positions and its manifest states ${expected.cardinality}`)
  return positions
}

function damaged(why: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `A deletion vector is damaged: ${why}.`,
    notDone: 'The table was not read.',
    remedy: 'Restore the file, or roll the table back to an earlier snapshot.',
  })
}
