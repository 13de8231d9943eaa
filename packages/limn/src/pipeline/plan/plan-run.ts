import { join } from 'node:path'
import { giveBackMemory, type TableId } from '../../base/index.ts'
import { openDelivery, whileReading } from '../../connect/index.ts'
import { IntervalSet, type IntervalUnit } from '../../dataset/index.ts'
import type { Session } from '../../engine/index.ts'
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
import { requireReadable } from './accepted.ts'
import { describePlan, type PlannedDataset } from './describe.ts'
import { FactBook, type RunRequest } from './fact-book.ts'
import { distinctUnits, timesOf } from './facts.ts'
import type { Plan } from './plan.ts'
import { type PrintedChange, printDiff } from './print-diff.ts'
import { boundKey } from './reach.ts'

/** What `plan` shows: the plan, and runs that died and are waiting for a run to settle them. */
export interface PlanReport {
  readonly plan: Plan
  /** The plan dataset by dataset. */
  readonly datasets: readonly PlannedDataset[]
  /** How definitions differ, as text, by dataset. */
  readonly diffs: ReadonlyMap<TableId, readonly PrintedChange[]>
  readonly inDoubt: readonly RunRecord[]
  /** Tables that the next run gives the names of their datasets. */
  readonly renames: readonly TableRename[]
  /** Tables of datasets that are no longer defined. */
  readonly orphans: readonly TableId[]
}

/** Of so many datasets, what loading and reading them left in memory is worth the time of giving it back before planning. */
const manyDatasets = 200

/** Plans without changing anything. Sources are probed; below an input that will change, intervals are upper bounds. */
export async function planRun(present: PipelineContext, request: RunRequest): Promise<PlanReport> {
  const context = await asRenamed(present)
  const book = await FactBook.open(context, request)
  const delivered = await boundPending(context, book)
  if (context.project.order.length >= manyDatasets) await giveBackMemory()
  const plan = await book.gatherSettled()
  requireReadable(context, plan.items, book.mains)
  const datasets = describePlan(plan, book.facts(), delivered)
  const diffs = new Map<TableId, readonly PrintedChange[]>()
  for (const { dataset, causes } of datasets) {
    const diff = causes.find((cause) => cause.diff !== null)?.diff
    if (diff) diffs.set(dataset, await printDiff(context.engine, diff))
  }
  return {
    plan,
    datasets,
    diffs,
    inDoubt: runsInDoubt(context),
    renames: context.renames ?? [],
    orphans: await orphansOf(context, book.ledger),
  }
}

/**
 * Bounds what pending deliveries touch, by evaluating `touches` on the delivered files and on the rows they replace:
 * a superset, because rows that are equal in both are not told apart. Returns how many rows those are, by source.
 */
async function boundPending(context: PipelineContext, book: FactBook): Promise<ReadonlyMap<TableId, number>> {
  const rows = new Map<TableId, number>()
  const asked = new Map<string, DeliveryBound | null>()
  for (const id of context.project.order) {
    const node = context.project.nodes.get(id)
    if (node?.shape.kind !== 'interval' || !book.request.selected.has(id)) continue
    for (const [input, edge] of node.edges) {
      const source = context.project.nodes.get(input)
      const probe = book.probes.get(input)
      if (edge.touches === null || !source || !probe || probe.candidates.length + probe.withdrawn.length === 0) continue
      // Readers that ask the same of the same deliveries share the answer.
      const question = `${input} ${node.shape.unit} ${edge.touches}`
      const known = asked.get(question)
      const bound =
        known === undefined ? await deliveryBound(context, book, source, edge.touches, node.shape.unit) : known
      asked.set(question, bound)
      if (!bound) continue
      book.bounds.set(boundKey(id, input), bound.times)
      rows.set(input, bound.rows)
    }
  }
  return rows
}

/** Times that deliveries touch at most, and how many rows they are, those they replace among them. */
interface DeliveryBound {
  readonly times: IntervalSet
  readonly rows: number
}

async function deliveryBound(
  context: PipelineContext,
  book: FactBook,
  source: Node,
  touches: string,
  unit: IntervalUnit,
): Promise<DeliveryBound | null> {
  const probe = book.probes.get(source.id)
  if (!probe || source.producer.kind !== 'source' || source.producer.input.kind !== 'files') return null
  let times = IntervalSet.empty
  let rows = 0
  const count = async (session: Session, of: string) => {
    const counted = await session.rows(`SELECT count(*) FROM (${of})`)
    rows += Number(counted.rows[0]?.[0] ?? 0)
  }
  for (const candidate of probe.candidates) {
    await using session = await context.engine.session([], { signal: context.signal })
    const file = {
      source: source.producer.input,
      local: join(context.folder, candidate.path),
      path: candidate.path,
      dataset: source.id,
      columns: sourceColumns(source),
    }
    const opened = await openDelivery(session, file, { signal: context.signal })
    await whileReading(opened, async () => {
      times = times.union(await distinctUnits(session, await timesOf(session, touches, opened.rows), unit))
      await count(session, opened.rows)
    })
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
    const replaced = `SELECT * FROM ${source.id}`
    times = times.union(await distinctUnits(session, await timesOf(session, touches, replaced), unit))
    await count(session, replaced)
  }
  return { times, rows }
}
