import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { randomUuid, type TableId } from '../base/index.ts'
import {
  abandonedEvent,
  type DatasetOutcome,
  Emitter,
  FacetMaker,
  type Facets,
  type LakeVerb,
  type LineageConfig,
  nominalTime,
  ObservedJob,
  OpenRuns,
  parentOf,
  takeAbandoned,
  tellBackfillEnded,
  tellEnded,
  tellStep,
  thisProcess,
} from '../observe/index.ts'
import {
  type BackfillReport,
  type BackfillWatch,
  ledgerTable,
  type PipelineContext,
  type PromoteReport,
  type RunReport,
  readLedger,
  tableLocation,
} from '../pipeline/index.ts'

/** Who runs, for the events. */
export interface ObservedLake {
  readonly name: string
  readonly folder: string
  readonly lineage: LineageConfig | undefined
}

/** Runs with what the configuration says of lineage: events go out while the run goes on. */
export async function observedRun(
  lake: ObservedLake,
  context: PipelineContext,
  run: (context: PipelineContext) => Promise<RunReport>,
): Promise<RunReport> {
  if (!lake.lineage) return run(context)
  return observed(lake, context, 'run', async (observer) => {
    const job = observer.begin()
    const report = await run({ ...context, progress: job.watch(context.progress) })
    const datasets = report.datasets.map((one) => one.dataset)
    tellEnded(job, { ...report, datasets }, await observer.outcomes(report.run, datasets))
    return report
  })
}

/** The same for a process that works on a backfill, which tells of each step. */
export async function observedBackfill(
  lake: ObservedLake,
  context: PipelineContext,
  work: (context: PipelineContext, watch?: BackfillWatch) => Promise<BackfillReport>,
): Promise<BackfillReport> {
  if (!lake.lineage) return work(context)
  return observed(lake, context, 'backfill', async (observer) => {
    const watch: BackfillWatch = {
      begun: ({ id, request }) => {
        const { facets } = observer
        observer.begin({
          nominalTime: facets.of('nominalTime', nominalTime(request.range)),
          limn_backfill: facets.own({ backfill: id, datasets: request.datasets, sample: request.sample }),
        })
      },
      built: (step) => {
        if (observer.job) tellStep(observer.job, step)
      },
    }
    // Work begins once it holds its leases: what is told of before that is told of by nobody.
    const progress = {
      begin: (label: string) => (observer.job?.watch(context.progress) ?? context.progress).begin(label),
      note: (text: string) => context.progress.note(text),
    }
    const report = await work({ ...context, progress }, watch)
    const { outcome } = report
    const run = outcome.kind === 'published' || outcome.kind === 'refused' ? outcome.report : null
    const outcomes = await observer.outcomes(run?.run ?? null, run?.datasets.map((one) => one.dataset) ?? [])
    if (observer.job) tellBackfillEnded(observer.job, report, outcomes)
    return report
  })
}

/** The same for the promotion of an environment: its tables are inputs, those of production outputs. */
export async function observedPromotion(
  lake: ObservedLake,
  context: PipelineContext,
  locationThere: (id: TableId) => string,
  promote: () => Promise<PromoteReport>,
): Promise<PromoteReport> {
  if (!lake.lineage) return promote()
  return observed(lake, context, 'promote', async (observer) => {
    const job = observer.begin()
    const report = await promote()
    for (const { table, from: snapshotId } of report.tables)
      job.beginMoved({ table, from: { location: locationThere(table), snapshotId } })
    const datasets = report.tables.map((one) => one.table)
    tellEnded(job, { ...report, datasets }, await observer.outcomes(report.run, datasets))
    return report
  })
}

/**
 * However the sending ends, the work ends as it would without: events that were lost are told in one note.
 */
