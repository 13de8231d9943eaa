import { open } from 'node:fs/promises'
import { LimnError } from '../../base/index.ts'

/**
 * DuckDB has no type for nanoseconds with a zone: it writes them as a zoneless timestamp, and reads a file's as
 * microseconds. In a Parquet footer (Thrift's compact protocol) whether a timestamp is adjusted to UTC is one byte, so it
 * is set in its place. Returns how many columns of nanoseconds were set.
 */
export async function setZones(
  local: string,
  zones: { readonly of: (fieldId: number | null) => boolean; readonly utc: boolean },
): Promise<number> {
  await using file = await open(local, 'r+')
  const { size } = await file.stat()
  const tail = Buffer.alloc(8)
  await file.read(tail, 0, 8, size - 8)
  const length = tail.readUInt32LE(0)
  const footer = Buffer.alloc(length)
  await file.read(footer, 0, length, size - 8 - length)
  const flags = zoneFlags(footer, zones.of)
  // The field's header holds its value: type 1 is true, 2 is false.
  for (const at of flags) footer[at] = ((footer[at] ?? 0) & 0xf0) | (zones.utc ? 1 : 2)
  if (flags.length > 0) await file.write(footer, 0, length, size - 8 - length)
  return flags.length
}

/** Where in a footer the headers of `isAdjustedToUTC` of such columns of nanoseconds stand. */
function zoneFlags(footer: Buffer, of: (fieldId: number | null) => boolean): readonly number[] {
  const out: number[] = []
  const walk = new Walk(footer)
  walk.struct((id, type) => {
    // FileMetaData.schema
    if (id !== 2) return walk.skip(type)
    return walk.list(() => {
      let fieldId: number | null = null
      let flag: number | null = null
      let nanos = false
      walk.struct((member, memberType) => {
        if (member === 9) fieldId = walk.varint()
        else if (member === 10)
          walk.struct((logical, logicalType) => {
            if (logical !== 8) return walk.skip(logicalType)
            return walk.struct((part, partType, at) => {
              if (part === 1) flag = at
              // TimeUnit: 1 milliseconds, 2 microseconds, 3 nanoseconds.
              if (part !== 2) return walk.skip(partType)
              return walk.struct((unit, unitType) => {
                nanos = unit === 3
                walk.skip(unitType)
              })
            })
          })
        else walk.skip(memberType)
      })
      if (flag !== null && nanos && of(fieldId)) out.push(flag)
    })
  })
  return out
}

/** Walks Thrift's compact protocol (see `encoding/thrift.ts`) where places matter, not values. */
class Walk {
  private readonly bytes: Buffer
  private at = 0

  constructor(bytes: Buffer) {
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
    for (let count = this.count().size; count > 0; count--) item()
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
        this.at += length
        return
      }
      case 9:
      case 10: {
        const { size, type: inner } = this.count()
        for (let i = 0; i < size; i++) {
          if (inner === 1 || inner === 2) this.at++
          else this.skip(inner)
        }
        return
      }
      case 12:
        this.struct((_id, inner) => this.skip(inner))
        return
      default:
        throw new LimnError('internal', { message: `A footer holds a value of type ${type}.` })
    }
  }

  /** A zig-zag number. */
  varint(): number {
    const value = this.unsigned()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }

  private count(): { readonly size: number; readonly type: number } {
    const head = this.byte()
    return { size: head >> 4 === 15 ? this.unsigned() : head >> 4, type: head & 15 }
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
    if (byte === undefined) throw new LimnError('internal', { message: 'A footer ends too soon.' })
    return byte
  }
}
