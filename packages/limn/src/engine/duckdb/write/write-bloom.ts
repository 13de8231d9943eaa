import { open } from 'node:fs/promises'
import { LimnError } from '../../../base/index.ts'
import {
  type ParquetColumn,
  type ParquetField,
  type ParquetFooter,
  type ParquetLeaf,
  parquetCodecs,
  readParquetFooter,
} from '../../../encoding/index.ts'
import { BloomFilter, bloomFilterBytes, xxhash64 } from '../../../sketch/index.ts'
import type { BloomFilterWish } from '../../engine.ts'
import { applyEdits, type Edit, footerBytes, footerWithTail, Walk, zigzag } from './footer-walk.ts'
import { pageCodec } from './page-codec.ts'
import { holdsPlaces, type Levels, levelsEnd, pageAt, pageTypes, unknownPage } from './pages.ts'

/**
 * Gives the wished columns of a file a Bloom filter per row group. DuckDB writes them for columns with a dictionary alone,
 * and for all of those; so it is told to write none, and they are appended to the file, from its pages:
 *
 *   PAR1 │ pages … │ header, filter │ header, filter │ … │ footer, which names the places │ length │ PAR1
 *
 * Columns of booleans and of no values get none.
 */
export async function addBloomFilters(local: string, wishes: ReadonlyMap<number, BloomFilterWish>): Promise<void> {
  if (wishes.size === 0) return
  await using file = await open(local, 'r+')
  const read = async (start: number, end: number) => {
    const bytes = Buffer.alloc(end - start)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, start)
    return bytes.subarray(0, bytesRead)
  }
  const facts = await readParquetFooter(read, (await file.stat()).size)
  const { footer, at: start } = await footerBytes(file)
  const levels = levelsOf(facts)
  const places: Place[] = []
  let end = start
  for (const [group, { columns }] of facts.rowGroups.entries())
    for (const leaf of facts.leaves) {
      const wish = leaf.fieldId === null ? undefined : wishes.get(leaf.fieldId)
      const column = columns[leaf.column]
      const before = levels[leaf.column]
      if (!wish || !column || !before || leaf.physical === 'boolean' || leaf.physical === 'int96') continue
      const first = Number(column.dictionaryPageOffset ?? column.dataPageOffset)
      const chunk = Buffer.from(await read(first, first + Number(column.compressedBytes)))
      const filter = filterOf(hashesOf(chunk, column, leaf, before), wish)
      if (!filter) continue
      await file.write(filter, 0, filter.length, end)
      places.push({ group, column: leaf.column, offset: end, length: filter.length })
      end += filter.length
    }
  const fresh = footerWithTail(applyEdits(footer, namings(footer, places)))
  await file.write(fresh, 0, fresh.length, end)
}

/** What stands before the values of each column. */
function levelsOf(footer: ParquetFooter): readonly Levels[] {
  const out: Levels[] = []
  const visit = (fields: readonly ParquetField[], above: Levels) => {
    for (const field of fields) {
      const own = {
        repeats: above.repeats || field.repetition === 'repeated',
        nullable: above.nullable || field.repetition !== 'required',
      }
      if (field.kind === 'group') visit(field.children, own)
      else out[field.column] = own
    }
  }
  visit(footer.fields, { repeats: false, nullable: false })
  return out
}

/** Hashes, their halves one after the other. */
class Hashes {
  #halves = new Uint32Array(1024)
  #count = 0

