import { applyEdits, restated } from './footer-walk.ts'
import { type PageCodec, pageCodec } from './page-codec.ts'
import { holdsPlaces, type Levels, levelsEnd, type Page, pageAt, pageTypes, unknownPage } from './pages.ts'

/** A column chunk of values of one length. */
export interface FixedChunk extends Levels {
  readonly length: number
  /** Its number in the footer. */
  readonly codec: number
}

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

function pageWithoutLengths(
  header: Buffer,
  page: Page,
  body: Buffer,
  codec: PageCodec,
  of: FixedChunk,
): { readonly parts: readonly Uint8Array[]; readonly plainBy: number } {
  const dictionary = page.type === pageTypes.dictionary
  if (holdsPlaces(page)) return { parts: [header, body], plainBy: 0 }
  const plain = Buffer.from(codec.decode(body, page.plain.value))
  const start = dictionary ? 0 : levelsEnd(plain, of)
  const values = bare(plain, start, of.length)
  const fresh = codec.encode(Buffer.concat([plain.subarray(0, start), values]))
  const size = start + values.length
  const fitted = applyEdits(header, [restated(page.plain, size), restated(page.stored, fresh.length)])
  return { parts: [fitted, fresh], plainBy: size + fitted.length - page.plain.value - header.length }
}

function bare(plain: Buffer, start: number, length: number): Buffer {
  const count = (plain.length - start) / (length + 4)
  if (!Number.isInteger(count)) throw unknownPage('values of another length')
  const out = Buffer.alloc(count * length)
  for (let i = 0, at = start; i < count; i++, at += length + 4) {
    if (plain.readUInt32LE(at) !== length) throw unknownPage('a value of another length')
    plain.copy(out, i * length, at + 4, at + 4 + length)
  }
  return out
}
