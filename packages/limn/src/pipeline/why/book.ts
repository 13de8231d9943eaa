import { LimnError, type TableId } from '../../base/index.ts'

import type { Contract } from '../../contract/index.ts'
import { type Edge, type Interval, IntervalSet } from '../../dataset/index.ts'
import { parseJson } from '../../encoding/index.ts'
import { ancestorsOf, type Catalog, type LoadedTable, snapshotById } from '../../iceberg/index.ts'
import { type PinnedTable, pinRef, pinSnapshot } from '../../table/index.ts'
import { type PipelineContext, withCatalog } from '../context.ts'
import { definitionOfNode } from '../ledger/definition.ts'
import { definitionOf } from '../ledger/definition-store.ts'
import {
  type Built,
  type DatasetLedger,
  emptyLedger,
  foldLedger,
  type LedgerRow,
  ledgerTable,
} from '../ledger/ledger.ts'
import { readLedger } from '../ledger/ledger-read.ts'
import type { Shape } from '../project/node.ts'
import type { DatasetView } from '../stage/view.ts'
import { deliveryOf, viewOf } from '../stage/view.ts'
import { type NamedLedger, renamedDefinition, underPresentNames } from './former-names.ts'

/** A dataset as it was defined: by the lake's memory, or now. */
export interface Code {
  readonly dataset: TableId
  readonly fingerprint: string
  readonly sql: string
  /** Parsed; null for a source. */
  readonly tree: unknown
  readonly contract: Contract
  readonly shape: Shape
  readonly edges: ReadonlyMap<TableId, Edge>
  readonly source: boolean
  readonly file: string
  /** Whether it is the present one. */
  readonly present: boolean
}

/** One dataset at one snapshot, with what the ledger says of it then. */
export interface Point {
  readonly dataset: TableId
  readonly pin: PinnedTable
  /** Rows of the ledger that count, by order of publication. */
  readonly rows: readonly LedgerRow[]
  readonly standing: DatasetLedger
  /** How its rows are divided, by its present definition; null: no dataset makes it. */
  readonly shape: Shape | null
  /** The run that made the snapshot, or that of its nearest ancestor a run made. */
  readonly run: string | null
  /** Snapshots since then that no run made and that did more than rewrite files, latest first. */
  readonly direct: readonly bigint[]
  /** Of a source, as if it had these deliveries and no others. Default: those its readers see. */
  readonly only?: ReadonlySet<number>
}

/** What some intervals of a dataset were built from. */
export interface BuiltFrom {
  /** Null: the whole dataset. */
  readonly times: IntervalSet | null
  readonly fingerprint: string
  readonly inputs: Readonly<Record<string, bigint>>
}

/** Everything `why` looks up, each thing once. Reads only. */
export class WhyBook {
  readonly context: PipelineContext
  readonly ledger: readonly LedgerRow[]
  /** In an environment: the lake it was made of, for states that it alone has. */
  private readonly production: WhyBook | null
  private readonly former: NamedLedger['former']
  private readonly tables = new Map<TableId, Promise<LoadedTable | null>>()
  private readonly codes = new Map<string, Promise<Code | null>>()

  private constructor(context: PipelineContext, { rows, former }: NamedLedger, production: WhyBook | null) {
    this.context = context
    this.ledger = rows
    this.former = former
    this.production = production
  }

  /** `production`: the catalog of the lake that an environment was made of. */
  static async open(context: PipelineContext, production: Catalog | null = null): Promise<WhyBook> {
    const loaded = (await context.catalog.loadTables([ledgerTable], { signal: context.signal })).get(ledgerTable)
    const ledger = underPresentNames(await readLedger(context, loaded ?? null))
    return new WhyBook(context, ledger, production && (await WhyBook.open(withCatalog(context, production))))
  }

  loaded(id: TableId): Promise<LoadedTable | null> {
    let found = this.tables.get(id)
    if (!found) {
      const { catalog, signal } = this.context
      found = catalog.loadTables([id], { signal }).then((tables) => tables.get(id) ?? null)
      this.tables.set(id, found)
    }
    return found
  }

