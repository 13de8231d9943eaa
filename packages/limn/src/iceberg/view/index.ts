/** Views, by the view specification, format version 1: metadata and its changes, pure, and operations over a catalog. */
export {
  decodeViewMetadata,
  dialectsOf,
  encodeViewMetadata,
  viewMetadataFromJson,
  viewMetadataToJson,
} from './metadata-json.ts'
export * from './operations.ts'
export * from './types.ts'
export * from './update.ts'
export * from './update-json.ts'
