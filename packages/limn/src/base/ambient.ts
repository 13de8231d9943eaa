import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Time as a port, so that a test replays it. Milliseconds since the epoch, UTC. */
export interface Clock {
  nowMs(): number
}

export const systemClock: Clock = { nowMs: () => Date.now() }

/**
 * Time that only passes: nobody sets it, and where the system allows (Linux) it stands still while the machine sleeps. Values can be compared
 * between processes that name one `source`, and say nothing about the time of day.
 */
export interface Ticks {
  /** Whose ticks they are: one machine since it was started. */
  readonly source: string
  nowMs(): number
}

export const systemTicks: Ticks = {
  source: tickSource(),
  nowMs: () => Number(process.hrtime.bigint() / 1_000_000n),
}

/** Linux: the boot, and the namespace that may have an offset of its own. Elsewhere the host; what has started again since is seen by ticks to come. */
function tickSource(): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/time')}`
  } catch {
    return hostname()
  }
}

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
