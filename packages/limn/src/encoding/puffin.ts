import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { LimnError } from '../base/index.ts'
import { damaged } from './damage.ts'
import { parseJson, stringifyJson } from './json.ts'

/**
 * Puffin files (Puffin specification): blobs that are neither rows nor metadata, such as deletion vectors and sketches.
 *
 *   PFA1, blob, blob, …
 *   PFA1, footer payload (JSON), u32 payload size, u32 flags, PFA1
 *
 * Numbers are little-endian. Bit 0 of the first flag byte says that the payload is an LZ4 frame; the others must be 0.
 */
export interface PuffinBlob {
  readonly type: string
  /** Field ids the blob is about, in its order; empty where none apply. */
  readonly fields: readonly number[]
  /** -1 in a deletion vector: its snapshot is not known when it is written. */
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  /** Where the blob begins in the file, in bytes. */
  readonly offset: number
  /** Bytes in the file, compressed where it is. */
  readonly length: number
  /** Absent: stored as it is. */
  readonly compressionCodec?: 'lz4' | 'zstd'
  readonly properties: Readonly<Record<string, string>>
}

/** A blob to write. `codec` defaults to none. */
export interface PuffinBlobInput {
  readonly type: string
  readonly fields: readonly number[]
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly properties?: Readonly<Record<string, string>>
  readonly codec?: 'zstd'
  readonly bytes: Uint8Array
}

export interface PuffinFooter {
  readonly blobs: readonly PuffinBlob[]
  readonly properties: Readonly<Record<string, string>>
  /** Bytes of the whole footer with both magics: what `file-footer-size-in-bytes` of a statistics file states. */
  readonly footerBytes: number
}

/** Bytes `[start, end)` of a file. */
export type RangedRead = (start: number, end: number) => Promise<Uint8Array>

const magic = Buffer.from('PFA1')
const tailBytes = 12
/** A footer says a few hundred bytes per blob; one that claims more than this is damage. */
const payloadLimit = 256 * 1024 * 1024
const blobLimit = 1024 * 1024 * 1024

/** The file's bytes, and where each blob stands in them. The same input gives the same bytes. */
export function writePuffin(
  blobs: readonly PuffinBlobInput[],
  properties: Readonly<Record<string, string>>,
): { readonly bytes: Uint8Array; readonly blobs: readonly PuffinBlob[]; readonly footerBytes: number } {
  const parts: Uint8Array[] = [magic]
  let offset = magic.length
  const written = blobs.map(({ bytes, codec, properties: own, ...rest }): PuffinBlob => {
    const body = codec === 'zstd' ? zstdCompressSync(bytes) : bytes
    parts.push(body)
    const metadata = {
      ...rest,
      offset,
      length: body.length,
      ...(codec && { compressionCodec: codec }),
      properties: own ?? {},
    }
    offset += body.length
    return metadata
  })
  const payload = Buffer.from(
    stringifyJson({
      blobs: written.map((blob) => ({
        type: blob.type,
        fields: blob.fields,
        'snapshot-id': blob.snapshotId,
        'sequence-number': blob.sequenceNumber,
        offset: blob.offset,
        length: blob.length,
        ...(blob.compressionCodec && { 'compression-codec': blob.compressionCodec }),
        ...(Object.keys(blob.properties).length > 0 && { properties: blob.properties }),
      })),
      ...(Object.keys(properties).length > 0 && { properties }),
    }),
  )
  const tail = Buffer.alloc(tailBytes)
  tail.writeUInt32LE(payload.length, 0)
  magic.copy(tail, 8)
  parts.push(magic, payload, tail)
  return {
    bytes: Buffer.concat(parts),
    blobs: written,
    footerBytes: magic.length + payload.length + tailBytes,
  }
}

/**
 * Reads the footer of a file of `size` bytes in at most two reads, or from the whole file's bytes. Throws
 * `iceberg/invalid-metadata` when the file is damaged, `iceberg/unsupported` for flags it does not know.
 */
export async function readPuffinFooter(read: RangedRead, size: number): Promise<PuffinFooter> {
  if (!Number.isSafeInteger(size) || size < magic.length * 2 + tailBytes) throw damaged(what, 'it is too short')
  const guess = Math.min(size, 8192)
  const end = await exactly(read, size - guess, size)
  const footerBytes = footerSize(end, size)
  const footer =
    footerBytes <= guess ? end.subarray(guess - footerBytes) : await exactly(read, size - footerBytes, size)
  return decodeFooter(footer, size)
}

/** As `readPuffinFooter`, from the bytes of the whole file. */
export function decodePuffinFooter(file: Uint8Array): PuffinFooter {
  if (file.length < magic.length * 2 + tailBytes) throw damaged(what, 'it is too short')
  if (!magic.equals(file.subarray(0, magic.length))) throw damaged(what, 'it does not begin as one')
  return decodeFooter(file.subarray(file.length - footerSize(file, file.length)), file.length)
}

