import { createHash } from 'node:crypto'
import { crc32, deflateRawSync, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import avro from 'avsc'
import { LimnError } from '../base/index.ts'
import { type Cursor, compileRows, type RowOptions, type RowReader } from './avro-rows.ts'
import { uncompressSnappy } from './snappy.ts'

/**
 * Avro object container files. Rows are written by avsc and read by `avro-rows.ts`; the container is ours, so that the schema in the header keeps
 * attributes that avsc drops (`field-id`, `logicalType: map`) and longs are bigint.
 */
export type AvroSchema = string | { readonly [key: string]: unknown } | readonly AvroSchema[]

const magic = Buffer.from([0x4f, 0x62, 0x6a, 0x01])

const longType = avro.types.LongType.__with({
  fromBuffer: (bytes: Buffer) => bytes.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(value))
    return bytes
  },
  fromJSON: BigInt,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a === b ? 0 : a < b ? -1 : 1),
})

/** What a block may inflate to: more is damage, or meant to exhaust memory. */
const blockBytesMax = 256 * 1024 * 1024

const readers = new Map<string, RowReader>()

function readerOf(text: string, schema: AvroSchema, options: ReadAvroOptions): RowReader {
  const key = `${options.deferMaps === true} ${options.lengthBeforeFixed === true} ${options.omit?.join() ?? ''} ${text}`
  let reader = readers.get(key)
  if (!reader) {
    reader = compileRows(schema, options)
    if (readers.size > 200) readers.clear()
    readers.set(key, reader)
  }
  return reader
}

const types = new Map<string, avro.Type>()

function typeOf(schema: AvroSchema): avro.Type {
  const key = JSON.stringify(schema)
  let type = types.get(key)
  if (!type) {
    type = avro.Type.forSchema(stripLogical(schema) as avro.Schema, { registry: { long: longType }, wrapUnions: false })
    if (types.size > 200) types.clear()
    types.set(key, type)
  }
  return type
}

const primitiveNames: ReadonlySet<string> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
])

/** Avsc wants to interpret logical types and rejects names outside Avro's grammar; rows need neither. */
function stripLogical(schema: AvroSchema): AvroSchema {
  if (typeof schema === 'string') return schema
  if (Array.isArray(schema)) return schema.map(stripLogical)
  const named = schema as { readonly [key: string]: unknown }
  // {type: long, logicalType: …} is a plain long to the row codec; only so does it find our bigint long.
  if (typeof named.type === 'string' && primitiveNames.has(named.type)) return named.type
  const out: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(schema)) {
    if (key === 'logicalType' || key === 'doc') continue
    if (key === 'type' || key === 'items' || key === 'values') out[key] = stripLogical(value as AvroSchema)
    else if (key === 'fields') out[key] = (value as Record<string, unknown>[]).map(stripField)
    else out[key] = value
  }
  return out
}

function stripField(field: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { ...field, type: stripLogical(field.type as AvroSchema) }
}

/** Fewer bytes are left as they are: a disk keeps them in one block all the same, and to deflate them takes longer than to write them. */
const deflatedFrom = 2048

/** A block is closed when its rows come to this many bytes: a reader holds one block at a time. */
const blockBytes = 1024 * 1024

/**
 * Encodes rows as a container file (codec deflate unless stated or hardly anything is to be gained) with the given header entries. Rows are taken one at a time. The same
 * input gives the same bytes: the sync marker, which has only to be unlikely inside a block, is a hash of header and rows.
 */
export function writeAvro(
  schema: AvroSchema,
  rows: Iterable<unknown>,
  metadata: Readonly<Record<string, string>>,
  options: { readonly codec?: 'deflate' | 'null' } = {},
): Uint8Array {
  const blocks = [...encodedBlocks(typeOf(schema), rows)]
  const length = blocks.reduce((sum, block) => sum + block.bytes.length, 0)
  const { codec = length < deflatedFrom ? 'null' : 'deflate' } = options
  const header: [string, Buffer][] = [
    ...Object.entries(metadata).map(([key, value]): [string, Buffer] => [key, Buffer.from(value)]),
    ['avro.codec', Buffer.from(codec)],
    ['avro.schema', Buffer.from(JSON.stringify(schema))],
  ]
  const parts: Buffer[] = [magic, long(header.length)]
  for (const [key, value] of header)
    parts.push(long(Buffer.byteLength(key)), Buffer.from(key), long(value.length), value)
  parts.push(long(0))
  const hash = createHash('md5').update(Buffer.concat(parts))
  for (const { bytes } of blocks) hash.update(bytes)
  const sync = hash.digest()
  parts.push(sync)
  for (const { rows: count, bytes } of blocks) {
    const body = codec === 'null' ? bytes : deflateRawSync(bytes)
    parts.push(long(count), long(body.length), body, sync)
  }
  return Buffer.concat(parts)
}

function* encodedBlocks(type: avro.Type, rows: Iterable<unknown>): Generator<{ rows: number; bytes: Buffer }> {
  let open: Buffer[] = []
  let length = 0
  for (const row of rows) {
    const bytes = type.toBuffer(row)
    open.push(bytes)
    length += bytes.length
    if (length < blockBytes) continue
    yield { rows: open.length, bytes: Buffer.concat(open) }
    open = []
    length = 0
  }
  if (open.length > 0) yield { rows: open.length, bytes: Buffer.concat(open) }
}

/** Maps that do not come back as `StoredMap` are arrays of key and value. */
export type ReadAvroOptions = RowOptions

type Row = Readonly<Record<string, unknown>>

export interface AvroHeader {
  readonly metadata: Readonly<Record<string, string>>
  readonly schema: AvroSchema
}

export interface AvroFile extends AvroHeader {
  readonly rows: readonly Row[]
}

