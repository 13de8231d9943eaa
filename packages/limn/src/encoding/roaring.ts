import { LimnError } from '../base/index.ts'
import { damaged } from './damage.ts'
import {
  arrayLimit,
  bitmapBytes,
  bytesOf,
  type Container,
  compact,
  containerHas,
  containerOfSorted,
  containerUnion,
  countOf,
  fill,
  lastOf,
  readContainer,
  writeContainer,
} from './roaring-container.ts'

/**
 * Sets of row positions as 64-bit roaring bitmaps in the portable layout (RoaringFormatSpec, "Extension for 64-bit
 * implementations"), as deletion vectors hold them:
 *
 *   u64 number of 32-bit bitmaps, then each, keys ascending:
 *     u32 key: the upper 32 bits of its positions
 *     u32 cookie 12346, u32 n                       no runs among its n containers
 *     or u16 cookie 12347, u16 n - 1, (n+7)/8 bytes a bit per container: 1 for runs
 *     n × (u16 key: the next 16 bits, u16 count - 1)
 *     n × u32 offset from the cookie                left out by cookie 12347 when n < 4
 *     n containers
 *
 * Little-endian throughout.
 */
const cookieWithoutRuns = 12346
const cookieWithRuns = 12347
const offsetsFrom = 4
/** Positions end where Java's implementation ends: the upper half is an array index there. */
const keyLimit = 0x7fff_ffff
const positionLimit = BigInt(keyLimit) << 32n

/** An immutable set of row positions, from 0 up to 2^63 - 2^32. */
export class RoaringPositions implements Iterable<bigint> {
  static readonly empty = new RoaringPositions([], [])

  /** Upper 48 bits of positions, ascending; each names the container of the same index. */
  readonly #keys: readonly number[]
  readonly #containers: readonly Container[]
  /** How many positions are in the set. */
  readonly size: number

  private constructor(keys: readonly number[], containers: readonly Container[]) {
    this.#keys = keys
    this.#containers = containers
    this.size = containers.reduce((sum, container) => sum + countOf(container), 0)
  }

  /** In any order, repeats welcome. Throws `internal` for what is no position (negative, a fraction, too large). */
  static from(positions: Iterable<bigint | number>): RoaringPositions {
    const drafts = new Map<number, Draft>()
    let key = -1
    let draft: Draft | undefined
    for (const position of positions) {
      const [upper, lower] = split(position)
      if (upper !== key || draft === undefined) {
        key = upper
        draft = drafts.get(upper) ?? new Draft()
        drafts.set(upper, draft)
      }
      draft.add(lower)
    }
    const keys = [...drafts.keys()].sort((a, b) => a - b)
    return new RoaringPositions(
      keys,
      keys.map((each) => (drafts.get(each) ?? new Draft()).finish()),
    )
  }

