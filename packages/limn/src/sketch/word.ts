/** Halves of 64 bits, unsigned. */
export interface Hash64 {
  high: number
  low: number
}

/** A factor as 16-bit pieces from the lowest. */
export type Pieces = readonly [number, number, number, number]

/**
 * A 64-bit word that hashes change in place: two unsigned halves, since a bigint per step would cost a hundred times as
 * much. All arithmetic is modulo 2^64.
 */
export class Word implements Hash64 {
  high = 0
  low = 0

  set(high: number, low: number): void {
    this.high = high >>> 0
    this.low = low >>> 0
  }

  multiply(by: Pieces): void {
    const a0 = this.low & 0xffff
    const a1 = this.low >>> 16
    const a2 = this.high & 0xffff
    const a3 = this.high >>> 16
    // Each sum of products stays below 2^53, so that no carry is lost.
    const r0 = a0 * by[0]
    const r1 = Math.floor(r0 / 65536) + a1 * by[0] + a0 * by[1]
    const r2 = Math.floor(r1 / 65536) + a2 * by[0] + a1 * by[1] + a0 * by[2]
    const r3 = Math.floor(r2 / 65536) + a3 * by[0] + a2 * by[1] + a1 * by[2] + a0 * by[3]
    this.low = ((r0 & 0xffff) | ((r1 & 0xffff) << 16)) >>> 0
    this.high = ((r2 & 0xffff) | ((r3 & 0xffff) << 16)) >>> 0
  }

  add(high: number, low: number): void {
    const sum = this.low + low
    this.high = (this.high + high + (sum > 0xffffffff ? 1 : 0)) >>> 0
    this.low = sum >>> 0
  }

  xor(other: Hash64): void {
    this.high = (this.high ^ other.high) >>> 0
    this.low = (this.low ^ other.low) >>> 0
  }

  /** `count` bytes from `at`, little-endian; at most eight. */
  load(bytes: Uint8Array, at: number, count: number): void {
    let low = 0
    let high = 0
    for (let i = 0; i < count; i++) {
      const byte = bytes[at + i] ?? 0
      if (i < 4) low |= byte << (8 * i)
      else high |= byte << (8 * (i - 4))
    }
    this.set(high, low)
  }

  /** By 1 to 63 bits, not 32. */
  rotate(bits: number): void {
    const [high, low] = bits < 32 ? [this.high, this.low] : [this.low, this.high]
    const by = bits & 31
    this.set((high << by) | (low >>> (32 - by)), (low << by) | (high >>> (32 - by)))
  }

  /** `this ^= this >>> bits`, by 1 to 63 bits. */
  foldRight(bits: number): void {
    const { high } = this
    if (bits < 32) this.set(high ^ (high >>> bits), this.low ^ ((this.low >>> bits) | (high << (32 - bits))))
    else this.low = (this.low ^ (high >>> (bits - 32))) >>> 0
  }
}
