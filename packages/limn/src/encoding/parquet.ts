import { LimnError } from '../base/index.ts'
import { damaged } from './damage.ts'
import { type ParquetField, type ParquetLeaf, schemaTree } from './parquet-schema.ts'
import type { RangedRead } from './puffin.ts'
import { readThrift, type ThriftStruct } from './thrift.ts'

/**
 * The footer of a Parquet file (parquet-format, parquet.thrift): what the file says of itself without a row being read.
 * Bounds stay the stored bytes, since turning them into numbers would cost decimals their digits.
 *
 *   PAR1, pages, …, FileMetaData in Thrift's compact protocol, u32 its length (little-endian), PAR1
 */
export interface ParquetFooter {
  readonly version: number
  readonly createdBy: string | null
  readonly rowCount: bigint
  readonly fields: readonly ParquetField[]
  /** The columns, in the order of each row group's chunks. */
  readonly leaves: readonly ParquetLeaf[]
  readonly rowGroups: readonly ParquetRowGroup[]
  /** Text a writer left, such as `iceberg.schema`. */
  readonly keyValues: ReadonlyMap<string, string>
  /** Bytes of the footer, its length and the closing magic included. */
  readonly footerBytes: number
}

export interface ParquetRowGroup {
  readonly rowCount: bigint
  /** Bytes of its pages, uncompressed. */
  readonly totalBytes: bigint
  /** Where its first page begins: where a scan may be split. */
  readonly offset: bigint
  readonly columns: readonly ParquetColumn[]
}

/** One column chunk. Offsets count from the start of the file; null: not there. */
export interface ParquetColumn {
  readonly codec: string
  /** Values with nulls; of a repeated column, values in all its lists. */
  readonly valueCount: bigint
  readonly compressedBytes: bigint
  readonly uncompressedBytes: bigint
  readonly dataPageOffset: bigint
  readonly dictionaryPageOffset: bigint | null
  /** `length` is null where an older writer left it out. */
  readonly bloomFilter: { readonly offset: bigint; readonly length: number | null } | null
  readonly columnIndex: { readonly offset: bigint; readonly length: number } | null
  readonly offsetIndex: { readonly offset: bigint; readonly length: number } | null
  readonly statistics: ParquetStatistics
}

/** What is stated of a chunk; null: unknown. */
export interface ParquetStatistics {
  readonly nullCount: bigint | null
  readonly nanCount: bigint | null
  readonly distinctCount: bigint | null
  /**
   * Bounds in the column's own order, as stored (plain encoding without a length). Null also where a file states them
   * without saying in which order they were taken and that order matters.
   */
  readonly min: Uint8Array | null
  readonly max: Uint8Array | null
  /** False: a bound that no value need equal. Null: not stated. */
  readonly minExact: boolean | null
  readonly maxExact: boolean | null
}

const what = 'The footer of a Parquet file'
const tailBytes = 8
const firstRead = 64 * 1024
/** Footers of very wide tables take tens of megabytes; one that claims more than this is damage. */
const footerLimit = 512 * 1024 * 1024

/**
 * Reads the footer of a file of `size` bytes in at most two reads. Takes time and memory in proportion to the footer.
 * Throws `iceberg/invalid-metadata` when it is damaged, `iceberg/unsupported` when it or a column is encrypted.
 */
export async function readParquetFooter(read: RangedRead, size: number): Promise<ParquetFooter> {
  if (!Number.isSafeInteger(size) || size < 4 + tailBytes) throw damaged('A Parquet file', 'it is too short')
  const guess = Math.min(size, firstRead)
  const end = await exactly(read, size - guess, size)
  const tail = new DataView(end.buffer, end.byteOffset + end.length - tailBytes, tailBytes)
  const magic = Buffer.from(end.subarray(-4)).toString('latin1')
  if (magic === 'PARE') throw encrypted('A Parquet file is encrypted')
  if (magic !== 'PAR1') throw damaged('A Parquet file', 'it does not end as one')
  const length = tail.getUint32(0, true)
  const footerBytes = length + tailBytes
  if (length > footerLimit || footerBytes > size - 4) throw damaged(what, `it claims ${length} bytes`)
  const footer =
    footerBytes <= guess ? end.subarray(guess - footerBytes) : await exactly(read, size - footerBytes, size)
  return decodeFooter(readThrift(footer.subarray(0, length)), footerBytes)
}

async function exactly(read: RangedRead, start: number, end: number): Promise<Uint8Array> {
  const bytes = await read(start, end)
  if (bytes.length !== end - start) throw damaged('A Parquet file', `bytes ${start} to ${end} are not there`)
  return bytes
}

function decodeFooter(file: ThriftStruct, footerBytes: number): ParquetFooter {
  const { fields, leaves } = schemaTree(required(file.structs(2), 'schema'))
  const ordered = orders(file, leaves)
  const rowGroups = required(file.structs(4), 'row groups').map((group) => rowGroupOf(group, leaves, ordered))
  const rowCount = required(file.long(3), 'row count')
  const held = rowGroups.reduce((sum, group) => sum + group.rowCount, 0n)
  if (rowCount !== held) throw damaged(what, `it counts ${rowCount} rows and its row groups ${held}`)
  return {
    version: file.int(1) ?? 1,
    createdBy: file.text(6) ?? null,
    rowCount,
    fields,
    leaves,
    rowGroups,
    keyValues: new Map((file.structs(5) ?? []).map((pair) => [pair.text(1) ?? '', pair.text(2) ?? ''])),
    footerBytes,
  }
}

