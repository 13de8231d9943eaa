import { asLimnError, LimnError, type RunId, type TableId } from '../../base/index.ts'
import { IntervalSet } from '../../dataset/index.ts'
import type { Leases } from '../../state/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import { type PipelineContext, withCatalog, writeLeaseOf } from '../context.ts'
import { type DatasetLedger, outcomeOfError } from '../ledger/ledger.ts'
import { commitRecord, type RunRecordRows } from '../ledger/ledger-store.ts'
import { acceptedEntries, requireReadable } from '../plan/accepted.ts'
import { FactBook, type RunRequest } from '../plan/fact-book.ts'
import { isBuild, type Plan, type PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { inputSnapshots, type StagedDataset, type StageInputs } from '../stage/stage.ts'
import { stageModel } from '../stage/stage-model.ts'
import { stageSource } from '../stage/stage-source.ts'
import { type StagedTable, targetOf } from '../stage/staged-table.ts'
import { type Judgement, judge, refusals } from './gate.ts'
import { Lanes, sizeOf } from './lanes.ts'
import { InputPins } from './pins.ts'
import { fenced, movedTooOften, publish } from './publish.ts'
import { rebase } from './rebase.ts'
import { dropRefs, type Recovery, runRow } from './recover.ts'
import type { RunReport } from './report.ts'
import { requestText, workOf } from './retry.ts'
import { stagedCatalog } from './run-catalog.ts'
import { type Carried, recordOf, wholeRun } from './run-record.ts'
import { StagedWorks } from './staged-works.ts'
import { Overtaken, type Takeover } from './takeover.ts'

/** After so many rebases a run takes the write leases of its tables, so that the next attempt is the last. */
const rebasesMax = 3

/** How long a run waits for a direct writer to finish. */
const leaseWaitMs = 60_000

interface ExecutionOptions {
  readonly context: PipelineContext
  readonly leases: Leases
  readonly run: RunId
  readonly startedAtMs: number
  readonly recovery: Recovery
  readonly request: RunRequest
  /** What was staged before and may be taken over. Absent: everything is built. */
  readonly takeover?: Takeover
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
  private readonly pins: InputPins
  private readonly works: StagedWorks
  private book: FactBook | null = null
  private planned: Plan = { items: [] }
  private begun = false
  private beginning: Promise<void> | null = null

  constructor(options: ExecutionOptions) {
    const { context, run } = options
    this.options = options
    this.run = run
    this.registered = context
    this.pins = new InputPins(context, run)
    this.works = new StagedWorks(context, run)
    this.context = withCatalog(context, stagedCatalog(context, run, { settlesItself: true }))
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
      await this.works.flush()
      if (refusals(judgements).length > 0) return await this.endRefused(planned, judgements)
      return await this.publishAll(planned, judgements)
    } catch (error) {
      await this.works.flush().catch(() => undefined)
      if (error instanceof Overtaken) {
        await this.endOvertaken()
        throw error
      }
      const cause = this.isFenced() ? fenced(this.run, error) : asLimnError(this.whyAborted(error))
      await this.endFailed(cause)
      throw this.begun ? ofRun(cause, this.run) : cause
    }
  }

  /** Whether the lease was taken over: whatever failed then failed because of that. */
  private isFenced(): boolean {
    try {
      this.options.leases.assertHeld()
      return false
    } catch {
      return true
    }
  }

  /** Whoever aborted the work said why; what fails because of it says less. */
  private whyAborted(error: unknown): unknown {
    const { aborted, reason } = this.context.signal
    return aborted && reason instanceof LimnError ? reason : error
  }

  /** Main as pinned at the start, or what this run staged. Registered tables are pinned by a ref at first use. */
  async pinOf(id: TableId): Promise<PinnedTable | null> {
    const book = this.requireBook()
    const pin = book.pinOf(id)
    if (pin && pin.snapshotId !== null && !this.staged.get(id)?.table) {
      await this.begin()
      await this.pins.pin(pin)
    }
    return pin
  }

  standingOf(id: TableId): DatasetLedger | undefined {
    return this.requireBook().ledger.get(id)
  }

  keepPart(part: StagedDataset): void {
    this.rememberWork(part, part.items)
  }

  /** `planned`: what it was to build. */
  private rememberWork(staged: StagedDataset, planned: readonly PlanItem[]): void {
    const { id } = staged.node
    const base = this.requireBook().mains.get(id)?.metadata.currentSnapshotId ?? null
    this.works.add(id, JSON.stringify(workOf(staged, planned, base)))
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
    const { startedAtMs, leases, request } = this.options
    await this.context.runs.begin({
      id: this.run,
      host,
      pid,
      startedAtMs,
      leases: leases.held,
      request: requestText(request),
    })
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
    const items = this.options.takeover?.items(node) ?? book.planOf(id)
    // Also where something else is to be built: what is then found equal and kept is still judged by the new checks.
    const judgedBy = book.ledger.get(id)?.checksHash ?? null
    const accepted = acceptedEntries(node, items, book.facts())
    // Rows accepted from an earlier definition never promised what the new checks ask.
    if (judgedBy !== null && judgedBy !== node.checksHash && accepted.length === 0) this.checksChanged.add(id)
    requireReadable(this.context, items, book.mains)
    const builds = items.filter(isBuild)
    const staged = builds.length > 0 ? await this.stageOne(book, node, builds) : null
    if (staged) {
      this.staged.set(id, staged)
      this.rememberWork(staged, builds)
      // What follows earlier intervals of its own is left out where none of those changed.
      this.carriedOut.push(...(node.self ? [...staged.items, ...items.filter((item) => !isBuild(item))] : items))
    } else this.carriedOut.push(...items.filter((item) => item.reason === 'unsealed'))
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
    const taken = await this.options.takeover?.take(book, node, items, target, this)
    if (taken) return taken
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
    const stale = book.leavesStale(node.id) ? await book.staleOf(node) : null
    if (stale?.whole) return
    const kept = book.carriedOf(node, rebuilt.union(stale?.times.minus(rebuilt) ?? IntervalSet.empty))
    if (kept.length === 0) return
    const inputs = await inputSnapshots(this, node, book.pinOf(node.id)?.snapshotId ?? null)
    this.carried.push({ node, outcome: 'carried', intervals: kept.map(({ interval }) => ({ interval, inputs })) })
  }

  private async publishAll(planned: Plan, first: readonly Judgement[]): Promise<RunReport> {
    let judgements = first
    await using held = new AsyncDisposableStack()
    for (let rebases = 0; ; rebases++) {
      const outcome = await publish(this.registered, this.options.leases, {
        run: this.run,
        tables: this.tables(),
        pinned: this.pins.tables,
        ...(this.options.takeover?.drops ? { drops: this.options.takeover.drops() } : {}),
        backfill: this.options.takeover?.backfill,
        record: this.record(judgements),
      })
      if (outcome.kind === 'published') {
        await this.notePublished()
        return this.report('published', planned, judgements, rebases)
      }
      if (rebases > rebasesMax) throw movedTooOften(outcome.table, rebases + 1)
      if (rebases === rebasesMax) await this.holdTables(held)
      this.context.progress.note(`${outcome.table} was changed meanwhile: rebasing.`)
      const rebased = await rebase(
        this.context,
        this.registered,
        this,
        this.requireBook(),
        this.staged,
        this.options.takeover?.mayRebuild ?? true,
      )
      const kept = judgements.filter(
        (one) => one.scope === 'interval' && !rebased.rebuilt.has(one.dataset) && !this.checksChanged.has(one.dataset),
      )
      judgements = await judge(this.context, this, this.requireBook(), this.staged, this.checksChanged, kept)
      if (refusals(judgements).length > 0) return await this.endRefused(planned, judgements)
    }
  }

  /** What is published stays so when the state database cannot be told of it: a later run settles it by the ledger. */
  private async notePublished(): Promise<void> {
    try {
      await this.context.runs.end(this.run, 'published', {
        endedAtMs: this.context.clock.nowMs(),
        message: '',
        recorded: true,
      })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      this.context.progress.note(`Run ${this.run} is published; the state database could not be told: ${message}`)
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

  private record(judgements: readonly Judgement[], refused: string | null = null): RunRecordRows {
    return recordOf(this.context, {
      run: this.run,
      startedAtMs: this.options.startedAtMs,
      book: this.requireBook(),
      planned: this.planned,
      staged: this.stagedInOrder(),
      carried: this.carried,
      checksChanged: this.checksChanged,
      judgements,
      refused,
    })
  }

  private async endIdle(planned: Plan): Promise<RunReport> {
    await this.pins.release()
    if (this.begun)
      await this.context.runs.end(this.run, 'idle', {
        endedAtMs: this.context.clock.nowMs(),
        message: '',
        recorded: true,
      })
    return { ...this.report('idle', planned, [], 0), run: null }
  }

  /** Leaves no trace of a takeover that others have overtaken: whoever began it tries again. */
  private async endOvertaken(): Promise<void> {
    await this.pins.release()
    if (!this.begun) return
    const { left } = await dropRefs(this.registered, this.run, () => true)
    // What could not be dropped now is noted as long as the run is, and swept with it.
    await this.context.runs.end(this.run, left.length === 0 ? 'idle' : 'cancelled', {
      endedAtMs: this.context.clock.nowMs(),
      message: '',
      recorded: true,
    })
  }

  private async endRefused(planned: Plan, judgements: readonly Judgement[]): Promise<RunReport> {
    const message = refusals(judgements)
      .map((one) => `${one.dataset}: ${one.check}: ${one.explanation}`)
      .join(' · ')
    await this.pins.release()
    const known = await commitRecord(this.registered, this.record(judgements, message))
    if (known !== null) throw fenced(this.run)
    await this.context.runs.end(this.run, 'refused', { endedAtMs: this.context.clock.nowMs(), message, recorded: true })
    return this.report('refused', planned, judgements, 0)
  }

  /** Remembers a failure as well as the failure itself lets us; what cannot be written now, a later run records. */
  private async endFailed(error: unknown): Promise<void> {
    if (!this.begun || (error instanceof LimnError && error.kind === 'run/fenced')) return
    const message = error instanceof Error ? error.message : String(error)
    const outcome = outcomeOfError(error)
    const context = { ...this.registered, signal: new AbortController().signal }
    try {
      await this.context.runs.end(this.run, outcome, {
        endedAtMs: this.context.clock.nowMs(),
        message,
        recorded: false,
      })
      await this.pins.release()
      await commitRecord(context, {
        run: this.run,
        rows: [
          runRow(
            context,
            wholeRun(context, { run: this.run, startedAtMs: this.options.startedAtMs }, message),
            outcome,
            this.context.clock.nowMs(),
          ),
        ],
        verdicts: [],
        judgedAtMs: this.context.clock.nowMs(),
      })
      await this.context.runs.markRecorded([this.run])
    } catch {
      this.context.progress.note(`The failure of run ${this.run} could not be recorded; the next run will.`)
    }
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
        takenFrom: staged.takenFrom ?? null,
      })),
      judgements,
      recovery: this.options.recovery,
      rebases,
      seconds: (this.context.clock.nowMs() - this.options.startedAtMs) / 1000,
    }
  }
}

/** An error that says which run it ended, so that whoever shows it can show what was staged. */
function ofRun(error: unknown, run: RunId): unknown {
  if (!(error instanceof LimnError)) return error
  const { kind, message, notDone, remedy, location, context, retryable, cause } = error
  return new LimnError(kind, {
    message,
    ...(notDone === undefined ? {} : { notDone }),
    ...(remedy === undefined ? {} : { remedy }),
    ...(location === undefined ? {} : { location }),
    context: { ...context, run },
    retryable,
    cause: cause ?? error,
  })
}
