import { LimnError, type RunId, type TableId } from '../../base/index.ts'
import { IntervalSet, splitBy } from '../../dataset/index.ts'
import { diffFiles, type LoadedTable, schemaById, snapshotById } from '../../iceberg/index.ts'
import { quarantineContractFor } from '../../quality/index.ts'
import { type PipelineContext, withCatalog } from '../context.ts'
import type { FactBook, RunRequest } from '../plan/fact-book.ts'
import type { PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { quarantineOf } from '../stage/quarantine.ts'
import type { RangeResult, StagedDataset, StageInputs } from '../stage/stage.ts'
import { runBranch, type StagedTable, stageTable, type Target, targetAt, targetOf } from '../stage/staged-table.ts'
import { type StagedFiles, takeIntervals } from './retry-intervals.ts'
import { stagedCatalog } from './run-catalog.ts'
import type { Takeover } from './takeover.ts'

/** What a run staged of one dataset, as the state database keeps it until the run is published or forgotten. */
export interface StagedWork {
  readonly dataset: TableId
  readonly fingerprint: string
  /** What was carried out. */
  readonly items: readonly PlanItem[]
  /** What was to be built, where that is more. */
  readonly planned?: readonly PlanItem[]
  readonly ranges: readonly RangeResult[]
  readonly inputs: Readonly<Record<string, string>>
  /** Null: main was rebuilt, equal, and nothing was written. */
  readonly table: StagedAt | null
  readonly quarantine: StagedAt | null
  /** Main before, or null. */
  readonly base: string | null
}

/** A staged snapshot and what it was staged with. */
interface StagedAt {
  readonly snapshotId: string
  readonly specId: number
  readonly base: string | null
  readonly summary: Readonly<Record<string, string>>
}

/** What is remembered of a staged dataset. */
export function workOf(staged: StagedDataset, planned: readonly PlanItem[], base: bigint | null): StagedWork {
  const at = (table: StagedTable | null): StagedAt | null =>
    table && {
      snapshotId: String(table.snapshotId),
      specId: table.target.layout.spec.specId,
      base: textOf(table.target.base?.metadata.currentSnapshotId ?? null),
      summary: table.summary,
    }
  return {
    dataset: staged.node.id,
    fingerprint: staged.node.fingerprint,
    items: staged.items,
    ...(staged.node.self ? { planned } : {}),
    ranges: staged.ranges,
    inputs: Object.fromEntries(Object.entries(staged.inputs).map(([name, id]) => [name, String(id)])),
    table: at(staged.table),
    quarantine: at(staged.quarantine),
    base: textOf(base),
  }
}

function textOf(id: bigint | null): string | null {
  return id === null ? null : String(id)
}

/** What a run was asked, so that a retry asks the same. Throws `usage/unknown-run` when that is not known. */
export function requestOf(context: PipelineContext, run: RunId): RunRequest {
  const text = context.runs.request(run)
  if (text === null) {
    throw new LimnError('usage/unknown-run', {
      message: `What run ${run} was asked to do is not known here.`,
      notDone: 'Nothing was run.',
      remedy: 'List the runs with: limn runs ls, or run again: limn run',
    })
  }
  const { selected, restate, ...rest } = JSON.parse(text) as StoredRequest
  return { ...rest, selected: new Set(selected), ...(restate ? { restate: new Set(restate) } : {}) }
}

interface StoredRequest extends Omit<RunRequest, 'selected' | 'restate'> {
  readonly selected: readonly TableId[]
  readonly restate?: readonly TableId[]
}

export function requestText(request: RunRequest): string {
  const { selected, restate, ...rest } = request
  const stored: StoredRequest = {
    ...rest,
    selected: [...selected].sort(),
    ...(restate ? { restate: [...restate] } : {}),
  }
  return JSON.stringify(stored)
}

/**
 * Takes over what an unpublished run staged, dataset by dataset: where its definition, main, the intervals to build and the
 * rows it was built from are what they were; and where only some intervals were built, or hold still, those. Sources are taken
 * over when the same files are waiting. The gate judges all anew.
 */
export class RetryTakeover implements Takeover {
  readonly mayRebuild = true
  private readonly context: PipelineContext
  private readonly from: RunId
  private readonly works: ReadonlyMap<TableId, StagedWork>
  private readonly tables: ReadonlyMap<TableId, LoadedTable | null>
  /** Snapshots of the earlier run by those that stand for them in this one. */
  private readonly replaced = new Map<string, bigint>()

  private constructor(
    context: PipelineContext,
    from: RunId,
    works: ReadonlyMap<TableId, StagedWork>,
    tables: ReadonlyMap<TableId, LoadedTable | null>,
  ) {
    this.context = context
    this.from = from
    this.works = works
    this.tables = tables
  }

  static async open(context: PipelineContext, from: RunId): Promise<RetryTakeover> {
    const works = new Map(
      context.runs
        .works(from)
        .map((text) => JSON.parse(text) as StagedWork)
        .map((work) => [work.dataset, work]),
    )
    const ids = [...works.keys()].flatMap((id) => [id, quarantineOf(id)])
    const tables = await stagedCatalog(context, from).loadTables(ids, { signal: context.signal })
    return new RetryTakeover(context, from, works, tables)
  }

  items(): null {
    return null
  }

  async take(
    book: FactBook,
    node: Node,
    items: readonly PlanItem[],
    target: Target,
    inputs: StageInputs,
  ): Promise<StagedDataset | null> {
    const work = this.works.get(node.id)
    if (!work || !this.isAsItWas(work, book, node)) return null
    if (!(await this.holds(work, book, node, items, inputs)))
      return await this.takeIntervals(work, node, items, target, inputs)
    const table = work.table && (await this.again(work.table, target, inputs.run))
    if (work.table && !table) return null
    const rejected = quarantineOf(node.id)
    const quarantine =
      work.quarantine &&
      (await this.again(
        work.quarantine,
        targetOf(this.context, quarantineContractFor(node.contract), await this.registered(rejected)),
        inputs.run,
      ))
    if (work.quarantine && !quarantine) return null
    if (work.table && table) this.replaced.set(work.table.snapshotId, table.snapshotId)
    this.context.progress.note(`${node.id}: taken over from run ${this.from}.`)
    const own: Record<string, bigint> = {}
    for (const [input, id] of Object.entries(work.inputs)) own[input] = this.replaced.get(id) ?? BigInt(id)
    const done = node.self ? work.items : items
    return { node, items: done, table, quarantine, ranges: work.ranges, inputs: own, scans: [], takenFrom: this.from }
  }

  private async holds(
    work: StagedWork,
    book: FactBook,
    node: Node,
    items: readonly PlanItem[],
    inputs: StageInputs,
  ): Promise<boolean> {
    if (node.producer.kind === 'source') return this.sameDeliveries(work, book, node)
    const times = (list: readonly PlanItem[]) => JSON.stringify(list.map((item) => item.interval))
    if (times(work.planned ?? work.items) !== times(items)) return false
    for (const input of node.edges.keys()) {
      const now = (await inputs.pinOf(input))?.snapshotId ?? null
      const before = work.inputs[input] ?? null
      if (textOf(now) !== before && (before === null || this.replaced.get(before) !== now)) return false
    }
    return true
  }

  /** Its definition and main are what they were. */
  private isAsItWas(work: StagedWork, book: FactBook, node: Node): boolean {
    const main = book.mains.get(node.id)?.metadata.currentSnapshotId ?? null
    return work.fingerprint === node.fingerprint && work.base === textOf(main)
  }

  /** The intervals of it that hold still, and the others built; null when there are none. */
  private async takeIntervals(
    work: StagedWork,
    node: Node,
    items: readonly PlanItem[],
    target: Target,
    inputs: StageInputs,
  ): Promise<StagedDataset | null> {
    if (node.producer.kind === 'source' || work.quarantine) return null
    const files = work.table === null ? null : await this.filesOf(work.table, target.id)
    if (work.table !== null && (files === null || work.table.specId !== target.layout.spec.specId)) return null
    const context = withCatalog(this.context, stagedCatalog(this.context, inputs.run))
    const before = Object.fromEntries(Object.entries(work.inputs).map(([name, id]) => [name, BigInt(id)]))
    const staged = { from: this.from, ranges: work.ranges, inputs: before, files }
    const taken = await takeIntervals(context, inputs, node, items, target, staged, (a, b) => {
      return a === b || (a !== null && this.replaced.get(String(a)) === b)
    })
    if (taken?.taken && node.shape.kind === 'interval') {
      const { unit } = node.shape
      const count = (times: IntervalSet) => times.intervals.reduce((sum, one) => sum + splitBy(unit, one).length, 0)
      const all = count(IntervalSet.of(items.flatMap((item) => (item.interval ? [item.interval] : []))))
      const note = `${count(taken.taken)} of ${all} intervals taken over from run ${this.from}`
      this.context.progress.note(`${node.id}: ${note}.`)
    }
    return taken
  }

  private sameDeliveries(work: StagedWork, book: FactBook, node: Node): boolean {
    if (node.producer.kind !== 'source') return false
    switch (node.producer.input.kind) {
      case 'files': {
        const probe = book.probes.get(node.id)
        if (!probe) return false
        const waiting = [
          ...probe.candidates.map(({ path, sha256 }) => [path, sha256]),
          ...probe.withdrawn.map((path) => [path, null]),
        ]
        const landed = work.ranges.flatMap((range) => range.deliveries.map(({ path, sha256 }) => [path, sha256]))
        return JSON.stringify(waiting) === JSON.stringify(landed)
      }
      // What it handed over follows the published cursor, which is as it was; the rest comes with the next run.
      case 'function':
        return true
      case 'iceberg':
        return false
    }
  }

  private async registered(id: TableId): Promise<LoadedTable | null> {
    return (await this.context.catalog.loadTables([id], { signal: this.context.signal })).get(id) ?? null
  }

  /** The same files on this run's branch; null when they are no more, or stood on another main. */
  private async again(at: StagedAt, target: Target, run: RunId): Promise<StagedTable | null> {
    const now = await this.registered(target.id)
    const files = await this.filesOf(at, target.id)
    if (!files || textOf(now?.metadata.currentSnapshotId ?? null) !== at.base) return null
    const { added, removed, schema } = files
    const context = withCatalog(this.context, stagedCatalog(this.context, run))
    const onto = now ? targetAt(now, schema.schemaId, at.specId) : target
    return stageTable(context, run, onto, { added, removed, summary: at.summary }, null)
  }

  /** What a staged snapshot added and removed; null when its branch is no more. */
  private async filesOf(at: StagedAt, table: TableId): Promise<StagedFiles | null> {
    const loaded = this.tables.get(table)
    const snapshotId = BigInt(at.snapshotId)
    if (loaded?.metadata.refs[runBranch(this.from)]?.snapshotId !== snapshotId) return null
    const { metadata } = loaded
    const { added, removed } = await diffFiles({
      manifests: this.context.manifests,
      metadata,
      from: at.base === null ? null : BigInt(at.base),
      to: snapshotId,
      signal: this.context.signal,
    })
    const schemaId = snapshotById(metadata, snapshotId)?.schemaId ?? metadata.currentSchemaId
    return { added, removed, metadata, schema: schemaById(metadata, schemaId) }
  }
}
