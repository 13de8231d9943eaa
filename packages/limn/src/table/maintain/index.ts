/** Maintenance carried out: rows stay as they are; files, manifests and snapshots become fewer. */
export { supersededProperty, watermarkProperty } from './carry.ts'
export * from './expire.ts'
export * from './health.ts'
export * from './orphans.ts'
export {
  deleteFiles,
  environmentProperty,
  type LiveRuns,
  type MaintenanceOptions,
  ownsItsFiles,
} from './removal.ts'
export * from './rewrite-deletes.ts'
export * from './rewrite-files.ts'
export type { SkippedGroup } from './rewrite-groups.ts'
export * from './rewrite-manifests.ts'
