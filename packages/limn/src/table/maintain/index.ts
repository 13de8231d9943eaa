/** Maintenance carried out: rows stay as they are; files, manifests and snapshots become fewer. */
export * from './expire.ts'
export * from './health.ts'
export * from './orphans.ts'
export * from './rewrite-manifests.ts'
