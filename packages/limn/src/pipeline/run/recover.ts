import type { RunId, TableId } from '../../base/index.ts'
import type { TableCommit } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import type { LedgerRow, Outcome } from '../ledger/ledger.ts'
import { commitRecord, type RunRecordRows } from '../ledger/ledger-store.ts'
import { livePhases, type RunRecord } from '../ledger/run-state.ts'
import { pinRefName } from '../stage/staged-table.ts'
import { isPublished } from './publish.ts'

/** Branches and staged tables of runs that published nothing are kept this long for `--at run/<id>`. */
export const keepUnpublishedMs = 7 * 24 * 3_600_000

/** What recovery found and did. */
export interface Recovery {
  readonly published: readonly RunId[]
  readonly abandoned: readonly RunId[]
}

/** Runs that hold no lease any more and have not ended: `plan` reports them, only `run` settles them. */
export function runsInDoubt(context: PipelineContext): readonly RunRecord[] {
  return context.runs.runs().filter((run) => livePhases.includes(run.phase))
}

/**
 * Settles every run found dead. Called by the holder of the run lease before anything else. A run that was publishing is
 * published if each main descends from what it intended, else abandoned; the catalog's commit is atomic, so there is
 * nothing in between. Each abandoned run gets its ledger row now: that row is what stops a paused holder that wakes.
 */
export async function recover(context: PipelineContext): Promise<Recovery> {
  const published: RunId[] = []
  const abandoned: RunId[] = []
  for (const run of runsInDoubt(context)) {
    const expected = run.phase === 'publishing' ? context.runs.intent(run.id) : new Map<TableId, bigint>()
    const endedAtMs = context.clock.nowMs()
    if (expected.size > 0 && (await isPublished(context, expected))) {
      await context.runs.end(run.id, 'published', { endedAtMs, message: 'settled by a later run', recorded: true })
      published.push(run.id)
    } else {
      await context.runs.end(run.id, 'abandoned', { endedAtMs, message: 'its process is gone', recorded: false })
      abandoned.push(run.id)
    }
  }
  await recordEnded(context)
  for (const id of abandoned) await dropRefs(context, id, (ref) => ref === pinRefName(id))
  await sweep(context)
  return { published, abandoned }
}

/** Commits the ledger rows of ended runs that have none yet. */
async function recordEnded(context: PipelineContext): Promise<void> {
  const missing = context.runs.runs().filter((run) => !run.recorded && unpublished.has(run.phase))
  if (missing.length === 0) return
  const nowMs = context.clock.nowMs()
  for (const run of [...missing].reverse()) {
    const outcome = run.phase as Outcome
    await commitRecord(context, {
      run: run.id,
      verdicts: [],
      judgedAtMs: nowMs,
      rows: [runRow(context, run, outcome, nowMs)],
    } satisfies RunRecordRows)
  }
  await context.runs.markRecorded(missing.map((run) => run.id))
}

const unpublished: ReadonlySet<string> = new Set(['abandoned', 'failed', 'refused'])

/** The ledger row of a run as a whole. */
export function runRow(
  context: PipelineContext,
  run: Pick<RunRecord, 'id' | 'startedAtMs' | 'message' | 'host'>,
  outcome: Outcome,
  judgedAtMs: number,
): Omit<LedgerRow, 'seq'> {
  return {
    run: run.id,
    dataset: '*',
    outcome,
    reason: '',
    planned: '[]',
    interval: null,
    fingerprint: '',
    checksHash: '',
    deliveries: [],
    inputs: {},
    baseSnapshot: null,
    outputSnapshot: null,
    rows: 0,
    files: 0,
    bytes: 0,
    quarantined: 0,
    startedAtMs: run.startedAtMs,
    judgedAtMs,
    seconds: Math.max(0, (judgedAtMs - run.startedAtMs) / 1000),
    version: context.version,
    host: run.host,
    message: run.message,
  }
}

/** Drops what unpublished runs left behind, a week after they ended. */
async function sweep(context: PipelineContext): Promise<void> {
  const before = context.clock.nowMs() - keepUnpublishedMs
  for (const run of context.runs.runs()) {
    if (!unpublished.has(run.phase) || run.endedAtMs === null || run.endedAtMs > before) continue
    await dropRefs(context, run.id, () => true)
    await context.runs.dropStaged(run.id)
  }
}

async function dropRefs(context: PipelineContext, run: RunId, which: (ref: string) => boolean): Promise<void> {
  const noted = context.runs.refs(run).filter((one) => which(one.ref))
  const tables = await context.catalog.loadTables([...new Set(noted.map((one) => one.table))])
  for (const one of noted) {
    const loaded = tables.get(one.table)
    if (!loaded?.metadata.refs[one.ref]) continue
    const commit: TableCommit = {
      table: one.table,
      requirements: [
        { type: 'assert-ref-snapshot-id', ref: one.ref, snapshotId: loaded.metadata.refs[one.ref]?.snapshotId ?? null },
      ],
      updates: [{ action: 'remove-snapshot-ref', ref: one.ref }],
    }
    await context.catalog.commit([commit], { timestampMs: context.clock.nowMs() })
  }
}
