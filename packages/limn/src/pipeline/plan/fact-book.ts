import type { TableId } from '../../base/index.ts'
import { type Interval, IntervalSet, type SealFacts } from '../../dataset/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import { type PinnedTable, pinRef } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { type Built, type DatasetLedger, emptyLedger, ledgerTable } from '../ledger/ledger.ts'
import { standingOf } from '../ledger/standing.ts'
import { inputsOf, type Node } from '../project/node.ts'
import { probeSeals } from '../schedule/markers.ts'
import { probeIceberg } from '../stage/source-iceberg.ts'
import { watermarkAt } from '../stage/view.ts'
import type { DefinitionDiff } from './definition-diff.ts'
import { diffsOf } from './diffs.ts'
import { domainOf, touchedBetween } from './facts.ts'
import { standsWithout } from './forward-only.ts'
import {
  type Head,
  isBuild,
  type Plan,
  type PlanFacts,
  type PlanItem,
  type PlanRequest,
  type Probe,
  plan,
  planOf,
  type Touched,
} from './plan.ts'
import { standingOnItself, touchedKey } from './reach.ts'
import { SinceFacts } from './since.ts'
import { probeFiles } from './sources.ts'

/** What a person asked to run or plan. */
export interface RunRequest extends PlanRequest {
  readonly selected: ReadonlySet<TableId>
  /** Milliseconds since the epoch: only what became stale through changes after it. */
  readonly sinceMs?: number
  /** The moment as of which intervals count as complete: a tick's. Default: now. */
  readonly asOfMs?: number
}

/** Whether something stale may be left out: what is then not rebuilt must not be recorded as up to date. */
function leavesStale(request: RunRequest): boolean {
  return request.range !== null || request.sinceMs !== undefined || request.restate !== undefined
}

/**
 * Standings as the tables bear them out: of a dataset whose table was published and is no longer in the catalog, taken away past
 * limn, nothing is built, and nothing that was handed over is still there. Delivery numbers are not used twice.
 */
function withoutLost(
  ledger: ReadonlyMap<TableId, DatasetLedger>,
  mains: ReadonlyMap<TableId, LoadedTable | null>,
): ReadonlyMap<TableId, DatasetLedger> {
  const out = new Map(ledger)
  for (const [id, main] of mains) {
    const own = ledger.get(id)
    if (main !== null || !own || own.outputSnapshot === null) continue
    out.set(id, { ...emptyLedger, lastOrdinal: own.lastOrdinal, samples: own.samples })
  }
  return out
}

/**
 * The facts of one run or plan, gathered as they become known. All tables are pinned together when it is opened; a
 * dataset the run stages is then read at its staged snapshot.
 */
export class FactBook {
  readonly request: RunRequest
  readonly ledger: ReadonlyMap<TableId, DatasetLedger>
  /** `seq` of the last ledger row this knows of; 0 when there was none. */
  readonly ledgerSeq: number
  /** Main of every table of the lake, at one instant. */
  readonly mains: Map<TableId, LoadedTable | null>
  readonly probes: ReadonlyMap<TableId, Probe>
  readonly heads = new Map<TableId, Head>()
  readonly bounds = new Map<string, IntervalSet>()
  private readonly context: PipelineContext
  private readonly staged = new Map<TableId, PinnedTable>()
  private readonly touched = new Map<string, Touched>()
  private readonly domains = new Map<TableId, Interval | null>()
  /** How definitions differ from those that intervals were built with, by `dataset fingerprint`. */
  readonly diffs: ReadonlyMap<string, DefinitionDiff>
  private readonly since: SinceFacts | null
  private readonly seals: ReadonlyMap<TableId, SealFacts>

