import { createHash, randomBytes } from 'node:crypto'

/** Time as a port, so that a test replays it. Milliseconds since the epoch, UTC. */
export interface Clock {
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }

/** Randomness as a port. */
export interface Randomness {
  /** `count` random bytes. */
  bytes(count: number): Uint8Array
}

export const systemRandomness: Randomness = { bytes: (count) => randomBytes(count) }

/** Deterministic randomness for tests and seeded simulation (SHA-256 in counter mode). */
export function seededRandomness(seed: string): Randomness {
  let counter = 0
  return {
    bytes(count) {
      const out = new Uint8Array(count)
      let filled = 0
      while (filled < count) {
        const block = createHash('sha256').update(`${seed}:${counter++}`).digest()
        out.set(block.subarray(0, Math.min(block.length, count - filled)), filled)
        filled += block.length
      }
      return out
    },
  }
}

/** A positive 63-bit integer, as Iceberg wants for snapshot ids. */
export function randomPositiveLong(randomness: Randomness): bigint {
  const view = new DataView(randomness.bytes(8).slice().buffer)
  const value = view.getBigUint64(0) & 0x7fff_ffff_ffff_ffffn
  return value === 0n ? 1n : value
}

/** A version-4 UUID in lower-case text. */
export function randomUuid(randomness: Randomness): string {
  const bytes = randomness.bytes(16).slice()
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** SHA-256 of bytes or UTF-8 text, in lower-case hex. */
export function sha256(content: Uint8Array | string): string {
  return createHash('sha256').update(content).digest('hex')
}
