import { xxhash64 } from './xxhash64.ts'

/**
 * Split-block Bloom filters (parquet-format, BloomFilter.md): blocks of eight 32-bit words, little-endian. A value sets, in
 * the block that the upper half of its hash names, one bit of each word, which the lower half names.
 */
export class BloomFilter {
  readonly #view: DataView
  readonly #blocks: number

  /** An empty filter, or one over stored bytes, which it shares. Their number is a multiple of 32. */
  constructor(bytes: number | Uint8Array) {
    const stored = typeof bytes === 'number' ? new Uint8Array(bytes) : bytes
    this.#view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength)
    this.#blocks = Math.floor(stored.byteLength / blockBytes)
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#view.byteOffset, this.#view.byteLength)
  }

  /** Adds a value by the halves of its `xxhash64`. */
  add(high: number, low: number): void {
    const block = Math.floor((high * this.#blocks) / 2 ** 32) * blockBytes
    for (let i = 0; i < 8; i++) {
      const word = block + 4 * i
      const bit = 1 << (Math.imul(low, salts[i] ?? 0) >>> 27)
      this.#view.setUint32(word, this.#view.getUint32(word, true) | bit, true)
    }
  }

  /** False: certainly never added. */
  mightContain(value: Uint8Array): boolean {
    const { high, low } = xxhash64(value)
    const block = Math.floor((high * this.#blocks) / 2 ** 32) * blockBytes
    return salts.every(
      (salt, i) => (this.#view.getUint32(block + 4 * i, true) & (1 << (Math.imul(low, salt) >>> 27))) !== 0,
    )
  }
}

const blockBytes = 32
const salts = [0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d, 0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31] as const

/**
 * Bytes of a filter that takes that many distinct values with about that rate of false answers: a power of two, from 32 to
 * the largest that is at most `bytesMax`.
 */
export function bloomFilterBytes(distinct: number, falseRate: number, bytesMax: number): number {
  const bits = (-8 * distinct) / Math.log(1 - falseRate ** (1 / 8))
  let bytes = blockBytes
  while (bytes * 8 < bits && bytes * 2 <= bytesMax) bytes *= 2
  return bytes
}
