/** Tables and files that others made: registered, added, taken over, copied without their rows. None is rewritten. */
export * from './add-files.ts'
export type { Found, OtherFiles } from './folder-files.ts'
export { hiveNull } from './hive-path.ts'
