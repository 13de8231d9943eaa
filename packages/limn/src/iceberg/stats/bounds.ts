import type { PrimitiveType, Value } from '../../schema/index.ts'
import { encodeSingleValue } from '../spec/index.ts'
import type { MetricsMode } from './metrics-mode.ts'

/**
 * A column's bounds as a manifest keeps them, cut as `mode` says: strings after whole code points, bytes after bytes, and
 * a cut upper bound raised so that it stays above all it stands for. Null: no bound (mode, NaN, nothing to raise to).
 */
export function lowerBoundOf(mode: MetricsMode, type: PrimitiveType, value: Value): Uint8Array | null {
  if (!keepsBounds(mode) || Number.isNaN(value)) return null
  const cut = mode.kind === 'truncate' && type !== 'uuid' ? truncate(value, mode.length) : value
  // Other readers order -0 below 0, and writers state either for both.
  return encodeSingleValue(type, cut === 0 && isFloating(type) ? -0 : cut)
}

export function upperBoundOf(mode: MetricsMode, type: PrimitiveType, value: Value): Uint8Array | null {
  if (!keepsBounds(mode) || Number.isNaN(value)) return null
  const cut = mode.kind === 'truncate' && type !== 'uuid' ? truncate(value, mode.length) : value
  const raised = cut === value ? value : raise(cut)
  return raised === null ? null : encodeSingleValue(type, raised === 0 && isFloating(type) ? 0 : raised)
}

export function keepsBounds(mode: MetricsMode): boolean {
  return mode.kind === 'truncate' || mode.kind === 'full'
}

function isFloating(type: PrimitiveType): boolean {
  return type === 'float' || type === 'double'
}

/** The value itself when it is short enough. */
function truncate(value: Value, length: number): Value {
  if (typeof value === 'string') {
    if (value.length <= length) return value
    let end = 0
    for (let i = 0; i < length && end < value.length; i++) end += (value.codePointAt(end) ?? 0) > 0xffff ? 2 : 1
    return end >= value.length ? value : value.slice(0, end)
  }
  return value instanceof Uint8Array && value.length > length ? value.subarray(0, length) : value
}

/** The smallest value above all that begin so, as short or shorter; null when there is none. */
export function raise(value: Value): Value | null {
  if (typeof value === 'string') {
    const points = Array.from(value)
    for (let i = points.length - 1; i >= 0; i--) {
      const next = (points[i]?.codePointAt(0) ?? 0) + 1
      if (next > 0x10ffff) continue
      const point = next >= 0xd800 && next <= 0xdfff ? 0xe000 : next
      return points.slice(0, i).join('') + String.fromCodePoint(point)
    }
    return null
  }
  if (!(value instanceof Uint8Array)) return value
  for (let i = value.length - 1; i >= 0; i--) {
    const byte = value[i] ?? 0
    if (byte < 255) return Uint8Array.of(...value.subarray(0, i), byte + 1)
  }
  return null
}
