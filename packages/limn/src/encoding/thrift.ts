import { damaged } from './damage.ts'

/**
 * Thrift's compact protocol (thrift-compact-protocol.md), read only, as Parquet's footer uses it. A struct is a list of
 * fields, each led by a byte: the distance from the last field id above, the type below; 0 ends it.
 *
 *   1, 2  true, false      3  byte       4, 5, 6  zigzag varint (16, 32, 64 bits)
 *   7     double, 8 bytes  8  bytes: length as varint, then they
 *   9, 10 list, set: size above and type below, a size of 15 or more as varint
 *   11    map              12 struct
 *
 * Every element takes at least a byte, so that a claim of more than is left is refused before memory is taken for it.
 */
export type ThriftValue = boolean | number | bigint | Uint8Array | readonly ThriftValue[] | ThriftStruct

const depthLimit = 64

/** The fields of a struct by id. The getters refuse a field that is there and of another type. */
export class ThriftStruct {
  readonly #fields: ReadonlyMap<number, ThriftValue>

  constructor(fields: ReadonlyMap<number, ThriftValue>) {
    this.#fields = fields
  }

  /** The ids that are set, as they stood. */
  get ids(): readonly number[] {
    return [...this.#fields.keys()]
  }

  bool(id: number): boolean | undefined {
    const value = this.#fields.get(id)
    if (value === undefined || typeof value === 'boolean') return value
    throw mistyped(id)
  }

  int(id: number): number | undefined {
    const value = this.#fields.get(id)
    if (value === undefined || typeof value === 'number') return value
    throw mistyped(id)
  }

  long(id: number): bigint | undefined {
    const value = this.#fields.get(id)
    if (value === undefined || typeof value === 'bigint') return value
    throw mistyped(id)
  }

  bytes(id: number): Uint8Array | undefined {
    const value = this.#fields.get(id)
    if (value === undefined || value instanceof Uint8Array) return value
    throw mistyped(id)
  }

  text(id: number): string | undefined {
    const value = this.bytes(id)
    return value && Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString()
  }

  struct(id: number): ThriftStruct | undefined {
    const value = this.#fields.get(id)
    if (value === undefined || value instanceof ThriftStruct) return value
    throw mistyped(id)
  }

  list(id: number): readonly ThriftValue[] | undefined {
    const value = this.#fields.get(id)
    if (value === undefined || Array.isArray(value)) return value as readonly ThriftValue[] | undefined
    throw mistyped(id)
  }

  structs(id: number): readonly ThriftStruct[] | undefined {
    return this.list(id)?.map((one) => {
      if (one instanceof ThriftStruct) return one
      throw mistyped(id)
    })
  }
}

/** Decodes the struct that begins at the first byte. Throws `iceberg/invalid-metadata` when the bytes are not one. */
export function readThrift(bytes: Uint8Array): ThriftStruct {
  return new Reader(bytes).struct(0)
}

class Reader {
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  struct(depth: number): ThriftStruct {
    if (depth > depthLimit) throw damaged(what, 'it is nested too deep')
    const fields = new Map<number, ThriftValue>()
    for (let id = 0; ; ) {
      const head = this.#byte()
      const type = head & 15
      if (type === 0) return new ThriftStruct(fields)
      id = head > 15 ? id + (head >> 4) : Number(this.#zigzag())
      fields.set(id, type === 1 || type === 2 ? type === 1 : this.#value(type, depth))
    }
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case 1:
      case 2:
        return this.#byte() === 1
      case 3:
        return (this.#byte() << 24) >> 24
      case 4:
      case 5:
        return Number(this.#zigzag())
      case 6:
        return BigInt(this.#zigzag())
      case 7: {
        this.#need(8)
        this.#at += 8
        return this.#view.getFloat64(this.#at - 8, true)
      }
      case 8: {
        const length = this.#length()
        this.#at += length
        return new Uint8Array(this.#view.buffer, this.#view.byteOffset + this.#at - length, length)
      }
      case 9:
      case 10: {
        const head = this.#byte()
        const size = head >> 4 === 15 ? this.#length() : head >> 4
        this.#need(size)
        const values: ThriftValue[] = []
        for (let i = 0; i < size; i++) values.push(this.#value(head & 15, depth + 1))
        return values
      }
      case 11: {
        const size = this.#length()
        const kinds = size === 0 ? 0 : this.#byte()
        const values: ThriftValue[] = []
        for (let i = 0; i < size; i++)
          values.push(this.#value(kinds >> 4, depth + 1), this.#value(kinds & 15, depth + 1))
        return values
      }
      case 12:
        return this.struct(depth + 1)
      default:
        throw damaged(what, `it holds a value of the unknown type ${type}`)
    }
  }

  #need(count: number): void {
    if (count > this.#view.byteLength - this.#at) throw damaged(what, 'it is cut off')
  }

  #byte(): number {
    this.#need(1)
    return this.#view.getUint8(this.#at++)
  }

  /** A count of what is still to come: never more than the bytes left. */
  #length(): number {
    const length = Number(this.#varint())
    this.#need(length)
    return length
  }

  #varint(): number | bigint {
    let value = 0
    // Seven groups of seven bits are exact as a number; longer ones are rare.
    for (let i = 0, factor = 1; i < 7; i++, factor *= 128) {
      const byte = this.#byte()
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
    let large = BigInt(value)
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const byte = this.#byte()
      large |= BigInt(byte & 127) << shift
      if (byte < 128) return BigInt.asUintN(64, large)
    }
    throw damaged(what, 'a number does not end')
  }

  #zigzag(): number | bigint {
    const value = this.#varint()
    if (typeof value === 'bigint') return (value >> 1n) ^ -(value & 1n)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

const what = 'The footer of a Parquet file'

function mistyped(id: number): Error {
  return damaged(what, `its field ${id} is of another type than the format says`)
}
