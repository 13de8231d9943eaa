import { type Hash64, type Pieces, Word } from './word.ts'

/** XXH64 (Yann Collet) with seed 0. Its primes as 16-bit pieces from the lowest. */
const p1: Pieces = [0xca87, 0x85eb, 0x79b1, 0x9e37]
const p2: Pieces = [0xeb4f, 0x27d4, 0xae3d, 0xc2b2]
const p3: Pieces = [0x79f9, 0x9e37, 0x67b1, 0x1656]
const p4 = { high: 0x85ebca77, low: 0xc2b2ae63 }
const p5: Pieces = [0x67c5, 0x1656, 0xeb2f, 0x27d4]

const hash = new Word()
const lane = new Word()
const lanes = [new Word(), new Word(), new Word(), new Word()] as const

/** The hash, in an object that the next call uses again. */
export function xxhash64(bytes: Uint8Array): Readonly<Hash64> {
  const { length } = bytes
  let at = 0
  if (length < 32) hash.set(0x27d4eb2f, 0x165667c5)
  else {
    // p1 + p2, p2, 0, -p1
    lanes[0].set(0x60ea27ee, 0xadc0b5d6)
    lanes[1].set(0xc2b2ae3d, 0x27d4eb4f)
    lanes[2].set(0, 0)
    lanes[3].set(0x61c8864e, 0x7a143579)
    for (; at + 32 <= length; at += 32)
      for (let i = 0; i < 4; i++) {
        const own = lanes[i] ?? lane
        lane.load(bytes, at + 8 * i, 8)
        lane.multiply(p2)
        own.add(lane.high, lane.low)
        own.rotate(31)
        own.multiply(p1)
      }
    hash.set(0, 0)
    for (const [i, by] of [1, 7, 12, 18].entries()) {
      const own = lanes[i] ?? lane
      lane.set(own.high, own.low)
      lane.rotate(by)
      hash.add(lane.high, lane.low)
    }
    for (const own of lanes) {
      own.multiply(p2)
      own.rotate(31)
      own.multiply(p1)
      hash.xor(own)
      hash.multiply(p1)
      hash.add(p4.high, p4.low)
    }
  }
  hash.add(0, length)
  for (; at + 8 <= length; at += 8) {
    lane.load(bytes, at, 8)
    lane.multiply(p2)
    lane.rotate(31)
    lane.multiply(p1)
    hash.xor(lane)
    hash.rotate(27)
    hash.multiply(p1)
    hash.add(p4.high, p4.low)
  }
  if (at + 4 <= length) {
    lane.load(bytes, at, 4)
    lane.multiply(p1)
    hash.xor(lane)
    hash.rotate(23)
    hash.multiply(p2)
    hash.add(0x165667b1, 0x9e3779f9)
    at += 4
  }
  for (; at < length; at++) {
    lane.set(0, bytes[at] ?? 0)
    lane.multiply(p5)
    hash.xor(lane)
    hash.rotate(11)
    hash.multiply(p1)
  }
  hash.foldRight(33)
  hash.multiply(p2)
  hash.foldRight(29)
  hash.multiply(p3)
  hash.foldRight(32)
  return hash
}
