import { LimnError } from '../../base/index.ts'
import {
  decimalOf,
  fieldById,
  isPrimitive,
  type PrimitiveType,
  type Schema,
  type Type,
  type Value,
} from '../../schema/index.ts'
import { bigEndian } from './single-value.ts'
import type { PartitionSpec, Transform } from './types.ts'

/** Partition transforms (specification, "Partition Transforms" and appendix B). A null input gives null. */
export function applyTransform(transform: Transform, type: Type, value: Value | null): Value | null {
  if (value === null || transform.kind === 'void' || transform.kind === 'unknown') return null
  switch (transform.kind) {
    case 'identity':
      return value
    case 'bucket':
      return (hashValue(type, value) & 0x7fff_ffff) % transform.count
    case 'truncate':
      return truncate(type, value, transform.width)
    case 'year':
    case 'month':
    case 'day':
    case 'hour':
      return timeUnit(transform.kind, type, value)
  }
}

function timeUnit(kind: 'year' | 'month' | 'day' | 'hour', type: Type, value: Value): number {
  const ticksPerHour = isNanos(type) ? 3_600_000_000_000n : 3_600_000_000n
  const days = type === 'date' ? Number(value) : Number(floorDivide(BigInt(value as bigint), 24n * ticksPerHour))
  switch (kind) {
    case 'day':
      return days
    case 'hour':
      return Number(floorDivide(BigInt(value as bigint), ticksPerHour))
    default: {
      const date = new Date(days * 86_400_000)
      const years = date.getUTCFullYear() - 1970
      return kind === 'year' ? years : years * 12 + date.getUTCMonth()
    }
  }
}

function isNanos(type: Type): boolean {
  return type === 'timestamp_ns' || type === 'timestamptz_ns'
}

function floorDivide(a: bigint, b: bigint): bigint {
  const quotient = a / b
  return a % b < 0n ? quotient - 1n : quotient
}

/** Below the least int or long it wraps around, as the reference implementation does: a file's partition is then the greatest. */
function truncate(type: Type, value: Value, width: number): Value {
  if (typeof value === 'string')
    return Array.from(value.slice(0, width * 2))
      .slice(0, width)
      .join('')
  if (value instanceof Uint8Array) return value.slice(0, width)
  if (typeof value === 'bigint') {
    const step = BigInt(width)
    const truncated = value - (((value % step) + step) % step)
    return type === 'long' ? BigInt.asIntN(64, truncated) : truncated
  }
  if (type === 'int') return (Number(value) - (((Number(value) % width) + width) % width)) | 0
  throw new LimnError('iceberg/unsupported', { message: `A ${String(type)} cannot be truncated.` })
}

/** The 32-bit Murmur3 hash of a value, as the specification's appendix B defines it per type. Signed. */
export function hashValue(type: Type, value: Value): number {
  if (decimalOf(type)) return murmur3(bigEndian(BigInt(value as bigint)))
  switch (type) {
    case 'int':
    case 'long':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz': {
      const bytes = Buffer.alloc(8)
      bytes.writeBigInt64LE(BigInt(value as bigint | number))
      return murmur3(bytes)
    }
    case 'timestamp_ns':
    case 'timestamptz_ns':
      // So that a value hashes alike whatever precision its column has.
      return hashValue('timestamp', floorDivide(BigInt(value as bigint), 1000n))
    case 'string':
      return murmur3(Buffer.from(String(value)))
    case 'uuid':
      return murmur3(Buffer.from(String(value).replaceAll('-', ''), 'hex'))
    default:
      if (value instanceof Uint8Array) return murmur3(value)
      throw new LimnError('iceberg/unsupported', { message: `A ${String(type)} cannot be bucketed.` })
  }
}

function murmur3(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const blocks = bytes.length >> 2
  let hash = 0
  for (let i = 0; i < blocks; i++) {
    hash ^= scramble(view.getInt32(i * 4, true))
    hash = (hash << 13) | (hash >>> 19)
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let i = bytes.length - 1; i >= blocks * 4; i--) tail = (tail << 8) | (bytes[i] ?? 0)
  if (bytes.length & 3) hash ^= scramble(tail)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function scramble(block: number): number {
  const mixed = Math.imul(block, 0xcc9e2d51)
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
}

/** The type of a transform's result. */
export function transformResultType(transform: Transform, source: Type): PrimitiveType {
  switch (transform.kind) {
    case 'bucket':
    case 'year':
    case 'month':
    case 'hour':
      return 'int'
    case 'day':
      return 'date'
    case 'unknown':
      return 'string'
    default:
      if (isPrimitive(source)) return source
      throw new LimnError('iceberg/invalid-metadata', { message: 'A partition field has a nested type.' })
  }
}

export function transformToText(transform: Transform): string {
  switch (transform.kind) {
    case 'bucket':
      return `bucket[${transform.count}]`
    case 'truncate':
      return `truncate[${transform.width}]`
    case 'unknown':
      return transform.text
    default:
      return transform.kind
  }
}

/** Parses the wire spelling. A transform limn does not know is read around (specification, "Partitioning"). */
export function transformFromText(text: string): Transform {
  const match = /^(bucket|truncate)\[(\d+)\]$/.exec(text)
  if (match?.[1] === 'bucket') return { kind: 'bucket', count: Number(match[2]) }
  if (match?.[1] === 'truncate') return { kind: 'truncate', width: Number(match[2]) }
  switch (text) {
    case 'identity':
    case 'void':
    case 'year':
    case 'month':
    case 'day':
    case 'hour':
      return { kind: text }
    default:
      return { kind: 'unknown', text }
  }
}

/** A partition value as people and folder names spell it: `2001-06`, `null`. */
export function partitionValueText(transform: Transform, type: Type, value: Value | null): string {
  if (value === null || value === undefined) return 'null'
  const iso = (days: number) => new Date(days * 86_400_000).toISOString().slice(0, 10)
  switch (transform.kind) {
    case 'year':
      return String(1970 + Number(value))
    case 'month':
      return new Date(Date.UTC(1970, Number(value), 1)).toISOString().slice(0, 7)
    case 'day':
      return iso(Number(value))
    case 'hour':
      return new Date(Number(value) * 3_600_000).toISOString().slice(0, 13).replace('T', '-')
    default:
      if (type === 'date') return iso(Number(value))
      return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : String(value)
  }
}

/** `name=value/name=value` of a partition, values percent-encoded; empty for an unpartitioned table. */
export function partitionPath(spec: PartitionSpec, schema: Schema, partition: readonly (Value | null)[]): string {
  return spec.fields
    .map((field, i) => {
      const type = fieldById(schema, field.sourceId)?.type ?? 'string'
      const text = partitionValueText(field.transform, type, partition[i] ?? null)
      return `${field.name}=${encodeURIComponent(text).replaceAll('%', '_')}`
    })
    .join('/')
}
