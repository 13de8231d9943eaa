import { join } from 'node:path'
import { counted, invariant, LimnError, mapConcurrently } from '../../base/index.ts'
import { openDelivery, whileReading } from '../../connect/index.ts'
import type { FileSource } from '../../dataset/index.ts'
import { budgetAllows } from '../../quality/index.ts'
import { putFiles, supersededProperty, watermarkProperty, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { type DatasetLedger, type Delivery, emptyLedger } from '../ledger/ledger.ts'
import type { PlanItem, Probe } from '../plan/plan.ts'
import { fileStamp } from '../plan/sources.ts'
import type { Node } from '../project/node.ts'
import { type Landing, sourceColumns, withDelivery } from './landing.ts'
import { quarantineWriter } from './quarantine.ts'
import { landBatches } from './source-function.ts'
import { landIceberg } from './source-iceberg.ts'
import type { RangeResult, StagedDataset, StageInputs } from './stage.ts'
import { stageTable, type Target } from './staged-table.ts'
import { formatOrdinals, supersededAt, watermarkAt } from './view.ts'

/** Deliveries landed at once. */
const landingsAtOnce = 2

/**
 * Lands pending deliveries of a source on the run's branch: every row as delivered, append-only. Returns null when a
 * function source had nothing new to hand over.
 */
export async function stageSource(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  found: { readonly ledger: DatasetLedger | undefined; readonly probe: Probe | undefined },
): Promise<StagedDataset | null> {
  invariant(node.producer.kind === 'source', 'a source')
  const startedAtMs = context.clock.nowMs()
  const ledger = found.ledger ?? emptyLedger
  const source = node.producer.input
  const quarantine = await quarantineWriter(context, inputs.run, node)
  const task = context.progress.begin(node.id)
  const landing =
    source.kind === 'files'
      ? await landFiles(context, inputs, node, source, ledger, found.probe, target, quarantine)
      : source.kind === 'iceberg'
        ? await landIceberg(context, inputs.run, node, source, ledger, found.probe, target)
        : await landBatches(context, inputs, node, source, ledger, target)
  const base = target.base?.metadata
  if (landing.deliveries.length === 0 && base && base.currentSnapshotId !== null) {
    task.end('nothing new')
    return null
  }
  const superseded = new Set([...(base ? supersededAt(base, base.currentSnapshotId) : []), ...landing.superseded])
  const watermark = latest(landing.watermark ?? null, base ? watermarkAt(base, base.currentSnapshotId) : null)
  const summary = {
    [supersededProperty]: formatOrdinals(superseded),
    ...(watermark === null ? {} : { [watermarkProperty]: String(watermark) }),
  }
  const table = await stageTable(context, inputs.run, target, { added: landing.files, removed: [], summary }, null)
  const [first] = items
  invariant(first, 'a landing has a reason')
  const range: RangeResult = {
    outcome: 'landed',
    reason: first.reason,
    because: first.because,
    interval: null,
    rows: landing.files.reduce((total, file) => total + Number(file.recordCount), 0),
    files: landing.files.length,
    bytes: landing.files.reduce((total, file) => total + Number(file.fileSizeInBytes), 0),
    quarantined: landing.deliveries.reduce((total, delivery) => total + delivery.quarantined, 0),
    deliveries: landing.deliveries,
    startedAtMs,
    seconds: (context.clock.nowMs() - startedAtMs) / 1000,
  }
  task.end(`${counted(range.rows, 'row')} in ${counted(landing.deliveries.length, 'delivery', 'deliveries')}`)
  const read = landing.inputs ?? {}
  return { node, items, table, quarantine: await quarantine.stage(null), ranges: [range], inputs: read, scans: [] }
}

/** A watermark never goes back. */
function latest(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b)
}

type Quarantine = Awaited<ReturnType<typeof quarantineWriter>>

async function landFiles(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  source: FileSource,
  ledger: DatasetLedger,
  probe: Probe | undefined,
  target: Target,
  quarantine: Quarantine,
): Promise<Landing> {
  const candidates = probe?.candidates ?? []
  const landed = await mapConcurrently(candidates, landingsAtOnce, async (candidate, index) => {
    context.signal.throwIfAborted()
    const ordinal = ledger.lastOrdinal + 1 + index
    const local = join(context.folder, candidate.path)
    const before = await fileStamp(local)
    await using scratch = await context.store.scratch({ signal: context.signal })
    await using session = await context.engine.session([], { signal: context.signal })
    const file = { source, local, path: candidate.path, dataset: node.id, columns: sourceColumns(node) }
    const opened = await openDelivery(session, file, { signal: context.signal })
    const rows = withDelivery(opened.rows, ordinal, candidate.path, inputs.run)
    const written = await whileReading(opened, () => writeLocal(session, rows, target.layout, scratch.folder))
    const kept = written.reduce((total, file) => total + Number(file.recordCount), 0)
    const rejected = opened.rejects
      ? await whileReading(opened, () =>
          quarantine.replace(
            session,
            rejectsOf(opened.rejects ?? '', ordinal, candidate.path),
            [`delivery ${ordinal}`],
            scratch.folder,
          ),
        )
      : 0
    requireBudget(node, candidate.path, kept, rejected)
    if ((await fileStamp(local)).stamp !== before.stamp) throw changedWhileRead(candidate.path)
    const files = await putFiles(context, target.layout, written)
    const delivery: Delivery = {
      ordinal,
      path: candidate.path,
      sha256: candidate.sha256,
      replaces: liveOrdinal(ledger, candidate.path),
      read: kept + rejected,
      kept,
      quarantined: rejected,
    }
    return { files, delivery }
  })
  const withdrawn = (probe?.withdrawn ?? []).map(
    (path, index): Delivery => ({
      ordinal: ledger.lastOrdinal + candidates.length + 1 + index,
      path,
      sha256: null,
      replaces: liveOrdinal(ledger, path),
      read: 0,
      kept: 0,
      quarantined: 0,
    }),
  )
  const deliveries = [...landed.map((one) => one.delivery), ...withdrawn]
  return {
    files: landed.flatMap((one) => one.files),
    deliveries,
    superseded: deliveries.flatMap((delivery) => (delivery.replaces === null ? [] : [delivery.replaces])),
  }
}

function liveOrdinal(ledger: DatasetLedger, path: string): number | null {
  const latest = ledger.latest.get(path)
  return latest && latest.sha256 !== null ? latest.ordinal : null
}

function rejectsOf(sql: string, ordinal: number, path: string): string {
  return `SELECT 'delivery ${ordinal}' AS _scope, ${ordinal}::INTEGER AS _delivery, '${path.replaceAll("'", "''")}' AS _path, position AS _position, reason, row FROM (${sql})`
}

function requireBudget(node: Node, path: string, kept: number, rejected: number): void {
  if (rejected === 0 || budgetAllows(node.contract.rejectBudget, { read: kept + rejected, rejected })) return
  throw new LimnError('source/over-reject-budget', {
    message: `${path} has ${counted(rejected, 'bad row')} of ${kept + rejected}, more than the contract of ${node.id} allows.`,
    notDone: 'Nothing was published; the file was not landed.',
    remedy: 'Correct the file, or raise rejectBudget in the contract to quarantine its bad rows.',
    context: { dataset: node.id, path, rejected, read: kept + rejected },
  })
}

function changedWhileRead(path: string): LimnError {
  return new LimnError('source/changed-while-read', {
    message: `${path} changed while it was being read.`,
    notDone: 'Nothing was published.',
    remedy: 'Deliver files by renaming them into place, then run again.',
    retryable: true,
  })
}
