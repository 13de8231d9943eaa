import { LimnError } from '../../../base/index.ts'
import { type Stated, stated, Walk } from './footer-walk.ts'

/**
 * Pages as DuckDB writes them, of the format's first version: values plain, or places in a dictionary, itself a page of plain
 * values. By the numbers of parquet.thrift.
 */
export const pageTypes = { data: 0, dictionary: 2 } as const
const encodings = { plain: 0, plainDictionary: 2, rleDictionary: 8 }

/** What stands before the values of a page. */
export interface Levels {
  /** Pages begin with repetition levels. */
  readonly repeats: boolean
  /** Pages have definition levels. */
  readonly nullable: boolean
}

/** Places are those in the header. */
export interface Page {
  readonly type: number
  readonly encoding: number
  readonly plain: Stated
  readonly stored: Stated
  /** Where in the chunk its bytes begin. */
  readonly body: number
}

export function pageAt(chunk: Buffer, at: number): Page {
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
    else if (id === 4) throw unknownPage('a checksum')
    else walk.skip(kind)
  })
  if (!plain || !stored) throw unknownPage('no size')
  return { type, encoding: values, plain, stored, body: at + walk.at }
}

/** Whether a page holds no values but places in the dictionary. Throws for a type or encoding that DuckDB does not write. */
export function holdsPlaces({ type, encoding }: Page): boolean {
  if (type !== pageTypes.data && type !== pageTypes.dictionary) throw unknownPage(`the type ${type}`)
  const places = encoding === encodings.plainDictionary || encoding === encodings.rleDictionary
  if (encoding !== encodings.plain && !places) throw unknownPage(`the encoding ${encoding}`)
  return type === pageTypes.data && places
}

/** Levels come first, each with its length before it. */
export function levelsEnd(plain: Buffer, of: Levels): number {
  const levels = Number(of.repeats) + Number(of.nullable)
  let at = 0
  for (let i = 0; i < levels; i++) at += 4 + plain.readUInt32LE(at)
  return at
}

export function unknownPage(what: string): LimnError {
  return new LimnError('internal', {
    message: `A page has ${what}, which limn does not expect of what DuckDB writes.`,
    notDone: 'Nothing was put.',
  })
}
