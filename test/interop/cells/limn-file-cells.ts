import { each, type LimnCell } from './limn-cell.ts'
import { type JsonType, type Row, schemaOf, variants } from './values.ts'

/** Data files whose pages or footers limn writes anew behind DuckDB. */
const hashes: Readonly<Record<string, JsonType>> = {
  id: 'long',
  hash: 'fixed[16]',
  few: 'fixed[2]',
  many: { type: 'list', 'element-id': 101, 'element-required': false, element: 'fixed[5]' },
  inside: {
    type: 'struct',
    fields: [
      { id: 111, name: 'hash', type: 'fixed[3]', required: false },
      { id: 112, name: 'n', type: 'int', required: false },
    ],
  },
  named: {
    type: 'map',
    'key-id': 120,
    key: 'string',
    'value-id': 121,
    'value-required': false,
    value: 'fixed[1]',
  },
  after: 'string',
}

const hex = (length: number, seed: number) =>
  Buffer.from(Array.from({ length }, (_, i) => (seed * 31 + i * 7) % 256)).toString('hex')

const hashRows: readonly Row[] = Array.from({ length: 300 }, (_, i) => [
  String(i),
  i % 11 === 0 ? null : hex(16, i),
  i % 7 === 0 ? null : hex(2, i % 3),
  i % 5 === 0 ? null : Array.from({ length: i % 4 }, (_element, j) => (j === 1 ? null : hex(5, i + j))),
  i % 6 === 0 ? null : [i % 2 === 0 ? null : hex(3, i), String(i)],
  i % 4 === 0 ? [] : [['a', hex(1, i)], ...(i % 3 === 0 ? [['b', null] as const] : [])],
  `row ${i}`,
])

const variantColumn = variants.v?.[1] ?? []

export const fileCells: readonly LimnCell[] = [
  // The reference implementation comes without Brotli.
  ...['zstd', 'snappy', 'gzip', 'lz4', 'uncompressed'].flatMap((codec) =>
    each(`fixed at every level in ${codec}`, async (writer, version) => {
      const properties = {
        'write.parquet.compression-codec': codec,
        'write.parquet.bloom-filter-enabled.column.hash': 'true',
        'write.parquet.bloom-filter-enabled.column.few': 'true',
        'write.parquet.bloom-filter-enabled.column.id': 'true',
        'write.parquet.bloom-filter-enabled.column.after': 'true',
      }
      await writer.create(schemaOf(hashes), { version, properties })
      await writer.append(hashRows)
      await writer.overwrite('id = 3', [['3', null, null, [], null, [], 'again']])
    }),
  ),
  {
    name: 'v3 variants in a struct, a list and a map',
    write: async (writer) => {
      const schema = schemaOf({
        id: 'long',
        plain: 'variant',
        inside: { type: 'struct', fields: [{ id: 101, name: 'v', type: 'variant', required: false }] },
        many: { type: 'list', 'element-id': 110, 'element-required': false, element: 'variant' },
      })
      await writer.create(schema, { version: 3 })
      await writer.append(
        variantColumn.map((value, i) => [
          String(i),
          value,
          i % 3 === 2 ? null : [value],
          i % 3 === 1 ? null : [value, { int: '7' }],
        ]),
      )
    },
  },
]
