/** Row 8: evaluates checks against bound tables, and describes quarantine. Decides nothing about publishing. */
export * from './checks.ts'
export * from './failing-sql.ts'
export * from './quarantine.ts'
