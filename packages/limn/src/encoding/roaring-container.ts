import { damaged } from './damage.ts'

/**
 * One container of a roaring bitmap: which of 65,536 neighbouring positions are in the set (RoaringFormatSpec, "Containers").
 *
 *   array    up to 4,096 values, ascending, two bytes each
 *   bitmap   65,536 bits, 8 KiB, the lowest value in the lowest bit
 *   runs     pairs (first, length - 1), ascending, apart
 *
 * A container is never empty. All three kinds stay as they are in memory, so that deleting a billion neighbouring rows
 * costs what it costs on disk.
 */
export type Container =
  | { readonly kind: 'array'; readonly values: Uint16Array }
  | { readonly kind: 'bitmap'; readonly words: Uint32Array; readonly count: number }
  | { readonly kind: 'runs'; readonly pairs: Uint16Array; readonly count: number }

/** An array never holds more: beyond it the bitmap is smaller. */
export const arrayLimit = 4096
export const bitmapBytes = 8192
const bitmapWords = bitmapBytes / 4

export function countOf(container: Container): number {
  return container.kind === 'array' ? container.values.length : container.count
}

export function lastOf(container: Container): number {
  switch (container.kind) {
    case 'array':
      return container.values.at(-1) ?? 0
    case 'runs':
      return (container.pairs.at(-2) ?? 0) + (container.pairs.at(-1) ?? 0)
    case 'bitmap': {
      let at = bitmapWords - 1
      while (at > 0 && container.words[at] === 0) at--
      return at * 32 + 31 - Math.clz32(container.words[at] ?? 0)
    }
  }
}

export function containerHas(container: Container, value: number): boolean {
  switch (container.kind) {
    case 'bitmap':
      return (((container.words[value >>> 5] ?? 0) >>> (value & 31)) & 1) === 1
    case 'array': {
      const at = lowerBound(container.values, 1, value)
      return container.values[at] === value
    }
    case 'runs': {
      // The last run that begins at or before the value.
      const at = lowerBound(container.pairs, 2, value + 1) - 1
      if (at < 0) return false
      return value - (container.pairs[at * 2] ?? 0) <= (container.pairs[at * 2 + 1] ?? 0)
    }
  }
}

/** The first index whose value (every `stride`-th number) is not below `value`. */
function lowerBound(values: Uint16Array, stride: number, value: number): number {
  let low = 0
  let high = values.length / stride
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle * stride] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Writes the container's values, each plus `base`, to every `stride`-th place from `at`; returns the place after. */
export function fill(container: Container, out: Uint32Array, at: number, stride: number, base: number): number {
  let place = at
  switch (container.kind) {
    case 'array':
      for (let i = 0; i < container.values.length; i++, place += stride) out[place] = base + (container.values[i] ?? 0)
      return place
    case 'runs':
      for (let i = 0; i < container.pairs.length; i += 2) {
        const first = base + (container.pairs[i] ?? 0)
        const last = first + (container.pairs[i + 1] ?? 0)
        for (let value = first; value <= last; value++, place += stride) out[place] = value
      }
      return place
    case 'bitmap':
      for (let i = 0; i < bitmapWords; i++) {
        for (let word = container.words[i] ?? 0; word !== 0; word &= word - 1, place += stride)
          out[place] = base + i * 32 + 31 - Math.clz32(word & -word)
      }
      return place
  }
}

/** The values of both, as the most compact kind. */
export function containerUnion(left: Container, right: Container): Container {
  const words = new Uint32Array(bitmapWords)
  setAll(words, left)
  setAll(words, right)
  return compact(words)
}

function setAll(words: Uint32Array, container: Container): void {
  switch (container.kind) {
    case 'array':
      for (const value of container.values) words[value >>> 5] = (words[value >>> 5] ?? 0) | (1 << (value & 31))
      return
    case 'bitmap':
      for (let i = 0; i < bitmapWords; i++) words[i] = (words[i] ?? 0) | (container.words[i] ?? 0)
      return
    case 'runs':
      for (let i = 0; i < container.pairs.length; i += 2) {
        const first = container.pairs[i] ?? 0
        const last = first + (container.pairs[i + 1] ?? 0)
        for (let value = first; value <= last; ) {
          const whole = (value & 31) === 0 && value + 31 <= last
          words[value >>> 5] = whole ? 0xffffffff : (words[value >>> 5] ?? 0) | (1 << (value & 31))
          value += whole ? 32 : 1
        }
      }
  }
}

