import { counted, LimnError, newRunId, type RunId, type TableId } from '../../base/index.ts'
import type { EnvironmentName } from '../../catalog/index.ts'
import type { Lease } from '../../state/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import { type PipelineContext, withCatalog } from '../context.ts'
import { ledgerTable, outcomeOfError } from '../ledger/ledger.ts'
import { readLedger } from '../ledger/ledger-read.ts'
import { commitRecord, type RunRecordRows } from '../ledger/ledger-store.ts'
import { standingOf as standingIn } from '../ledger/standing.ts'
import { FactBook } from '../plan/fact-book.ts'
import { renameDatasets } from '../rename/rename.ts'
import { type Judgement, judge, refusals } from '../run/gate.ts'
import { movedTooOften, publish } from '../run/publish.ts'
import { recover, runRow } from '../run/recover.ts'
import { waitingFor } from '../run/run.ts'
import { stagedCatalog } from '../run/run-catalog.ts'
import type { StagedDataset } from '../stage/stage.ts'
import type { StagedTable } from '../stage/staged-table.ts'
import { type ChangedTable, changedTables, obstacleTo } from './changes.ts'
import { type EnvironmentRow, promotedRows, requireCurrentCode, rowsSince } from './promote-rows.ts'
import { stageChange } from './promote-stage.ts'

export interface PromotedTable {
  readonly table: TableId
  readonly snapshotId: bigint
  /** The environment's snapshot whose rows these are. */
  readonly from: bigint | null
  readonly added: number
  readonly removed: number
  /** Applied onto a state of production that the environment did not know. */
  readonly rebased: boolean
}

export interface PromoteReport {
  readonly environment: EnvironmentName
  readonly outcome: 'published' | 'refused' | 'idle'
  readonly run: RunId | null
  readonly tables: readonly PromotedTable[]
  /** Datasets whose standing alone is taken over: what was built there equals what is published. */
  readonly standing: readonly TableId[]
  readonly judgements: readonly Judgement[]
}

const attemptsMax = 4

/**
 * Publishes what an environment changed in production: one run, one catalog commit, with the ledger rows of what was built
 * there. Checks judge it again on production's tables. Nothing is built: where production has moved within what the
 * environment changed, or where the definitions are others than those it was built by, nothing is published. Tables taken
 * away in the environment stay. Throws `environment/conflict`, `environment/stale`, and as `run` does.
 */
export async function promote(
  production: PipelineContext,
  there: PipelineContext,
  environment: EnvironmentName,
  options: {
    readonly waitMs?: number
    readonly dryRun?: boolean
    /** Throws when the environment may have changed since it was looked at. Asked right before publishing. */
    readonly requireHeld?: () => void
  } = {},
): Promise<PromoteReport> {
  const startedAtMs = production.clock.nowMs()
  const holder = `limn env promote (process ${production.pid} on ${production.host})`
  const lease = await production.state.acquire('run', holder, {
    waitMs: options.waitMs ?? 0,
    signal: production.signal,
    onWait: (holders) => production.progress.note(waitingFor(holders)),
  })
  try {
    if (options.dryRun) return await rehearse(production, there, environment)
    await recover(production)
    await renameDatasets(production)
    const run = newRunId(startedAtMs, Buffer.from(production.randomness.bytes(3)).readUIntBE(0, 3))
    const promotion = new Promotion(production, there, environment, lease, run, startedAtMs)
    return await promotion.execute(options.requireHeld ?? (() => undefined))
  } finally {
    await lease.release()
  }
}

async function rehearse(
  production: PipelineContext,
  there: PipelineContext,
  environment: EnvironmentName,
): Promise<PromoteReport> {
  const { tables, rows } = await promotable(production, there, environment)
  const idle = { environment, outcome: 'idle', run: null, judgements: [], standing: standingOf(tables, rows) } as const
  return { ...idle, tables: tables.map((one) => promotedOf(one, null)) }
}

