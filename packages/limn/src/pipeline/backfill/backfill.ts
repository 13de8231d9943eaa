import { counted, LimnError, nearest, newRunId, type RunId, type TableId } from '../../base/index.ts'
import type { Leases } from '../../state/index.ts'
import type { PipelineContext } from '../context.ts'
import { isPublishedOutcome, ledgerTable } from '../ledger/ledger.ts'
import { readLedger } from '../ledger/ledger-read.ts'
import { attend } from '../run/attend.ts'
import { dropRefs, recover, requireDropped } from '../run/recover.ts'
import type { RunReport } from '../run/report.ts'
import { datasetLease, waitingFor } from '../run/run.ts'
import { Overtaken } from '../run/takeover.ts'
import { pinRefName } from '../stage/staged-table.ts'
import { backfillBranch, requestIn, rowsOfSteps } from './branch.ts'
import { beyondOf, compareDataset, type DatasetChange } from './compare.ts'
import { type LookedAt, Pass, type PassResult } from './pass.ts'
import { type Approval, backfillReason, publishBackfill } from './publish-backfill.ts'
import { type BackfillRecord, type BackfillRequest, BackfillState, parseRequest } from './request.ts'
import type { StepFailure } from './steps.ts'
import type { BackfillWatch } from './watch.ts'

/** After so many passes that others overtook each time a backfill gives up, with everything it built on its branches. */
const passesMax = 10

/** How a backfill stands when its process ends. */
export type BackfillOutcome =
  /** `report` is null when an earlier process published it and ended before it could say so. */
  | { readonly kind: 'published'; readonly report: RunReport | null }
  | { readonly kind: 'refused'; readonly report: RunReport }
  /** Built, and more than its tolerance allows: it waits for somebody's approval. */
  | { readonly kind: 'waiting'; readonly why: string }
  /** A sample is never published. */
  | { readonly kind: 'sampled' }
  | { readonly kind: 'failed'; readonly failures: readonly StepFailure[]; readonly skipped: readonly TableId[] }
  /** No interval of the range is within any dataset's domain. */
  | { readonly kind: 'nothing' }

export interface BackfillReport {
  readonly id: RunId
  readonly request: BackfillRequest
  readonly outcome: BackfillOutcome
  readonly datasets: readonly {
    readonly dataset: TableId
    readonly steps: number
    /** Built by this process; the others were built before and hold. */
    readonly built: number
    readonly rows: number
  }[]
  /** What it changes against what is published; null when nothing was compared. */
  readonly changes: readonly DatasetChange[] | null
  readonly seconds: number
}

export interface CarryOnOptions {
  readonly waitMs: number
  /** Somebody has looked at what is built and approves exactly that. */
  readonly approveAsSeen?: boolean
  readonly watch?: BackfillWatch
}

/** Begins a backfill: records it, builds it on branches, and publishes it if it may. */
export async function startBackfill(
  context: PipelineContext,
  request: BackfillRequest,
  options: CarryOnOptions,
): Promise<BackfillReport> {
  const nowMs = context.clock.nowMs()
  const id = newRunId(nowMs, Buffer.from(context.randomness.bytes(3)).readUIntBE(0, 3))
  await new BackfillState(context.state).create(id, request, nowMs)
  context.progress.note(`Backfill ${id}.`)
  return carryOn(context, id, options)
}

/** Changes how a backfill goes on: what it builds stays. */
export type BackfillTuning = Partial<
  Pick<BackfillRequest, 'parallel' | 'throttleMs' | 'onFailure' | 'budgetRows' | 'approved' | 'diff'>
>

/** Goes on with a backfill where it stopped, from what stands on its branches. */
export async function resumeBackfill(
  context: PipelineContext,
  id: RunId,
  tuning: BackfillTuning,
  options: CarryOnOptions,
): Promise<BackfillReport> {
  return carryOn(context, id, options, tuning)
}

