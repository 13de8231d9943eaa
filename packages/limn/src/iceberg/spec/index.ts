/** The format, pure: metadata, manifests, transforms, values, requirements and updates. No store, no rows. */
export * from './lookup.ts'
export * from './manifest.ts'
export * from './metadata-json.ts'
export * from './single-value.ts'
export * from './transforms.ts'
export * from './types.ts'
export * from './update.ts'
export * from './update-json.ts'
