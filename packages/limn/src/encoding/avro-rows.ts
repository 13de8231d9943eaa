/**
 * Reads Avro rows (Avro specification, "Binary encoding") from bytes nobody vouches for. A schema is compiled once into
 * readers; every length and count is checked against the bytes that are left before anything is allocated for it, so
 * that damage ends in an error, soon, and never in a long loop.
 *
 * Values: null, boolean; int as number, long as bigint; float and double as number; bytes and fixed as a view of the
 * input; string; enum as its symbol; record and map as objects; array as an array; a union as its branch's value. Logical
 * types are not interpreted. On request an array with `logicalType: map` of key and value records, as Iceberg stores
 * maps, comes back as `StoredMap`, which is decoded when asked for.
 */
type Json = Readonly<Record<string, unknown>>

/** Where a reader stands in a block. */
export interface Cursor {
  readonly bytes: Buffer
  at: number
}

export type RowReader = (cursor: Cursor) => unknown

interface Compiled {
  readonly read: RowReader
  /** Moves past a value without making it. */
  readonly skip: (cursor: Cursor) => void
  /** The fewest bytes a value takes: what a claimed count is checked against. */
  readonly bytesMin: number
}

/** Types nested deeper than this are damage, not data. */
const depthMax = 100
/** Items that take no bytes at all are limited by number. */
const emptyItemsMax = 1_000_000

/** Compiles a schema as parsed from JSON. Throws `RangeError` for what is no Avro schema. */
export function compileRows(schema: unknown, options: RowOptions = {}): RowReader {
  const { deferMaps = false, lengthBeforeFixed = false, omit = [] } = options
  return compile(schema, { types: new Map(), deferMaps, lengthBeforeFixed, omit: new Set(omit) }, 0).read
}

export interface RowOptions {
  /** Iceberg's maps come back as `StoredMap`. Default false. */
  readonly deferMaps?: boolean
  /** Values of a fixed type that is no logical one begin with their length, against Avro's specification. Default false. */
  readonly lengthBeforeFixed?: boolean
  /** Fields of these names, of any record, are passed over. Default: none. */
  readonly omit?: readonly string[]
}

interface Names {
  readonly types: Map<string, Compiled>
  readonly deferMaps: boolean
  readonly lengthBeforeFixed: boolean
  readonly omit: ReadonlySet<string>
}

/** A map that Iceberg stores as an array of key and value records. */
export class StoredMap {
  private readonly bytes: Buffer
  private readonly start: number
  private readonly pair: readonly [key: RowReader, value: RowReader]

  constructor(bytes: Buffer, start: number, pair: readonly [key: RowReader, value: RowReader]) {
    this.bytes = bytes
    this.start = start
    this.pair = pair
  }

  toMap<K, V>(): Map<K, V> {
    const out = new Map<K, V>()
    const cursor = { bytes: this.bytes, at: this.start }
    const [key, value] = this.pair
    for (let count = blockCount(cursor); count > 0; count = blockCount(cursor))
      for (let i = 0; i < count; i++) {
        const of = key(cursor) as K
        out.set(of, value(cursor) as V)
      }
    return out
  }
}

function compile(schema: unknown, named: Names, depth: number): Compiled {
  if (depth > depthMax) throw new RangeError('a schema nests too deep')
  if (typeof schema === 'string') return primitives[schema] ?? reference(schema, named)
  if (Array.isArray(schema)) return union(schema.map((one) => compile(one, named, depth + 1)))
  if (typeof schema !== 'object' || schema === null) throw new RangeError('a schema is no type')
  const json = schema as Json
  switch (json.type) {
    case 'record':
    case 'error':
      return record(json, named, depth)
    case 'array':
      return array(json, named, depth)
    case 'map':
      return map(compile(json.values, named, depth + 1))
    case 'enum':
      return register(json, named, enumeration(json.symbols))
    case 'fixed':
      return register(json, named, fixed(json, named))
    default:
      return compile(json.type, named, depth + 1)
  }
}

/** A type named before it is defined in full (a record inside itself) is looked up when rows are read. */
function reference(name: string, named: Names): Compiled {
  const found = () => {
    const compiled = named.types.get(name) ?? named.types.get(name.slice(name.lastIndexOf('.') + 1))
    if (!compiled) throw new RangeError(`a schema names the type ${name.slice(0, 100)}, which it does not define`)
    return compiled
  }
  if (!named.types.has(name) && !named.types.has(name.slice(name.lastIndexOf('.') + 1))) found()
  return { read: (cursor) => found().read(cursor), skip: (cursor) => found().skip(cursor), bytesMin: 0 }
}