async function carryOn(
  context: PipelineContext,
  id: RunId,
  options: CarryOnOptions,
  tuning: BackfillTuning = {},
): Promise<BackfillReport> {
  const state = new BackfillState(context.state)
  const startedAtMs = context.clock.nowMs()
  const { request } = await requireOpen(context, id)
  await using leases = await holdLeases(context, id, request, options.waitMs)
  // Read again: whoever held the leases may have changed or ended it. Who does not get them changes nothing, and approves nothing.
  const found = await requireOpen(context, id)
  const record = { ...found, request: { ...found.request, ...tuning } }
  if (Object.keys(tuning).length > 0) await state.change(id, record.request)
  options.watch?.begun(record)
  using attended = attend(context, id)
  const own = attended.context
  const seconds = () => (context.clock.nowMs() - startedAtMs) / 1000
  try {
    const recovery = await recover(own)
    if (await isPublishedBackfill(own, id)) {
      await forget(own, id, 'published', 'settled by a later process')
      const outcome = { kind: 'published', report: null } as const
      return { id, request: record.request, outcome, datasets: [], changes: null, seconds: seconds() }
    }
    await dropRefs(own, id, (ref) => ref === pinRefName(id))
    let seen = options.approveAsSeen === true
    for (let attempt = 1; attempt <= passesMax; attempt++) {
      const pass = await Pass.open(own, leases.leases, record, options.watch)
      try {
        const result = await pass.carryOut()
        // An approval is of what was looked at: not of what was built since, nor of what it replaces since.
        if (result.datasets.some((one) => one.built > 0 || one.displaced)) seen = false
        const approval = seen ? 'holds' : options.approveAsSeen === true ? 'overtaken' : 'none'
        const ended = await settle(pass, result, approval, (by) => publishBackfill(pass, result, recovery, by))
        await noteEnd(own, id, ended.outcome)
        attended.log.write('end', 'backfill', ended.outcome.kind)
        return { id, request: record.request, ...ended, datasets: totalsOf(result), seconds: seconds() }
      } catch (error) {
        if (!(error instanceof Overtaken)) throw error
        own.progress.note(`${error.table} was changed meanwhile: looking again at what holds.`)
      } finally {
        await pass.release()
      }
    }
    throw new LimnError('backfill/overtaken', {
      message: `What backfill ${id} reads or writes was changed by others in each of ${passesMax} passes.`,
      notDone: 'Nothing was published; what it built stands on its branches.',
      remedy: `Go on when they have finished: limn backfill resume ${id}`,
      retryable: true,
    })
  } catch (error) {
    const told = resumable(error, id, own.signal)
    attended.log.write('end', 'backfill', `failed: ${told instanceof Error ? told.message : String(told)}`)
    if (told instanceof LimnError && told.kind !== 'lease/lost') await state.note(id, `stopped: ${told.message}`)
    throw told
  }
}

/** Publishes, or says why not. An approval is `overtaken` by what was built, or replaces something else, since. */
async function settle(
  pass: Pass,
  result: PassResult,
  approval: 'none' | 'holds' | 'overtaken',
  publish: (by: Approval) => Promise<RunReport>,
): Promise<Pick<BackfillReport, 'outcome' | 'changes'>> {
  const { request } = pass.record
  const { failures, skipped, datasets } = result
  if (failures.length > 0) return { outcome: { kind: 'failed', failures, skipped }, changes: null }
  if (datasets.length === 0) return { outcome: { kind: 'nothing' }, changes: null }
  const seen = approval === 'holds'
  const approved = request.approved || seen
  const tolerant = datasets.some(({ node }) => node.contract.tolerance !== undefined)
  let changes: DatasetChange[] | null = null
  // What was looked at and stands as it was is not shown again.
  if ((request.diff && !seen) || request.sample !== null || (!approved && tolerant)) {
    changes = []
    for (const one of datasets) changes.push(await compareDataset(pass, one))
  }
  if (request.sample !== null) return { outcome: { kind: 'sampled' }, changes }
  const within =
    changes === null
      ? datasets.every(({ branch }) => branch.steps.every((step) => step.ranges.every((one) => one.outcome === 'kept')))
      : beyondOf(changes) === 0
  if (!approved && !within) {
    const why =
      changes === null
        ? 'it changes rows, and no tolerance is stated'
        : `${beyondOf(changes) === 1 ? '1 interval changes' : `${beyondOf(changes)} intervals change`} more than is tolerated`
    const again =
      approval === 'overtaken' ? 'it is not as it was when it was approved, and has to be looked at again; ' : ''
    return { outcome: { kind: 'waiting', why: again + why }, changes }
  }
  const report = await publish(seen ? 'as-seen' : approved ? 'in-advance' : 'within-tolerance')
  return {
    outcome: report.outcome === 'refused' ? { kind: 'refused', report } : { kind: 'published', report },
    changes,
  }
}

