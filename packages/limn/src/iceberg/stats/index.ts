/** What is known of rows without reading them: metrics of data files from their footers, statistics of tables. */
export * from './bounds.ts'
export * from './metrics-mode.ts'
export * from './parquet-metrics.ts'
export * from './parquet-shape.ts'
export * from './partition-statistics.ts'
export * from './table-statistics.ts'
