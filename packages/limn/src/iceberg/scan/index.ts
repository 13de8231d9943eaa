/** Pruning: which files of a snapshot may hold a wanted row. Errs towards reading. */
/** Pruning: which files of a snapshot may hold a wanted row, and which deletes apply to them. Errs towards reading. */
export * from './deletes.ts'
export * from './history.ts'
export * from './manifests.ts'
export * from './paths.ts'
export * from './plan.ts'
export * from './prune.ts'
export * from './strict.ts'
