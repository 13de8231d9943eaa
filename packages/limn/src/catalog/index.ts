/** Row 5: catalogs behind the port that `iceberg` defines: SQLite, and a run's staged view over another. */
export * from './sqlite.ts'
export { SqliteViews } from './sqlite-views.ts'
export * from './staged.ts'