async function noteEnd(context: PipelineContext, id: RunId, outcome: BackfillOutcome): Promise<void> {
  const state = new BackfillState(context.state)
  switch (outcome.kind) {
    case 'published':
      return forget(context, id, 'published', outcome.report?.run ?? '')
    case 'nothing':
      return forget(context, id, 'discarded', 'there was nothing to build')
    case 'refused':
      return state.note(id, `refused: limn runs show ${outcome.report.run}`)
    case 'waiting':
      return state.note(id, `waiting: ${outcome.why}`)
    case 'sampled':
      return state.note(id, 'sample: only to look at')
    case 'failed':
      return state.note(
        id,
        `failed: ${counted(outcome.failures.length, 'step')}: ${outcome.failures[0]?.error.message ?? ''}`,
      )
  }
}

function totalsOf(result: PassResult): BackfillReport['datasets'] {
  return result.datasets.map(({ node, wanted, built, branch }) => ({
    dataset: node.id,
    steps: wanted.length,
    built,
    rows: rowsOfSteps(branch.steps),
  }))
}

/** Ends a backfill: its branches and staged tables go, where the publish has not dropped them. */
async function forget(context: PipelineContext, id: RunId, end: 'published' | 'discarded', message: string) {
  requireDropped((await dropRefs(context, id, () => true)).left)
  await context.runs.dropStaged(id)
  await new BackfillState(context.state).end(id, end, context.clock.nowMs(), message)
}

/** Drops what a backfill built. Nothing that is published changes. */
export async function discardBackfill(context: PipelineContext, id: RunId): Promise<void> {
  const { request } = await requireOpen(context, id)
  await using _leases = await holdLeases(context, id, request, 0)
  await recover(context)
  if (await isPublishedBackfill(context, id)) {
    await forget(context, id, 'published', 'settled by a later process')
    throw ended(id, 'published')
  }
  await forget(context, id, 'discarded', '')
}

async function holdLeases(
  context: PipelineContext,
  id: RunId,
  request: BackfillRequest,
  waitMs: number,
): Promise<AsyncDisposable & { readonly leases: Leases }> {
  const names = request.datasets.map((dataset) => datasetLease('backfill', dataset))
  const holder = `limn backfill ${id} (process ${context.pid} on ${context.host})`
  const leases = await context.state.acquireAll(names, holder, {
    waitMs,
    signal: context.signal,
    onWait: (holders) => context.progress.note(waitingFor(holders)),
  })
  try {
    await context.runs.noteLeases(id, leases.held)
  } catch (error) {
    await leases.release()
    throw error
  }
  return { leases, [Symbol.asyncDispose]: () => leases.release() }
}

/** Whether the ledger has rows that a publish of this backfill wrote. */
async function isPublishedBackfill(context: PipelineContext, id: RunId): Promise<boolean> {
  const loaded = (await context.catalog.loadTables([ledgerTable], { signal: context.signal })).get(ledgerTable) ?? null
  const reason = backfillReason(id)
  return (await readLedger(context, loaded)).some((row) => row.reason === reason && isPublishedOutcome(row.outcome))
}

