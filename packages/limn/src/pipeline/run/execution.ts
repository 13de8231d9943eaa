import { LimnError, type RunId, type TableId } from '../../base/index.ts'
import { IntervalSet } from '../../dataset/index.ts'
import type { Lease } from '../../state/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import { type PipelineContext, withCatalog, writeLeaseOf } from '../context.ts'
import type { LedgerRow } from '../ledger/ledger.ts'
import { commitRecord, type RunRecordRows } from '../ledger/ledger-store.ts'
import { acceptedEntries } from '../plan/accepted.ts'
import { FactBook, leavesStale, type RunRequest } from '../plan/fact-book.ts'
import { isBuild, type Plan, type PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import {
  inputSnapshots,
  type RangeResult,
  type ScanReport,
  type StagedDataset,
  type StageInputs,
} from '../stage/stage.ts'
import { stageModel } from '../stage/stage-model.ts'
import { stageSource } from '../stage/stage-source.ts'
import { pinRefName, type StagedTable, targetOf } from '../stage/staged-table.ts'
import { type Judgement, judge, refusals } from './gate.ts'
import { Lanes, sizeOf } from './lanes.ts'
import { fenced, movedTooOften, publish } from './publish.ts'
import { rebase } from './rebase.ts'
import { type Recovery, runRow } from './recover.ts'
import { stagedCatalog } from './run-catalog.ts'

/** After so many rebases a run takes the write leases of its tables, so that the next attempt is the last. */
const rebasesMax = 3

/** How long a run waits for a direct writer to finish. */
const leaseWaitMs = 60_000

/** One dataset's part in a run. */
export interface DatasetReport {
  readonly dataset: TableId
  readonly ranges: readonly RangeResult[]
  /** The staged snapshot, or null when nothing was written. */
  readonly snapshotId: bigint | null
  readonly scans: readonly ScanReport[]
}

export interface RunReport {
  /** Null when the run had nothing to do. */
  readonly run: RunId | null
  readonly outcome: 'published' | 'refused' | 'idle'
  /** The plan before anything was staged, and as it was carried out. */
  readonly planned: Plan
  readonly carriedOut: Plan
  readonly datasets: readonly DatasetReport[]
  readonly judgements: readonly Judgement[]
  readonly recovery: Recovery
  readonly rebases: number
  readonly seconds: number
}

interface ExecutionOptions {
  readonly context: PipelineContext
  readonly lease: Lease
  readonly run: RunId
  readonly startedAtMs: number
  readonly recovery: Recovery
  readonly request: RunRequest
}

/** What the ledger will say of intervals left as they are: their inputs moved without touching them, or on purpose. */
interface Carried {
  readonly node: Node
  readonly outcome: 'carried' | 'accepted'
  readonly intervals: readonly Pick<LedgerRow, 'interval' | 'inputs'>[]
}

/** The state of one run while it goes on. */
export class Execution implements StageInputs {
  readonly run: RunId
  private readonly options: ExecutionOptions
  /** Registered tables only: what publishes. */
  private readonly registered: PipelineContext
  /** This run's unregistered tables over the registered ones: what stages. */
  private readonly context: PipelineContext
  private readonly staged = new Map<TableId, StagedDataset>()
  private readonly carried: Carried[] = []
  private readonly checksChanged = new Set<TableId>()
  private readonly carriedOut: PlanItem[] = []
  private readonly pinned = new Set<TableId>()
  private book: FactBook | null = null
  private planned: Plan = { items: [] }
  private begun = false
  private beginning: Promise<void> | null = null

  constructor(options: ExecutionOptions) {
    const { context, run } = options
    this.options = options
    this.run = run
    this.registered = context
    this.context = withCatalog(context, stagedCatalog(context, run))
  }

  async execute(): Promise<RunReport> {
    try {
      const book = await FactBook.open(this.context, this.options.request)
      this.book = book
      const planned = book.plan()
      this.planned = planned
      await this.stageAll(book)
      if (this.staged.size === 0 && this.checksChanged.size === 0 && this.carried.length === 0)
        return await this.endIdle(planned)
      await this.begin()
      const judgements = await judge(this.context, this, this.requireBook(), this.staged, this.checksChanged)
      if (refusals(judgements).length > 0) return await this.endRefused(planned, judgements)
      return await this.publishAll(planned, judgements)
    } catch (error) {
      const cause = this.isFenced() ? fenced(this.run, error) : error
      await this.endFailed(cause)
      throw cause
    }
  }

  /** Whether the lease was taken over: whatever failed then failed because of that. */
  private isFenced(): boolean {
    try {
      this.options.lease.assertHeld()
      return false
    } catch {
      return true
    }
  }

  /** Main as pinned at the start, or what this run staged. Registered tables are pinned by a ref at first use. */
  async pinOf(id: TableId): Promise<PinnedTable | null> {
    const book = this.requireBook()
    const pin = book.pinOf(id)
    if (pin && pin.snapshotId !== null && !this.staged.get(id)?.table && !this.pinned.has(id)) {
      await this.begin()
      this.pinned.add(id)
      const ref = pinRefName(this.run)
      await this.context.runs.noteRef(this.run, id, ref, pin.snapshotId)
      await this.registered.catalog.commit(
        [
          {
            table: id,
            requirements: [],
            updates: [
              {
                action: 'set-snapshot-ref',
                ref,
                to: { type: 'tag', snapshotId: pin.snapshotId, maxRefAgeMs: pinAgeMaxMs },
              },
            ],
          },
        ],
        { timestampMs: this.context.clock.nowMs(), signal: this.context.signal },
      )
    }
    return pin
  }

  private rank(id: TableId): number {
    return this.context.project.order.indexOf(id)
  }

  private requireBook(): FactBook {
    if (!this.book) throw new LimnError('internal', { message: 'A run reads before it has opened its facts.' })
    return this.book
  }

  private begin(): Promise<void> {
    this.beginning ??= this.recordBegin()
    return this.beginning
  }

  private async recordBegin(): Promise<void> {
    this.begun = true
    const { host, pid } = this.context
    await this.context.runs.begin({ id: this.run, host, pid, startedAtMs: this.options.startedAtMs })
  }

  /**
   * Stages every selected dataset as soon as its inputs are, a few at a time. When one fails no other begins, those at
   * work are awaited, and the first failure in graph order is thrown.
   */
  private async stageAll(book: FactBook): Promise<void> {
    const lanes = new Lanes()
    const work = new Map<TableId, Promise<void>>()
    let failed = false
    for (const id of this.context.project.order) {
      const node = this.context.project.nodes.get(id)
      if (!node || !this.options.request.selected.has(id)) continue
      const inputs = [...node.edges.keys()].flatMap((input) => work.get(input) ?? [])
      const one = Promise.allSettled(inputs).then(() =>
        lanes.run(
          sizeOf(
            node,
            [...node.edges.keys()].map((input) => book.pinOf(input)),
          ),
          async () => {
            if (failed) return
            try {
              await this.stageDataset(book, node)
            } catch (error) {
              failed = true
              throw error
            }
          },
        ),
      )
      work.set(id, one)
    }
    const ended = await Promise.allSettled(work.values())
    for (const one of ended) if (one.status === 'rejected') throw one.reason
  }

  private async stageDataset(book: FactBook, node: Node): Promise<void> {
    this.context.signal.throwIfAborted()
    const { id } = node
    await book.gather(node)
    const items = book.planOf(id)
    // Also where something else is to be built: what is then found equal and kept is still judged by the new checks.
    const judgedBy = book.ledger.get(id)?.checksHash ?? null
    const accepted = acceptedEntries(node, items, book.ledger.get(id)?.built ?? [])
    // Rows accepted from an earlier definition never promised what the new checks ask.
    if (judgedBy !== null && judgedBy !== node.checksHash && accepted.length === 0) this.checksChanged.add(id)
    const builds = items.filter(isBuild)
    const staged = builds.length > 0 ? await this.stageOne(book, node, builds) : null
    if (staged) {
      this.staged.set(id, staged)
      this.carriedOut.push(...items)
    }
    if (accepted.length > 0) this.carried.push({ node, outcome: 'accepted', intervals: accepted })
    book.settle(id, staged?.table?.pin ?? null)
    await this.noteCarried(book, node, staged)
  }

  /** What was staged, in graph order. */
  private stagedInOrder(): readonly StagedDataset[] {
    return this.context.project.order.flatMap((id) => this.staged.get(id) ?? [])
  }

  private async stageOne(book: FactBook, node: Node, items: readonly PlanItem[]): Promise<StagedDataset | null> {
    await this.begin()
    const base = book.mains.get(node.id) ?? null
    const target = targetOf(this.context, node.contract, base)
    if (node.producer.kind === 'model') return stageModel(this.context, this, node, items, target, null)
    return stageSource(this.context, this, node, items, target, {
      ledger: book.ledger.get(node.id),
      probe: book.probes.get(node.id),
    })
  }

  private async noteCarried(book: FactBook, node: Node, staged: StagedDataset | null): Promise<void> {
    if (node.producer.kind === 'source') return
    const rebuilt = IntervalSet.of(staged?.items.flatMap((item) => (item.interval ? [item.interval] : [])) ?? [])
    if (staged && node.shape.kind !== 'interval') return
    const stale = leavesStale(this.options.request) ? await book.staleOf(node) : null
    if (stale?.whole) return
    const kept = book.carriedOf(node, rebuilt.union(stale?.times.minus(rebuilt) ?? IntervalSet.empty))
    if (kept.length === 0) return
    const inputs = await inputSnapshots(this, node)
    this.carried.push({ node, outcome: 'carried', intervals: kept.map(({ interval }) => ({ interval, inputs })) })
  }

  private async publishAll(planned: Plan, first: readonly Judgement[]): Promise<RunReport> {
    let judgements = first
    await using held = new AsyncDisposableStack()
    for (let rebases = 0; ; rebases++) {
      const outcome = await publish(this.registered, this.options.lease, {
        run: this.run,
        tables: this.tables(),
        pinned: [...this.pinned],
        record: this.record(judgements),
      })
      if (outcome.kind === 'published') {
        await this.context.runs.end(this.run, 'published', {
          endedAtMs: this.context.clock.nowMs(),
          message: '',
          recorded: true,
        })
        return this.report('published', planned, judgements, rebases)
      }
      if (rebases > rebasesMax) throw movedTooOften(outcome.table, rebases + 1)
      if (rebases === rebasesMax) await this.holdTables(held)
      this.context.progress.note(`${outcome.table} was changed meanwhile: rebasing.`)
      const rebased = await rebase(this.context, this.registered, this, this.requireBook(), this.staged)
      const kept = judgements.filter((one) => one.scope === 'interval' && !rebased.rebuilt.has(one.dataset))
      judgements = await judge(this.context, this, this.requireBook(), this.staged, this.checksChanged, kept)
      if (refusals(judgements).length > 0) return this.endRefused(planned, judgements)
    }
  }

  /** Takes the write lease of every table to publish, in order of names, waiting for writers at work. */
  private async holdTables(held: AsyncDisposableStack): Promise<void> {
    const { state, signal, pid, host, progress } = this.context
    progress.note('Others keep writing these tables: taking their write leases.')
    for (const id of this.tables()
      .map((table) => table.target.id)
      .sort()) {
      const lease = await state.acquire(writeLeaseOf(id), `limn run (process ${pid} on ${host})`, {
        waitMs: leaseWaitMs,
        signal,
      })
      held.defer(() => lease.release())
    }
  }

  /** Tables to publish, in graph order, quarantines beside their datasets. */
  private tables(): readonly StagedTable[] {
    return this.context.project.order.flatMap((id) => {
      const staged = this.staged.get(id)
      return [staged?.table, staged?.quarantine].filter(
        (table): table is StagedTable => table !== null && table !== undefined,
      )
    })
  }

  private record(judgements: readonly Judgement[], refused?: string): RunRecordRows {
    const judgedAtMs = this.context.clock.nowMs()
    const rows: Omit<LedgerRow, 'seq'>[] = []
    const common = {
      run: this.run,
      judgedAtMs,
      version: this.context.version,
      host: this.context.host,
      message: refused ?? '',
    }
    for (const staged of this.stagedInOrder()) {
      const { node, table } = staged
      for (const range of staged.ranges) {
        rows.push({
          ...common,
          planned: this.plannedOf(node.id),
          dataset: node.id,
          outcome: refused === undefined ? range.outcome : 'refused',
          reason: `${range.reason}: ${range.because}`,
          interval: range.interval,
          fingerprint: node.fingerprint,
          checksHash: node.checksHash,
          deliveries: range.deliveries,
          inputs: staged.inputs,
          baseSnapshot:
            (table?.target.base ?? this.requireBook().mains.get(node.id))?.metadata.currentSnapshotId ?? null,
          outputSnapshot: table?.snapshotId ?? this.requireBook().pinOf(node.id)?.snapshotId ?? null,
          rows: range.rows,
          files: range.files,
          bytes: range.bytes,
          quarantined: range.quarantined,
          startedAtMs: range.startedAtMs,
          seconds: range.seconds,
        })
      }
    }
    if (refused === undefined) rows.push(...this.recordCarried(common), ...this.recordChecked(common))
    if (rows.length === 0) rows.push(runRow(this.context, this.runRecord(refused ?? ''), 'refused', judgedAtMs))
    return { run: this.run, rows, verdicts: judgements, judgedAtMs }
  }

  private recordCarried(
    common: Pick<LedgerRow, 'run' | 'judgedAtMs' | 'version' | 'host' | 'message'>,
  ): Omit<LedgerRow, 'seq'>[] {
    return this.carried.flatMap(({ node, outcome, intervals }) =>
      intervals.map(({ interval, inputs }) => ({
        ...runRow(this.context, this.runRecord(''), outcome, common.judgedAtMs),
        ...common,
        dataset: node.id,
        reason:
          outcome === 'carried'
            ? 'input-changed: no row of it touches these'
            : 'accepted: left as an earlier definition built it',
        interval,
        fingerprint: node.fingerprint,
        checksHash: node.checksHash,
        inputs,
        outputSnapshot: this.requireBook().pinOf(node.id)?.snapshotId ?? null,
        seconds: 0,
      })),
    )
  }

  private recordChecked(
    common: Pick<LedgerRow, 'run' | 'judgedAtMs' | 'version' | 'host' | 'message'>,
  ): Omit<LedgerRow, 'seq'>[] {
    return [...this.checksChanged].flatMap((id) => {
      const node = this.context.project.nodes.get(id)
      if (!node || this.staged.has(id)) return []
      return [
        {
          ...runRow(this.context, this.runRecord(''), 'checked', common.judgedAtMs),
          ...common,
          dataset: id,
          reason: 'checks-changed: its checks',
          fingerprint: node.fingerprint,
          checksHash: node.checksHash,
          outputSnapshot: this.requireBook().pinOf(id)?.snapshotId ?? null,
          seconds: 0,
        },
      ]
    })
  }

  /** What the plan said of a dataset before anything was staged: the ledger keeps it beside what was done. */
  private plannedOf(id: TableId): string {
    const items = this.planned.items.filter((item) => item.dataset === id)
    return JSON.stringify(items.map(({ interval, reason, because, atMost }) => ({ interval, reason, because, atMost })))
  }

  private runRecord(message: string) {
    return { id: this.run, startedAtMs: this.options.startedAtMs, host: this.context.host, message }
  }

  private async endIdle(planned: Plan): Promise<RunReport> {
    await this.unpin()
    if (this.begun)
      await this.context.runs.end(this.run, 'idle', {
        endedAtMs: this.context.clock.nowMs(),
        message: '',
        recorded: true,
      })
    return { ...this.report('idle', planned, [], 0), run: null }
  }

  private async endRefused(planned: Plan, judgements: readonly Judgement[]): Promise<RunReport> {
    const message = refusals(judgements)
      .map((one) => `${one.dataset}: ${one.check}: ${one.explanation}`)
      .join(' · ')
    await this.unpin()
    await commitRecord(this.registered, this.record(judgements, message))
    await this.context.runs.end(this.run, 'refused', { endedAtMs: this.context.clock.nowMs(), message, recorded: true })
    return this.report('refused', planned, judgements, 0)
  }

  /** Remembers a failure as well as the failure itself lets us; what cannot be written now, a later run records. */
  private async endFailed(error: unknown): Promise<void> {
    if (!this.begun || (error instanceof LimnError && error.kind === 'run/fenced')) return
    const message = error instanceof Error ? error.message : String(error)
    const context = { ...this.registered, signal: new AbortController().signal }
    try {
      await this.context.runs.end(this.run, 'failed', {
        endedAtMs: this.context.clock.nowMs(),
        message,
        recorded: false,
      })
      await this.unpin()
      await commitRecord(context, {
        run: this.run,
        rows: [runRow(context, this.runRecord(message), 'failed', this.context.clock.nowMs())],
        verdicts: [],
        judgedAtMs: this.context.clock.nowMs(),
      })
      await this.context.runs.markRecorded([this.run])
    } catch {
      this.context.progress.note(`The failure of run ${this.run} could not be recorded; the next run will.`)
    }
  }

  private async unpin(): Promise<void> {
    const ref = pinRefName(this.run)
    for (const id of this.pinned) {
      await this.registered.catalog.commit(
        [{ table: id, requirements: [], updates: [{ action: 'remove-snapshot-ref', ref }] }],
        {
          timestampMs: this.context.clock.nowMs(),
        },
      )
    }
    this.pinned.clear()
  }

  private report(
    outcome: RunReport['outcome'],
    planned: Plan,
    judgements: readonly Judgement[],
    rebases: number,
  ): RunReport {
    return {
      run: this.run,
      outcome,
      planned,
      carriedOut: { items: this.carriedOut.toSorted((a, b) => this.rank(a.dataset) - this.rank(b.dataset)) },
      datasets: this.stagedInOrder().map((staged) => ({
        dataset: staged.node.id,
        ranges: staged.ranges,
        snapshotId: staged.table?.snapshotId ?? null,
        scans: staged.scans,
      })),
      judgements,
      recovery: this.options.recovery,
      rebases,
      seconds: (this.context.clock.nowMs() - this.options.startedAtMs) / 1000,
    }
  }
}

/** A pin outlives its run by at most this, should nobody find the run dead. */
const pinAgeMaxMs = 24 * 3_600_000