  private constructor(
    context: PipelineContext,
    request: RunRequest,
    mains: Map<TableId, LoadedTable | null>,
    ledger: ReadonlyMap<TableId, DatasetLedger>,
    ledgerSeq: number,
    probes: ReadonlyMap<TableId, Probe>,
    diffs: ReadonlyMap<string, DefinitionDiff>,
    since: SinceFacts | null,
    seals: ReadonlyMap<TableId, SealFacts>,
  ) {
    this.context = context
    this.seals = seals
    this.diffs = diffs
    this.since = since
    this.request = request
    this.mains = mains
    this.ledger = ledger
    this.ledgerSeq = ledgerSeq
    this.probes = probes
    for (const id of context.project.order)
      this.heads.set(id, { snapshotId: this.pinOf(id)?.snapshotId ?? null, staged: false })
  }

  static async open(context: PipelineContext, request: RunRequest): Promise<FactBook> {
    const mains = new Map(
      await context.catalog.loadTables([...context.project.order, ledgerTable], { signal: context.signal }),
    )
    const { datasets, lastSeq } = await standingOf(context, mains.get(ledgerTable) ?? null)
    const ledger = withoutLost(datasets, mains)
    const probes = new Map<TableId, Probe>()
    for (const id of context.project.order) {
      const node = context.project.nodes.get(id)
      if (!request.selected.has(id) || node?.producer.kind !== 'source') continue
      const { input } = node.producer
      const own = ledger.get(id) ?? emptyLedger
      if (input.kind === 'files') probes.set(id, await probeFiles(context, id, input, own))
      if (input.kind === 'iceberg') probes.set(id, await probeIceberg(context, node, input, own))
    }
    const since = request.sinceMs === undefined ? null : await SinceFacts.open(context, request.sinceMs, mains)
    for (const [id, probe] of since ? probes : []) probes.set(id, (await since?.probeOf(id, probe)) ?? probe)
    const diffs = await diffsOf(context, request.selected, ledger)
    const seals = await probeSeals(context, request.asOfMs ?? context.clock.nowMs())
    return new FactBook(context, request, mains, ledger, lastSeq, probes, diffs, since, seals)
  }

  /** The table as this run reads it; null when it does not exist or has no rows yet. */
  pinOf(id: TableId): PinnedTable | null {
    const staged = this.staged.get(id)
    if (staged) return staged
    const main = this.mains.get(id)
    return main && main.metadata.currentSnapshotId !== null ? pinRef(main) : null
  }

  isStaged(id: TableId): boolean {
    return this.heads.get(id)?.staged ?? false
  }

  /** This run has dealt with a dataset: its readers get `pin`, or main as pinned when nothing was written. */
  settle(id: TableId, pin: PinnedTable | null): void {
    if (pin) this.staged.set(id, pin)
    this.heads.set(id, { snapshotId: this.pinOf(id)?.snapshotId ?? null, staged: true })
  }

  /** Gathers what the planner wants to know of a model whose inputs are settled. */
  async gather(node: Node): Promise<void> {
    if (node.producer.kind === 'source') return
    await this.gatherFrom(node, (entry, input) => this.beforeOf(entry, input))
    await this.since?.gather(node, (input) => this.pinOf(input))
    if (node.shape.kind === 'interval')
      this.domains.set(node.id, await domainOf(this.context, node, (input) => this.pinOf(input)))
  }

  private async gatherFrom(node: Node, beforeOf: (entry: Built, input: TableId) => bigint | null): Promise<void> {
    const built = this.ledger.get(node.id)?.built ?? []
    const facts = this.facts()
    for (const input of inputsOf(node)) {
      const pin = this.pinOf(input)
      if (!pin) continue
      const asked =
        input === node.id
          ? standingOnItself(node, built)
          : built.filter((entry) => !standsWithout(node, facts, entry.fingerprint, input))
      const before = new Set(asked.map((entry) => beforeOf(entry, input)))
      for (const from of before) {
        if (from === pin.snapshotId) continue
        const key = touchedKey(node.id, input, from, pin.snapshotId)
        if (!this.touched.has(key)) this.touched.set(key, await touchedBetween(this.context, node, input, from, pin))
      }
    }
  }

  private beforeOf(entry: Built, input: TableId): bigint | null {
    const before = entry.inputs[input] ?? null
    return this.since ? this.since.inputThen(input, before) : before
  }

