/** Footers of Parquet files that claim what they like, in Thrift's compact protocol: a field is [id, value]. */
export type Thrift =
  | { readonly kind: 'i32' | 'i64'; readonly value: bigint }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'struct'; readonly fields: readonly (readonly [number, Thrift])[] }
  | { readonly kind: 'list'; readonly of: Thrift['kind']; readonly items: readonly Thrift[]; readonly claimed?: number }
  | { readonly kind: 'raw'; readonly type: number; readonly bytes: Uint8Array }

export const i32 = (value: number): Thrift => ({ kind: 'i32', value: BigInt(value) })
export const i64 = (value: bigint): Thrift => ({ kind: 'i64', value })
export const text = (value: string): Thrift => ({ kind: 'text', value })
export const struct = (...fields: readonly (readonly [number, Thrift])[]): Thrift => ({ kind: 'struct', fields })
export const list = (items: readonly Thrift[], claimed?: number): Thrift => ({
  kind: 'list',
  of: items[0]?.kind ?? 'struct',
  items,
  ...(claimed === undefined ? {} : { claimed }),
})

const typeOf = { i32: 5, i64: 6, text: 8, struct: 12, list: 9, raw: 0 } as const

export function varint(value: bigint): Buffer {
  const out: number[] = []
  let rest = BigInt.asUintN(64, value)
  for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...out, Number(rest)])
}

const zigzag = (value: bigint) => varint((value << 1n) ^ (value >> 63n))

export function encodeThrift(value: Thrift): Buffer {
  switch (value.kind) {
    case 'i32':
    case 'i64':
      return zigzag(value.value)
    case 'text':
      return Buffer.concat([varint(BigInt(Buffer.byteLength(value.value))), Buffer.from(value.value)])
    case 'raw':
      return Buffer.from(value.bytes)
    case 'struct': {
      const parts: Buffer[] = []
      let last = 0
      for (const [id, one] of value.fields) {
        const type = one.kind === 'raw' ? one.type : typeOf[one.kind]
        parts.push(
          id - last > 0 && id - last < 16
            ? Buffer.of(((id - last) << 4) | type)
            : Buffer.concat([Buffer.of(type), zigzag(BigInt(id))]),
          encodeThrift(one),
        )
        last = id
      }
      return Buffer.concat([...parts, Buffer.of(0)])
    }
    case 'list': {
      const size = value.claimed ?? value.items.length
      const head = size < 15 ? Buffer.of((size << 4) | typeOf[value.of]) : Buffer.of(0xf0 | typeOf[value.of])
      return Buffer.concat([head, ...(size < 15 ? [] : [varint(BigInt(size))]), ...value.items.map(encodeThrift)])
    }
  }
}

/** A file of `body` between the magics, with a footer, whose length may be claimed. */
export function parquetFile(
  footer: Thrift | Uint8Array,
  options: { body?: Uint8Array; claimed?: number } = {},
): Buffer {
  const bytes = footer instanceof Uint8Array ? Buffer.from(footer) : encodeThrift(footer)
  const tail = Buffer.from('\0\0\0\0PAR1', 'latin1')
  tail.writeUInt32LE(options.claimed ?? bytes.length)
  return Buffer.concat([Buffer.from('PAR1'), options.body ?? Buffer.alloc(0), bytes, tail])
}

/** A leaf of longs under a field id; or a group of that many children. */
export const leaf = (name: string, id: number): Thrift =>
  struct([1, i32(2)], [3, i32(1)], [4, text(name)], [9, i32(id)])
export const group = (name: string, children: number, id?: number): Thrift =>
  struct([3, i32(1)], [4, text(name)], [5, i32(children)], ...(id === undefined ? [] : [[9, i32(id)] as const]))
export const root = (children: number): Thrift => struct([4, text('root')], [5, i32(children)])

export interface ChunkClaims {
  readonly values?: bigint
  readonly compressed?: bigint
  readonly uncompressed?: bigint
  readonly dataOffset?: bigint
  readonly dictionaryOffset?: bigint
  readonly bloomOffset?: bigint
}

/** The description of one uncompressed column of longs. */
export const chunk = (name: string, claims: ChunkClaims = {}): Thrift =>
  struct(
    [2, i64(4n)],
    [
      3,
      struct(
        [1, i32(2)],
        [2, list([i32(0)])],
        [3, list([text(name)])],
        [4, i32(0)],
        [5, i64(claims.values ?? 3n)],
        [6, i64(claims.uncompressed ?? 30n)],
        [7, i64(claims.compressed ?? 30n)],
        [9, i64(claims.dataOffset ?? 4n)],
        ...(claims.dictionaryOffset === undefined ? [] : [[11, i64(claims.dictionaryOffset)] as const]),
        ...(claims.bloomOffset === undefined ? [] : [[14, i64(claims.bloomOffset)] as const, [15, i32(64)] as const]),
      ),
    ],
  )

export const rowGroup = (chunks: readonly Thrift[], rows = 3n, bytes = 30n): Thrift =>
  struct([1, list(chunks)], [2, i64(bytes)], [3, i64(rows)])

