import { join } from 'node:path'
import type { TableId } from '../../base/index.ts'
import { openDelivery } from '../../connect/index.ts'
import { IntervalSet, type IntervalUnit } from '../../dataset/index.ts'
import type { TableRename } from '../../iceberg/index.ts'
import { bindFiles, leaseFiles } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { RunRecord } from '../ledger/run-state.ts'
import type { Node } from '../project/node.ts'
import { orphansOf } from '../rename/orphans.ts'
import { asRenamed } from '../rename/rename.ts'
import { runsInDoubt } from '../run/recover.ts'
import { sourceColumns } from '../stage/landing.ts'
import { tasksOfView, viewOf } from '../stage/view.ts'
import { FactBook, type RunRequest } from './fact-book.ts'
import { distinctUnits, timesOf } from './facts.ts'
import { boundKey, type Plan } from './plan.ts'

/** What `plan` shows: the plan, and runs that died and are waiting for a run to settle them. */
export interface PlanReport {
  readonly plan: Plan
  readonly inDoubt: readonly RunRecord[]
  /** Tables that the next run gives the names of their datasets. */
  readonly renames: readonly TableRename[]
  /** Tables of datasets that are no longer defined. */
  readonly orphans: readonly TableId[]
}

/** Plans without changing anything. Sources are probed; below an input that will change, intervals are upper bounds. */
export async function planRun(present: PipelineContext, request: RunRequest): Promise<PlanReport> {
  const context = await asRenamed(present)
  const book = await FactBook.open(context, request)
  await boundPending(context, book)
  return {
    plan: await book.gatherSettled(),
    inDoubt: runsInDoubt(context),
    renames: context.renames ?? [],
    orphans: await orphansOf(context, book.ledger),
  }
}

/**
 * Bounds what pending deliveries touch, by evaluating `touches` on the delivered files and on the rows they replace:
 * a superset, because rows that are equal in both are not told apart.
 */
async function boundPending(context: PipelineContext, book: FactBook): Promise<void> {
  for (const id of context.project.order) {
    const node = context.project.nodes.get(id)
    if (node?.shape.kind !== 'interval' || !book.request.selected.has(id)) continue
    for (const [input, edge] of node.edges) {
      const source = context.project.nodes.get(input)
      const probe = book.probes.get(input)
      if (edge.touches === null || !source || !probe || probe.candidates.length + probe.withdrawn.length === 0) continue
      const bound = await deliveryBound(context, book, source, edge.touches, node.shape.unit)
      if (bound) book.bounds.set(boundKey(id, input), bound)
    }
  }
}

async function deliveryBound(
  context: PipelineContext,
  book: FactBook,
  source: Node,
  touches: string,
  unit: IntervalUnit,
): Promise<IntervalSet | null> {
  const probe = book.probes.get(source.id)
  if (!probe || source.producer.kind !== 'source' || source.producer.input.kind !== 'files') return null
  let times = IntervalSet.empty
  for (const candidate of probe.candidates) {
    await using session = await context.engine.session([], { signal: context.signal })
    const opened = await openDelivery(session, {
      source: source.producer.input,
      local: join(context.folder, candidate.path),
      path: candidate.path,
      dataset: source.id,
      columns: sourceColumns(source),
    })
    times = times.union(await distinctUnits(session, await timesOf(session, touches, opened.rows), unit))
  }
  const ledger = book.ledger.get(source.id)
  const paths = [...probe.candidates.map((one) => one.path), ...probe.withdrawn]
  const ordinals = new Set(paths.flatMap((path) => ledger?.latest.get(path)?.ordinal ?? []))
  const pin = book.pinOf(source.id)
  if (pin && ordinals.size > 0) {
    const files = (await tasksOfView(context, viewOf(source, pin))).filter(({ file }) =>
      ordinals.has(Number(file.partition[0])),
    )
    await using lease = await leaseFiles(context, files)
    await using session = await context.engine.session([bindFiles(pin, files, lease)], { signal: context.signal })
    times = times.union(
      await distinctUnits(session, await timesOf(session, touches, `SELECT * FROM ${source.id}`), unit),
    )
  }
  return times
}
