import { LimnError } from '../../base/index.ts'
import { applyEdits, restated, type Stated, stated, Walk } from './footer-walk.ts'
import { type PageCodec, pageCodec } from './page-codec.ts'

/** A column chunk of values of one length. */
export interface FixedChunk {
  readonly length: number
  /** Its number in the footer. */
  readonly codec: number
  /** Pages begin with repetition levels. */
  readonly repeats: boolean
  /** Pages have definition levels. */
  readonly nullable: boolean
}

/** By the numbers of parquet.thrift. */
const pageType = { data: 0, dictionary: 2 }
const encoding = { plain: 0, plainDictionary: 2, rleDictionary: 8 }

/**
 * A chunk of BYTE_ARRAY values as one of FIXED_LEN_BYTE_ARRAY: the length before each value is left out. `plainBy` is what
 * its size before compression changed by, `pages` how far each page moved, by its former place.
 */
export function withoutLengths(
  chunk: Buffer,
  of: FixedChunk,
): { readonly bytes: Buffer; readonly plainBy: number; readonly pages: ReadonlyMap<number, number> } {
  const codec = pageCodec(of.codec)
  const out: Uint8Array[] = []
  const pages = new Map<number, number>()
  let written = 0
  let plainBy = 0
  for (let at = 0; at < chunk.length; ) {
    const page = pageAt(chunk, at)
    const body = chunk.subarray(page.body, page.body + page.stored.value)
    pages.set(at, written - at)
    const fresh = pageWithoutLengths(chunk.subarray(at, page.body), page, body, codec, of)
    for (const part of fresh.parts) {
      out.push(part)
      written += part.length
    }
    plainBy += fresh.plainBy
    at = page.body + page.stored.value
  }
  return { bytes: Buffer.concat(out), plainBy, pages }
}

/** Places are those in the header. */
interface Page {
  readonly type: number
  readonly encoding: number
  readonly plain: Stated
  readonly stored: Stated
  /** Where in the chunk its bytes begin. */
  readonly body: number
}

function pageAt(chunk: Buffer, at: number): Page {
  const walk = new Walk(chunk.subarray(at))
  let type = -1
  let values = -1
  let plain: Stated | null = null
  let stored: Stated | null = null
  walk.struct((id, kind) => {
    if (id === 1) type = walk.varint()
    else if (id === 2) plain = stated(walk)
    else if (id === 3) stored = stated(walk)
    else if (id === 5 || id === 7)
      walk.struct((member, memberKind) => {
        if (member === 2) values = walk.varint()
        else walk.skip(memberKind)
      })
    else if (id === 4) throw unknown('a checksum')
    else walk.skip(kind)
  })
  if (!plain || !stored) throw unknown('no size')
  return { type, encoding: values, plain, stored, body: at + walk.at }
}

function pageWithoutLengths(
  header: Buffer,
  page: Page,
  body: Buffer,
  codec: PageCodec,
  of: FixedChunk,
): { readonly parts: readonly Uint8Array[]; readonly plainBy: number } {
  const dictionary = page.type === pageType.dictionary
  if (!dictionary && page.type !== pageType.data) throw unknown(`the type ${page.type}`)
  const places = page.encoding === encoding.plainDictionary || page.encoding === encoding.rleDictionary
  if (!dictionary && places) return { parts: [header, body], plainBy: 0 }
  if (page.encoding !== encoding.plain && !places) throw unknown(`the encoding ${page.encoding}`)
  const plain = Buffer.from(codec.decode(body, page.plain.value))
  const start = dictionary ? 0 : levelsEnd(plain, of)
  const values = bare(plain, start, of.length)
  const fresh = codec.encode(Buffer.concat([plain.subarray(0, start), values]))
  const size = start + values.length
  const fitted = applyEdits(header, [restated(page.plain, size), restated(page.stored, fresh.length)])
  return { parts: [fitted, fresh], plainBy: size + fitted.length - page.plain.value - header.length }
}

/** Levels come first, each with its length before it. */
function levelsEnd(plain: Buffer, of: FixedChunk): number {
  const levels = Number(of.repeats) + Number(of.nullable)
  let at = 0
  for (let i = 0; i < levels; i++) at += 4 + plain.readUInt32LE(at)
  return at
}

function bare(plain: Buffer, start: number, length: number): Buffer {
  const count = (plain.length - start) / (length + 4)
  if (!Number.isInteger(count)) throw unknown('values of another length')
  const out = Buffer.alloc(count * length)
  for (let i = 0, at = start; i < count; i++, at += length + 4) {
    if (plain.readUInt32LE(at) !== length) throw unknown('a value of another length')
    plain.copy(out, i * length, at + 4, at + 4 + length)
  }
  return out
}

function unknown(what: string): LimnError {
  return new LimnError('internal', {
    message: `A page of a fixed column has ${what}, which limn does not expect of what DuckDB wrote.`,
    notDone: 'Nothing was put.',
  })
}
