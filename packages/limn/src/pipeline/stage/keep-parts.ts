import { IntervalSet } from '../../dataset/index.ts'
import type { PipelineContext } from '../context.ts'
import type { PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { inputSnapshots, type StageInputs } from './stage.ts'
import type { ModelBuild } from './stage-model.ts'
import { stageTable, type Target } from './staged-table.ts'

/**
 * Stages the intervals of a dataset that were built when another failed, or the run was asked to stop: a retry goes on from
 * there. Nothing is kept where intervals do not stand for themselves (a dataset that reads itself, or rejects rows), and what
 * cannot be kept is built again: the failure is told, not this.
 */
export async function keepParts(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  parts: readonly ModelBuild[],
): Promise<void> {
  if (!inputs.keepPart || parts.length === 0 || !standsByInterval(node)) return
  const added = parts.flatMap((part) => part.added)
  const removed = parts.flatMap((part) => part.removed)
  const ranges = parts.flatMap((part) => part.ranges)
  // Who interrupts a run waits for this, which is one commit.
  const own = { ...context, signal: new AbortController().signal }
  const untouched = added.length + removed.length === 0
  // What was not built is no part of it, so that nobody takes the part for the whole.
  const times = IntervalSet.of(ranges.flatMap((range) => (range.interval ? [range.interval] : [])))
  const done = items.flatMap((item) =>
    (item.interval ? times.intersect(IntervalSet.of([item.interval])).intervals : []).map((interval) => ({
      ...item,
      interval,
    })),
  )
  try {
    const table = untouched ? null : await stageTable(own, inputs.run, target, { added, removed, summary: {} }, null)
    const read = await inputSnapshots(inputs, node, null)
    inputs.keepPart({ node, items: done, table, quarantine: null, ranges, inputs: read, scans: [] })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    context.progress.note(`${node.id}: what was built could not be kept for a retry: ${message}`)
  }
}

/** Whether each interval can be taken over without the others. */
export function standsByInterval(node: Node): boolean {
  return node.shape.kind === 'interval' && node.contract.rejects.length === 0 && !node.self
}
