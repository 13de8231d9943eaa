/** Row 5: catalogs behind the port that `iceberg` defines: SQLite, a run's staged view over another, an environment's names. */
export * from './environment.ts'
export * from './environment-names.ts'
export * from './sqlite.ts'
export { type EnvironmentRecord, SqliteEnvironments } from './sqlite-environments.ts'
export * from './sqlite-layout.ts'
export { type Pointer, pointersIn, SqlitePointers } from './sqlite-pointers.ts'
export { SqliteViews } from './sqlite-views.ts'
export * from './staged.ts'