/** From values that ascend without repeats. */
export function containerOfSorted(values: Uint16Array): Container {
  let runs = 1
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) !== (values[i - 1] ?? 0) + 1) runs++
  const flat = Math.min(values.length * 2, bitmapBytes)
  // Java's runOptimize: runs only where they are strictly smaller.
  if (2 + 4 * runs < flat) {
    const pairs = new Uint16Array(runs * 2)
    let at = -2
    for (let i = 0; i < values.length; i++) {
      if (i === 0 || (values[i] ?? 0) !== (values[i - 1] ?? 0) + 1) {
        at += 2
        pairs[at] = values[i] ?? 0
      } else pairs[at + 1] = (pairs[at + 1] ?? 0) + 1
    }
    return { kind: 'runs', pairs, count: values.length }
  }
  if (values.length <= arrayLimit) return { kind: 'array', values }
  const words = new Uint32Array(bitmapWords)
  setAll(words, { kind: 'array', values })
  return { kind: 'bitmap', words, count: values.length }
}

/** The most compact kind that holds the bits. */
export function compact(words: Uint32Array): Container {
  const count = populationOf(words)
  let runs = 0
  let before = 0
  for (const word of words) {
    // A run begins at each bit whose lower neighbour is clear.
    runs += population(word & ~((word << 1) | before))
    before = word >>> 31
  }
  if (2 + 4 * runs >= Math.min(count * 2, bitmapBytes) && count > arrayLimit) return { kind: 'bitmap', words, count }
  const values = new Uint32Array(count)
  fill({ kind: 'bitmap', words, count }, values, 0, 1, 0)
  return containerOfSorted(Uint16Array.from(values))
}

function population(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

function populationOf(words: Uint32Array): number {
  let count = 0
  for (const word of words) count += population(word)
  return count
}

/** Bytes of the container on disk. */
export function bytesOf(container: Container): number {
  switch (container.kind) {
    case 'array':
      return container.values.length * 2
    case 'bitmap':
      return bitmapBytes
    case 'runs':
      return 2 + container.pairs.length * 2
  }
}

export function writeContainer(container: Container, out: DataView, at: number): void {
  switch (container.kind) {
    case 'array':
      for (let i = 0; i < container.values.length; i++) out.setUint16(at + i * 2, container.values[i] ?? 0, true)
      return
    case 'bitmap':
      for (let i = 0; i < bitmapWords; i++) out.setUint32(at + i * 4, container.words[i] ?? 0, true)
      return
    case 'runs':
      out.setUint16(at, container.pairs.length / 2, true)
      for (let i = 0; i < container.pairs.length; i++) out.setUint16(at + 2 + i * 2, container.pairs[i] ?? 0, true)
  }
}

/**
 * Reads a container of `count` values at `at`. The order of values and their number are checked: a set whose array does
 * not ascend answers differently by search and by iteration.
 */
export function readContainer(view: DataView, at: number, count: number, runs: boolean): Container {
  if (runs) return readRuns(view, at, count)
  if (count > arrayLimit) {
    if (at + bitmapBytes > view.byteLength) throw damaged('A bitmap', 'a container is cut off')
    const words = new Uint32Array(bitmapWords)
    for (let i = 0; i < bitmapWords; i++) words[i] = view.getUint32(at + i * 4, true)
    if (populationOf(words) !== count) throw damaged('A bitmap', 'a container holds another number than it states')
    return { kind: 'bitmap', words, count }
  }
  if (at + count * 2 > view.byteLength) throw damaged('A bitmap', 'a container is cut off')
  const values = new Uint16Array(count)
  for (let i = 0, before = -1; i < count; i++) {
    const value = view.getUint16(at + i * 2, true)
    if (value <= before) throw damaged('A bitmap', 'the values of a container do not ascend')
    values[i] = value
    before = value
  }
  return { kind: 'array', values }
}

function readRuns(view: DataView, at: number, count: number): Container {
  if (at + 2 > view.byteLength) throw damaged('A bitmap', 'a container is cut off')
  const numbers = view.getUint16(at, true) * 2
  if (at + 2 + numbers * 2 > view.byteLength) throw damaged('A bitmap', 'a container is cut off')
  const pairs = new Uint16Array(numbers)
  let held = 0
  for (let i = 0, before = -1; i < numbers; i += 2) {
    const first = view.getUint16(at + 2 + i * 2, true)
    const more = view.getUint16(at + 4 + i * 2, true)
    if (first <= before) throw damaged('A bitmap', 'the runs of a container do not ascend')
    before = first + more
    if (before > 0xffff) throw damaged('A bitmap', 'a run reaches beyond its container')
    pairs[i] = first
    pairs[i + 1] = more
    held += more + 1
  }
  if (held !== count) throw damaged('A bitmap', 'a container holds another number than it states')
  return { kind: 'runs', pairs, count }
}