async function observed<T>(
  lake: ObservedLake & { readonly lineage?: LineageConfig | undefined },
  context: PipelineContext,
  verb: LakeVerb,
  body: (observer: Observer) => Promise<T>,
): Promise<T> {
  const host = hostname()
  const folder = join(lake.folder, '.limn', 'lineage')
  const emitter = new Emitter(lake.lineage ?? { to: 'stdout' }, {
    print: (line) => process.stdout.write(line),
    resolve: (path) => resolve(lake.folder, path),
    open: new OpenRuns(folder, randomUuid(context.randomness), thisProcess(host)),
  })
  for (const began of takeAbandoned(folder, host))
    emitter.emit(abandonedEvent(began, new FacetMaker(context.version), context.clock.nowMs()))
  const observer = await Observer.open(lake, context, verb, emitter)
  try {
    return await body(observer)
  } catch (error) {
    observer.job?.failed(error)
    throw error
  } finally {
    const { lost, sent, reason } = await emitter.close()
    if (lost > 0) context.progress.note(`${lost} of ${lost + sent} lineage events could not be sent: ${reason}.`)
  }
}

class Observer {
  readonly facets: FacetMaker
  /** Null until it has begun. */
  job: ObservedJob | null = null
  private readonly lake: ObservedLake
  private readonly context: PipelineContext
  private readonly verb: LakeVerb
  private readonly emitter: Emitter
  private readonly ledgerRows: number

  private constructor(
    lake: ObservedLake,
    context: PipelineContext,
    verb: LakeVerb,
    emitter: Emitter,
    ledgerRows: number,
  ) {
    this.lake = lake
    this.context = context
    this.verb = verb
    this.emitter = emitter
    this.ledgerRows = ledgerRows
    this.facets = new FacetMaker(context.version)
  }

  static async open(lake: ObservedLake, context: PipelineContext, verb: LakeVerb, emitter: Emitter): Promise<Observer> {
    const [before] = (await context.catalog.loadTables([ledgerTable])).values()
    const known = before?.metadata.snapshots.find((one) => one.snapshotId === before.metadata.currentSnapshotId)
    // Rows are never taken out of the ledger, so that their number is the last `seq`.
    return new Observer(lake, context, verb, emitter, Number(known?.summary['total-records'] ?? 0))
  }

  begin(always?: Facets): ObservedJob {
    const { context, lake } = this
    this.job = new ObservedJob(this.emitter, context, {
      facets: this.facets,
      project: context.project,
      version: context.version,
      lake: lake.name,
      verb: this.verb,
      namespace: lake.lineage?.namespace ?? `limn://${lake.name}`,
      runId: randomUuid(context.randomness),
      parent: parentOf(process.env.OPENLINEAGE_PARENT_ID),
      locationOf: (id) => tableLocation(context, id),
      ...(always ? { always } : {}),
    })
    return this.job
  }

  /** What the ledger says that a run did, by dataset; nothing where it cannot be read. */
  async outcomes(run: string | null, datasets: readonly TableId[]): Promise<ReadonlyMap<TableId, DatasetOutcome>> {
    const { context } = this
    const out = new Map<TableId, DatasetOutcome>()
    if (run === null) return out
    try {
      const [ledger] = (await context.catalog.loadTables([ledgerTable])).values()
      const rows = await readLedger(context, ledger ?? null, this.ledgerRows)
      for (const dataset of datasets) {
        const own = rows.filter((row) => row.run === run && row.dataset === dataset)
        const last = own.at(-1)
        if (!last) continue
        const sum = (key: 'rows' | 'bytes' | 'files') => own.reduce((total, row) => total + row[key], 0)
        const paths = own.flatMap((row) => row.deliveries.map((one) => one.path))
        out.set(dataset, {
          dataset,
          snapshotId: last.outputSnapshot,
          inputs: last.inputs,
          delivered: delivered(context, dataset, paths),
          rows: sum('rows'),
          bytes: sum('bytes'),
          files: sum('files'),
        })
      }
    } catch {
      out.clear()
    }
    return out
  }
}

/** Files only: the cursor of a generator is no place. */
function delivered(context: PipelineContext, dataset: TableId, paths: readonly string[]): readonly string[] {
  const producer = context.project.nodes.get(dataset)?.producer
  if (producer?.kind !== 'source' || producer.input.kind !== 'files') return []
  return [...new Set(paths)].sort().map((path) => join(context.folder, path))
}
