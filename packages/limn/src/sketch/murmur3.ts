import { type Hash64, type Pieces, Word } from './word.ts'

/** MurmurHash3, x64, 128 bits (Austin Appleby), of which the first 64 are kept. */
/** c1 = 0x87c37b91114253d5, c2 = 0x4cf5ad432745937f, as 16-bit pieces from the lowest. */
const c1: Pieces = [0x53d5, 0x1142, 0x7b91, 0x87c3]
const c2: Pieces = [0x937f, 0x2745, 0xad43, 0x4cf5]
const mix1: Pieces = [0x8ccd, 0xed55, 0xafd7, 0xff51]
const mix2: Pieces = [0xec53, 0x1a85, 0xb9fe, 0xc4ce]
const five: Pieces = [5, 0, 0, 0]
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
    k1.load(bytes, at, 8)
    k2.load(bytes, at + 8, 8)
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
    k1.load(bytes, whole, Math.min(8, length - whole))
    k2.load(bytes, whole + 8, Math.max(0, length - whole - 8))
    mixFirst()
    mixSecond()
  }
  h1.low = (h1.low ^ length) >>> 0
  h2.low = (h2.low ^ length) >>> 0
  h1.add(h2.high, h2.low)
  h2.add(h1.high, h1.low)
  finish(h1)
  finish(h2)
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

function finish(word: Word): void {
  word.foldRight(33)
  word.multiply(mix1)
  word.foldRight(33)
  word.multiply(mix2)
  word.foldRight(33)
}
