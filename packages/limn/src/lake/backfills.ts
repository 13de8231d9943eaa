import { LimnError, type TableId } from '../base/index.ts'
import type { Interval } from '../dataset/index.ts'
import {
  type BackfillRecord,
  type BackfillReport,
  type BackfillRequest,
  type BackfillStanding,
  type BackfillTuning,
  type BackfillWatch,
  checkProject,
  compareBackfill,
  type DatasetChange,
  discardBackfill,
  listBackfills,
  type PipelineContext,
  resumeBackfill,
  showBackfill,
  startBackfill,
} from '../pipeline/index.ts'
import type { Lake } from './lake.ts'
import { observedBackfill } from './observed.ts'
import { backfillId } from './query.ts'

export interface BackfillOptions extends Omit<Partial<BackfillRequest>, 'datasets' | 'range'> {
  readonly select: readonly string[]
  readonly range: Interval
  readonly waitMs?: number
}

/**
 * Builds intervals of the selected models on branches and publishes them if that is approved, or within their tolerance. Sources
 * are not built: they are read as published. Throws `usage/empty-selection` when nothing but sources is selected.
 */
export async function backfill(lake: Lake, options: BackfillOptions): Promise<BackfillReport> {
  const context = await contextOf(lake)
  const selected = await lake.select(options.select)
  const datasets = modelsOf(context, selected)
  await requireSound(lake, context, new Set(datasets))
  const request: BackfillRequest = {
    datasets,
    range: options.range,
    parallel: options.parallel ?? 2,
    throttleMs: options.throttleMs ?? 0,
    onFailure: options.onFailure ?? 'fast',
    sample: options.sample ?? null,
    diff: options.diff ?? false,
    approved: options.approved ?? false,
    budgetRows: options.budgetRows ?? null,
  }
  return observed(lake, context, (own, watch) => startBackfill(own, request, { waitMs: options.waitMs ?? 0, ...watch }))
}

/** Goes on with a backfill that was stopped, killed, refused or out of budget. */
export async function resume(lake: Lake, id: string, tuning: BackfillTuning = {}, waitMs = 0): Promise<BackfillReport> {
  const context = await contextOf(lake)
  await requireSound(lake, context, await datasetsOf(context, id))
  return observed(lake, context, (own, watch) => resumeBackfill(own, backfillId(id), tuning, { waitMs, ...watch }))
}

/** Publishes what a backfill has built and somebody has looked at. What had to be built anew since then waits again. */
export async function approve(lake: Lake, id: string, waitMs = 0): Promise<BackfillReport> {
  const context = await contextOf(lake)
  await requireSound(lake, context, await datasetsOf(context, id))
  return observed(lake, context, (own, watch) =>
    resumeBackfill(own, backfillId(id), {}, { waitMs, approveAsSeen: true, ...watch }),
  )
}

export async function discard(lake: Lake, id: string): Promise<void> {
  return discardBackfill(await contextOf(lake), backfillId(id))
}

export async function backfills(lake: Lake): Promise<readonly (BackfillRecord & { readonly alive: boolean })[]> {
  const context = await contextOf(lake)
  return (await listBackfills(context)).map((one) => ({ ...one, alive: context.runs.isAlive(one.id) }))
}

export async function backfillOf(lake: Lake, id: string): Promise<BackfillStanding> {
  return showBackfill(await contextOf(lake), backfillId(id))
}

export async function changesOf(lake: Lake, id: string): Promise<readonly DatasetChange[]> {
  return compareBackfill(await contextOf(lake), backfillId(id))
}

function observed(
  { name, folder, config }: Lake,
  context: PipelineContext,
  work: (context: PipelineContext, watch: { readonly watch?: BackfillWatch }) => Promise<BackfillReport>,
): Promise<BackfillReport> {
  return observedBackfill({ name, folder, lineage: config.lineage }, context, (own, watch) =>
    work(own, watch ? { watch } : {}),
  )
}

async function contextOf(lake: Lake): Promise<PipelineContext> {
  return lake.context(await lake.loadProject())
}

async function datasetsOf(context: PipelineContext, id: string): Promise<ReadonlySet<TableId>> {
  return new Set((await showBackfillRecord(context, id)).request.datasets)
}

async function showBackfillRecord(context: PipelineContext, id: string): Promise<BackfillRecord> {
  const found = (await listBackfills(context)).find((one) => one.id === id)
  return found ?? (await showBackfill(context, backfillId(id))).record
}

async function requireSound(lake: Lake, context: PipelineContext, datasets: ReadonlySet<TableId>): Promise<void> {
  const [problem] = await checkProject(context.project, lake.engine, datasets)
  if (problem) throw problem
}

function modelsOf(context: PipelineContext, selected: ReadonlySet<TableId>): readonly TableId[] {
  const { order, nodes } = context.project
  const models = order.filter((id) => selected.has(id) && nodes.get(id)?.producer.kind === 'model')
  if (models.length > 0) return models
  throw new LimnError('usage/empty-selection', {
    message: 'The selection has sources only: what they delivered is landed once and not built again.',
    notDone: 'Nothing was built.',
    remedy: 'Select models: limn backfill silver.flight --from 2001-03-01 --to 2001-05-01',
  })
}
