import { LimnError } from '../../base/index.ts'
import { decimalOf, type Type, type Value } from '../../schema/index.ts'

const microsPerDay = 86_400_000_000n

/** Binary single-value serialisation (specification, appendix D): how bounds stand in manifests. */
export function encodeSingleValue(type: Type, value: Value): Uint8Array {
  const decimal = decimalOf(type)
  if (decimal) return bigEndian(BigInt(value as bigint))
  switch (type) {
    case 'boolean':
      return Uint8Array.of(value ? 1 : 0)
    case 'int':
    case 'date': {
      const out = Buffer.alloc(4)
      out.writeInt32LE(Number(value))
      return out
    }
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns': {
      const out = Buffer.alloc(8)
      out.writeBigInt64LE(BigInt(value as bigint))
      return out
    }
    case 'float': {
      const out = Buffer.alloc(4)
      out.writeFloatLE(Number(value))
      return out
    }
    case 'double': {
      const out = Buffer.alloc(8)
      out.writeDoubleLE(Number(value))
      return out
    }
    case 'string':
      return Buffer.from(String(value))
    case 'uuid':
      return Buffer.from(String(value).replaceAll('-', ''), 'hex')
    default:
      if (value instanceof Uint8Array) return value
      throw new LimnError('internal', { message: `A value of type ${JSON.stringify(type)} cannot be a bound.` })
  }
}

/**
 * The inverse. A long, double or timestamp of four bytes is one written before its column was promoted from int, float or
 * date; any other width that is not the type's throws `iceberg/invalid-metadata`.
 */
export function decodeSingleValue(type: Type, bytes: Uint8Array): Value {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (!widthsOf(type).includes(buffer.length)) {
    throw new LimnError('iceberg/invalid-metadata', {
      message: `A bound of type ${String(type)} has ${buffer.length} bytes.`,
    })
  }
  if (decimalOf(type)) return signedBigEndian(buffer)
  switch (type) {
    case 'boolean':
      return buffer[0] !== 0
    case 'int':
    case 'date':
      return buffer.readInt32LE()
    case 'long':
    case 'time':
    case 'timestamptz':
    case 'timestamptz_ns':
      return buffer.length === 4 ? BigInt(buffer.readInt32LE()) : buffer.readBigInt64LE()
    case 'timestamp':
      return buffer.length === 4 ? BigInt(buffer.readInt32LE()) * microsPerDay : buffer.readBigInt64LE()
    case 'timestamp_ns':
      return buffer.length === 4 ? BigInt(buffer.readInt32LE()) * microsPerDay * 1000n : buffer.readBigInt64LE()
    case 'float':
      return buffer.readFloatLE()
    case 'double':
      return buffer.length === 4 ? buffer.readFloatLE() : buffer.readDoubleLE()
    case 'string':
      return buffer.toString('utf8')
    case 'uuid': {
      const hex = buffer.toString('hex')
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
    }
    default:
      return new Uint8Array(bytes)
  }
}

/** How many bytes a value of a type may have. A bound of fixed type may be cut short. */
function widthsOf(type: Type): { includes(width: number): boolean } {
  if (decimalOf(type)) return { includes: (width) => width > 0 }
  switch (type) {
    case 'boolean':
      return [1]
    case 'int':
    case 'date':
    case 'float':
      return [4]
    case 'long':
    case 'double':
    case 'timestamp':
    case 'timestamp_ns':
      return [4, 8]
    case 'time':
    case 'timestamptz':
    case 'timestamptz_ns':
      return [8]
    case 'uuid':
      return [16]
    default:
      return { includes: () => true }
  }
}

/** Two's complement, big-endian, in the fewest bytes. */
export function bigEndian(value: bigint): Uint8Array {
  let length = 1
  while (BigInt.asIntN(8 * length, value) !== value) length++
  const out = new Uint8Array(length)
  for (let i = length - 1, rest = value; i >= 0; i--, rest >>= 8n) out[i] = Number(rest & 0xffn)
  return out
}

function signedBigEndian(bytes: Buffer): bigint {
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString('hex')}`))
}
