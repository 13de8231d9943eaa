/** What is known of rows without reading them: metrics of data files from their footers, in manifests' terms. */
export * from './bounds.ts'
export * from './metrics-mode.ts'
export * from './parquet-metrics.ts'
export * from './parquet-shape.ts'