  add(value: Uint8Array): void {
    if (this.#count * 2 === this.#halves.length) {
      const more = new Uint32Array(this.#halves.length * 2)
      more.set(this.#halves)
      this.#halves = more
    }
    const { high, low } = xxhash64(value)
    this.#halves[this.#count * 2] = high
    this.#halves[this.#count * 2 + 1] = low
    this.#count++
  }

  /** How many are distinct, as far as 53 bits tell. */
  get distinct(): number {
    const keys = new Float64Array(this.#count)
    this.each((high, low, i) => {
      keys[i] = high * 2 ** 21 + (low >>> 11)
    })
    keys.sort()
    return keys.reduce((count, key, i) => (i > 0 && key === keys[i - 1] ? count : count + 1), 0)
  }

  each(visit: (high: number, low: number, i: number) => void): void {
    for (let i = 0; i < this.#count; i++) visit(this.#halves[i * 2] ?? 0, this.#halves[i * 2 + 1] ?? 0, i)
  }
}

function hashesOf(chunk: Buffer, { codec }: ParquetColumn, leaf: ParquetLeaf, levels: Levels): Hashes {
  const hashes = new Hashes()
  const { decode } = pageCodec(parquetCodecs.indexOf(codec))
  let at = 0
  while (at < chunk.length) {
    const page = pageAt(chunk, at)
    at = page.body + page.stored.value
    if (holdsPlaces(page)) continue
    const stored = chunk.subarray(page.body, page.body + page.stored.value)
    const plain = Buffer.from(decode(stored, page.plain.value))
    addValues(hashes, plain.subarray(page.type === pageTypes.dictionary ? 0 : levelsEnd(plain, levels)), leaf)
  }
  return hashes
}

function addValues(hashes: Hashes, values: Buffer, { physical, length }: ParquetLeaf): void {
  if (physical === 'byte-array') {
    for (let at = 0; at < values.length; ) {
      const end = at + 4 + values.readUInt32LE(at)
      if (end > values.length) throw unknownPage('a value that is cut off')
      hashes.add(values.subarray(at + 4, end))
      at = end
    }
    return
  }
  const floating = physical === 'float' || physical === 'double'
  const size =
    physical === 'fixed-len-byte-array' ? (length ?? 0) : physical === 'int32' || physical === 'float' ? 4 : 8
  if (size === 0 || values.length % size !== 0) throw unknownPage('values of another size')
  for (let at = 0; at < values.length; at += size) {
    const value = values.subarray(at, at + size)
    hashes.add(value)
    if (floating) for (const equal of equalsOf(value)) hashes.add(equal)
  }
}

/** Other spellings of a number that compare as equal: whoever asks for one zero, or a NaN, means them all. */
function equalsOf(value: Buffer): readonly Uint8Array[] {
  const number = value.length === 4 ? value.readFloatLE() : value.readDoubleLE()
  if (number !== 0 && !Number.isNaN(number)) return []
  return (number === 0 ? [0, -0] : [Number.NaN]).map((other) => {
    const bytes = Buffer.alloc(value.length)
    if (value.length === 4) bytes.writeFloatLE(other)
    else bytes.writeDoubleLE(other)
    return bytes
  })
}

/** The filter behind its header (parquet.thrift, BloomFilterHeader); null for no values. */
function filterOf(hashes: Hashes, wish: BloomFilterWish): Buffer | null {
  const { distinct } = hashes
  if (distinct === 0) return null
  const filter = new BloomFilter(bloomFilterBytes(wish.distinct ?? distinct, wish.falseRate, wish.bytesMax))
  hashes.each((high, low) => filter.add(high, low))
  // Its size; then three unions, each of its first member, which is empty: block, xxHash, uncompressed.
  const member = [0x1c, 0x1c, 0x00, 0x00]
  const header = [0x15, ...zigzag(filter.bytes.length), ...member, ...member, ...member, 0x00]
  return Buffer.concat([Uint8Array.from(header), filter.bytes])
}

interface Place {
  readonly group: number
  readonly column: number
  readonly offset: number
  readonly length: number
}

/** What makes a footer name the filters: fields 14 and 15 of each column's metadata. */
function namings(footer: Buffer, places: readonly Place[]): readonly Edit[] {
  const edits: Edit[] = []
  const walk = new Walk(footer)
  let group = 0
  walk.struct((id, type) => {
    if (id !== 4) return walk.skip(type)
    return walk.list(() => {
      walk.struct((member, memberType) => {
        if (member !== 1) return walk.skip(memberType)
        let column = 0
        return walk.list(() => {
          const place = places.find((one) => one.group === group && one.column === column)
          walk.struct((part, partType) => {
            if (part === 3 && place) edits.push(naming(walk, place))
            else walk.skip(partType)
          })
          column++
        })
      })
      group++
    })
  })
  if (edits.length === places.length) return edits
  throw new LimnError('internal', { message: 'A footer does not describe every column that got a Bloom filter.' })
}

function naming(walk: Walk, { offset, length }: Place): Edit {
  let before = 0
  let after: { readonly id: number; readonly type: number; readonly at: number } | null = null
  walk.struct((id, type, at) => {
    if (id === 14 || id === 15) throw new LimnError('internal', { message: 'A column has a Bloom filter already.' })
    if (id < 14) before = id
    else after ??= { id, type, at }
    walk.skip(type)
  })
  return insertion(before, after, walk.at, [((14 - before) << 4) | 6, ...zigzag(offset), 0x15, ...zigzag(length)])
}

/** The field that follows states its distance from the one before it anew. */
function insertion(
  before: number,
  after: { readonly id: number; readonly type: number; readonly at: number } | null,
  end: number,
  bytes: readonly number[],
): Edit {
  // An id more than 15 above the last would be spelled out, which no footer has here.
  if (before === 0 || (after && after.id > 30))
    throw new LimnError('internal', { message: 'A footer misses facts of a column.' })
  if (!after) return { from: end - 1, to: end - 1, bytes: Uint8Array.from(bytes) }
  return { from: after.at, to: after.at + 1, bytes: Uint8Array.from([...bytes, ((after.id - 15) << 4) | after.type]) }
}
