/**
 * MurmurHash3, x64, 128 bits (Austin Appleby), of which the first 64 are kept: as two unsigned halves, since a bigint per
 * step would cost a hundred times as much. All arithmetic is modulo 2^64.
 */
export interface Hash64 {
  high: number
  low: number
}

/** c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f, as 16-bit pieces from the lowest. */
const c1: Pieces = [0x53d5, 0x1142, 0x7b91, 0x87c3]
const c2: Pieces = [0x937f, 0x2745, 0xad43, 0x4cf5]
const mix1: Pieces = [0x8ccd, 0xed55, 0xafd7, 0xff51]
const mix2: Pieces = [0xec53, 0x1a85, 0xb9fe, 0xc4ce]
const five: Pieces = [5, 0, 0, 0]
type Pieces = readonly [number, number, number, number]

/** A word that the steps below change in place. */
class Word implements Hash64 {
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

  /** By 1 to 63 bits, not 32. */
  rotate(bits: number): void {
    const [high, low] = bits < 32 ? [this.high, this.low] : [this.low, this.high]
    const by = bits & 31
    this.set((high << by) | (low >>> (32 - by)), (low << by) | (high >>> (32 - by)))
  }

  finish(): void {
    this.low = (this.low ^ (this.high >>> 1)) >>> 0
    this.multiply(mix1)
    this.low = (this.low ^ (this.high >>> 1)) >>> 0
    this.multiply(mix2)
    this.low = (this.low ^ (this.high >>> 1)) >>> 0
  }
}

const h1 = new Word()
const h2 = new Word()
const k1 = new Word()
const k2 = new Word()

/** The first half of the hash, in an object that the next call uses again. */
export function murmur3(bytes: Uint8Array, seed: number): Readonly<Hash64> {
  h1.set(0, seed)
  h2.set(0, seed)
  const length = bytes.length
  const whole = length - (length % 16)
  for (let at = 0; at < whole; at += 16) {
    load(k1, bytes, at, 8)
    load(k2, bytes, at + 8, 8)
    mixFirst()
    h1.rotate(27)
    h1.add(h2.high, h2.low)
    h1.multiply(five)
    h1.add(0, 0x52dce729)
    mixSecond()
    h2.rotate(31)
    h2.add(h1.high, h1.low)
    h2.multiply(five)
    h2.add(0, 0x38495ab5)
  }
  if (length > whole) {
    load(k1, bytes, whole, Math.min(8, length - whole))
    load(k2, bytes, whole + 8, Math.max(0, length - whole - 8))
    mixFirst()
    mixSecond()
  }
  h1.low = (h1.low ^ length) >>> 0
  h2.low = (h2.low ^ length) >>> 0
  h1.add(h2.high, h2.low)
  h2.add(h1.high, h1.low)
  h1.finish()
  h2.finish()
  h1.add(h2.high, h2.low)
  return h1
}

function mixFirst(): void {
  k1.multiply(c1)
  k1.rotate(31)
  k1.multiply(c2)
  h1.xor(k1)
}

function mixSecond(): void {
  k2.multiply(c2)
  k2.rotate(33)
  k2.multiply(c1)
  h2.xor(k2)
}

/** `count` bytes from `at`, little-endian. */
function load(word: Word, bytes: Uint8Array, at: number, count: number): void {
  let low = 0
  let high = 0
  for (let i = 0; i < count; i++) {
    const byte = bytes[at + i] ?? 0
    if (i < 4) low |= byte << (8 * i)
    else high |= byte << (8 * (i - 4))
  }
  word.set(high, low)
}
