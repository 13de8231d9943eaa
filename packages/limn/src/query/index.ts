/**
 * Row 7: one SQL statement bound to tables and run: queries at any version, rows changed, shapes changed. A change is one
 * commit, all or nothing; tables that datasets own are refused.
 */
export * from './execute.ts'
export * from './guard.ts'
export * from './names.ts'
export * from './open.ts'
export * from './rehearsal/rehearsal.ts'
export * from './result.ts'
export * from './select.ts'
export * from './version.ts'
