/** Row 5: where rows are computed: DuckDB, embedded. Takes pruned files, returns rows or new files; commits nothing. */
export * from './bound.ts'
export { type DuckDbOptions, openDuckDb } from './duckdb/duckdb.ts'
export { namesApart } from './duckdb/read/parts.ts'
export { castSql, defaultSql } from './duckdb/read/project.ts'
export { transformSql } from './duckdb/write/write-transforms.ts'
export { valueOfText, valueText } from './duckdb/write/write-values.ts'
export * from './engine.ts'
