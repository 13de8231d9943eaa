import { invariant, LimnError, type RunId, type TableId } from '../../base/index.ts'
import { alignTo, formatInterval, type Interval, IntervalSet, type SealFacts } from '../../dataset/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import type { Leases } from '../../state/index.ts'
import { type PinnedTable, pinRef } from '../../table/index.ts'
import { type PipelineContext, withCatalog } from '../context.ts'
import { type DatasetLedger, ledgerTable } from '../ledger/ledger.ts'
import { standingOf } from '../ledger/standing.ts'
import { domainOf, touchedBetween } from '../plan/facts.ts'
import { batchesOf, type PlanItem, type Touched } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { InputPins } from '../run/pins.ts'
import { stagedCatalog } from '../run/run-catalog.ts'
import { probeSeals } from '../schedule/markers.ts'
import { holdUnsealed } from '../schedule/sealing.ts'
import { quarantineOf } from '../stage/quarantine.ts'
import type { StageInputs } from '../stage/stage.ts'
import { watermarkAt } from '../stage/view.ts'
import { type Branch, branchCatalog, pinBranch, readBranch, rowsOfSteps } from './branch.ts'
import { prepareBranch } from './prepare.ts'
import { type BackfillRecord, sampled } from './request.ts'
import { buildSteps, type StepFailure } from './steps.ts'
import { holds } from './validity.ts'
import type { BackfillWatch } from './watch.ts'

/** What one pass did to one dataset. */
export interface DatasetPass {
  readonly node: Node
  /** Main as this pass found it. */
  readonly main: LoadedTable | null
  readonly branch: Branch
  /** The steps asked for, in order; null: the whole dataset. */
  readonly wanted: readonly (Interval | null)[]
  /** How many of them this pass built. */
  readonly built: number
  /** Whether others changed rows of main that the steps replace, since they were last looked at. */
  readonly displaced: boolean
}

export interface PassResult {
  readonly datasets: readonly DatasetPass[]
  readonly failures: readonly StepFailure[]
  /** Datasets not built because one they read failed. */
  readonly skipped: readonly TableId[]
}

/**
 * One pass over a backfill: everything it reads is pinned at one instant, each dataset's branch is brought onto main as it is
 * then, and the steps that are missing, or hold no more, are built. Repeated until nothing has changed under it.
 */
export class Pass implements StageInputs {
  readonly run: RunId
  readonly record: BackfillRecord
  readonly watch: BackfillWatch | null
  private readonly held: Leases | null
  /** Registered tables only. */
  readonly registered: PipelineContext
  /** With the backfill's unregistered tables. */
  readonly own: PipelineContext
  /** The same, main of each table being the head of its branch. */
  readonly view: PipelineContext
  readonly mains: ReadonlyMap<TableId, LoadedTable | null>
  /** Rows on all branches, kept up as steps are committed. */
  rows = 0
  private readonly ledger: ReadonlyMap<TableId, DatasetLedger>
  private readonly seals: ReadonlyMap<TableId, SealFacts>
  private readonly pins: InputPins
  private readonly settled = new Map<TableId, PinnedTable>()
  private readonly touched = new Map<string, Promise<Touched>>()

  private constructor(
    context: PipelineContext,
    leases: Leases | null,
    record: BackfillRecord,
    mains: ReadonlyMap<TableId, LoadedTable | null>,
    ledger: ReadonlyMap<TableId, DatasetLedger>,
    seals: ReadonlyMap<TableId, SealFacts>,
    watch: BackfillWatch | null,
  ) {
    this.run = record.id
    this.record = record
    this.watch = watch
    this.held = leases
    this.registered = context
    this.own = withCatalog(context, stagedCatalog(context, record.id))
    this.view = withCatalog(context, branchCatalog(this.own.catalog, record.id))
    this.pins = new InputPins(context, record.id)
    this.mains = mains
    this.ledger = ledger
    this.seals = seals
  }

  /** A pass that only looks: it holds no leases, pins nothing and builds nothing. */
  static look(context: PipelineContext, record: BackfillRecord): Promise<Pass> {
    return Pass.open(context, null, record)
  }

  static async open(
    context: PipelineContext,
    leases: Leases | null,
    record: BackfillRecord,
    watch: BackfillWatch | null = null,
  ): Promise<Pass> {
    const { order } = context.project
    const ids = [...order, ...order.map(quarantineOf), ledgerTable]
    const mains = await context.catalog.loadTables(ids, { signal: context.signal })
    const { datasets: ledger } = await standingOf(context, mains.get(ledgerTable) ?? null)
    const seals = await probeSeals(context, context.clock.nowMs())
    return new Pass(context, leases, record, mains, ledger, seals, watch)
  }

  /** The leases under which this pass builds. */
  get leases(): Leases {
    invariant(this.held, 'a pass that builds holds leases')
    return this.held
  }

  /** The head of a branch that is settled, else main as pinned; null when there are no rows. */
  async pinOf(id: TableId): Promise<PinnedTable | null> {
    const settled = this.settled.get(id)
    if (settled) return settled
    const pin = this.mainPin(id)
    if (pin && this.held) await this.pins.pin(pin)
    return pin
  }

  /** Main as this pass found it, without pinning it. */
  mainPin(id: TableId): PinnedTable | null {
    const main = this.mains.get(id)
    return main && main.metadata.currentSnapshotId !== null ? pinRef(main) : null
  }

  /** What came to an input or left it between a snapshot and what this pass reads: asked once, whatever steps ask for it. */
  touchedSince(node: Node, input: TableId, from: bigint | null, to: PinnedTable): Promise<Touched> {
    const key = `${node.id} ${input} ${from} ${to.snapshotId}`
    const known = this.touched.get(key) ?? touchedBetween(this.own, node, input, from, to)
    this.touched.set(key, known)
    return known
  }

