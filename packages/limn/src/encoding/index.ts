/**
 * Row 3: Avro and Puffin containers, Parquet footers, roaring bitmaps, lossless JSON. Bytes in, values out; a damaged file
 * is an error, never a guess.
 */
export * from './avro.ts'
export { StoredMap } from './avro-rows.ts'
export * from './json.ts'
export * from './parquet.ts'
export type {
  LogicalType,
  ParquetField,
  ParquetGroup,
  ParquetLeaf,
  PhysicalType,
  TimeUnit,
} from './parquet-schema.ts'
export * from './puffin.ts'
export * from './roaring.ts'
export { uncompressSnappy } from './snappy.ts'
