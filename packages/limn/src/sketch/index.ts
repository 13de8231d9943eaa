/** Row 1: sketches of sets in few bytes, how many values and whether a value, in the layout other engines read. Pure. */
export * from './bloom.ts'
export * from './theta.ts'
export { xxhash64 } from './xxhash64.ts'