  has(position: bigint | number): boolean {
    const [upper, lower] = split(position)
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#keys[middle] ?? 0) < upper) low = middle + 1
      else high = middle
    }
    const container = this.#keys[low] === upper ? this.#containers[low] : undefined
    return container !== undefined && containerHas(container, lower)
  }

  union(other: RoaringPositions): RoaringPositions {
    const keys: number[] = []
    const containers: Container[] = []
    let i = 0
    let j = 0
    while (i < this.#keys.length || j < other.#keys.length) {
      const left = this.#keys[i] ?? Number.POSITIVE_INFINITY
      const right = other.#keys[j] ?? Number.POSITIVE_INFINITY
      const mine = left <= right ? this.#containers[i++] : undefined
      const theirs = right <= left ? other.#containers[j++] : undefined
      keys.push(Math.min(left, right))
      if (mine && theirs) containers.push(containerUnion(mine, theirs))
      else if (mine) containers.push(mine)
      else if (theirs) containers.push(theirs)
    }
    return new RoaringPositions(keys, containers)
  }

  /** The largest position; undefined when the set is empty. */
  get last(): bigint | undefined {
    const container = this.#containers.at(-1)
    const key = this.#keys.at(-1)
    return container && key !== undefined ? BigInt(key) * 65536n + BigInt(lastOf(container)) : undefined
  }

  /** Ascending. Bulk use is served by `toArray` and `toUint32Array`. */
  *[Symbol.iterator](): Iterator<bigint> {
    const some = new Uint32Array(65536)
    for (const [i, container] of this.#containers.entries()) {
      const base = BigInt(this.#keys[i] ?? 0) * 65536n
      const end = fill(container, some, 0, 1, 0)
      for (let at = 0; at < end; at++) yield base + BigInt(some[at] ?? 0)
    }
  }

  /** All positions, ascending, as the engine's BIGINT column holds them: a million in a few milliseconds. */
  toArray(): BigInt64Array {
    const out = new BigInt64Array(this.size)
    const halves = new Uint32Array(out.buffer)
    let at = 0
    for (const [i, container] of this.#containers.entries()) {
      const key = this.#keys[i] ?? 0
      const upper = Math.floor(key / 65536)
      const end = fill(container, halves, at, 2, (key % 65536) * 65536)
      if (upper !== 0) for (let place = at + 1; place < end; place += 2) halves[place] = upper
      at = end
    }
    return out
  }

  /** All positions, ascending, four bytes each; null when one is 2^32 or more. */
  toUint32Array(): Uint32Array | null {
    if ((this.#keys.at(-1) ?? 0) > 0xffff) return null
    const out = new Uint32Array(this.size)
    let at = 0
    for (const [i, container] of this.#containers.entries())
      at = fill(container, out, at, 1, (this.#keys[i] ?? 0) * 65536)
    return out
  }

  /** The portable layout; equal sets built by `from` give equal bytes. */
  encode(): Uint8Array {
    const bitmaps = this.#bitmaps()
    const sizes = bitmaps.map(({ containers }) => headerBytes(containers) + total(containers))
    const out = new Uint8Array(8 + sizes.reduce((sum, size) => sum + 4 + size, 0))
    const view = new DataView(out.buffer)
    view.setBigUint64(0, BigInt(bitmaps.length), true)
    let at = 8
    for (const [i, { upper, keys, containers }] of bitmaps.entries()) {
      view.setUint32(at, upper, true)
      writeBitmap(view, at + 4, keys, containers)
      at += 4 + (sizes[i] ?? 0)
    }
    return out
  }

  #bitmaps(): readonly { upper: number; keys: number[]; containers: Container[] }[] {
    const out: { upper: number; keys: number[]; containers: Container[] }[] = []
    for (const [i, container] of this.#containers.entries()) {
      const key = this.#keys[i] ?? 0
      const upper = Math.floor(key / 65536)
      let bitmap = out.at(-1)
      if (bitmap?.upper !== upper) {
        bitmap = { upper, keys: [], containers: [] }
        out.push(bitmap)
      }
      bitmap.keys.push(key % 65536)
      bitmap.containers.push(container)
    }
    return out
  }

  /**
   * The inverse of `encode`, for every container kind. Throws `iceberg/invalid-metadata` when the bytes are not exactly
   * one well-formed bitmap; takes memory in proportion to the bytes, whatever they claim.
   */
  static decode(bytes: Uint8Array): RoaringPositions {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (view.byteLength < 8) throw damaged('A bitmap', 'it is cut off')
    const count = view.getBigUint64(0, true)
    const keys: number[] = []
    const containers: Container[] = []
    let at = 8
    let before = -1
    for (let i = 0n; i < count; i++) {
      if (at + 8 > view.byteLength) throw damaged('A bitmap', 'it is cut off')
      const upper = view.getUint32(at, true)
      if (upper >= keyLimit) throw damaged('A bitmap', `its key ${upper} is beyond every row position`)
      if (upper <= before) throw damaged('A bitmap', 'its keys do not ascend')
      before = upper
      at = readBitmap(view, at + 4, upper * 65536, keys, containers)
    }
    if (at !== view.byteLength) throw damaged('A bitmap', 'bytes follow its end')
    return new RoaringPositions(keys, containers)
  }
}

function split(position: bigint | number): readonly [upper: number, lower: number] {
  if (typeof position === 'number') {
    if (!Number.isSafeInteger(position) || position < 0) throw notAPosition(position)
    return [Math.floor(position / 65536), position % 65536]
  }
  if (position < 0n || position >= positionLimit) throw notAPosition(position)
  return [Number(position >> 16n), Number(position & 0xffffn)]
}

function notAPosition(value: bigint | number): LimnError {
  return new LimnError('internal', { message: `${value} is not the position of a row.` })
}

/** A container being filled in any order: a list while short, bits once that is smaller. */
class Draft {
  #values = new Uint16Array(16)
  #length = 0
  #ascending = true
  #words: Uint32Array | undefined

  add(value: number): void {
    if (this.#words) {
      this.#words[value >>> 5] = (this.#words[value >>> 5] ?? 0) | (1 << (value & 31))
      return
    }
    if (this.#length > 0) {
      const last = this.#values[this.#length - 1] ?? 0
      if (value === last) return
      if (value < last) this.#ascending = false
    }
    if (this.#length === arrayLimit) {
      this.#words = new Uint32Array(bitmapBytes / 4)
      for (let i = 0; i < this.#length; i++) this.add(this.#values[i] ?? 0)
      this.add(value)
      return
    }
    if (this.#length === this.#values.length) {
      const larger = new Uint16Array(this.#length * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length++] = value
  }

  finish(): Container {
    if (this.#words) return compact(this.#words)
    const values = this.#values.slice(0, this.#length)
    return containerOfSorted(this.#ascending ? values : Uint16Array.from(new Set(values.sort())))
  }
}

function hasRuns(containers: readonly Container[]): boolean {
  return containers.some((container) => container.kind === 'runs')
}

function total(containers: readonly Container[]): number {
  return containers.reduce((sum, container) => sum + bytesOf(container), 0)
}

function headerBytes(containers: readonly Container[]): number {
  const count = containers.length
  if (!hasRuns(containers)) return 8 + 8 * count
  return 4 + Math.ceil(count / 8) + (count < offsetsFrom ? 4 : 8) * count
}

function writeBitmap(view: DataView, start: number, keys: readonly number[], containers: readonly Container[]): void {
  const count = containers.length
  const runs = hasRuns(containers)
  let at = start
  if (runs) {
    view.setUint32(at, cookieWithRuns | ((count - 1) << 16), true)
    at += 4
    for (let i = 0; i < count; i += 8) {
      let flags = 0
      for (let bit = 0; bit < 8; bit++) if (containers[i + bit]?.kind === 'runs') flags |= 1 << bit
      view.setUint8(at++, flags)
    }
  } else {
    view.setUint32(at, cookieWithoutRuns, true)
    view.setUint32(at + 4, count, true)
    at += 8
  }
  for (const [i, container] of containers.entries()) {
    view.setUint16(at, keys[i] ?? 0, true)
    view.setUint16(at + 2, countOf(container) - 1, true)
    at += 4
  }
  let offset = headerBytes(containers)
  for (const container of containers) {
    if (!runs || count >= offsetsFrom) {
      view.setUint32(at, offset, true)
      at += 4
    }
    writeContainer(container, view, start + offset)
    offset += bytesOf(container)
  }
}

/** Appends the containers of the 32-bit bitmap at `start` and returns where it ends. */
function readBitmap(view: DataView, start: number, base: number, keys: number[], containers: Container[]): number {
  const cookie = view.getUint32(start, true)
  const runs = (cookie & 0xffff) === cookieWithRuns
  if (!runs && cookie !== cookieWithoutRuns) throw damaged('A bitmap', `it begins with the unknown cookie ${cookie}`)
  if (!runs && start + 8 > view.byteLength) throw damaged('A bitmap', 'it is cut off')
  const count = runs ? (cookie >>> 16) + 1 : view.getUint32(start + 4, true)
  const flags = start + 4
  const descriptions = runs ? flags + Math.ceil(count / 8) : start + 8
  const offsets = descriptions + count * 4
  const withOffsets = !runs || count >= offsetsFrom
  let at = offsets + (withOffsets ? count * 4 : 0)
  if (count > 65536) throw damaged('A bitmap', `it claims ${count} containers`)
  if (at > view.byteLength) throw damaged('A bitmap', 'it is cut off')
  for (let i = 0, before = -1; i < count; i++) {
    const key = view.getUint16(descriptions + i * 4, true)
    if (key <= before) throw damaged('A bitmap', 'its containers do not ascend')
    before = key
    if (withOffsets && view.getUint32(offsets + i * 4, true) !== at - start)
      throw damaged('A bitmap', 'a container does not stand where the header says')
    const held = view.getUint16(descriptions + i * 4 + 2, true) + 1
    const isRuns = runs && ((view.getUint8(flags + (i >>> 3)) >>> (i & 7)) & 1) === 1
    const container = readContainer(view, at, held, isRuns)
    keys.push(base + key)
    containers.push(container)
    at += bytesOf(container)
  }
  return at
}
