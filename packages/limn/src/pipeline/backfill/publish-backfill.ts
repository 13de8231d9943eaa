import { newRunId, type RunId, type TableId } from '../../base/index.ts'
import { diffFiles, snapshotById } from '../../iceberg/index.ts'
import { quarantineContractFor } from '../../quality/index.ts'
import { withCatalog } from '../context.ts'
import type { FactBook, RunRequest } from '../plan/fact-book.ts'
import type { PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { Execution } from '../run/execution.ts'
import type { Recovery } from '../run/recover.ts'
import type { RunReport } from '../run/report.ts'
import { stagedCatalog } from '../run/run-catalog.ts'
import { Overtaken, type Takeover } from '../run/takeover.ts'
import { quarantineOf } from '../stage/quarantine.ts'
import { inputSnapshots, type StagedDataset, type StageInputs } from '../stage/stage.ts'
import { type StagedTable, stageTable, type Target, targetAt, targetOf } from '../stage/staged-table.ts'
import { backfillBranch } from './branch.ts'
import { type DatasetPass, type Pass, type PassResult, stepItem } from './pass.ts'
import { quarantineBase } from './prepare.ts'
import { timesOfSteps } from './request.ts'

/** By what a backfill was published, as its snapshots say. */
export const approvalProperty = 'limn.backfill-approval'

/** `in-advance`: whoever asked for it approved whatever it would change · `as-seen`: somebody looked at the differences first. */
export type Approval = 'in-advance' | 'as-seen' | 'within-tolerance'

/** What a ledger row of a backfill gives as its reason. */
export function backfillReason(id: RunId): string {
  return `backfill: ${id}`
}

/**
 * Publishes what stands on a backfill's branches: staged as one snapshot per dataset, judged by the gate, and made main in
 * one commit with its ledger rows and verdicts, by a run of its own. The branches go with that commit. Nothing is built: throws
 * `Overtaken` when anything that the pass read or stands on has changed, having left no trace.
 */
export async function publishBackfill(
  pass: Pass,
  result: PassResult,
  recovery: Recovery,
  approval: Approval,
): Promise<RunReport> {
  const context = pass.registered
  const startedAtMs = context.clock.nowMs()
  const run = newRunId(startedAtMs, Buffer.from(context.randomness.bytes(3)).readUIntBE(0, 3))
  const request: RunRequest = {
    selected: new Set(result.datasets.map((one) => one.node.id)),
    full: false,
    range: pass.record.request.range,
  }
  const takeover = new BackfillTakeover(pass, result, approval)
  const execution = new Execution({ context, leases: pass.leases, run, startedAtMs, recovery, request, takeover })
  return await execution.execute()
}

class BackfillTakeover implements Takeover {
  readonly mayRebuild = false
  readonly backfill: RunId
  private readonly pass: Pass
  private readonly datasets: ReadonlyMap<TableId, DatasetPass>
  private readonly approval: Approval

  constructor(pass: Pass, result: PassResult, approval: Approval) {
    this.pass = pass
    this.approval = approval
    this.backfill = pass.run
    this.datasets = new Map(result.datasets.map((one) => [one.node.id, one]))
  }

  items(node: Node): readonly PlanItem[] {
    const own = this.datasets.get(node.id)
    if (!own) return []
    if (node.shape.kind !== 'interval') return [stepItem(node, null, this.pass.run)]
    return timesOfSteps(own.branch.steps).intervals.map((interval) => stepItem(node, interval, this.pass.run))
  }

  async take(
    book: FactBook,
    node: Node,
    items: readonly PlanItem[],
    target: Target,
    inputs: StageInputs,
  ): Promise<StagedDataset | null> {
    const own = this.datasets.get(node.id)
    if (!own) return null
    this.requireUnmoved(book, node, own)
    const { branch, main } = own
    const files = await diffFiles({
      manifests: this.pass.own.manifests,
      metadata: branch.loaded.metadata,
      from: branch.base,
      to: branch.head,
      signal: this.pass.own.signal,
    })
    const mainNow = book.mains.get(node.id) ?? null
    const schemaId = snapshotById(branch.loaded.metadata, branch.head)?.schemaId ?? target.layout.schema.schemaId
    const onto = mainNow && main ? targetAt(mainNow, schemaId, branch.specId) : target
    const untouched = files.added.length === 0 && files.removed.length === 0 && onto.base !== null && !onto.evolves
    const context = this.pass.registered
    const table = untouched ? null : await this.stage(inputs.run, onto, files)
    const steps = own.branch.steps.length
    context.progress.note(`${node.id}: ${steps} ${steps === 1 ? 'step' : 'steps'} of backfill ${this.pass.run}.`)
    return {
      node,
      items,
      table,
      quarantine: await this.stageQuarantine(node, inputs.run),
      ranges: branch.steps.flatMap((step) =>
        step.ranges.map((range) => ({ ...range, reason: 'backfill' as const, because: this.pass.run, deliveries: [] })),
      ),
      inputs: await inputSnapshots(inputs, node, table?.snapshotId ?? onto.base?.metadata.currentSnapshotId ?? null),
      scans: [],
    }
  }

  private stage(run: RunId, target: Target, files: Pick<StagedTable, 'added' | 'removed'>): Promise<StagedTable> {
    const summary = { 'limn.published-backfill': this.pass.run, [approvalProperty]: this.approval }
    const context = withCatalog(this.pass.registered, stagedCatalog(this.pass.registered, run))
    return stageTable(context, run, target, { ...files, summary }, null)
  }

  /** Everything the steps were found to hold by must be as it was: main of the dataset, and main of what it reads. */
  private requireUnmoved(book: FactBook, node: Node, own: DatasetPass): void {
    const head = (id: TableId) => book.mains.get(id)?.metadata.currentSnapshotId ?? null
    if (head(node.id) !== own.branch.base) throw new Overtaken(node.id)
    for (const input of node.edges.keys()) {
      if (this.datasets.has(input)) continue
      if (head(input) !== (this.pass.mainPin(input)?.snapshotId ?? null)) throw new Overtaken(input)
    }
  }

  private async stageQuarantine(node: Node, run: RunId): Promise<StagedTable | null> {
    const { own, registered, run: backfill } = this.pass
    const id = quarantineOf(node.id)
    const loaded = (await own.catalog.loadTables([id], { signal: own.signal })).get(id) ?? null
    const head = loaded?.metadata.refs[backfillBranch(backfill)]?.snapshotId
    if (!loaded || head === undefined) return null
    const isRegistered = (await registered.catalog.loadTables([id], { signal: own.signal })).get(id) !== null
    const base = isRegistered ? quarantineBase(loaded, head) : null
    if (isRegistered && base !== loaded.metadata.currentSnapshotId) throw new Overtaken(id)
    const { metadata } = loaded
    const files = await diffFiles({ manifests: own.manifests, metadata, from: base, to: head, signal: own.signal })
    const schemaId = snapshotById(metadata, head)?.schemaId ?? metadata.currentSchemaId
    const target = isRegistered
      ? targetAt(loaded, schemaId, metadata.defaultSpecId)
      : targetOf(registered, quarantineContractFor(node.contract), null)
    return this.stage(run, target, files)
  }

  drops(): ReadonlyMap<TableId, string> {
    const ref = backfillBranch(this.pass.run)
    const out = new Map<TableId, string>()
    for (const { node, main } of this.datasets.values()) {
      if (main) out.set(node.id, ref)
      if (this.pass.mains.get(quarantineOf(node.id))) out.set(quarantineOf(node.id), ref)
    }
    return out
  }
}
