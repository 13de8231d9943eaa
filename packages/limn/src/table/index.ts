/**
 * Row 6: rows of tables: read a pinned table, append, overwrite by filter. A format and an engine, nothing else.
 * Every change is one snapshot, visible at its commit or not at all.
 */
export * from './adopt/index.ts'
export * from './commit/commit.ts'
export * from './commit/transaction.ts'
export * from './compare/diff.ts'
export * from './compare/divergence.ts'
export {
  type ComparedColumn,
  changedSql,
  checksumsSql,
  differingRowsSql,
  type Names,
  onlySql,
  type Relation,
  typeOfUnion,
} from './compare/divergence-sql.ts'
export * from './context.ts'
export * from './maintain/index.ts'
export * from './metadata/index.ts'
export * from './move/index.ts'
export * from './read/bind.ts'
export * from './read/changes.ts'
export * from './read/count.ts'
export * from './read/read.ts'
export * from './rows/change.ts'
export * from './rows/delete-rows.ts'
export * from './rows/merge-rows.ts'
export * from './rows/replace.ts'
export { aliasOf, type ChangedFiles, type FileSums, sumsOf, type WriteMode } from './rows/target-rows.ts'
export * from './rows/update-rows.ts'
export * from './rows/upsert-rows.ts'
export * from './shape/alter.ts'
export * from './shape/create.ts'
export * from './shape/drop.ts'
export * from './shape/refs.ts'
export * from './statistics/partition-statistics.ts'
export {
  computeTableStatistics,
  type TableStatistics,
  type TableStatisticsOptions,
} from './statistics/table-statistics.ts'
export * from './write/write.ts'
export * from './write/write-deletes.ts'
