import { LimnError, newRunId, type RunId, type TableId } from '../../base/index.ts'
import { type LoadedTable, schemaById, specById } from '../../iceberg/index.ts'
import type { Lease } from '../../state/index.ts'
import { type PinnedTable, pinSnapshot } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { editPrefix, type LedgerRow, outcomeOfError } from '../ledger/ledger.ts'
import { commitRecord, type RunRecordRows } from '../ledger/ledger-store.ts'
import { FactBook } from '../plan/fact-book.ts'
import { type Judgement, judge, refusals } from '../run/gate.ts'
import { movedTooOften, publish } from '../run/publish.ts'
import { recover, runRow } from '../run/recover.ts'
import { datasetLease } from '../run/run.ts'
import { runBranch, type StagedTable } from '../stage/staged-table.ts'

/** A change of a dataset's table by hand: who makes it, why, and by what words. */
export interface EditRequest {
  readonly table: TableId
  readonly by: string
  readonly reason: string
  readonly statement: string
}

/** What the change came to on the branch it was made on. */
export interface EditMade {
  /** Null: no row was concerned. */
  readonly snapshotId: bigint | null
  /** Inserted, updated and deleted. */
  readonly changedRows: number
}

export interface EditReport<T> {
  readonly outcome: 'published' | 'refused' | 'idle'
  readonly run: RunId
  readonly judgements: readonly Judgement[]
  readonly result: T
}

/**
 * Changes rows of a dataset's table past its definition, as a run of its own: on a branch, judged by every check of the
 * dataset and of those that check against it, published in one commit with the ledger row that says who did it, why and by
 * which statement. Refused, nothing is published and the branch can be looked at. The dataset's standing stays: what
 * rebuilds the rows later takes the change back. Throws as `run` does.
 */
export async function editDataset<T extends EditMade>(
  context: PipelineContext,
  request: EditRequest,
  change: (branch: string) => Promise<T>,
): Promise<EditReport<T>> {
  const { clock, randomness, state, signal, host, pid } = context
  const startedAtMs = clock.nowMs()
  const holder = `limn sql --break-glass (process ${pid} on ${host})`
  const lease = await state.acquire(datasetLease('run', request.table), holder, { waitMs: 0, signal })
  try {
    await recover(context)
    const run = newRunId(startedAtMs, Buffer.from(randomness.bytes(3)).readUIntBE(0, 3))
    return await new Edit(context, request, lease, run, startedAtMs).execute(change)
  } finally {
    await lease.release()
  }
}

class Edit {
  private readonly context: PipelineContext
  private readonly request: EditRequest
  private readonly lease: Lease
  private readonly run: RunId
  private readonly startedAtMs: number

  constructor(context: PipelineContext, request: EditRequest, lease: Lease, run: RunId, startedAtMs: number) {
    this.context = context
    this.request = request
    this.lease = lease
    this.run = run
    this.startedAtMs = startedAtMs
  }

  async execute<T extends EditMade>(change: (branch: string) => Promise<T>): Promise<EditReport<T>> {
    const { context, run } = this
    const { host, pid } = context
    await context.runs.begin({
      id: run,
      host,
      pid,
      startedAtMs: this.startedAtMs,
      leases: this.lease.held,
      request: null,
    })
    try {
      const base = await this.branchOff()
      const result = await change(runBranch(run))
      if (result.snapshotId === null) {
        await this.dropBranch()
        await this.end('idle', '', true)
        return { outcome: 'idle', run, judgements: [], result }
      }
      const staged = await this.stagedOn(base)
      const judgements = await this.judge(staged)
      const refused = refusals(judgements)
      const message = refused.map((one) => `${one.dataset}: ${one.check}: ${one.explanation}`).join(' · ')
      const record = this.record(staged, result.changedRows, judgements, message)
      if (refused.length > 0) {
        await commitRecord(context, record)
        await this.end('refused', message, true)
        return { outcome: 'refused', run, judgements, result }
      }
      const outcome = await publish(context, this.lease, { run, tables: [staged], pinned: [], record })
      if (outcome.kind === 'main-moved') throw movedTooOften(outcome.table, 1)
      await this.end('published', '', true)
      return { outcome: 'published', run, judgements, result }
    } catch (error) {
      if (!(error instanceof LimnError && error.kind === 'run/fenced'))
        await this.end(outcomeOfError(error), error instanceof Error ? error.message : String(error), false)
      throw error
    }
  }

