/** Row 3: SQL as text and as DuckDB's syntax tree: tokens, parameters, table names, literals. Runs nothing. */
export * from './lexer.ts'
export * from './lineage/index.ts'
export * from './nondeterminism.ts'
export * from './query-parts.ts'
export * from './rename-tables.ts'
export * from './statement/index.ts'
export * from './text.ts'
export * from './tree.ts'
