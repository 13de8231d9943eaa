/** Maintenance carried out: rows stay as they are; files, manifests and snapshots become fewer. */
export * from './expire.ts'
export * from './health.ts'
export * from './orphans.ts'
export type { LiveRuns, MaintenanceOptions } from './removal.ts'
export * from './rewrite-deletes.ts'
export * from './rewrite-files.ts'
export type { SkippedGroup } from './rewrite-groups.ts'
export * from './rewrite-manifests.ts'