  /** Gives up the pins on inputs. */
  release(): Promise<void> {
    return this.pins.release()
  }

  /** Brings branches up to date and builds what is missing. */
  async carryOut(): Promise<PassResult> {
    const { request } = this.record
    const datasets: DatasetPass[] = []
    const failures: StepFailure[] = []
    const skipped: TableId[] = []
    const broken = new Set<TableId>()
    this.rows = await this.rowsBefore()
    for (const id of request.datasets) {
      const node = this.registered.project.nodes.get(id)
      if (!node) throw gone(id)
      if ([...node.edges.keys()].some((input) => broken.has(input))) {
        broken.add(id)
        skipped.push(id)
        continue
      }
      const wanted = await this.wantedOf(node)
      if (wanted.length === 0) continue
      const prepared = await prepareBranch(this, node)
      const missing = new Set<Interval | null>()
      for (const interval of wanted) if (!(await holds(this, node, prepared.branch, interval))) missing.add(interval)
      const done = await buildSteps(this, node, prepared.branch, wanted, missing)
      failures.push(...done.failures)
      if (done.failures.length > 0) broken.add(id)
      this.settled.set(id, pinBranch(done.branch))
      datasets.push({
        node,
        main: this.mains.get(id) ?? null,
        branch: done.branch,
        wanted,
        built: done.built,
        displaced: prepared.displaced,
      })
    }
    return { datasets, failures, skipped }
  }

  /** What stands on the branches now and what is missing, without changing anything. */
  async standing(): Promise<readonly LookedAt[]> {
    const out: LookedAt[] = []
    for (const id of this.record.request.datasets) {
      const node = this.registered.project.nodes.get(id)
      if (!node) continue
      const branch = await this.branchOf(id)
      const valid = branch !== null && branch.fingerprint === node.fingerprint
      const wanted = await this.wantedOf(node)
      let done = 0
      if (valid) for (const interval of wanted) if (await holds(this, node, branch, interval)) done++
      if (branch) this.settled.set(id, pinBranch(branch))
      out.push({ dataset: id, steps: wanted.length, done, rows: branch ? rowsOfSteps(branch.steps) : 0, node, branch })
    }
    return out
  }

  async branchOf(id: TableId): Promise<Branch | null> {
    const loaded = (await this.own.catalog.loadTables([id], { signal: this.own.signal })).get(id) ?? null
    return readBranch(loaded, this.run)
  }

  private async rowsBefore(): Promise<number> {
    let rows = 0
    for (const id of this.record.request.datasets) {
      const branch = await this.branchOf(id)
      if (branch && branch.fingerprint === this.registered.project.nodes.get(id)?.fingerprint)
        rows += rowsOfSteps(branch.steps)
    }
    return rows
  }

  /** The steps asked for: whole units of the range within the dataset's domain, as many at once as its definition allows. */
  private async wantedOf(node: Node): Promise<readonly (Interval | null)[]> {
    const { shape } = node
    const { request } = this.record
    if (shape.kind !== 'interval') return [null]
    const pins = new Map<TableId, PinnedTable | null>()
    for (const input of node.edges.keys()) pins.set(input, this.settled.get(input) ?? this.mainPin(input))
    const domain = await domainOf(this.own, node, (input) => pins.get(input) ?? null)
    const built = (this.ledger.get(node.id)?.built ?? []).flatMap((one) => (one.interval ? [one.interval] : []))
    const times = IntervalSet.of([...(domain ? [domain] : []), ...built])
    const asked = times.intersect(IntervalSet.of([alignTo(shape.unit, request.range)]))
    return sampled(batchesOf(this.complete(node, asked), shape.batch), request.sample)
  }

  /** Times without those of intervals that are not complete yet: they are not built. */
  private complete(node: Node, times: IntervalSet): IntervalSet {
    const seals = new Map<TableId, SealFacts>()
    for (const [id, facts] of this.seals) {
      const pin = this.settled.get(id) ?? this.mainPin(id)
      seals.set(id, { ...facts, watermark: pin && watermarkAt(pin.metadata, pin.snapshotId) })
    }
    const items = times.intervals.map((interval) => stepItem(node, interval, this.run))
    const found = holdUnsealed(node, items, { nodes: this.own.project.nodes, seals, request: {} })
    for (const { reason, interval, unit, because } of this.held ? found : [])
      if (reason === 'unsealed' && interval && unit)
        this.own.progress.note(`${node.id} ${formatInterval(unit, interval)} is left out: ${because}.`)
    const kept = found.filter((item) => item.reason !== 'unsealed')
    return IntervalSet.of(kept.flatMap((item) => (item.interval ? [item.interval] : [])))
  }
}

/** One step as an item of a plan. */
export function stepItem(node: Node, interval: Interval | null, backfill: RunId): PlanItem {
  const unit = node.shape.kind === 'interval' ? node.shape.unit : null
  return { dataset: node.id, interval, unit, reason: 'backfill', because: backfill, atMost: false }
}

/** Where a backfill stands with one dataset. */
export interface LookedAt {
  readonly dataset: TableId
  readonly node: Node
  readonly branch: Branch | null
  readonly steps: number
  /** Steps that are built and hold still. */
  readonly done: number
  readonly rows: number
}

function gone(id: TableId): LimnError {
  return new LimnError('usage/unknown-dataset', {
    message: `The backfill is of ${id}, which no dataset defines any more.`,
    notDone: 'Nothing was built.',
    remedy: 'Discard it and begin another: limn backfill discard ID',
  })
}
