import { gunzipSync, gzipSync } from 'node:zlib'
import { parseJson, readAvro, stringifyJson, writeAvro } from '../../encoding/index.ts'
import { isUnder, locationKey } from '../maintain/location.ts'
import { deleteFilePathId } from '../scan/deletes.ts'
import { invalid } from '../spec/wire.ts'

/**
 * Files of tables that name other files by absolute locations, as they read when everything under one folder has moved
 * under another. Pure: bytes in, bytes out, and the same bytes for the same bytes. What lies elsewhere is named as before.
 */

/** From one folder to another; both without trailing slash. */
export interface Move {
  readonly from: string
  readonly to: string
}

/** Where a file is after the move. */
export function moved(path: string, { from, to }: Move): string {
  if (!isUnder(path, from)) return path
  return `${to}${locationKey(path).slice(locationKey(from).length)}`
}

/** Members of metadata that name no file, whatever they hold. */
const wordy: ReadonlySet<string> = new Set([
  'schemas',
  'schema',
  'summary',
  'partition-specs',
  'partition-spec',
  'versions',
])

/** `metadata.json` of a table or a view. Locations stand in many members, and in properties. */
export function movedMetadata(bytes: Uint8Array, move: Move): Uint8Array {
  const gzipped = bytes[0] === 0x1f && bytes[1] === 0x8b
  const text = Buffer.from(gzipped ? gunzipSync(bytes) : bytes).toString('utf8')
  const out = Buffer.from(stringifyJson(movedJson(parseJson(text), move)))
  return gzipped ? gzipSync(out) : out
}

function movedJson(value: unknown, move: Move): unknown {
  if (typeof value === 'string') return looksLikeLocation(value) ? moved(value, move) : value
  if (Array.isArray(value)) return value.map((item) => movedJson(item, move))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, wordy.has(key) ? item : movedJson(item, move)]),
  )
}

function looksLikeLocation(text: string): boolean {
  return text.startsWith('/') || /^[a-z][a-z0-9]*:\//.test(text)
}

type Row = Readonly<Record<string, unknown>>

/** A manifest list; `lengthOf` tells the length of a manifest that was written anew, by where it is now. */
export function movedManifestList(
  bytes: Uint8Array,
  move: Move,
  lengthOf: (path: string) => number | undefined,
): Uint8Array {
  return movedRows(bytes, (row) => {
    const path = moved(text(row.manifest_path), move)
    const length = lengthOf(path)
    return { ...row, manifest_path: path, ...(length === undefined ? {} : { manifest_length: BigInt(length) }) }
  })
}

/** What is said of a delete file in a manifest once it was written anew. */
export interface RewrittenDelete {
  readonly bytes: number
  /** Of a file of positions: the first and the last data file it names. Null: it is a Puffin file. */
  readonly paths: { readonly first: string; readonly last: string } | null
}

/** A manifest; `rewritten` tells of delete files that were written anew, by where they are now. */
export function movedManifest(
  bytes: Uint8Array,
  move: Move,
  rewritten: (path: string) => RewrittenDelete | undefined,
): Uint8Array {
  return movedRows(bytes, (row) => {
    const file = row.data_file as Row
    const path = moved(text(file.file_path), move)
    const about = file.referenced_data_file
    const anew = rewritten(path)
    return {
      ...row,
      data_file: {
        ...file,
        file_path: path,
        ...(typeof about === 'string' ? { referenced_data_file: moved(about, move) } : {}),
        ...(anew ? { file_size_in_bytes: BigInt(anew.bytes) } : {}),
        ...(anew?.paths ? movedBounds(file, anew.paths) : {}),
      },
    }
  })
}

/** Bounds of the paths in a file of positions; those of other columns stay. */
function movedBounds(file: Row, { first, last }: { readonly first: string; readonly last: string }): Row {
  const withBound = (name: string, path: string) => {
    const bounds = file[name]
    if (!Array.isArray(bounds)) return {}
    const anew = (bounds as readonly { readonly key: number; readonly value: unknown }[]).map((one) =>
      Number(one.key) === deleteFilePathId ? { ...one, value: Buffer.from(path) } : one,
    )
    return { [name]: anew }
  }
  return { ...withBound('lower_bounds', first), ...withBound('upper_bounds', last) }
}

function movedRows(bytes: Uint8Array, change: (row: Row) => Row): Uint8Array {
  const { schema, metadata, rows } = readAvro(bytes)
  const own = Object.entries(metadata).filter(([key]) => key !== 'avro.schema' && key !== 'avro.codec')
  return writeAvro(schema, rows.map(change), Object.fromEntries(own))
}

/** A file of positions in Avro. */
export function movedPositionRows(bytes: Uint8Array, move: Move): Uint8Array {
  return movedRows(bytes, (row) => ({ ...row, file_path: moved(text(row.file_path), move) }))
}

const puffinMagic = Buffer.from('PFA1')

/**
 * A Puffin file whose blobs say which data file they are about. Blobs stay byte for byte where they stand; the footer is
 * written anew. Null: nothing in it names a file that moved.
 */
export function movedPuffin(bytes: Uint8Array, move: Move): Uint8Array | null {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const payloadBytes = file.readUInt32LE(file.length - 12)
  const start = file.length - 12 - payloadBytes
  if (start < 8 || !file.subarray(start - 4, start).equals(puffinMagic) || file.readUInt32LE(file.length - 8) !== 0)
    throw invalid('the footer of a Puffin file is compressed or damaged')
  const before = file.subarray(start, start + payloadBytes).toString('utf8')
  const payload = Buffer.from(stringifyJson(movedJson(parseJson(before), move)))
  if (payload.toString('utf8') === before) return null
  const tail = Buffer.from(file.subarray(file.length - 12))
  tail.writeUInt32LE(payload.length, 0)
  return Buffer.concat([file.subarray(0, start), payload, tail])
}

function text(value: unknown): string {
  if (typeof value === 'string') return value
  throw invalid('a manifest names no file')
}
