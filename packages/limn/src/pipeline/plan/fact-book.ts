import type { TableId } from '../../base/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'
import type { LoadedTable } from '../../iceberg/index.ts'
import { type PinnedTable, pinRef } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { type DatasetLedger, emptyLedger, foldLedger, ledgerTable } from '../ledger/ledger.ts'
import { readLedger } from '../ledger/ledger-store.ts'
import type { Node } from '../project/node.ts'
import { probeIceberg } from '../stage/source-iceberg.ts'
import { domainOf, touchedBetween } from './facts.ts'
import { type Head, type Plan, type PlanFacts, type Probe, plan, type Touched, touchedKey } from './plan.ts'
import { probeFiles } from './sources.ts'

/** What a person asked to run or plan. */
export interface RunRequest {
  readonly selected: ReadonlySet<TableId>
  readonly full: boolean
  readonly range: Interval | null
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

  private constructor(
    context: PipelineContext,
    request: RunRequest,
    mains: Map<TableId, LoadedTable | null>,
    ledger: ReadonlyMap<TableId, DatasetLedger>,
    ledgerSeq: number,
    probes: ReadonlyMap<TableId, Probe>,
  ) {
    this.context = context
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
    const rows = await readLedger(context, mains.get(ledgerTable) ?? null)
    const ledger = foldLedger(rows)
    const ledgerSeq = rows.reduce((last, row) => Math.max(last, row.seq), 0)
    const probes = new Map<TableId, Probe>()
    for (const id of context.project.order) {
      const node = context.project.nodes.get(id)
      if (!request.selected.has(id) || node?.producer.kind !== 'source') continue
      const { input } = node.producer
      const own = ledger.get(id) ?? emptyLedger
      if (input.kind === 'files') probes.set(id, await probeFiles(context, id, input, own))
      if (input.kind === 'iceberg') probes.set(id, await probeIceberg(context, node, input, own))
    }
    return new FactBook(context, request, mains, ledger, ledgerSeq, probes)
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
    const built = this.ledger.get(node.id)?.built ?? []
    for (const input of node.edges.keys()) {
      const pin = this.pinOf(input)
      if (!pin) continue
      const before = new Set(built.map((entry) => entry.inputs[input] ?? null))
      for (const from of before) {
        if (from === pin.snapshotId) continue
        const key = touchedKey(node.id, input, from, pin.snapshotId)
        if (!this.touched.has(key)) this.touched.set(key, await touchedBetween(this.context, node, input, from, pin))
      }
    }
    if (node.shape.kind === 'interval')
      this.domains.set(node.id, await domainOf(this.context, node, (input) => this.pinOf(input)))
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
      request: this.request,
    }
  }

  plan(): Plan {
    return plan(this.facts())
  }

  /** Gathers for every model that no pending input leaves open, until nothing more becomes known. */
  async gatherSettled(): Promise<Plan> {
    for (const id of this.context.project.order) {
      const node = this.context.project.nodes.get(id)
      if (!node || !this.request.selected.has(id) || node.producer.kind === 'source') continue
      const pending = new Set(
        this.plan()
          .items.filter((item) => item.reason !== 'checks-changed')
          .map((item) => item.dataset),
      )
      if ([...node.edges.keys()].some((input) => pending.has(input))) continue
      await this.gather(node)
    }
    return this.plan()
  }

  /** Intervals whose inputs moved without touching them, with the snapshots they are now known to equal. */
  carriedOf(node: Node, rebuilt: IntervalSet): readonly { readonly interval: Interval | null }[] {
    const now = (input: TableId) => this.heads.get(input)?.snapshotId ?? null
    return (this.ledger.get(node.id)?.built ?? []).flatMap((entry): { readonly interval: Interval | null }[] => {
      const moved = [...node.edges.keys()].some((input) => (entry.inputs[input] ?? null) !== now(input))
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
    const heads = new Map(this.heads)
    for (const [id, head] of heads) heads.set(id, { ...head, staged: id !== node.id })
    const selected = new Set([node.id])
    const { items } = plan({ ...this.facts(), heads, selected, request: { full: false, range: null } })
    const builds = items.filter((item) => item.reason !== 'checks-changed')
    return {
      whole: builds.some((item) => item.interval === null),
      times: IntervalSet.of(builds.flatMap((item) => (item.interval ? [item.interval] : []))),
    }
  }
}
