/**
 * Row 3: Avro containers, Puffin containers, roaring bitmaps, lossless JSON. Bytes in, values out; a damaged file is an
 * error, never a guess.
 */
export * from './avro.ts'
export { StoredMap } from './avro-rows.ts'
export * from './json.ts'
export * from './puffin.ts'
export * from './roaring.ts'