/** Per column: whether `min_value` and `max_value` are in the order of its type. */
function orders(file: ThriftStruct, leaves: readonly ParquetLeaf[]): readonly boolean[] {
  const stated = file.structs(7)
  // Member 1 is the type's order; 2 is IEEE 754's total order, which agrees with it on everything that is not NaN.
  return leaves.map((_, i) => [1, 2].includes(stated?.[i]?.ids[0] ?? 0))
}

function rowGroupOf(group: ThriftStruct, leaves: readonly ParquetLeaf[], ordered: readonly boolean[]): ParquetRowGroup {
  const chunks = required(group.structs(1), 'columns of a row group')
  if (chunks.length !== leaves.length)
    throw damaged(what, `a row group has ${chunks.length} columns and the schema ${leaves.length}`)
  const columns = leaves.map(
    (leaf, i): ParquetColumn => columnOf(required(chunks[i], 'column'), leaf, ordered[i] === true),
  )
  const rowCount = required(group.long(3), 'row count of a row group')
  if (rowCount < 0n) throw damaged(what, 'a row group has fewer than no rows')
  const first = columns.reduce<bigint | null>((least, column) => {
    const begin = firstPage(column)
    return least === null || begin < least ? begin : least
  }, null)
  return { rowCount, totalBytes: group.long(2) ?? 0n, offset: first ?? group.long(5) ?? 0n, columns }
}

/** Some writers state a dictionary at 0, where the magic stands: there is none. */
function firstPage(column: ParquetColumn): bigint {
  const { dictionaryPageOffset: dictionary, dataPageOffset: data } = column
  return dictionary !== null && dictionary > 0n && dictionary < data ? dictionary : data
}

/** Names of compressions, by their numbers in a footer. */
export const parquetCodecs: readonly string[] = [
  'uncompressed',
  'snappy',
  'gzip',
  'lzo',
  'brotli',
  'lz4',
  'zstd',
  'lz4-raw',
]

function columnOf(chunk: ThriftStruct, leaf: ParquetLeaf, ordered: boolean): ParquetColumn {
  const data = chunk.struct(3)
  if (!data) {
    if (chunk.struct(8) || chunk.bytes(9))
      throw encrypted(`The column ${leaf.path.join('.')} of a Parquet file is encrypted`)
    throw damaged(what, `the column ${leaf.path.join('.')} is not described`)
  }
  const bloom = data.long(14)
  const valueCount = required(data.long(5), 'value count')
  const compressedBytes = required(data.long(7), 'size')
  if (valueCount < 0n || compressedBytes < 0n)
    throw damaged(what, `the column ${leaf.path.join('.')} has a negative size`)
  return {
    codec: parquetCodecs[data.int(4) ?? -1] ?? 'unknown',
    valueCount,
    compressedBytes,
    uncompressedBytes: data.long(6) ?? 0n,
    dataPageOffset: required(data.long(9), 'offset of a page'),
    dictionaryPageOffset: data.long(11) ?? null,
    bloomFilter: bloom === undefined ? null : { offset: bloom, length: data.int(15) ?? null },
    columnIndex: place(chunk.long(6), chunk.int(7)),
    offsetIndex: place(chunk.long(4), chunk.int(5)),
    statistics: statisticsOf(data.struct(12), leaf, ordered),
  }
}

function place(offset: bigint | undefined, length: number | undefined): ParquetColumn['columnIndex'] {
  return offset === undefined || length === undefined ? null : { offset, length }
}

function statisticsOf(stats: ThriftStruct | undefined, leaf: ParquetLeaf, ordered: boolean): ParquetStatistics {
  const count = (id: number) => {
    const value = stats?.long(id)
    return value === undefined || value < 0n ? null : value
  }
  const signed = isSigned(leaf)
  // Members 1 and 2 are from before orders were written down: taken as signed numbers, whatever the type meant.
  const max = (ordered || signed ? stats?.bytes(5) : undefined) ?? (signed ? stats?.bytes(1) : undefined) ?? null
  const min = (ordered || signed ? stats?.bytes(6) : undefined) ?? (signed ? stats?.bytes(2) : undefined) ?? null
  return {
    nullCount: count(3),
    nanCount: count(9),
    distinctCount: count(4),
    min,
    max,
    minExact: min === null ? null : (stats?.bool(8) ?? null),
    maxExact: max === null ? null : (stats?.bool(7) ?? null),
  }
}

/** Whether comparing the stored values as signed numbers is the order of what they mean. */
function isSigned({ physical, logical }: ParquetLeaf): boolean {
  switch (physical) {
    case 'boolean':
    case 'float':
    case 'double':
      return true
    case 'int32':
    case 'int64':
      return logical?.kind !== 'integer' || logical.signed
    case 'int96':
    case 'byte-array':
    case 'fixed-len-byte-array':
      return false
  }
}

function required<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw damaged(what, `it states no ${name}`)
  return value
}

function encrypted(message: string): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `${message}; limn holds no keys.`,
    notDone: 'The file was not read.',
  })
}