export const fileMetaData = (schema: readonly Thrift[], groups: readonly Thrift[], rows = 3n): Thrift =>
  struct([1, i32(1)], [2, list(schema)], [3, i64(rows)], [4, list(groups)])

/** Whole files whose footers claim absurd things, each by what it claims. */
export function absurdFiles(): readonly (readonly [string, Uint8Array])[] {
  const schema = [root(1), leaf('id', 1)]
  const body = Buffer.alloc(64, 1)
  const huge = 2n ** 62n
  const with_ = (claims: ChunkClaims, rows = 3n) =>
    parquetFile(fileMetaData(schema, [rowGroup([chunk('id', claims)], rows)], rows), { body })
  const deepSchema = (depth: number) => [
    root(1),
    ...Array.from({ length: depth }, (_, i) => group(`g${i}`, 1, i + 10)),
    leaf('id', 1),
  ]
  // A struct in a struct in a struct …, under a field that nobody knows.
  const deepThrift = (depth: number) =>
    Buffer.concat([Buffer.of(0x15, 2), Buffer.of(0xcc), Buffer.alloc(depth, 0x1c), Buffer.alloc(depth + 2, 0)])
  return [
    ['nothing at all', Buffer.alloc(0)],
    ['magics alone', Buffer.from('PAR1PAR1')],
    ['a footer of no bytes', parquetFile(Buffer.alloc(0))],
    ['a footer longer than the file', parquetFile(fileMetaData(schema, []), { claimed: 0x7fffffff })],
    ['a footer of 4 GiB', parquetFile(fileMetaData(schema, []), { claimed: 0xffffffff })],
    ['a schema of 2^31 elements', parquetFile(struct([1, i32(1)], [2, list([root(1)], 2 ** 31 - 1)]))],
    ['2^40 row groups', parquetFile(struct([1, i32(1)], [2, list(schema)], [3, i64(3n)], [4, list([], 2 ** 40)]))],
    ['a root with 2^31 children', parquetFile(fileMetaData([root(2 ** 31 - 1), leaf('id', 1)], []))],
    ['a root with -1 children', parquetFile(fileMetaData([root(-1), leaf('id', 1)], []))],
    ['a schema without a root', parquetFile(struct([1, i32(1)], [2, list([])], [3, i64(0n)], [4, list([])]))],
    ['a schema that is cut off', parquetFile(fileMetaData([root(3), leaf('id', 1)], []))],
    ['a schema 1,000 deep', parquetFile(fileMetaData(deepSchema(1000), []))],
    ['a schema 200,000 deep', parquetFile(fileMetaData(deepSchema(200_000), []))],
    ['structs 1,000 deep', parquetFile(deepThrift(1000))],
    ['structs 1,000,000 deep', parquetFile(deepThrift(1_000_000))],
    [
      'a type of negative length',
      parquetFile(
        fileMetaData(
          [root(1), struct([1, i32(2)], [2, i32(-3)], [3, i32(1)], [4, text('id')], [9, i32(1)])],
          [rowGroup([chunk('id')])],
        ),
        { body },
      ),
    ],
    ['2^62 rows', with_({}, huge)],
    ['-5 rows', with_({}, -5n)],
    ['2^62 values', with_({ values: huge })],
    ['a chunk of 2^62 bytes', with_({ compressed: huge, uncompressed: huge })],
    ['a chunk of negative size', with_({ compressed: -30n })],
    ['a chunk beyond the end', with_({ dataOffset: huge })],
    ['a chunk at a negative offset', with_({ dataOffset: -4n })],
    ['a dictionary beyond the end', with_({ dictionaryOffset: 10n ** 15n })],
    ['a Bloom filter beyond the end', with_({ bloomOffset: 10n ** 15n })],
    ['no chunk for a column', parquetFile(fileMetaData(schema, [rowGroup([])]), { body })],
    ['more chunks than columns', parquetFile(fileMetaData(schema, [rowGroup([chunk('id'), chunk('x')])]), { body })],
    [
      'a page header that claims 2 GiB',
      parquetFile(fileMetaData(schema, [rowGroup([chunk('id')])]), { body: pageOf(2 ** 31 - 1) }),
    ],
    [
      'a page header of negative size',
      parquetFile(fileMetaData(schema, [rowGroup([chunk('id')])]), { body: pageOf(-1) }),
    ],
    ['other rows than its row groups have', parquetFile(fileMetaData(schema, [rowGroup([chunk('id')])], 7n), { body })],
  ]
}

/** A data page's header that claims so many bytes, and a few bytes behind it. */
function pageOf(bytes: number): Buffer {
  const header = encodeThrift(
    struct(
      [1, i32(0)],
      [2, i32(bytes)],
      [3, i32(bytes)],
      [5, struct([1, i32(3)], [2, i32(0)], [3, i32(3)], [4, i32(3)])],
    ),
  )
  return Buffer.concat([header, Buffer.alloc(64, 1)])
}
