import { LimnError } from '../../base/index.ts'
import {
  decimalOf,
  fieldByName,
  fixedLengthOf,
  type PrimitiveType,
  type Schema,
  type Value,
} from '../../schema/index.ts'
import { decodeSingleValue } from '../spec/single-value.ts'
import type { DataFile } from '../spec/types.ts'

/**
 * A z-order: every column becomes a whole number of `bits` bits that grows with its value, and their bits are
 * interleaved, most significant first, the first column leading:
 *
 *   a = a1 a0, b = b1 b0   ─►   a1 b1 a0 b0
 *
 * Numbers and times are scaled linearly between the least and greatest bound of the files; texts and bytes by the six
 * bytes after the prefix that all of them share, so that neither a narrow range nor a common prefix wastes bits. Null is 0
 * and comes first. Bounds only scale: a wrong one costs locality, never a row.
 */
export interface ZOrder {
  readonly bits: number
  readonly columns: readonly ZColumn[]
}

export type ZColumn = { readonly name: string; readonly fieldId: number; readonly type: PrimitiveType } & (
  | { readonly kind: 'number'; readonly low: number; readonly high: number }
  | { readonly kind: 'boolean' }
  | { readonly kind: 'bytes'; readonly skip: number; readonly low: number; readonly high: number }
)

/** A z-value fits 64 bits, and no column gets more than 24: finer than any file's share. */
const bitsMax = 24

/** Bytes of a text that become a number: exact in a double. */
const prefixBytes = 6

/** Settles a z-order over columns of a table. Throws `usage/argument` for columns that have no order or are not there. */
export function zOrderOf(schema: Schema, names: readonly string[], files: readonly DataFile[]): ZOrder {
  if (names.length < 2 || names.length > 16 || new Set(names).size !== names.length) {
    throw refused('A z-order takes two to sixteen different columns; one column is a sort.')
  }
  return {
    bits: Math.min(bitsMax, Math.floor(64 / names.length)),
    columns: names.map((name) => columnOf(schema, name, files)),
  }
}

function refused(message: string): LimnError {
  return new LimnError('usage/argument', {
    message,
    notDone: 'Nothing was rewritten.',
    remedy: 'Name columns of numbers, times, texts or bytes.',
  })
}

function columnOf(schema: Schema, name: string, files: readonly DataFile[]): ZColumn {
  const field = fieldByName(schema, name)
  if (!field) throw refused(`The table has no column ${name}.`)
  const { type } = field
  if (typeof type !== 'string' || type === 'variant' || type === 'unknown')
    throw refused(`${name} is a ${typeof type === 'string' ? type : type.type}, which has no order.`)
  const base = { name, fieldId: field.id, type }
  if (type === 'boolean') return { ...base, kind: 'boolean' }
  if (type === 'string' || type === 'binary' || type === 'uuid' || fixedLengthOf(type) !== null) {
    const lows = boundsOf(files, field.id, 'lowerBounds')
    const highs = boundsOf(files, field.id, 'upperBounds')
    const low = lows.sort(Buffer.compare)[0] ?? Buffer.alloc(0)
    const high = highs.sort(Buffer.compare).at(-1) ?? Buffer.alloc(0)
    const skip = lows.length === 0 || highs.length === 0 ? 0 : sharedPrefix(low, high)
    const known = lows.length > 0 && highs.length > 0
    return {
      ...base,
      kind: 'bytes',
      skip,
      low: known ? prefixNumber(low, skip) : 0,
      high: known ? prefixNumber(high, skip) : 2 ** (8 * prefixBytes),
    }
  }
  const number = (bytes: Uint8Array) => numberOf(type, decodeSingleValue(type, bytes))
  const lows = boundsOf(files, field.id, 'lowerBounds').map(number).filter(Number.isFinite)
  const highs = boundsOf(files, field.id, 'upperBounds').map(number).filter(Number.isFinite)
  return { ...base, kind: 'number', low: least(lows), high: greatest(highs) }
}

function least(list: readonly number[]): number {
  return list.reduce((a, b) => Math.min(a, b), list[0] ?? 0)
}

function greatest(list: readonly number[]): number {
  return list.reduce((a, b) => Math.max(a, b), list[0] ?? 0)
}

function boundsOf(files: readonly DataFile[], id: number, which: 'lowerBounds' | 'upperBounds'): Uint8Array[] {
  return files.flatMap((file) => {
    const bound = file[which].get(id)
    return bound ? [bound] : []
  })
}

function numberOf(type: PrimitiveType, value: Value): number {
  const decimal = decimalOf(type)
  return decimal ? Number(value) / 10 ** decimal.scale : Number(value)
}

function sharedPrefix(a: Uint8Array, b: Uint8Array): number {
  let i = 0
  while (i < a.length && i < b.length && a[i] === b[i]) i++
  return i
}

/** The six bytes from `skip` on as a number, zeros where there are none. */
export function prefixNumber(bytes: Uint8Array, skip: number): number {
  let number = 0
  for (let i = 0; i < prefixBytes; i++) number = number * 256 + (bytes[skip + i] ?? 0)
  return number
}

/** A number between `low` and `high` as 1 … 2^bits − 1; what lies outside is clamped. */
export function zOrdinal(value: number, low: number, high: number, bits: number): bigint {
  const top = 2 ** bits - 2
  const share = high > low ? (value - low) / (high - low) : 0
  return BigInt(1 + Math.floor(Math.min(1, Math.max(0, share)) * top))
}

/** Interleaves ordinals of `bits` bits each. */
export function interleave(ordinals: readonly bigint[], bits: number): bigint {
  let out = 0n
  for (let bit = bits - 1; bit >= 0; bit--)
    for (const ordinal of ordinals) out = (out << 1n) | ((ordinal >> BigInt(bit)) & 1n)
  return out
}