function register(json: Json, named: Names, compiled: Compiled): Compiled {
  if (typeof json.name === 'string') named.types.set(json.name, compiled)
  return compiled
}

function record(json: Json, named: Names, depth: number): Compiled {
  if (!Array.isArray(json.fields)) throw new RangeError('a record has no fields')
  const hole: { compiled: Compiled | null } = { compiled: null }
  const inside = (): Compiled => {
    if (hole.compiled) return hole.compiled
    throw new RangeError('a record is read before it is defined')
  }
  register(json, named, { read: (c) => inside().read(c), skip: (c) => inside().skip(c), bytesMin: 0 })
  const fields = (json.fields as readonly Json[]).map((field) => ({
    name: String(field.name),
    type: compile(field.type, named, depth + 1),
  }))
  if (fields.some((field) => field.name === '__proto__')) throw new RangeError('a field is named __proto__')
  const names = fields.map((field) => (named.omit.has(field.name) ? null : field.name))
  const readers = fields.map((field) => (named.omit.has(field.name) ? field.type.skip : field.type.read))
  const skippers = fields.map((field) => field.type.skip)
  hole.compiled = {
    read: (cursor) => {
      const out: Record<string, unknown> = {}
      for (let i = 0; i < names.length; i++) {
        const name = names[i] as string | null
        const value = (readers[i] as RowReader)(cursor)
        if (name !== null) out[name] = value
      }
      return out
    },
    skip: (cursor) => {
      for (const skip of skippers) skip(cursor)
    },
    bytesMin: fields.reduce((sum, field) => sum + field.type.bytesMin, 0),
  }
  return register(json, named, hole.compiled)
}

function array(json: Json, named: Names, depth: number): Compiled {
  const items = compile(json.items, named, depth + 1)
  const skip = (cursor: Cursor) => {
    for (let count = checkedCount(cursor, items.bytesMin); count > 0; count = checkedCount(cursor, items.bytesMin))
      for (let i = 0; i < count; i++) items.skip(cursor)
  }
  const pair = named.deferMaps && json.logicalType === 'map' ? pairOf(json.items, named, depth) : null
  if (pair) {
    const read: RowReader = (cursor) => {
      const start = cursor.at
      skip(cursor)
      return new StoredMap(cursor.bytes, start, pair)
    }
    return { read, skip, bytesMin: 1 }
  }
  const read: RowReader = (cursor) => {
    const out: unknown[] = []
    for (let count = checkedCount(cursor, items.bytesMin); count > 0; count = checkedCount(cursor, items.bytesMin)) {
      if (items.bytesMin === 0 && out.length + count > emptyItemsMax) throw new RangeError('a list is absurdly long')
      for (let i = 0; i < count; i++) out.push(items.read(cursor))
    }
    return out
  }
  return { read, skip, bytesMin: 1 }
}

/** The readers of a map's entries, when the items are records of exactly key and value. */
function pairOf(items: unknown, named: Names, depth: number): readonly [key: RowReader, value: RowReader] | null {
  const fields = typeof items === 'object' && items !== null ? (items as Json).fields : null
  if (!Array.isArray(fields) || fields.length !== 2 || fields[0].name !== 'key' || fields[1].name !== 'value')
    return null
  const [key, value] = (fields as readonly Json[]).map((field) => compile(field.type, named, depth + 2).read)
  return key && value ? [key, value] : null
}

function map(values: Compiled): Compiled {
  const each = (cursor: Cursor, take: () => void) => {
    for (let count = checkedCount(cursor, 1 + values.bytesMin); count > 0; count = checkedCount(cursor, 1))
      for (let i = 0; i < count; i++) take()
  }
  return {
    read: (cursor) => {
      const entries: [string, unknown][] = []
      each(cursor, () => {
        const key = readText(cursor)
        entries.push([key, values.read(cursor)])
      })
      return Object.fromEntries(entries)
    },
    skip: (cursor) =>
      each(cursor, () => {
        skipBytes(cursor)
        values.skip(cursor)
      }),
    bytesMin: 1,
  }
}

function union(branches: readonly Compiled[]): Compiled {
  const branch = (cursor: Cursor): Compiled => {
    const compiled = branches[readInteger(cursor)]
    if (!compiled) throw new RangeError('a union names a branch it does not have')
    return compiled
  }
  return { read: (cursor) => branch(cursor).read(cursor), skip: (cursor) => branch(cursor).skip(cursor), bytesMin: 1 }
}

