import { counted } from '../../base/index.ts'
import type { Tolerance } from '../../contract/index.ts'
import type { IntervalDelta, RowDelta } from '../diff/row-diff.ts'

/** What one interval (or a whole dataset) changes, and by what it passes what its dataset allows. */
export interface JudgedDelta {
  readonly delta: RowDelta | IntervalDelta
  /** One sentence per limit that is passed; none: within tolerance. */
  readonly beyond: readonly string[]
}

/**
 * Judges what a rebuild changes against a dataset's tolerance (`Tolerance` says what its limits mean). Without one only what
 * is equal passes. Rows where there were none pass no limit on rows, for they are no share of anything.
 */
export function judgeDelta(delta: RowDelta | IntervalDelta, tolerance: Tolerance | undefined): JudgedDelta {
  const beyond: string[] = []
  const moved = delta.added + delta.removed + delta.changed
  const share = delta.before === 0 ? (moved === 0 ? 0 : Number.POSITIVE_INFINITY) : moved / delta.before
  const limit = tolerance?.rows ?? (tolerance?.sums ? Number.POSITIVE_INFINITY : 0)
  if (share > limit) {
    beyond.push(
      delta.before === 0
        ? `${counted(moved, 'row')} where there were none`
        : `${percent(share)} of the rows differ, ${percent(limit)} may`,
    )
  }
  for (const measure of delta.measures) {
    const allowed = tolerance?.sums?.[measure.name]
    if (allowed === undefined || measure.delta === null) continue
    const by = Math.abs(Number(measure.delta))
    if (by === 0) continue
    if (allowed >= 1 ? by <= allowed : measure.relative !== null && Math.abs(measure.relative) <= allowed) continue
    beyond.push(
      allowed >= 1
        ? `the sum of ${measure.name} moves by ${by.toLocaleString('en')}, ${allowed.toLocaleString('en')} may`
        : measure.relative === null
          ? `the sum of ${measure.name} moves from 0`
          : `the sum of ${measure.name} moves by ${percent(Math.abs(measure.relative))}, ${percent(allowed)} may`,
    )
  }
  return { delta, beyond }
}

function percent(share: number): string {
  return `${(share * 100).toLocaleString('en', { maximumFractionDigits: 2 })} %`
}
