/**
 * `limn/iceberg`: Iceberg tables without a project. `openIceberg` opens a folder of them; every operation takes what it
 * gives and the name of a table (`tableId('namespace.name')`): rows, shape, refs, time travel, changes, maintenance,
 * adoption, views, SQL. The format alone (metadata, manifests, planning, transforms) is here too, and touches no row.
 */
export { LimnError, type Progress, type TableId, tableId } from './base/index.ts'
export type { Cell, ResultSet } from './engine/index.ts'
export * from './iceberg/index.ts'
export {
  executeStatement,
  type IcebergTables,
  type OpenIcebergOptions,
  openIceberg,
  type StatementResult,
} from './query/index.ts'
export * from './schema/index.ts'
export { type StorePath, storePath } from './storage/index.ts'
export * from './table/index.ts'
