import { isTableId, LimnError, runId, type TableId } from '../base/index.ts'
import { production } from '../catalog/index.ts'
import { type Interval, IntervalSet } from '../dataset/index.ts'
import { snapshotAsOf, snapshotById } from '../iceberg/index.ts'
import {
  type Against,
  type ApartReport,
  apart,
  type Point,
  runBranch,
  type TrailReport,
  trail,
  type WhyBook,
  withCatalog,
} from '../pipeline/index.ts'
import { pinRef, pinStaged } from '../table/index.ts'
import type { Lake } from './lake.ts'
import { parseAt, runCatalog } from './query.ts'

export interface WhyAgainstOptions {
  /** A snapshot id, a run, a table, a branch, a tag, or a time; in an environment also `prod`. */
  readonly against: string
  readonly at?: string
  readonly measure?: string
  readonly measureAgainst?: string
  readonly by?: readonly string[]
  /** Values of the keys, in their order. */
  readonly key?: readonly string[]
  readonly where?: string
  readonly range?: Interval | null
}

/** Why a number of a table is another than at another state, in another run or in another table. Reads only. */
export async function whyAgainst(lake: Lake, table: TableId, options: WhyAgainstOptions): Promise<ApartReport> {
  const against = stateOf(table, options.against)
  const context = await lake.context(await lake.loadProject())
  const staged = against.run !== undefined && context.runs.runs().some((one) => one.id === against.run)
  const seen =
    staged && against.run !== undefined ? withCatalog(context, await runCatalog(lake, runId(against.run))) : context
  const request = {
    table,
    at: options.at === undefined ? null : stateOf(table, options.at).point,
    against,
    measure: options.measure ?? null,
    measureAgainst: options.measureAgainst ?? null,
    by: options.by ?? null,
    key: options.key ?? null,
    where: options.where ?? null,
    times: options.range ? IntervalSet.of([options.range]) : null,
  }
  return apart(seen, request, lake.environment === null ? null : lake.production())
}

export interface WhyTrailOptions {
  readonly range?: Interval | null
  /** Values of the keys, in their order. */
  readonly key?: readonly string[]
  readonly column?: string
  readonly where?: string
}

/** Where rows of a table come from: layer by layer down to the deliveries. Reads only. */
export async function whyTrail(lake: Lake, table: TableId, options: WhyTrailOptions): Promise<TrailReport> {
  return trail(await lake.context(await lake.loadProject()), {
    table,
    times: options.range ? IntervalSet.of([options.range]) : null,
    key: options.key ?? null,
    column: options.column ?? null,
    where: options.where ?? null,
  })
}

/** What a person named: a state of `table`, or another table. */
function stateOf(table: TableId, text: string): Against & { readonly run?: string } {
  if (text === production) return { text, point: (book) => book.inProduction(table) }
  if (isTableId(text)) return { text, point: (book) => book.now(text) }
  const run = /^(?:run\/)?(\d{8}T\d{6}-[0-9a-f]{6})$/.exec(text)?.[1]
  if (run !== undefined) return { text, run, point: (book) => pointOfRun(book, table, run) }
  return { text, point: (book) => pointAt(book, table, text) }
}

/** A table as a run left it, or staged it; as it stood then when the run did not touch it. */
async function pointOfRun(book: WhyBook, table: TableId, run: string): Promise<Point> {
  const loaded = await book.loaded(table)
  const staged = loaded && pinStaged(loaded, runBranch(runId(run)))
  if (staged) return book.pointOf(staged)
  const rows = book.ledger.filter((row) => row.run === run)
  const last = rows.at(-1)
  if (!last)
    throw new LimnError('usage/unknown-run', {
      message: `The ledger has no run ${run}.`,
      notDone: 'Nothing was compared.',
      remedy: 'List the runs with: limn runs ls',
    })
  const own = book.ledger.findLast((row) => row.dataset === table && row.seq <= last.seq && row.outputSnapshot !== null)
  const point = own?.outputSnapshot ? await book.at(table, own.outputSnapshot) : null
  if (point) return point
  throw nothingThere(table, `run ${run}`)
}

async function pointAt(book: WhyBook, table: TableId, text: string): Promise<Point> {
  const loaded = await book.loaded(table)
  if (!loaded) return book.now(table)
  const { metadata } = loaded
  const at = parseAt(text)
  if (at.kind === 'ref') {
    const pin = pinRef(loaded, at.ref)
    if (pin) return book.pointOf(pin)
  }
  const snapshotId =
    at.kind === 'snapshot' ? at.snapshotId : at.kind === 'time' ? snapshotAsOf(metadata, at.timestampMs) : null
  const point = snapshotId !== null && snapshotById(metadata, snapshotId) ? await book.at(table, snapshotId) : null
  if (point) return point
  throw nothingThere(table, text)
}

function nothingThere(table: TableId, what: string): LimnError {
  return new LimnError('usage/unknown-snapshot', {
    message: `${table} has nothing at ${what}.`,
    notDone: 'Nothing was compared.',
    remedy: `List what it has: limn table history ${table}`,
  })
}
