import { createHash } from 'node:crypto'
import { LimnError } from '../base/index.ts'
import { decimalOf } from './fields.ts'
import type { PrimitiveType, Value } from './types.ts'

/**
 * The hash-key encoding, fixed for good. Parts in order: null is `N`; a value is `<bytes>:<text>`, the UTF-8 length of
 * its canonical text and the text. The key is the MD5 of the concatenation, its 16 bytes shown as a UUID (no version
 * bits). Length prefixes keep ('a', 'bc') apart from ('ab', 'c'), and null apart from the empty string.
 *
 * Canonical text: boolean `t`/`f`; int, long in decimal; decimal at its scale; date as days, time and timestamps as
 * microseconds since 1970-01-01; string itself; uuid lower-case with hyphens. Floats and binary have none.
 */
export function hashKeyOf(parts: readonly { readonly type: PrimitiveType; readonly value: Value | null }[]): string {
  const hash = createHash('md5')
  for (const part of parts) {
    if (part.value === null) {
      hash.update('N')
      continue
    }
    const text = canonicalText(part.type, part.value)
    hash.update(`${Buffer.byteLength(text)}:${text}`)
  }
  const hex = hash.digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

function canonicalText(type: PrimitiveType, value: Value): string {
  if (typeof value === 'boolean') return value ? 't' : 'f'
  const decimal = decimalOf(type)
  if (decimal) return decimalText(BigInt(String(value)), decimal.scale)
  requireHashable(type)
  return type === 'uuid' ? String(value).toLowerCase() : String(value)
}

/** A decimal's plain text at its scale: `-0.05`. */
export function decimalText(unscaled: bigint, scale: number): string {
  const digits = (unscaled < 0n ? -unscaled : unscaled).toString().padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  const sign = unscaled < 0n ? '-' : ''
  return scale === 0 ? `${sign}${whole}` : `${sign}${whole}.${digits.slice(-scale)}`
}

/** DuckDB SQL of type UUID that gives the same 16 bytes as `hashKeyOf`. `sql` is an expression of the stated type. */
export function hashKeySql(parts: readonly { readonly sql: string; readonly type: PrimitiveType }[]): string {
  const pieces = parts.map(({ sql, type }) => {
    const text = textSql(sql, type)
    return `CASE WHEN (${sql}) IS NULL THEN 'N' ELSE strlen(${text}) || ':' || ${text} END`
  })
  return `md5(concat(${pieces.join(', ')}))::UUID`
}

function textSql(sql: string, type: PrimitiveType): string {
  const decimal = decimalOf(type)
  if (decimal) return `((${sql})::DECIMAL(${decimal.precision},${decimal.scale}))::VARCHAR`
  requireHashable(type)
  switch (type) {
    case 'boolean':
      return `(CASE WHEN (${sql}) THEN 't' ELSE 'f' END)`
    case 'date':
      return `(((${sql})::DATE - DATE '1970-01-01')::BIGINT)::VARCHAR`
    case 'time':
      return `(epoch_us((${sql})::TIME))::VARCHAR`
    case 'timestamp':
      return `(epoch_us((${sql})::TIMESTAMP))::VARCHAR`
    case 'timestamptz':
      return `(epoch_us((${sql})::TIMESTAMPTZ))::VARCHAR`
    case 'int':
    case 'long':
      return `((${sql})::BIGINT)::VARCHAR`
    default:
      return `((${sql})::VARCHAR)`
  }
}

function requireHashable(type: PrimitiveType): void {
  if (type !== 'float' && type !== 'double' && type !== 'binary' && !type.startsWith('fixed')) return
  throw new LimnError('contract/invalid', {
    message: `A column of type ${type} cannot be part of a hash key: it has no canonical text.`,
    remedy: 'Key on integers, decimals, strings, dates, times or uuids.',
  })
}
