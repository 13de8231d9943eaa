/**
 * Row 5: dataset definitions, the graph over them, selection and interval sets. Values only: nothing here executes,
 * reads a file or knows a table format.
 */
export * from './dataset.ts'
export * from './define.ts'
export * from './duration.ts'
export * from './earlier.ts'
export * from './graph.ts'
export * from './hash-key.ts'
export * from './interval.ts'
export * from './interval-set.ts'
export * from './local-time.ts'
export * from './path-time.ts'
export * from './schedule.ts'
export * from './seal.ts'
export * from './selection.ts'
export * from './sql-template.ts'
export * from './table-shape.ts'
export * from './timing.ts'