/** Decodes a container file (codecs null, deflate, snappy, zstandard). Throws `iceberg/invalid-metadata` when it is damaged. */
export function readAvro(bytes: Uint8Array, options: ReadAvroOptions = {}): AvroFile {
  const { rows, ...header } = scanAvro(bytes, options)
  return { ...header, rows: [...rows] }
}

/**
 * Like `readAvro`, with rows decoded as they are taken, once: one block is held at a time. Damage of a later block throws when it is reached.
 */
export function scanAvro(
  bytes: Uint8Array,
  options: ReadAvroOptions = {},
): AvroHeader & { readonly rows: Generator<Row, void> } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    const cursor = { at: 4 }
    const header = readHeader(buffer, cursor)
    const read = readerOf(header.metadata['avro.schema'] ?? 'null', header.schema, options)
    return { metadata: header.metadata, schema: header.schema, rows: rowsOf(buffer, cursor, header, read) }
  } catch (cause) {
    throw asDamage(cause)
  }
}

function asDamage(cause: unknown): LimnError {
  return cause instanceof LimnError ? cause : damaged(cause instanceof Error ? cause.message : String(cause), cause)
}

function readHeader(bytes: Buffer, cursor: { at: number }): AvroHeader & { readonly sync: Buffer } {
  if (bytes.length < 4 || !bytes.subarray(0, 4).equals(magic)) throw damaged('it does not begin as Avro')
  const metadata: Record<string, string> = {}
  for (let count = readLong(bytes, cursor); count !== 0; count = readLong(bytes, cursor)) {
    if (count < 0) readLong(bytes, cursor)
    for (let i = 0; i < Math.abs(count); i++) {
      const key = readBytes(bytes, cursor).toString()
      metadata[key] = readBytes(bytes, cursor).toString()
    }
  }
  const sync = bytes.subarray(cursor.at, cursor.at + 16)
  if (sync.length < 16) throw damaged('its header is cut off')
  cursor.at += 16
  return { metadata, schema: JSON.parse(metadata['avro.schema'] ?? 'null') as AvroSchema, sync }
}

function* rowsOf(
  bytes: Buffer,
  cursor: { at: number },
  { metadata, sync }: { readonly metadata: Readonly<Record<string, string>>; readonly sync: Buffer },
  read: RowReader,
): Generator<Row, void> {
  while (cursor.at < bytes.length) {
    const { count, at } = blockAt(bytes, cursor, metadata['avro.codec'] ?? 'null', sync)
    for (let i = 0; i < count; i++) yield rowAt(at, read)
    // A block that counts fewer rows than it holds would lose files without a trace.
    if (at.at !== at.bytes.length) throw damaged('a block holds more than its rows')
  }
}

function rowAt(at: Cursor, read: RowReader): Row {
  try {
    return read(at) as Row
  } catch (cause) {
    throw asDamage(cause)
  }
}

function blockAt(bytes: Buffer, cursor: { at: number }, codec: string, sync: Buffer): { count: number; at: Cursor } {
  try {
    const count = readLong(bytes, cursor)
    const body = inflate(codec, readBytes(bytes, cursor))
    if (!bytes.subarray(cursor.at, cursor.at + 16).equals(sync)) throw damaged('a block is cut off')
    cursor.at += 16
    // A row of no bytes is no row of ours, so a block has at most as many as it has bytes.
    if (count < 0 || count > body.length) throw damaged('a block claims more rows than it has bytes')
    return { count, at: { bytes: body, at: 0 } }
  } catch (cause) {
    throw asDamage(cause)
  }
}

function inflate(codec: string, body: Buffer): Buffer {
  switch (codec) {
    case 'null':
      return body
    case 'deflate':
      return inflateRawSync(body, { maxOutputLength: blockBytesMax, chunkSize: Math.max(1024, 4 * body.length) })
    case 'snappy':
      return uncompressChecked(body)
    case 'zstandard':
      return zstdDecompressSync(body, { maxOutputLength: blockBytesMax })
    default:
      throw new LimnError('iceberg/unsupported', {
        message: `An Avro file is compressed with ${codec}, which limn does not read.`,
      })
  }
}

/** Avro's snappy: the block, then the CRC-32 of what it holds, big-endian. */
function uncompressChecked(body: Buffer): Buffer {
  if (body.length < 4) throw damaged('a block is cut off')
  const plain = Buffer.from(uncompressSnappy(body.subarray(0, -4)))
  if (crc32(plain) !== body.readUInt32BE(body.length - 4)) throw damaged('a block does not match its checksum')
  return plain
}

function damaged(why: string, cause?: unknown): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `An Avro metadata file is damaged: ${why}.`,
    notDone: 'The table was not read.',
    remedy: 'Restore the file, or roll the table back to an earlier snapshot.',
    cause,
  })
}

function long(value: number): Buffer {
  const out: number[] = []
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n))
  while (rest > 0x7fn) {
    out.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  out.push(Number(rest))
  return Buffer.from(out)
}

function readLong(bytes: Buffer, cursor: { at: number }): number {
  let value = 0n
  for (let shift = 0n; ; shift += 7n) {
    const byte = bytes[cursor.at++]
    if (byte === undefined || shift > 63n) throw damaged('a number is cut off')
    value |= BigInt(byte & 0x7f) << shift
    if ((byte & 0x80) === 0) break
  }
  return Number((value >> 1n) ^ -(value & 1n))
}

function readBytes(bytes: Buffer, cursor: { at: number }): Buffer {
  const length = readLong(bytes, cursor)
  if (length < 0 || cursor.at + length > bytes.length) throw damaged('a value is cut off')
  cursor.at += length
  return bytes.subarray(cursor.at - length, cursor.at)
}