  /** Main of a table. Throws `usage/unknown-table`. */
  async now(id: TableId): Promise<Point> {
    const loaded = await this.loaded(id)
    const pin = loaded && pinRef(loaded)
    if (!pin) throw unknownTable(id)
    return this.pointOf(pin)
  }

  /** Main of a table in production. Throws `usage/unknown-table`, and `usage/argument` outside of an environment. */
  async inProduction(id: TableId): Promise<Point> {
    if (!this.production)
      throw new LimnError('usage/argument', {
        message: 'This is production itself: there is no other to compare with.',
        notDone: 'Nothing was compared.',
        remedy: 'Work in an environment: --env NAME',
      })
    return this.production.now(id)
  }

  /** A table at a snapshot, in an environment also one that production alone has; null when it is gone, by expiry or with the table. */
  async at(id: TableId, snapshotId: bigint): Promise<Point | null> {
    const loaded = await this.loaded(id)
    if (loaded && snapshotById(loaded.metadata, snapshotId)) return this.pointOf(pinSnapshot(loaded, snapshotId))
    return (await this.production?.at(id, snapshotId)) ?? null
  }

  pointOf(pin: PinnedTable): Point {
    const { id: dataset } = pin
    const own = this.ledger.filter((row) => row.dataset === dataset)
    const direct: bigint[] = []
    let made: LedgerRow | undefined
    const line = pin.snapshotId === null ? [] : ancestorsOf(pin.metadata, pin.snapshotId)
    for (const snapshot of line) {
      // Rows changed by hand were made by no definition.
      made = own.findLast(
        (row) => row.outputSnapshot === snapshot.snapshotId && row.outcome !== 'failed' && row.outcome !== 'edited',
      )
      if (made) break
      if (snapshot.operation !== 'replace') direct.push(snapshot.snapshotId)
    }
    const last = made
    const rows = last
      ? own.filter((row) => row.seq <= last.seq || row.outputSnapshot === last.outputSnapshot).map(asPublished(last))
      : []
    const standing = { ...(foldLedger(rows).get(dataset) ?? emptyLedger), built: builtBy(rows) }
    const shape = this.context.project.nodes.get(dataset)?.shape ?? null
    return { dataset, pin, rows, standing, shape, run: last?.run ?? null, direct }
  }

  /** What the rows of some times (null: all) were built from, by distinct origin, in order of time. */
  builtFrom(point: Point, times: IntervalSet | null): readonly BuiltFrom[] {
    const groups = new Map<string, BuiltFrom>()
    for (const { interval, fingerprint, inputs } of point.standing.built) {
      const own = interval === null ? null : IntervalSet.of([interval])
      const part = own === null || times === null ? own : own.intersect(times)
      if (part?.isEmpty) continue
      const key = originOf({ fingerprint, inputs })
      const known = groups.get(key)?.times
      groups.set(key, { times: part === null ? null : known ? known.union(part) : part, fingerprint, inputs })
    }
    return [...groups.values()]
  }

  /** What a dataset was defined as under a fingerprint; null when the lake does not remember it. */
  code(dataset: TableId, fingerprint: string): Promise<Code | null> {
    const key = `${dataset} ${fingerprint}`
    let found = this.codes.get(key)
    if (!found) {
      found = this.findCode(dataset, fingerprint)
      this.codes.set(key, found)
    }
    return found
  }

  private async findCode(dataset: TableId, fingerprint: string): Promise<Code | null> {
    const node = this.context.project.nodes.get(dataset)
    const present = node?.fingerprint === fingerprint
    const found = present ? definitionOfNode(node) : await this.remembered(dataset, fingerprint)
    if (!found) return (await this.production?.code(dataset, fingerprint)) ?? null
    return {
      dataset,
      fingerprint,
      sql: found.sql,
      tree: found.tree === '' ? null : parseJson(found.tree),
      contract: found.contract,
      shape: found.shape,
      edges: new Map(Object.entries(found.edges) as [TableId, Edge][]),
      source: found.producer.kind !== 'model',
      file: found.file,
      present,
    }
  }