  private async load(): Promise<LoadedTable> {
    const { table } = this.request
    const loaded = (await this.context.catalog.loadTables([table], { signal: this.context.signal })).get(table)
    if (loaded && loaded.metadata.currentSnapshotId !== null) return loaded
    throw new LimnError('usage/unknown-table', {
      message: `${table} has not been built yet: it has no rows to change.`,
      notDone: 'Nothing was changed.',
      remedy: `Build it: limn run +${table}`,
    })
  }

  /** The run's branch, at main. */
  private async branchOff(): Promise<LoadedTable> {
    const { context, run } = this
    const base = await this.load()
    const snapshotId = base.metadata.currentSnapshotId
    if (snapshotId === null) return base
    await context.runs.noteRef(run, base.table, runBranch(run), snapshotId)
    const outcome = await context.catalog.commit(
      [
        {
          table: base.table,
          requirements: [
            { type: 'assert-table-uuid', uuid: base.metadata.tableUuid },
            { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId },
          ],
          updates: [{ action: 'set-snapshot-ref', ref: runBranch(run), to: { type: 'branch', snapshotId } }],
        },
      ],
      { timestampMs: context.clock.nowMs(), signal: context.signal },
    )
    if (outcome.kind === 'committed') return base
    throw movedTooOften(base.table, 1)
  }

  private async dropBranch(): Promise<void> {
    await this.context.catalog.commit(
      [
        {
          table: this.request.table,
          requirements: [],
          updates: [{ action: 'remove-snapshot-ref', ref: runBranch(this.run) }],
        },
      ],
      { timestampMs: this.context.clock.nowMs() },
    )
  }

  /** What stands on the branch, to be published onto the main it began from. */
  private async stagedOn(base: LoadedTable): Promise<StagedTable> {
    const now = await this.load()
    const { metadata } = now
    const head = metadata.refs[runBranch(this.run)]?.snapshotId
    if (head === undefined) throw movedTooOften(base.table, 1)
    const layout = {
      location: metadata.location,
      schema: schemaById(metadata, metadata.currentSchemaId),
      spec: specById(metadata, metadata.defaultSpecId),
    }
    return {
      target: { id: now.table, base, evolved: metadata, layout, updates: [], evolves: false, reshaped: false },
      added: [],
      removed: [],
      summary: {},
      snapshotId: head,
      pin: pinSnapshot(now, head),
      updates: [],
    }
  }

  /** Every check of the dataset, on all rows, and of the datasets that check against it. */
  private async judge(staged: StagedTable): Promise<readonly Judgement[]> {
    const { context, run } = this
    const book = await FactBook.open(context, { selected: new Set(), full: false, range: null })
    const { id } = staged.target
    book.settle(id, staged.pin)
    const judged = [...context.project.nodes.values()].filter((node) => node.id === id || node.checkInputs.includes(id))
    const pinOf = async (table: TableId): Promise<PinnedTable | null> => book.pinOf(table)
    return judge(context, { run, pinOf }, book, new Map(), new Set(judged.map((node) => node.id)))
  }

  private record(
    staged: StagedTable,
    changed: number,
    judgements: readonly Judgement[],
    refused: string,
  ): RunRecordRows {
    const { context, request, run } = this
    const judgedAtMs = context.clock.nowMs()
    const node = context.project.nodes.get(request.table)
    const own = { id: run, startedAtMs: this.startedAtMs, host: context.host, message: refused || request.reason }
    const row: Omit<LedgerRow, 'seq'> = {
      ...runRow(context, own, refused === '' ? 'edited' : 'refused', judgedAtMs),
      dataset: request.table,
      reason: `${editPrefix}${request.reason}`,
      planned: JSON.stringify([{ by: request.by, statement: request.statement, rows: changed }]),
      fingerprint: node?.fingerprint ?? '',
      checksHash: node?.checksHash ?? '',
      baseSnapshot: staged.target.base?.metadata.currentSnapshotId ?? null,
      outputSnapshot: staged.snapshotId,
      rows: changed,
    }
    return { run, rows: [row], verdicts: judgements, judgedAtMs }
  }

  private end(
    phase: 'published' | 'refused' | 'failed' | 'cancelled' | 'idle',
    message: string,
    recorded: boolean,
  ): Promise<void> {
    return this.context.runs.end(this.run, phase, {
      endedAtMs: this.context.clock.nowMs(),
      message,
      recorded,
    })
  }
}
