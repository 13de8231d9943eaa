/**
 * Row 10: plan, ledger, run, publish. Exactly once: all outputs of a run and the record of them are one catalog commit.
 * Refuses to publish what a hard check failed.
 */
export * from './check.ts'
export * from './compile.ts'
export * from './context.ts'
export type { DatasetReport, RunReport } from './execution.ts'
export * from './fact-book.ts'
export type { Judgement } from './gate.ts'
export { refusals } from './gate.ts'
export * from './ledger.ts'
export { readLedger } from './ledger-store.ts'
export * from './node.ts'
export type { Plan, PlanItem, Reason } from './plan.ts'
export * from './plan-run.ts'
export * from './project.ts'
export { quarantineOf } from './quarantine.ts'
export { runsInDoubt } from './recover.ts'
export * from './run.ts'
export * from './run-state.ts'
export type { RangeResult, ScanReport } from './stage.ts'
export { pinRefName, runBranch } from './staged-table.ts'
export { supersededAt, viewOf } from './view.ts'