  facts(): PlanFacts {
    return {
      order: this.context.project.order,
      nodes: this.context.project.nodes,
      selected: this.request.selected,
      ledger: this.ledger,
      heads: this.heads,
      probes: this.probes,
      touched: this.touched,
      bounds: this.bounds,
      domains: this.domains,
      diffs: this.diffs,
      request: this.request,
      ...(this.since ? { since: this.since } : {}),
      seals: this.sealsNow(),
    }
  }

  /** Watermarks are those of the tables as this run reads them: what it stages is committed with what it says. */
  private sealsNow(): ReadonlyMap<TableId, SealFacts> {
    const out = new Map<TableId, SealFacts>()
    for (const [id, facts] of this.seals) {
      const pin = this.pinOf(id)
      out.set(id, { ...facts, watermark: pin && watermarkAt(pin.metadata, pin.snapshotId) })
    }
    return out
  }

  /** Whether a dataset may be left with something stale, which must not be recorded as up to date. */
  leavesStale(id: TableId): boolean {
    if (leavesStale(this.request)) return true
    if (this.seals.size === 0 || this.request.unsealed) return false
    const heads = new Map(this.heads).set(id, { snapshotId: this.heads.get(id)?.snapshotId ?? null, staged: false })
    return planOf(id, { ...this.facts(), heads }, new Map()).some((item) => item.reason === 'unsealed')
  }

  plan(): Plan {
    return plan(this.facts())
  }

  /** The items of a dataset whose inputs this run has dealt with. */
  planOf(id: TableId): readonly PlanItem[] {
    return planOf(id, this.facts(), new Map())
  }

  /** What differed between two states of an input, in what a reader reads of it; undefined when it was not asked. */
  touchedOf(dataset: TableId, input: TableId, from: bigint | null): Touched | undefined {
    return this.touched.get(touchedKey(dataset, input, from, this.pinOf(input)?.snapshotId ?? null))
  }

  /** Plans every dataset when all before it are, by its inputs as they are now where they have yet to be built. */
  async gatherSettled(): Promise<Plan> {
    const items: PlanItem[] = []
    const pending = new Map<TableId, readonly PlanItem[]>()
    for (const id of this.context.project.order) {
      const node = this.context.project.nodes.get(id)
      if (!node || !this.request.selected.has(id)) continue
      await this.gather(node)
      const own = planOf(id, this.facts(), pending)
      if (own.some(isBuild)) pending.set(id, own)
      items.push(...own)
    }
    return { items }
  }

  /** Intervals whose inputs moved without touching them, with the snapshots they are now known to equal. */
  carriedOf(node: Node, rebuilt: IntervalSet): readonly { readonly interval: Interval | null }[] {
    const now = (input: TableId) => this.heads.get(input)?.snapshotId ?? null
    return (this.ledger.get(node.id)?.built ?? []).flatMap((entry): { readonly interval: Interval | null }[] => {
      const moved = inputsOf(node).some((input) => (entry.inputs[input] ?? null) !== now(input))
      if (!moved || entry.fingerprint !== node.fingerprint) return []
      if (entry.interval === null) return [{ interval: null }]
      return IntervalSet.of([entry.interval])
        .minus(rebuilt)
        .intervals.map((interval) => ({ interval }))
    })
  }

  /** What would be stale of a dataset now if everything had been asked for; `whole` when it is not built by interval. */
  async staleOf(node: Node): Promise<{ readonly whole: boolean; readonly times: IntervalSet }> {
    await this.gather(node)
    await this.gatherFrom(node, (entry, input) => entry.inputs[input] ?? null)
    const heads = new Map(this.heads)
    heads.set(node.id, { snapshotId: heads.get(node.id)?.snapshotId ?? null, staged: false })
    const { since: _, ...facts } = this.facts()
    const selected = new Set([node.id])
    const items = planOf(node.id, { ...facts, heads, selected, request: { full: false, range: null } }, new Map())
    const builds = items.filter((item) => isBuild(item) || item.reason === 'unsealed')
    return {
      whole: builds.some((item) => item.interval === null),
      times: IntervalSet.of(builds.flatMap((item) => (item.interval ? [item.interval] : []))),
    }
  }
}
