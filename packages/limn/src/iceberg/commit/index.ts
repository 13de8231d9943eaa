/** Actions: new snapshots as requirements, updates and the paths written. Metadata in, metadata out; never a row. */
export * from './stage-snapshot.ts'
export * from './validate.ts'
export * from './validate-history.ts'
