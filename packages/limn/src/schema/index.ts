/** Row 1: types, schemas with field ids, values, and the hash-key encoding. Pure; knows no format and no store. */
export * from './default-value.ts'
export * from './fields.ts'
export * from './hash-key.ts'
export * from './json.ts'
export * from './tree.ts'
export * from './types.ts'
export * from './values.ts'
