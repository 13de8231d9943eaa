/**
 * Row 10: plan, ledger, run, publish. Exactly once: all outputs of a run and the record of them are one catalog commit.
 * Refuses to publish what a hard check failed.
 */

export * from './context.ts'
export { diffRows } from './diff/diff-rows.ts'
export * from './diff/row-diff.ts'
export * from './ledger/definition.ts'
export { type DefinitionKey, definitionKey, definitionOf, definitionsOf } from './ledger/definition-store.ts'
export * from './ledger/ledger.ts'
export { readLedger } from './ledger/ledger-store.ts'
export * from './ledger/run-state.ts'
export * from './plan/fact-book.ts'
export type { Plan, PlanItem, Reason } from './plan/plan.ts'
export * from './plan/plan-run.ts'
export * from './project/check.ts'
export * from './project/compile.ts'
export * from './project/node.ts'
export * from './project/project.ts'
export type { Judgement } from './run/gate.ts'
export { refusals } from './run/gate.ts'
export { runsInDoubt } from './run/recover.ts'
export type { DatasetReport, RunReport } from './run/report.ts'
export * from './run/run.ts'
export { quarantineOf } from './stage/quarantine.ts'
export type { RangeResult, ScanReport } from './stage/stage.ts'
export { pinRefName, runBranch } from './stage/staged-table.ts'
export { supersededAt, viewOf } from './stage/view.ts'
