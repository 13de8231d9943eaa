/** Row 13: composition only: reads configuration, builds stores, catalog and engine, binds datasets to runs. */
export type { StatementResult } from '../query/index.ts'
export * from './config.ts'
export * from './lake.ts'
export * from './live-runs.ts'
export * from './load.ts'
export * from './maintain.ts'
export * from './query.ts'
export * from './tables.ts'
