/** Row 4: the contract of a dataset as a value, its validation and comparison, and the vocabulary of checks. Evaluates nothing. */
export * from './checks.ts'
export * from './compare.ts'
export * from './contract.ts'
export * from './maintain.ts'
export * from './partition.ts'
export * from './validate.ts'
