/**
 * Row 4: the Iceberg table format, versions 1 (read) to 3, and its views: metadata in and metadata out. Published with the
 * operations on rows as `limn/iceberg`. Never touches a row; refuses what it would otherwise get wrong
 * (`iceberg/unsupported`).
 */
export * from './commit/index.ts'
export * from './inspect/index.ts'
export * from './maintain/index.ts'
export * from './move/index.ts'
export * from './scan/index.ts'
export * from './spec/index.ts'
export * from './stats/index.ts'
export * from './view/index.ts'
