import type { TableId } from '../../base/index.ts'
import type { Interval } from '../../dataset/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import type { Node } from '../project/node.ts'
import { type Branch, pinBranch, type Step } from './branch.ts'
import type { Pass } from './pass.ts'

/**
 * Whether a step is on the branch and building it now would give the same rows: its definition is the present one, and no row
 * that came or went in an input since touches its interval.
 */
export async function holds(pass: Pass, node: Node, branch: Branch, interval: Interval | null): Promise<boolean> {
  const step = stepOf(branch, interval)
  if (!step || step.fingerprint !== node.fingerprint) return false
  for (const input of node.edges.keys())
    if (!(await untouched(pass, node, input, step, await pass.pinOf(input)))) return false
  // What it read of its own table stands on the branch.
  return !node.self || (await untouched(pass, node, node.id, step, pinBranch(branch)))
}

/** The step that built an interval range. */
export function stepOf(branch: Branch, interval: Interval | null): Step | undefined {
  return branch.steps.find((step) =>
    step.interval === null || interval === null
      ? step.interval === interval
      : step.interval.start <= interval.start && interval.end <= step.interval.end,
  )
}

async function untouched(
  pass: Pass,
  node: Node,
  input: TableId,
  step: Step,
  now: PinnedTable | null,
): Promise<boolean> {
  const before = step.inputs[input] ?? null
  if (before === (now?.snapshotId ?? null)) return true
  if (now === null) return false
  const touched = await pass.touchedSince(node, input, before, now)
  if (touched.kind === 'all') return false
  return step.interval === null ? touched.times.isEmpty : !touched.times.overlaps(step.interval)
}