  /** A definition by the lake's memory, under the names that datasets have now. */
  private async remembered(dataset: TableId, fingerprint: string) {
    for (const name of [dataset, ...(this.former.get(dataset) ?? [])]) {
      const found = await definitionOf(this.context, name, fingerprint)
      if (!found) continue
      const names = [...this.former].flatMap(([now, before]) => before.map((one) => [one, now] as const))
      const given = names.filter(([one]) => !this.context.project.nodes.has(one))
      return renamedDefinition(this.context.engine, found, new Map(given))
    }
    return null
  }

  /** The latest definition that a point's rows were made by. */
  async codeOf(point: Point): Promise<Code | null> {
    const fingerprint = point.rows.findLast((row) => row.fingerprint !== '')?.fingerprint
    const node = this.context.project.nodes.get(point.dataset)
    if (fingerprint === undefined) return node ? this.findCode(point.dataset, node.fingerprint) : null
    return this.code(point.dataset, fingerprint)
  }

  /** The rows of a point that its readers see. */
  viewOf(point: Point): DatasetView {
    const { only, pin } = point
    if (!only) return viewOf(this.context.project.nodes.get(point.dataset), pin)
    const ordinalOf = deliveryOf(pin)
    return { pin, keep: (file) => only.has(ordinalOf(file) ?? -1) }
  }
}

/**
 * What each interval's rows were really made by: a definition that was accepted without building anew made nothing, and
 * rows that inputs did not touch are still those of their own definition.
 */
function builtBy(rows: readonly LedgerRow[]): readonly Built[] {
  let built: readonly Built[] = []
  for (const row of [...rows].sort((a, b) => a.seq - b.seq))
    if (row.outcome === 'built' || row.outcome === 'kept' || row.outcome === 'carried') built = overlaid(built, row)
  return built
}

function overlaid(built: readonly Built[], { outcome, interval, fingerprint, inputs }: LedgerRow): readonly Built[] {
  const carried = outcome === 'carried'
  if (interval === null) return carried ? built.map((one) => ({ ...one, inputs })) : [{ interval, fingerprint, inputs }]
  const hole = IntervalSet.of([interval])
  const out: Built[] = carried ? [] : [{ interval, fingerprint, inputs }]
  for (const one of built) {
    // Of a dataset that was built whole before, nothing is known by interval.
    if (one.interval === null) continue
    if (!hole.overlaps(one.interval)) {
      out.push(one)
      continue
    }
    const own = IntervalSet.of([one.interval])
    for (const part of own.minus(hole).intervals) out.push({ ...one, interval: part })
    if (carried) for (const part of own.intersect(hole).intervals) out.push({ ...one, interval: part, inputs })
  }
  return joined(out.sort((a, b) => (a.interval?.start ?? 0) - (b.interval?.start ?? 0)))
}

/** Neighbours that were built from the same are one. */
function joined(built: readonly Built[]): readonly Built[] {
  const out: Built[] = []
  for (const one of built) {
    const last = out.at(-1)
    const touching = last?.interval && one.interval && last.interval.end === one.interval.start
    if (last?.interval && one.interval && touching && originOf(last) === originOf(one))
      out[out.length - 1] = { ...last, interval: { start: last.interval.start, end: one.interval.end } }
    else out.push(one)
  }
  return out
}

function originOf({ fingerprint, inputs }: Pick<Built, 'fingerprint' | 'inputs'>): string {
  return JSON.stringify([
    fingerprint,
    Object.entries(inputs)
      .map(([id, at]) => [id, String(at)])
      .sort(),
  ])
}

/** A refused run's own rows count as what they would have been. */
function asPublished(last: LedgerRow): (row: LedgerRow) => LedgerRow {
  return (row) =>
    row.outcome === 'refused' && row.run === last.run
      ? { ...row, outcome: row.deliveries.length > 0 ? 'landed' : 'built' }
      : row
}

export function unknownTable(id: TableId): LimnError {
  return new LimnError('usage/unknown-table', {
    message: `There is no table ${id}.`,
    notDone: 'Nothing was looked at.',
    remedy: 'List the tables with: limn table ls',
  })
}

/** Intervals as a set, or null for a dataset built whole. */
export function timesOf(intervals: readonly (Interval | null)[]): IntervalSet | null {
  const own = intervals.filter((one) => one !== null)
  return own.length === intervals.length ? IntervalSet.of(own) : null
}
