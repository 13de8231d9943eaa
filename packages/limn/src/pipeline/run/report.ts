import type { RunId, TableId } from '../../base/index.ts'
import type { Plan } from '../plan/plan.ts'
import type { RangeResult, ScanReport } from '../stage/stage.ts'
import type { Judgement } from './gate.ts'
import type { Recovery } from './recover.ts'

/** One dataset's part in a run. */
export interface DatasetReport {
  readonly dataset: TableId
  readonly ranges: readonly RangeResult[]
  /** The staged snapshot, or null when nothing was written. */
  readonly snapshotId: bigint | null
  readonly scans: readonly ScanReport[]
  /** The run whose staged files were taken over instead of building again, or null. */
  readonly takenFrom: RunId | null
}

export interface RunReport {
  /** Null when the run had nothing to do. */
  readonly run: RunId | null
  readonly outcome: 'published' | 'refused' | 'idle'
  /** The plan before anything was staged, and as it was carried out. */
  readonly planned: Plan
  readonly carriedOut: Plan
  readonly datasets: readonly DatasetReport[]
  readonly judgements: readonly Judgement[]
  readonly recovery: Recovery
  readonly rebases: number
  readonly seconds: number
}