interface Promotable {
  readonly tables: readonly ChangedTable[]
  readonly rows: readonly EnvironmentRow[]
  /** The last row of production's ledger before this was found. */
  readonly lastSeq: number
}

/** What is to be published, once it is certain that all of it can be. */
async function promotable(
  production: PipelineContext,
  there: PipelineContext,
  environment: EnvironmentName,
): Promise<Promotable> {
  // Before what it speaks of is looked at: rows published after are taken for news.
  const own = (await production.catalog.loadTables([ledgerTable], { signal: production.signal })).get(ledgerTable)
  const { lastSeq } = await standingIn(production, own ?? null)
  const all = await changedTables(production, there, environment)
  const ledger = (await there.catalog.loadTables([ledgerTable], { signal: there.signal })).get(ledgerTable) ?? null
  const rows = rowsSince(ledger, await readLedger(there, ledger))
  requireCurrentCode(production, environment, rows)
  for (const one of all) {
    const obstacle = await obstacleTo(production, there, environment, one)
    if (!obstacle) continue
    throw new LimnError('environment/conflict', {
      message: `${environment} cannot be promoted: ${obstacle.why}.`,
      notDone: 'Nothing was published.',
      remedy: obstacle.remedy,
      context: { table: one.table },
    })
  }
  const tables = all.filter((one) => one.change.kind === 'changed' || one.change.kind === 'new')
  return { tables: tables.filter((one) => one.there?.metadata.currentSnapshotId !== null), rows, lastSeq }
}

function standingOf(tables: readonly ChangedTable[], rows: readonly EnvironmentRow[]): readonly TableId[] {
  const written = new Set<string>(tables.map((one) => one.table))
  return [...new Set(rows.map((row) => row.dataset as TableId))].filter((id) => !written.has(id)).sort()
}

function promotedOf(one: ChangedTable, staged: StagedTable | null): PromotedTable {
  return {
    table: one.table,
    snapshotId: staged?.snapshotId ?? 0n,
    from: one.there?.metadata.currentSnapshotId ?? null,
    added: staged?.added.length ?? 0,
    removed: staged?.removed.length ?? 0,
    rebased: one.origin !== null && one.productionMoved,
  }
}

/** One promotion while it goes on: a run of production that stages what was built elsewhere. */
class Promotion {
  private readonly registered: PipelineContext
  private readonly context: PipelineContext
  private readonly there: PipelineContext
  private readonly environment: EnvironmentName
  private readonly lease: Lease
  private readonly run: RunId
  private readonly startedAtMs: number
  private readonly staged = new Map<TableId, StagedTable>()
  private tables: readonly ChangedTable[] = []
  private rows: readonly EnvironmentRow[] = []
  private lastSeq = 0

  constructor(
    production: PipelineContext,
    there: PipelineContext,
    environment: EnvironmentName,
    lease: Lease,
    run: RunId,
    startedAtMs: number,
  ) {
    this.registered = production
    this.context = withCatalog(production, stagedCatalog(production, run))
    this.there = there
    this.environment = environment
    this.lease = lease
    this.run = run
    this.startedAtMs = startedAtMs
  }

  async execute(requireHeld: () => void): Promise<PromoteReport> {
    await this.gather()
    if (this.tables.length === 0 && this.rows.length === 0) return this.report('idle', [])
    const { host, pid } = this.registered
    await this.registered.runs.begin({
      id: this.run,
      host,
      pid,
      startedAtMs: this.startedAtMs,
      leases: this.lease.held,
      request: null,
    })
    try {
      for (let attempt = 1; ; attempt++) {
        await this.stage()
        const judgements = await this.judge()
        if (refusals(judgements).length > 0) return await this.refuse(judgements)
        requireHeld()
        const outcome = await publish(this.registered, this.lease, {
          run: this.run,
          tables: [...this.staged.values()],
          pinned: [],
          record: await this.record(judgements, ''),
        })
        if (outcome.kind === 'published') {
          await this.end('published', '', true)
          return this.report('published', judgements)
        }
        if (attempt >= attemptsMax) throw movedTooOften(outcome.table, attempt)
        this.registered.progress.note(`${outcome.table} was changed meanwhile: looking again.`)
        await this.gather()
      }
    } catch (error) {
      if (!(error instanceof LimnError && error.kind === 'run/fenced'))
        await this.end(outcomeOfError(error), error instanceof Error ? error.message : String(error), false)
      throw error
    }
  }

