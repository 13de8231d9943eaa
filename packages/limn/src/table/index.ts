/**
 * Row 6: rows of tables: read a pinned table, append, overwrite by filter. A format and an engine, nothing else.
 * Every change is one snapshot, visible at its commit or not at all.
 */
export * from './alter.ts'
export * from './bind.ts'
export * from './change.ts'
export * from './commit.ts'
export * from './context.ts'
export * from './create.ts'
export * from './maintain/index.ts'
export * from './read.ts'
export * from './refs.ts'
export * from './transaction.ts'
export * from './write.ts'
