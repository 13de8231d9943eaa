import type { TableId } from '../../base/index.ts'
import type { Interval } from '../../dataset/index.ts'
import type { StepRange } from './branch.ts'
import type { BackfillRecord } from './request.ts'

/** A step that stands on its backfill's branch. Nothing of it is published. */
export interface BuiltStep {
  readonly dataset: TableId
  /** Null: the whole dataset. */
  readonly interval: Interval | null
  /** The interval as people say it. */
  readonly name: string
  /** `kept`: it equals what is published. */
  readonly outcome: StepRange['outcome']
  readonly rows: number
  readonly bytes: number
  readonly files: number
  /** The branch's head with it. */
  readonly snapshotId: bigint
  /** Steps of the dataset that this process has built, of those it has to build. */
  readonly done: number
  readonly of: number
}

/** Who is told what a backfill does while it does it. Nothing waits for it, and it never throws. */
export interface BackfillWatch {
  /** It holds its leases and begins or goes on. */
  begun(record: BackfillRecord): void
  built(step: BuiltStep): void
}
