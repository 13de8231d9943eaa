/** Actions: new snapshots as requirements, updates and the paths written. Metadata in, metadata out; never a row. */
export * from './cherry-pick.ts'

export * from './evolve.ts'
export { type ColumnPath, columnOf, findColumn } from './evolve-columns.ts'
export * from './evolve-mapping.ts'
export * from './evolve-schema.ts'
export * from './evolve-spec.ts'
export * from './fresh-shape.ts'
export {
  changeRefs,
  type RefChange,
  type Retention,
} from './refs.ts'
export { type AddedFile, fileKey } from './snapshot-manifests.ts'
export * from './stage-snapshot.ts'
export * from './validate.ts'
export * from './validate-history.ts'