function enumeration(symbols: unknown): Compiled {
  if (!Array.isArray(symbols)) throw new RangeError('an enum has no symbols')
  const read: RowReader = (cursor) => {
    const symbol = symbols[readInteger(cursor)]
    if (typeof symbol !== 'string') throw new RangeError('an enum names a symbol it does not have')
    return symbol
  }
  return { read, skip: skipLong, bytesMin: 1 }
}

function fixed(json: Json, named: Names): Compiled {
  const size = Number(json.size)
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError('a fixed type has no size')
  const prefixed = named.lengthBeforeFixed && json.logicalType === undefined
  const read = (cursor: Cursor) => {
    if (prefixed && readInteger(cursor) !== size) throw new RangeError('a fixed value is of another length')
    return take(cursor, size)
  }
  return { read, skip: read, bytesMin: size }
}

const primitives: Readonly<Record<string, Compiled>> = {
  __proto__: null as never,
  null: { read: () => null, skip: () => undefined, bytesMin: 0 },
  boolean: { read: readBoolean, skip: (cursor) => take(cursor, 1), bytesMin: 1 },
  int: { read: readInteger, skip: skipLong, bytesMin: 1 },
  long: { read: readBigint, skip: skipLong, bytesMin: 1 },
  float: { read: (cursor) => take(cursor, 4).readFloatLE(), skip: (cursor) => take(cursor, 4), bytesMin: 4 },
  double: { read: (cursor) => take(cursor, 8).readDoubleLE(), skip: (cursor) => take(cursor, 8), bytesMin: 8 },
  bytes: { read: (cursor) => take(cursor, readInteger(cursor)), skip: skipBytes, bytesMin: 1 },
  string: { read: readText, skip: skipBytes, bytesMin: 1 },
}

function take(cursor: Cursor, length: number): Buffer {
  const { at } = cursor
  if (length < 0 || at + length > cursor.bytes.length) throw new RangeError('a value is cut off')
  cursor.at = at + length
  return cursor.bytes.subarray(at, cursor.at)
}

function readText(cursor: Cursor): string {
  const length = readInteger(cursor)
  const { at } = cursor
  if (length < 0 || at + length > cursor.bytes.length) throw new RangeError('a value is cut off')
  cursor.at = at + length
  return cursor.bytes.toString('utf8', at, cursor.at)
}

function skipBytes(cursor: Cursor): void {
  const length = readInteger(cursor)
  if (length < 0 || cursor.at + length > cursor.bytes.length) throw new RangeError('a value is cut off')
  cursor.at += length
}

function readBoolean(cursor: Cursor): boolean {
  const byte = take(cursor, 1)[0]
  if (byte !== 0 && byte !== 1) throw new RangeError('a boolean is neither true nor false')
  return byte === 1
}

function skipLong(cursor: Cursor): void {
  const { bytes } = cursor
  for (let i = 0; i < 10; i++) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) break
    if (byte < 0x80) return
  }
  throw new RangeError('a number is cut off')
}

/** A zig-zag varint as a number: exact to 2^53, which counts, lengths and ints never pass. */
export function readInteger(cursor: Cursor): number {
  const { bytes } = cursor
  let value = 0
  let scale = 1
  for (let i = 0; i < 10; i++) {
    const byte = bytes[cursor.at++]
    if (byte === undefined) break
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2
    scale *= 128
  }
  throw new RangeError('a number is cut off')
}

function readBigint(cursor: Cursor): bigint {
  const { bytes, at } = cursor
  let low = 0
  let scale = 1
  // Seven groups stay exact in a double; longer ones are put together as bigint.
  for (let i = 0; i < 7; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) throw new RangeError('a number is cut off')
    low += (byte & 0x7f) * scale
    if (byte < 0x80) {
      cursor.at = at + i + 1
      return BigInt(low % 2 === 0 ? low / 2 : -(low + 1) / 2)
    }
    scale *= 128
  }
  let value = BigInt(low)
  for (let i = 7; i < 10; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) break
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
    if (byte < 0x80) {
      cursor.at = at + i + 1
      return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n))
    }
  }
  throw new RangeError('a number is cut off')
}

/** The size of the next block of an array or map; a negative one is followed by its length in bytes. 0 ends it. */
function blockCount(cursor: Cursor): number {
  const count = readInteger(cursor)
  if (count >= 0) return count
  skipLong(cursor)
  return -count
}

function checkedCount(cursor: Cursor, bytesMin: number): number {
  const count = blockCount(cursor)
  const most = bytesMin === 0 ? emptyItemsMax : (cursor.bytes.length - cursor.at) / bytesMin
  if (count > most) throw new RangeError('a list claims more items than there are bytes')
  return count
}