/**
 * A blob's content, uncompressed. `file` reads ranges or is the whole file's bytes. A codec that limn does not have is
 * refused by name (`iceberg/unsupported`).
 */
export async function readBlob(
  file: RangedRead | Uint8Array,
  blob: Pick<PuffinBlob, 'offset' | 'length' | 'compressionCodec'>,
): Promise<Uint8Array> {
  const end = blob.offset + blob.length
  if (blob.length > blobLimit) throw damaged(what, `a blob claims ${blob.length} bytes`)
  const body = file instanceof Uint8Array ? file.subarray(blob.offset, end) : await exactly(file, blob.offset, end)
  if (body.length !== blob.length) throw damaged(what, 'a blob reaches beyond its end')
  switch (blob.compressionCodec) {
    case undefined:
      return body
    case 'zstd':
      try {
        return zstdDecompressSync(body, { maxOutputLength: blobLimit })
      } catch (cause) {
        throw damaged(what, 'a blob cannot be uncompressed', cause)
      }
    case 'lz4':
      throw unsupported('A blob of a Puffin file is compressed with LZ4, which limn does not read.')
  }
}

const what = 'A Puffin file'

async function exactly(read: RangedRead, start: number, end: number): Promise<Uint8Array> {
  const bytes = await read(start, end)
  if (bytes.length !== end - start) throw damaged(what, `bytes ${start} to ${end} are not there`)
  return bytes
}

/** From the file's last bytes. */
function footerSize(end: Uint8Array, size: number): number {
  const tail = Buffer.from(end.buffer, end.byteOffset + end.length - tailBytes, tailBytes)
  if (!magic.equals(tail.subarray(8))) throw damaged(what, 'it does not end as one')
  const payload = tail.readUInt32LE(0)
  const footer = magic.length + payload + tailBytes
  if (payload > payloadLimit || footer > size - magic.length) throw damaged(what, `its footer claims ${payload} bytes`)
  return footer
}

function decodeFooter(footer: Uint8Array, size: number): PuffinFooter {
  if (!magic.equals(footer.subarray(0, magic.length))) throw damaged(what, 'its footer does not begin as one')
  const flags = new DataView(footer.buffer, footer.byteOffset, footer.byteLength).getUint32(footer.length - 8, true)
  if (flags === 1) throw unsupported('The footer of a Puffin file is compressed with LZ4, which limn does not read.')
  if (flags !== 0) throw unsupported(`A Puffin file has the flags ${flags}, which limn does not know.`)
  const text = Buffer.from(footer.subarray(magic.length, footer.length - tailBytes)).toString()
  let payload: unknown
  try {
    payload = parseJson(text)
  } catch (cause) {
    throw damaged(what, 'its footer is not JSON', cause)
  }
  if (!isObject(payload) || !Array.isArray(payload.blobs)) throw damaged(what, 'its footer lists no blobs')
  const blobsEnd = size - footer.length
  return {
    blobs: payload.blobs.map((blob) => blobOf(blob, blobsEnd)),
    properties: strings(payload.properties),
    footerBytes: footer.length,
  }
}

function blobOf(json: unknown, end: number): PuffinBlob {
  if (!isObject(json)) throw damaged(what, 'a blob is not described')
  const { type, fields, offset, length, 'compression-codec': codec } = json
  if (typeof type !== 'string') throw damaged(what, 'a blob has no type')
  if (!Array.isArray(fields) || !fields.every(isCount)) throw damaged(what, `the fields of ${type} are not field ids`)
  if (!isCount(offset) || !isCount(length) || offset < magic.length || offset + length > end)
    throw damaged(what, `${type} does not stand within the file`)
  if (codec !== undefined && codec !== null && codec !== 'lz4' && codec !== 'zstd')
    throw unsupported(`A blob of a Puffin file is compressed with ${String(codec)}, which limn does not read.`)
  return {
    type,
    fields,
    snapshotId: id(json['snapshot-id'], type),
    sequenceNumber: id(json['sequence-number'], type),
    offset,
    length,
    ...(codec && { compressionCodec: codec }),
    properties: strings(json.properties),
  }
}

function id(value: unknown, type: string): bigint {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  throw damaged(what, `${type} names no snapshot and sequence number`)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function strings(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {}
  if (!isObject(value)) throw damaged(what, 'its properties are not strings')
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (typeof item !== 'string') throw damaged(what, 'its properties are not strings')
      return [key, item]
    }),
  )
}

function unsupported(message: string): LimnError {
  return new LimnError('iceberg/unsupported', { message, notDone: 'The file was not read.' })
}
