/** Row 1: types, schemas with field ids, and values. Pure; knows no format and no store. */
export * from './types.ts'
