/**
 * Row 0: errors, ids, clock, randomness, hashing, and the ports for progress and named steps. Knows no domain.
 */
export * from './ambient.ts'
export * from './concurrency.ts'
export * from './counted.ts'
export * from './errors.ts'
export * from './folder.ts'
export * from './ids.ts'
export * from './memory.ts'
export * from './nearest.ts'
export * from './progress.ts'
export * from './secret.ts'
export * from './steps.ts'
export * from './system.ts'
