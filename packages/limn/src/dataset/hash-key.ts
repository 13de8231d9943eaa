import { hashKeySql, type PrimitiveType } from '../schema/index.ts'
import type { SqlText } from './sql-template.ts'

/**
 * A 16-byte hash key over typed SQL expressions, for use inside a template:
 * `${hashKey({ date: 'timestamp', origin: 'string' })} AS flight_key`. Keys of the object are SQL expressions, in order.
 * The encoding is fixed for good (see `hashKeyOf`).
 */
export function hashKey(parts: Readonly<Record<string, PrimitiveType>>): SqlText {
  return { kind: 'sql', text: hashKeySql(Object.entries(parts).map(([sql, type]) => ({ sql, type }))) }
}
