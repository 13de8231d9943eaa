import { setTimeout as sleep } from 'node:timers/promises'
import { LimnError, limiter, mapConcurrently, type TableId } from '../../base/index.ts'
import { formatInterval, type Interval, IntervalSet, readsEarlier } from '../../dataset/index.ts'
import { applyUpdates, type LoadedTable, snapshotById } from '../../iceberg/index.ts'
import type { Node } from '../project/node.ts'
import { requireNotStopped } from '../run/publish.ts'
import { Overtaken } from '../run/takeover.ts'
import { withFiles } from '../stage/own-rows.ts'
import type { Collected } from '../stage/quarantine.ts'
import { quarantineWriter } from '../stage/quarantine.ts'
import { inputSnapshots } from '../stage/stage.ts'
import { buildModel, type ModelBuild, oldFilesOf } from '../stage/stage-model.ts'
import { type Target, targetAt, targetOf } from '../stage/staged-table.ts'
import { asBranch, type Branch, backfillBranch, commitToBranch, readBranch, type Step, stepSummary } from './branch.ts'
import { type Pass, stepItem } from './pass.ts'
import { stepOf } from './validity.ts'
import type { BuiltStep } from './watch.ts'

/** A step that could not be built. */
export interface StepFailure {
  readonly dataset: TableId
  readonly interval: Interval | null
  readonly error: LimnError
}

/** What was built of one dataset. */
interface Steps {
  readonly branch: Branch
  readonly built: number
  readonly failures: readonly StepFailure[]
}

/**
 * Builds steps of one dataset on its branch, several at once; each is one snapshot, committed as soon as it is built. Throws the
 * first failure, or, when told to keep going, returns them all. Whatever was committed stays. Steps of a dataset that reads
 * itself are built one after the other: those that are missing and, of the others wanted, those that read a step which has changed
 * rows. One that fails ends them, for those after it would be built from rows that are not what they will be.
 */
export async function buildSteps(
  pass: Pass,
  node: Node,
  branch: Branch,
  wanted: readonly (Interval | null)[],
  missing: ReadonlySet<Interval | null>,
): Promise<Steps> {
  if (missing.size === 0) return { branch, built: 0, failures: [] }
  const { request } = pass.record
  const { self } = node
  const builder = new StepBuilder(pass, node, branch)
  await builder.open()
  const width = self ? 1 : request.parallel
  const steps = wanted.filter((interval) => self || missing.has(interval))
  const task = pass.own.progress.begin(node.id)
  const failures: StepFailure[] = []
  let done = 0
  let left = 0
  await mapConcurrently(steps, width, async (interval, index) => {
    if (self && failures.length > 0) {
      if (missing.has(interval)) left++
      return
    }
    if (!missing.has(interval) && !(self && interval && readsEarlier(self, interval, builder.changed))) return
    if (request.throttleMs > 0 && index >= width)
      await sleep(request.throttleMs, undefined, { signal: pass.own.signal })
    try {
      const built = await builder.build(interval)
      const name = describe(node, interval)
      task.update(`${name} (${++done} of ${self ? 'at most ' : ''}${steps.length})`)
      pass.watch?.built({ ...built, dataset: node.id, interval, name, done, of: steps.length })
    } catch (error) {
      if (request.onFailure === 'fast' || !isOfTheStep(error)) throw error
      failures.push({ dataset: node.id, interval, error })
      pass.own.progress.note(`${node.id} ${describe(node, interval)} failed: ${error.message}`)
    }
  })
  if (left > 0)
    pass.own.progress.note(
      `${node.id} reads itself: ${left} later ${left === 1 ? 'step was' : 'steps were'} not built, because ${describe(node, failures[0]?.interval ?? null)} failed.`,
    )
  task.end(`${done} ${self ? '' : `of ${steps.length} `}steps built`)
  return { branch: builder.branch, built: done, failures }
}

function describe(node: Node, interval: Interval | null): string {
  return interval && node.shape.kind === 'interval' ? formatInterval(node.shape.unit, interval) : 'whole'
}

/** Whether an error speaks of one step alone, so that others may still be built. */
function isOfTheStep(error: unknown): error is LimnError {
  if (!(error instanceof LimnError)) return false
  switch (error.kind) {
    case 'interrupted':
    case 'run/fenced':
    case 'lease/lost':
    case 'backfill/over-budget':
    case 'storage/full':
    case 'internal':
      return false
    default:
      return true
  }
}

type Committed = Pick<BuiltStep, 'outcome' | 'rows' | 'bytes' | 'files' | 'snapshotId'>

class StepBuilder {
  branch: Branch
  private readonly pass: Pass
  private readonly node: Node
  private readonly turn = limiter(1)
  private old: Awaited<ReturnType<typeof oldFilesOf>> = []
  private quarantineHead: bigint | null = null
  /** Times whose rows these steps have changed. */
  changed = IntervalSet.empty

  constructor(pass: Pass, node: Node, branch: Branch) {
    this.pass = pass
    this.node = node
    this.branch = branch
  }

  /**
   * The files of the branch before any of these steps: each step replaces those of its own interval alone. A dataset that reads
   * itself has those of the steps that are done in their place.
   */
  async open(): Promise<void> {
    this.old = await oldFilesOf(this.pass.view, this.node, this.target())
  }

  private target() {
    return targetOf(this.pass.view, this.node.contract, asBranch(this.branch.loaded, this.pass.run))
  }

