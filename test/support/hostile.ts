/** Damage, drawn from a seed: what a disk, a network or somebody with intent does to bytes. */

/** A small generator (mulberry32) of its own: test damage must not move with the product's randomness. */
export function draws(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

export interface Damage {
  readonly how: string
  readonly bytes: Uint8Array
}

/** `count` damaged copies of some bytes: cut off, bits flipped, runs overwritten, repeated, swapped. */
export function* damaged(bytes: Uint8Array, seed: number, count: number): Generator<Damage> {
  const draw = draws(seed)
  for (let i = 0; i < count; i++) {
    const copy = Uint8Array.from(bytes)
    const at = draw(bytes.length)
    switch (i % 6) {
      case 0:
        yield { how: `cut to ${at} bytes`, bytes: copy.subarray(0, at) }
        break
      case 1: {
        const bit = draw(8)
        copy[at] = (copy[at] ?? 0) ^ (1 << bit)
        yield { how: `bit ${bit} of byte ${at} flipped`, bytes: copy }
        break
      }
      case 2: {
        const length = 1 + draw(10)
        copy.fill(0xff, at, at + length)
        yield { how: `${length} bytes from ${at} are 0xff`, bytes: copy }
        break
      }
      case 3: {
        const length = 1 + draw(64)
        copy.fill(0, at, at + length)
        yield { how: `${length} bytes from ${at} are 0`, bytes: copy }
        break
      }
      case 4: {
        const length = Math.min(bytes.length - at, 1 + draw(64))
        yield {
          how: `${length} bytes from ${at} twice`,
          bytes: Buffer.concat([copy.subarray(0, at + length), copy.subarray(at)]),
        }
        break
      }
      default: {
        const other = draw(bytes.length)
        const kept = copy[at] ?? 0
        copy[at] = copy[other] ?? 0
        copy[other] = kept
        yield { how: `bytes ${at} and ${other} swapped`, bytes: copy }
      }
    }
  }
}
