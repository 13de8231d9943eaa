import type { FileHandle } from 'node:fs/promises'
import { LimnError } from '../../../base/index.ts'

/** Bytes that replace those of a range; an empty range is an insertion. */
export interface Edit {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/** Ranges must not overlap; they may come in any order. */
export function applyEdits(bytes: Uint8Array, edits: readonly Edit[]): Buffer {
  const out: Uint8Array[] = []
  let at = 0
  for (const edit of edits.toSorted((a, b) => a.from - b.from)) {
    out.push(bytes.subarray(at, edit.from), edit.bytes)
    at = edit.to
  }
  return Buffer.concat([...out, bytes.subarray(at)])
}

/** A whole number as Thrift's compact protocol writes it. */
export function zigzag(value: number): Uint8Array {
  const out: number[] = []
  let rest = value < 0 ? -2 * value - 1 : 2 * value
  for (; rest > 127; rest = Math.floor(rest / 128)) out.push((rest % 128) | 128)
  return Uint8Array.of(...out, rest)
}

/** A number and its place. */
export interface Stated {
  readonly value: number
  readonly from: number
  readonly to: number
}

export function stated(walk: Walk): Stated {
  const from = walk.at
  const value = walk.varint()
  return { value, from, to: walk.at }
}

export function restated({ from, to }: Stated, value: number): Edit {
  return { from, to, bytes: zigzag(value) }
}

/** The footer of a Parquet file, and where it begins. */
export async function footerBytes(file: FileHandle): Promise<{ readonly footer: Buffer; readonly at: number }> {
  const { size } = await file.stat()
  const tail = Buffer.alloc(8)
  if (size >= 12) await file.read(tail, 0, 8, size - 8)
  const length = tail.readUInt32LE(0)
  if (size < 12 || length > size - 12) throw damaged('is longer than its file')
  const footer = Buffer.alloc(length)
  await file.read(footer, 0, length, size - 8 - length)
  return { footer, at: size - 8 - length }
}

/** What ends a Parquet file: the footer, its length and the magic. */
export function footerWithTail(footer: Uint8Array): Buffer {
  const tail = Buffer.from('\0\0\0\0PAR1', 'latin1')
  tail.writeUInt32LE(footer.length)
  return Buffer.concat([footer, tail])
}

/** Walks Thrift's compact protocol (see `encoding/thrift.ts`) where places matter, not values. */
export class Walk {
  private readonly bytes: Uint8Array
  /** Where it stands. */
  at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /** `member` has to move past the value; a boolean has none. `at` is where the field's header stands. */
  struct(member: (id: number, type: number, at: number) => void): void {
    for (let id = 0; ; ) {
      const at = this.at
      const head = this.byte()
      if (head === 0) return
      id = head > 15 ? id + (head >> 4) : this.varint()
      member(id, head & 15, at)
    }
  }

  list(item: () => void): void {
    for (let count = this.count(this.byte()); count > 0; count--) item()
  }

  skip(type: number): void {
    switch (type) {
      case 1:
      case 2:
        return
      case 3:
        this.at++
        return
      case 4:
      case 5:
      case 6:
        this.varint()
        return
      case 7:
        this.at += 8
        return
      case 8: {
        const length = this.unsigned()
        this.need(length)
        this.at += length
        return
      }
      case 9:
      case 10: {
        const head = this.byte()
        const inner = head & 15
        const size = this.count(head)
        for (let i = 0; i < size; i++) {
          if (inner === 1 || inner === 2) this.at++
          else this.skip(inner)
        }
        return
      }
      case 12:
        for (let head = this.byte(); head !== 0; head = this.byte()) {
          if (head <= 15) this.unsigned()
          this.skip(head & 15)
        }
        return
      default:
        throw damaged(`holds a value of type ${type}`)
    }
  }

  /** A zig-zag number. */
  varint(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  /** Of a list, from its first byte. */
  private count(head: number): number {
    const size = head >> 4 === 15 ? this.unsigned() : head >> 4
    // Every item takes a byte at least.
    this.need(size)
    return size
  }

  private need(bytes: number): void {
    if (bytes > this.bytes.length - this.at) throw damaged('ends too soon')
  }

  private unsigned(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  private byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw damaged('ends too soon')
    return byte
  }
}

function damaged(how: string): LimnError {
  return new LimnError('iceberg/invalid-metadata', { message: `The footer of a Parquet file ${how}.` })
}
