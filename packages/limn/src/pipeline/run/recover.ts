import { LimnError, type RunId, type TableId } from '../../base/index.ts'
import type { TableCommit } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import {
  isUnpublishedOutcome,
  type LedgerRow,
  type Outcome,
  outcomeOfRun,
  type UnpublishedOutcome,
} from '../ledger/ledger.ts'
import { commitRecord } from '../ledger/ledger-store.ts'
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

/** Runs that have not ended and whose leases are dead: `plan` reports them, only `run` settles them. */
export function runsInDoubt(context: PipelineContext): readonly RunRecord[] {
  return context.runs.runs().filter((run) => livePhases.includes(run.phase) && !context.runs.isAlive(run.id))
}

/**
 * Settles every run found dead, and no other: each is shut out of its leases first, all of them. The ledger says whether
 * it published, for its rows come with the data in one commit. If it has none they are given now; that row is what stops a
 * paused holder that wakes, which either conflicts on `limn.run` or finds its leases gone. Several processes may settle one
 * run at once: the first row counts.
 */
export async function recover(context: PipelineContext): Promise<Recovery> {
  const published: RunId[] = []
  const abandoned: RunId[] = []
  for (const run of runsInDoubt(context)) {
    if (!(await context.runs.fence(run.id))) continue
    const phase = await settle(context, run)
    if (phase === 'published') published.push(run.id)
    if (phase === 'abandoned') abandoned.push(run.id)
    await dropRefs(context, run.id, (ref) => ref === pinRefName(run.id))
  }
  await recordEnded(context)
  await sweep(context)
  return { published, abandoned }
}

async function settle(context: PipelineContext, run: RunRecord): Promise<'published' | UnpublishedOutcome> {
  const endedAtMs = context.clock.nowMs()
  const message = 'its process is gone'
  const intended = context.runs.intent(run.id)
  if (run.phase === 'publishing' && intended.size > 0 && (await isPublished(context, intended))) {
    await context.runs.end(run.id, 'published', { endedAtMs, message: 'settled by a later run', recorded: true })
    return 'published'
  }
  const rows = await recordOutcome(context, { ...run, message }, 'abandoned')
  const phase = rows === null ? 'abandoned' : outcomeOfRun(rows)
  const said = phase === 'abandoned' ? message : phase === 'published' ? 'settled by a later run' : run.message
  await context.runs.end(run.id, phase, { endedAtMs, message: said, recorded: true })
  return phase
}

/** Commits the ledger rows of ended runs that have none yet, unless their process is still about to. */
async function recordEnded(context: PipelineContext): Promise<void> {
  const missing = context.runs
    .runs()
    .filter((run) => !run.recorded && isUnpublishedOutcome(run.phase) && !context.runs.isAlive(run.id))
  for (const run of [...missing].reverse())
    if (isUnpublishedOutcome(run.phase)) await recordOutcome(context, run, run.phase)
  if (missing.length > 0) await context.runs.markRecorded(missing.map((run) => run.id))
}

function recordOutcome(context: PipelineContext, run: RunRecord, outcome: UnpublishedOutcome) {
  const judgedAtMs = context.clock.nowMs()
  return commitRecord(context, {
    run: run.id,
    verdicts: [],
    judgedAtMs,
    rows: [runRow(context, run, outcome, judgedAtMs)],
  })
}

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
    if (!isUnpublishedOutcome(run.phase) || run.endedAtMs === null || run.endedAtMs > before) continue
    const { left } = await dropRefs(context, run.id, () => true)
    // What could not be dropped now stays noted, for the next to try.
    if (left.length === 0) await context.runs.dropStaged(run.id)
  }
}

interface NotedRef {
  readonly table: TableId
  readonly ref: string
}

/** Throws `catalog/conflict` when refs could not be dropped. */
export function requireDropped([first]: readonly NotedRef[]): void {
  if (!first) return
  throw new LimnError('catalog/conflict', {
    message: `The branch ${first.ref} of ${first.table} could not be dropped, because others keep changing the table.`,
    notDone: 'What was not dropped is still known, and nothing that is published has changed.',
    remedy: 'Repeat the command.',
    retryable: true,
  })
}

/** Drops branches and pins that a run noted before it made them; `left` are those that others kept it from dropping. */
export async function dropRefs(
  context: PipelineContext,
  run: RunId,
  which: (ref: string) => boolean,
): Promise<{ readonly dropped: readonly NotedRef[]; readonly left: readonly NotedRef[] }> {
  const noted = context.runs.refs(run).filter((one) => which(one.ref))
  const tables = await context.catalog.loadTables([...new Set(noted.map((one) => one.table))])
  const dropped: NotedRef[] = []
  const left: NotedRef[] = []
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
    const { kind } = await context.catalog.commit([commit], { timestampMs: context.clock.nowMs() })
    const into = kind === 'committed' ? dropped : left
    into.push({ table: one.table, ref: one.ref })
  }
  return { dropped, left }
}
