/**
 * Row 6: rows of tables: read a pinned table, append, overwrite by filter. A format and an engine, nothing else.
 * Every change is one snapshot, visible at its commit or not at all.
 */
export * from './adopt/index.ts'
export * from './alter.ts'
export * from './bind.ts'
export * from './change.ts'
export * from './changes.ts'
export * from './commit.ts'
export * from './context.ts'
export * from './count.ts'
export * from './create.ts'
export * from './delete-rows.ts'
export * from './diff.ts'
export * from './divergence.ts'
export * from './drop.ts'
export * from './maintain/index.ts'
export * from './merge-rows.ts'
export * from './metadata/index.ts'
export * from './partition-statistics.ts'
export * from './read.ts'
export * from './refs.ts'
export * from './replace.ts'
export {
  computeTableStatistics,
  type TableStatistics,
  type TableStatisticsOptions,
} from './table-statistics.ts'
export { aliasOf, type ChangedFiles, type FileSums, sumsOf, type WriteMode } from './target-rows.ts'
export * from './transaction.ts'
export * from './update-rows.ts'
export * from './upsert-rows.ts'
export * from './write.ts'
export * from './write-deletes.ts'
