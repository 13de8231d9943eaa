import type { TableId } from '../../base/index.ts'
import type { Interval, IntervalUnit } from '../../dataset/index.ts'
import { pinSnapshot } from '../../table/index.ts'
import { diffRows } from '../diff/diff-rows.ts'
import { measuresOf, type RowDiff } from '../diff/row-diff.ts'
import { pinBranch } from './branch.ts'
import type { DatasetPass, Pass } from './pass.ts'
import { type JudgedDelta, judgeDelta } from './tolerance.ts'

/** What a backfill changes in one dataset against what is published. */
export interface DatasetChange {
  readonly dataset: TableId
  readonly unit: IntervalUnit | null
  readonly keys: readonly string[]
  /** Intervals that differ, in order; one entry without an interval for a dataset built whole that differs. */
  readonly intervals: readonly (JudgedDelta & { readonly interval: Interval | null })[]
  readonly diff: RowDiff
}

/** Compares the branch of a dataset with main as it was when the branch was put onto it. */
export async function compareDataset(
  pass: Pass,
  { node, branch }: Pick<DatasetPass, 'node' | 'branch'>,
): Promise<DatasetChange> {
  const { contract, shape } = node
  const before = branch.base === null ? null : pinSnapshot(branch.loaded, branch.base)
  const unit = shape.kind === 'interval' ? shape.unit : null
  const diff = await diffRows(
    pass.own,
    before ? { kind: 'table', pin: before } : { kind: 'none' },
    { kind: 'table', pin: pinBranch(branch) },
    {
      keys: contract.keys,
      measures: measuresOf(contract),
      sample: 5,
      ...(shape.kind === 'interval' ? { column: shape.column, unit: shape.unit } : {}),
    },
  )
  const judged = (delta: RowDiff['intervals'][number]) => ({
    ...judgeDelta(delta, contract.tolerance),
    interval: delta.interval,
  })
  const whole = diff.same ? [] : [{ ...judgeDelta(diff.total, contract.tolerance), interval: null }]
  return {
    dataset: node.id,
    unit,
    keys: diff.keys,
    intervals: unit === null ? whole : diff.intervals.map(judged),
    diff,
  }
}

/** Intervals that change more than their dataset allows. */
export function beyondOf(changes: readonly DatasetChange[]): number {
  return changes.reduce((sum, one) => sum + one.intervals.filter((each) => each.beyond.length > 0).length, 0)
}