  async build(interval: Interval | null): Promise<Committed> {
    const { pass, node } = this
    pass.own.signal.throwIfAborted()
    this.requireHeld()
    const item = stepItem(node, interval, pass.run)
    const quarantine = await quarantineWriter(pass.view, pass.run, node)
    const quiet = { update: () => undefined }
    const built = await buildModel(pass.view, pass, node, [item], this.target(), this.old, quarantine, quiet)
    const inputs = await inputSnapshots(pass, node, this.branch.head)
    return this.turn(() => this.commit(interval, built, inputs, quarantine.collected()))
  }

  private async commit(
    interval: Interval | null,
    built: ModelBuild,
    inputs: Step['inputs'],
    rejected: Collected | null,
  ): Promise<Committed> {
    const { pass, node } = this
    pass.own.signal.throwIfAborted()
    this.requireHeld()
    const rows = built.ranges.reduce((sum, range) => sum + range.rows, 0)
    const before = stepOf(this.branch, interval)
    const budget = pass.record.request.budgetRows
    if (budget !== null && pass.rows + rows > budget) {
      await pass.own.store.delete([...built.added, ...(rejected?.added ?? [])].map((file) => file.path))
      throw overBudget(pass, budget)
    }
    if (rejected) await this.commitRejected(rejected)
    // What an earlier step of this backfill changed differs from main, also where it now found its own rows again.
    const again = before?.ranges.some((range) => range.outcome === 'built') ?? false
    const step: Step = {
      interval,
      fingerprint: node.fingerprint,
      inputs,
      ranges: built.ranges.map((range) => ({
        outcome: again ? 'built' : range.outcome,
        interval: range.interval,
        rows: range.rows,
        files: range.files,
        bytes: range.bytes,
        quarantined: range.quarantined,
        startedAtMs: range.startedAtMs,
        seconds: range.seconds,
      })),
    }
    const { head, loaded: known, specId } = this.branch
    const fresh = (await pass.own.catalog.loadTables([node.id], { signal: pass.own.signal })).get(node.id)
    if (fresh?.metadata.refs[backfillBranch(pass.run)]?.snapshotId !== head) throw this.moved()
    const schemaId = snapshotById(known.metadata, head)?.schemaId ?? known.metadata.currentSchemaId
    const target = targetAt(fresh, schemaId, specId)
    const { added, removed } = built
    try {
      const summary = stepSummary(step, specId)
      const change = { target, parent: head, expected: head, added, removed, summary }
      const next = readBranch(await commitToBranch(pass.own, pass.run, change), pass.run)
      if (!next) throw this.moved()
      this.branch = next
      pass.rows += rows
      if (node.self) {
        this.old = withFiles(this.old, { added, removed })
        const times = built.ranges.flatMap((range) =>
          range.outcome === 'built' && range.interval ? [range.interval] : [],
        )
        this.changed = this.changed.union(IntervalSet.of(times))
      }
      const sum = (key: 'bytes' | 'files') => step.ranges.reduce((total, range) => total + range[key], 0)
      const outcome = step.ranges.every((range) => range.outcome === 'kept') ? 'kept' : 'built'
      return { outcome, rows, bytes: sum('bytes'), files: sum('files'), snapshotId: next.head }
    } catch (error) {
      if (error instanceof LimnError && error.kind === 'catalog/conflict') throw this.moved()
      throw error
    }
  }

  private async commitRejected({ target, added, removed }: Collected): Promise<void> {
    const { pass } = this
    const { id } = target
    const ref = backfillBranch(pass.run)
    const loaded = (await pass.own.catalog.loadTables([id], { signal: pass.own.signal })).get(id) ?? null
    const head = loaded?.metadata.refs[ref]?.snapshotId ?? null
    if (this.quarantineHead !== null && head !== this.quarantineHead) throw this.moved()
    const change = loaded
      ? { target: onto(loaded, target), parent: head ?? loaded.metadata.currentSnapshotId }
      : { target, parent: null }
    const next = await commitToBranch(pass.own, pass.run, { ...change, expected: head, added, removed, summary: {} })
    this.quarantineHead = next.metadata.refs[ref]?.snapshotId ?? null
  }

  private requireHeld(): void {
    this.pass.leases.assertHeld()
    requireNotStopped(this.pass.own, this.pass.run)
  }

  /** Somebody else moved the branch: the leases say whether this process was taken for dead. */
  private moved(): unknown {
    try {
      this.pass.leases.assertHeld()
    } catch (lost) {
      return lost
    }
    return new Overtaken(this.node.id)
  }
}

/** A target worked out on an earlier state of its table, on a later one: what it adds to the shape may be there by now. */
function onto(loaded: LoadedTable, target: Target): Target {
  const { metadata } = loaded
  const { schema, spec } = target.layout
  const there =
    metadata.schemas.some((one) => one.schemaId === schema.schemaId) &&
    metadata.partitionSpecs.some((one) => one.specId === spec.specId)
  if (there) return targetAt(loaded, schema.schemaId, spec.specId)
  const evolved = applyUpdates(metadata, target.updates, { timestampMs: metadata.lastUpdatedMs })
  return { ...target, base: loaded, evolved }
}

function overBudget(pass: Pass, budget: number): LimnError {
  return new LimnError('backfill/over-budget', {
    message: `Backfill ${pass.run} has written ${pass.rows.toLocaleString('en')} rows; the next step would pass its budget of ${budget.toLocaleString('en')}.`,
    notDone: 'That step was not committed and nothing was published; the steps before it stand.',
    remedy: `Go on with a larger budget: limn backfill resume ${pass.run} --budget-rows N`,
    context: { backfill: pass.run, rows: pass.rows, budget },
  })
}
