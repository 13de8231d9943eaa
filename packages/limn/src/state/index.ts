/** Row 1: transactions, leases and migrations on SQLite. Knows no domain: rooms bring their own tables. */
export * from './database.ts'
export * from './lease.ts'
