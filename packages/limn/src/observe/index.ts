/**
 * Row 11: what happened, told to others. Lineage as OpenLineage events: to a file, an HTTP endpoint or standard output. Promises
 * that telling never fails, delays or changes a run; refuses to keep a record of its own, for the ledger is the record; but for what has
 * begun, until its end is told.
 */

export * from './emitter.ts'
export * from './events.ts'
export * from './facets.ts'
export * from './naming.ts'
export * from './observed-job.ts'
export * from './open-runs.ts'
export * from './run-observer.ts'