  private async gather(): Promise<void> {
    const { tables, rows, lastSeq } = await promotable(this.registered, this.there, this.environment)
    this.tables = tables
    this.rows = rows
    this.lastSeq = lastSeq
  }

  private async stage(): Promise<void> {
    for (const one of this.tables) {
      const before = this.staged.get(one.table) ?? null
      const task = this.registered.progress.begin(one.table)
      const staged = await stageChange(this.context, this.there, this.run, one, before)
      this.staged.set(one.table, staged)
      task.end(`${counted(staged.added.length, 'file comes', 'files come')}, ${staged.removed.length} go`)
    }
  }

  /** All checks of what is published anew, on production's tables as they would be. */
  private async judge(): Promise<readonly Judgement[]> {
    const request = { selected: new Set<TableId>(), full: false, range: null }
    const book = await FactBook.open(this.context, request)
    const datasets = new Map<TableId, StagedDataset>()
    for (const [id, table] of this.staged) {
      const node = this.context.project.nodes.get(id)
      if (!node) continue
      book.settle(id, table.pin)
      const own = { node, items: [], table, quarantine: null, ranges: [], inputs: {}, scans: [] }
      datasets.set(id, own)
    }
    const pinOf = async (id: TableId): Promise<PinnedTable | null> => book.pinOf(id)
    return judge(this.context, { run: this.run, pinOf }, book, datasets, new Set())
  }

  private async record(judgements: readonly Judgement[], refused: string): Promise<RunRecordRows> {
    const judgedAtMs = this.registered.clock.nowMs()
    const { host, version } = this.registered
    const rows = await promotedRows(this.registered, this.environment, this.rows, this.tables, this.staged, {
      run: this.run,
      judgedAtMs,
      host,
      version,
      refused,
    })
    // Tables of no dataset have no standing, and get none: their row only says what was done.
    const told = new Set(rows.map((row) => row.dataset))
    const free = this.tables.filter((one) => !told.has(one.table))
    const message = refused || `promoted from ${this.environment}`
    const own = { id: this.run, startedAtMs: this.startedAtMs, host, message }
    const more = free.map((one) => ({
      ...runRow(this.registered, own, refused === '' ? 'checked' : 'refused', judgedAtMs),
      dataset: one.table,
    }))
    return { run: this.run, verdicts: judgements, judgedAtMs, rows: [...rows, ...more], basedOn: this.lastSeq }
  }

  private async refuse(judgements: readonly Judgement[]): Promise<PromoteReport> {
    const message = refusals(judgements)
      .map((one) => `${one.dataset}: ${one.check}: ${one.explanation}`)
      .join(' · ')
    await commitRecord(this.registered, await this.record(judgements, message))
    await this.end('refused', message, true)
    return this.report('refused', judgements)
  }

  private end(
    phase: 'published' | 'refused' | 'failed' | 'cancelled',
    message: string,
    recorded: boolean,
  ): Promise<void> {
    return this.registered.runs.end(this.run, phase, {
      endedAtMs: this.registered.clock.nowMs(),
      message,
      recorded,
    })
  }

  private report(outcome: PromoteReport['outcome'], judgements: readonly Judgement[]): PromoteReport {
    return {
      environment: this.environment,
      outcome,
      run: outcome === 'idle' ? null : this.run,
      tables: this.tables.map((one) => promotedOf(one, this.staged.get(one.table) ?? null)),
      standing: standingOf(this.tables, this.rows),
      judgements,
    }
  }
}
