import { join, resolve } from 'node:path'
import { randomUuid, type TableId } from '../base/index.ts'
import {
  type DatasetOutcome,
  Emitter,
  FacetMaker,
  type LineageConfig,
  parentOf,
  RunObserver,
} from '../observe/index.ts'
import { ledgerTable, type PipelineContext, type RunReport, readLedger, tableLocation } from '../pipeline/index.ts'

/** Who runs, for the events. */
export interface ObservedLake {
  readonly name: string
  readonly folder: string
  readonly lineage: LineageConfig | undefined
}

/**
 * Runs with what the configuration says of lineage: events go out while the run goes on. However the sending ends, the run ends as it
 * would without; events that were lost are told in one note.
 */
export async function observedRun(
  lake: ObservedLake,
  context: PipelineContext,
  run: (context: PipelineContext) => Promise<RunReport>,
): Promise<RunReport> {
  const { lineage } = lake
  if (!lineage) return run(context)
  const emitter = new Emitter(lineage, {
    print: (line) => process.stdout.write(line),
    resolve: (path) => resolve(lake.folder, path),
  })
  const [before] = (await context.catalog.loadTables([ledgerTable])).values()
  const known = before?.metadata.snapshots.find((one) => one.snapshotId === before.metadata.currentSnapshotId)
  const observer = new RunObserver(emitter, context, {
    facets: new FacetMaker(context.version),
    project: context.project,
    version: context.version,
    lake: lake.name,
    namespace: lineage.namespace ?? `limn://${lake.name}`,
    runId: randomUuid(context.randomness),
    parent: parentOf(process.env.OPENLINEAGE_PARENT_ID),
    locationOf: (id) => tableLocation(context, id),
  })
  try {
    const report = await run({ ...context, progress: observer.watch(context.progress) })
    // Rows are never taken out of the ledger, so that their number is the last `seq`.
    const outcomes = await outcomesOf(context, report, Number(known?.summary['total-records'] ?? 0)).catch(
      () => new Map(),
    )
    observer.ended(report, outcomes)
    return report
  } catch (error) {
    observer.failed(error)
    throw error
  } finally {
    const { lost, sent, reason } = await emitter.close()
    if (lost > 0) context.progress.note(`${lost} of ${lost + sent} lineage events could not be sent: ${reason}.`)
  }
}

/** What the ledger says that the run did, by dataset. */
async function outcomesOf(
  context: PipelineContext,
  report: RunReport,
  after: number,
): Promise<ReadonlyMap<TableId, DatasetOutcome>> {
  const out = new Map<TableId, DatasetOutcome>()
  if (report.run === null) return out
  const [ledger] = (await context.catalog.loadTables([ledgerTable])).values()
  const rows = await readLedger(context, ledger ?? null, after)
  for (const { dataset } of report.datasets) {
    const own = rows.filter((row) => row.run === report.run && row.dataset === dataset)
    const last = own.at(-1)
    if (!last) continue
    const sum = (key: 'rows' | 'bytes' | 'files') => own.reduce((total, row) => total + row[key], 0)
    out.set(dataset, {
      dataset,
      snapshotId: last.outputSnapshot,
      inputs: last.inputs,
      delivered: delivered(
        context,
        dataset,
        own.flatMap((row) => row.deliveries.map((one) => one.path)),
      ),
      rows: sum('rows'),
      bytes: sum('bytes'),
      files: sum('files'),
    })
  }
  return out
}

/** Files only: the cursor of a generator is no place. */
function delivered(context: PipelineContext, dataset: TableId, paths: readonly string[]): readonly string[] {
  const producer = context.project.nodes.get(dataset)?.producer
  if (producer?.kind !== 'source' || producer.input.kind !== 'files') return []
  return [...new Set(paths)].sort().map((path) => join(context.folder, path))
}
