/** Tables and files that others made: registered, added, taken over, copied without their rows. None is rewritten. */
export * from './add-files.ts'
export * from './external.ts'
export type { Found, OtherFiles } from './folder-files.ts'
export * from './folder-table.ts'
export { hiveNull } from './hive-path.ts'
export { type Registered, type RegisterOptions, registerTable } from './register.ts'
export { newLocation, places, type SnapshotTableOptions, snapshotTable } from './snapshot-table.ts'
