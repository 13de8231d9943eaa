/** Row 2: a small typed tree of conditions over columns; no parser, no rows. */
export * from './predicate.ts'
