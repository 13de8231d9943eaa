/** Row 3: Avro containers and lossless JSON. Bytes in, values out; a damaged file is an error, never a guess. */

export * from './avro.ts'
export { StoredMap } from './avro-rows.ts'
export * from './json.ts'
