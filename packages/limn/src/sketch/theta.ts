import { LimnError } from '../base/index.ts'
import { murmur3 } from './murmur3.ts'

/**
 * Theta sketches (Apache DataSketches): how many distinct values were seen, from the smallest of their hashes. Up to 4,096
 * distinct values the answer is exact; beyond, its standard error is 1.6 %. Compact form, serial version 3:
 *
 *   byte 0   preamble in 8-byte words: 1 empty or one value, 2 all values kept, 3 theta below 1
 *   byte 1   3, byte 2  3 (compact), bytes 3, 4  0
 *   byte 5   flags: 2 read-only, 4 empty, 8 compact, 16 ordered, 32 one value
 *   byte 6   u16 hash of the seed
 *   byte 8   u32 number of hashes, f32 1.0                where the preamble has 2 words
 *   byte 16  u64 theta                                    where it has 3
 *   then the hashes, 63 bits each, ascending
 *
 * Little-endian throughout. Values enter as bytes, hashed with seed 9001.
 */
const nominal = 4096
const retainedMax = (nominal * 2 * 15) / 16
const slots = nominal * 4
const seed = 9001
const seedHash = 0x93cc
/** Theta of a sketch that kept everything; hashes have 63 bits. */
const wholeTheta = 2n ** 63n - 1n

export class ThetaSketch {
  /** Open addressing over two halves; 0 marks a free place, since no hash is 0. */
  readonly #high = new Uint32Array(slots)
  readonly #low = new Uint32Array(slots)
  #count = 0
  #theta = wholeTheta
  #thetaHigh = 0x7fffffff
  #thetaLow = 0xffffffff
  #empty = true

  /** Whether nothing was ever added. */
  get isEmpty(): boolean {
    return this.#empty
  }

  /** How many distinct values were added: exact while `isExact`. */
  get estimate(): number {
    return this.isExact ? this.#count : this.#count / (Number(this.#theta) / Number(wholeTheta))
  }

  get isExact(): boolean {
    return this.#theta === wholeTheta
  }

  /** Adds a value, repeats welcome. The empty value is passed over, as the library does that others read this with. */
  add(value: Uint8Array): void {
    if (value.length === 0) return
    this.#empty = false
    const hash = murmur3(value, seed)
    this.#insert(hash.high >>> 1, ((hash.low >>> 1) | (hash.high << 31)) >>> 0)
  }

  /** Adds what another sketch saw. */
  addAll(other: ThetaSketch): void {
    this.#empty = this.#empty && other.#empty
    if (other.#theta < this.#theta) {
      const mine = this.#hashes()
      this.#reset(other.#theta)
      for (const hash of mine) this.#insertBig(hash)
    }
    for (const hash of other.#hashes()) this.#insertBig(hash)
  }

  #insertBig(hash: bigint): void {
    this.#insert(Number(hash >> 32n), Number(hash & 0xffffffffn))
  }

  #insert(high: number, low: number): void {
    if (high > this.#thetaHigh || (high === this.#thetaHigh && low >= this.#thetaLow)) return
    if (high === 0 && low === 0) return
    let at = (low ^ (high << 7)) & (slots - 1)
    while (this.#high[at] !== 0 || this.#low[at] !== 0) {
      if (this.#high[at] === high && this.#low[at] === low) return
      at = (at + 1) & (slots - 1)
    }
    this.#high[at] = high
    this.#low[at] = low
    this.#count++
    if (this.#count > retainedMax) this.#shrink()
  }

  /** Keeps the smallest 4,096 hashes; the next one becomes theta. */
  #shrink(): void {
    const hashes = this.#hashes()
    this.#reset(hashes[nominal] ?? wholeTheta)
    for (const hash of hashes.subarray(0, nominal)) this.#insertBig(hash)
  }

  #reset(theta: bigint): void {
    this.#high.fill(0)
    this.#low.fill(0)
    this.#count = 0
    this.#theta = theta
    this.#thetaHigh = Number(theta >> 32n)
    this.#thetaLow = Number(theta & 0xffffffffn)
  }

  /** Ascending. */
  #hashes(): BigUint64Array {
    const out = new BigUint64Array(this.#count)
    const halves = new Uint32Array(out.buffer)
    let at = 0
    for (let i = 0; i < slots; i++) {
      const high = this.#high[i] ?? 0
      const low = this.#low[i] ?? 0
      if (high === 0 && low === 0) continue
      halves[at++] = low
      halves[at++] = high
    }
    return out.sort()
  }

  /** The compact form, ordered: the same values give the same bytes while `isExact`. */
  encode(): Uint8Array {
    const hashes = this.#hashes()
    const single = hashes.length === 1 && this.isExact
    const words = this.#empty || single ? 1 : this.isExact ? 2 : 3
    const out = new Uint8Array((words + hashes.length) * 8)
    const view = new DataView(out.buffer)
    out.set([words, 3, 3, 0, 0, 2 | 8 | 16 | (this.#empty ? 4 : 0) | (single ? 32 : 0)])
    view.setUint16(6, seedHash, true)
    if (words > 1) {
      view.setUint32(8, hashes.length, true)
      view.setFloat32(12, 1, true)
    }
    if (words > 2) view.setBigUint64(16, this.#theta, true)
    for (const [i, hash] of hashes.entries()) view.setBigUint64((words + i) * 8, hash, true)
    return out
  }

  /**
   * Reads a compact sketch, ordered or not. Throws `iceberg/invalid-metadata` when it is damaged,
   * `iceberg/unsupported` for another serial version, family or seed.
   */
  static decode(bytes: Uint8Array): ThetaSketch {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < 8) throw damaged('it is cut off')
    const words = view.getUint8(0) & 63
    const flags = view.getUint8(5)
    if (view.getUint8(1) !== 3 || view.getUint8(2) !== 3 || (flags & 1) !== 0)
      throw unsupported(`is of version ${view.getUint8(1)} and family ${view.getUint8(2)}`)
    const sketch = new ThetaSketch()
    if ((flags & 4) !== 0) return sketch
    if (view.getUint16(6, true) !== seedHash) throw unsupported('hashes with another seed')
    if (words < 1 || words > 3 || bytes.length < words * 8) throw damaged('it is cut off')
    const count = words === 1 ? 1 : view.getUint32(8, true)
    if (bytes.length !== (words + count) * 8) throw damaged(`it states ${count} hashes in ${bytes.length} bytes`)
    const theta = words === 3 ? view.getBigUint64(16, true) : wholeTheta
    if (theta === 0n || theta > wholeTheta) throw damaged('its theta is out of range')
    // A sketch of larger nominal size keeps more than ours; it is cut down as it enters.
    sketch.#reset(theta)
    sketch.#empty = false
    for (let i = 0; i < count; i++) {
      const hash = view.getBigUint64((words + i) * 8, true)
      if (hash === 0n || hash >= theta) throw damaged('a hash is not below its theta')
      sketch.#insertBig(hash)
    }
    return sketch
  }
}

function damaged(why: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', { message: `A theta sketch is damaged: ${why}.` })
}

function unsupported(why: string): LimnError {
  return new LimnError('iceberg/unsupported', { message: `A theta sketch ${why}, which limn does not read.` })
}