/** An error that ends a backfill's process, with how to go on. */
function resumable(error: unknown, id: RunId, signal: AbortSignal): unknown {
  const cause = signal.aborted && signal.reason instanceof LimnError ? signal.reason : error
  if (!(cause instanceof LimnError) || cause.kind === 'backfill/over-budget' || cause.kind === 'backfill/overtaken')
    return cause
  const goOn = `limn backfill resume ${id}`
  return new LimnError(cause.kind, {
    message: cause.message,
    notDone: 'Nothing was published; the steps that were built stand on the branches of the backfill.',
    remedy: cause.remedy === undefined || cause.kind === 'interrupted' ? goOn : `${cause.remedy} Then: ${goOn}`,
    ...(cause.location ? { location: cause.location } : {}),
    context: { ...cause.context, backfill: id },
    cause,
  })
}

/** Where a backfill stands. */
export interface BackfillStanding {
  readonly record: BackfillRecord
  /** A process is at work on it. */
  readonly alive: boolean
  readonly datasets: readonly LookedAt[]
}

/** All backfills, latest first. Those that only branches tell of (the state database was lost) are among them. */
export async function listBackfills(context: PipelineContext): Promise<readonly BackfillRecord[]> {
  await adoptLost(context)
  return new BackfillState(context.state).all()
}

export async function showBackfill(context: PipelineContext, id: RunId): Promise<BackfillStanding> {
  const record = await requireBackfill(context, id)
  const alive = context.runs.isAlive(id)
  if (record.ended !== null) return { record, alive, datasets: [] }
  const pass = await Pass.look(context, record)
  return { record, alive, datasets: await pass.standing() }
}

/** What a backfill changes as it stands, built or not, without changing anything. */
export async function compareBackfill(context: PipelineContext, id: RunId): Promise<readonly DatasetChange[]> {
  const record = await requireOpen(context, id)
  const pass = await Pass.look(context, record)
  const out: DatasetChange[] = []
  for (const { node, branch } of await pass.standing())
    if (branch) out.push(await compareDataset(pass, { node, branch }))
  return out
}

/** Backfills whose branches are there and whose record is not. */
async function adoptLost(context: PipelineContext): Promise<void> {
  const state = new BackfillState(context.state)
  const tables = await context.catalog.loadTables(context.project.order, { signal: context.signal })
  for (const loaded of tables.values()) {
    for (const [ref, { snapshotId }] of Object.entries(loaded?.metadata.refs ?? {})) {
      const id = ref.startsWith(backfillBranch('' as RunId)) ? (ref.slice('backfill/'.length) as RunId) : null
      if (id === null || !loaded || state.get(id)) continue
      const request = requestIn(loaded.metadata, snapshotId)
      if (request === null) continue
      await state.create(id, parseRequest(request), loaded.metadata.lastUpdatedMs)
      await context.runs.noteRef(id, loaded.table, ref, snapshotId)
    }
  }
}

async function requireBackfill(context: PipelineContext, id: RunId): Promise<BackfillRecord> {
  const state = new BackfillState(context.state)
  const found = state.get(id)
  if (found) return found
  const all = await listBackfills(context)
  const record = state.get(id)
  if (record) return record
  const close = nearest(id, new Set(all.map((one) => one.id)))
  throw new LimnError('usage/unknown-backfill', {
    message: `There is no backfill ${id}.`,
    notDone: 'Nothing was done.',
    remedy: close ? `Did you mean ${close}?` : 'List them with: limn backfill ls',
  })
}

async function requireOpen(context: PipelineContext, id: RunId): Promise<BackfillRecord> {
  const record = await requireBackfill(context, id)
  if (record.ended !== null) throw ended(id, record.ended)
  return record
}

function ended(id: RunId, how: 'published' | 'discarded'): LimnError {
  return new LimnError('usage/argument', {
    message: `Backfill ${id} is ${how} already.`,
    notDone: 'Nothing was done.',
    remedy: 'List the others with: limn backfill ls',
  })
}
