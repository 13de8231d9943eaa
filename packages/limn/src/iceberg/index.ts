/**
 * Row 4: the Iceberg table format, format version 2 (version 1 is read): metadata in and metadata out. Also published
 * as `limn/iceberg`. Never touches a row; refuses what it would otherwise get wrong (`iceberg/unsupported`).
 */
export * from './commit/index.ts'
export * from './inspect/index.ts'
export * from './maintain/index.ts'
export * from './scan/index.ts'
export * from './spec/index.ts'
export * from './stats/index.ts'
export * from './view/index.ts'
