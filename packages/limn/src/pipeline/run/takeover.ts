import type { RunId, TableId } from '../../base/index.ts'
import type { FactBook } from '../plan/fact-book.ts'
import type { PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import type { StagedDataset, StageInputs } from '../stage/stage.ts'
import type { Target } from '../stage/staged-table.ts'

/**
 * What was staged before and may be published by another run: by a run that failed, or by a backfill. Whoever offers it
 * answers for it: that the rows are what building them now would give.
 */
export interface Takeover {
  /** The items to carry out instead of what a plan says; null: the plan decides. */
  items(node: Node): readonly PlanItem[] | null
  /** The dataset staged anew from the files at hand, on this run's branch; null: build it. */
  take(
    book: FactBook,
    node: Node,
    items: readonly PlanItem[],
    target: Target,
    inputs: StageInputs,
  ): Promise<StagedDataset | null>
  /** The backfill that this publishes: asked to stop, it does not. */
  readonly backfill?: RunId
  /** Refs to drop with the publish. */
  drops?(): ReadonlyMap<TableId, string>
  /** Whether rows may be built anew when others wrote the same intervals meanwhile. Else `Overtaken` is thrown. */
  readonly mayRebuild: boolean
}

/** Others have changed what a takeover was made for; nothing was published, and what was staged is as it was. */
export class Overtaken extends Error {
  readonly table: TableId
  constructor(table: TableId) {
    super(`${table} was changed meanwhile`)
    this.table = table
  }
}
