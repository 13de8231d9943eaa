import { LimnError, nearest, type TableId } from '../../base/index.ts'
import { formatStart, type IntervalSet } from '../../dataset/index.ts'
import { snapshotById } from '../../iceberg/index.ts'
import { columnItem, columnsHandedThrough, quoteIdentifier } from '../../sql/index.ts'
import { pinSnapshot, readPinned, schemaOfPin } from '../../table/index.ts'
import { approvalProperty } from '../backfill/publish-backfill.ts'
import type { PipelineContext } from '../context.ts'
import type { LedgerRow } from '../ledger/ledger.ts'
import { type BuiltFrom, type Code, type Point, WhyBook } from './book.ts'
import { type ColumnStep, columnTrail } from './column-trail.ts'
import { columnsAsked, conditionsFor, holds, namesIn, renamedCondition } from './conditions.ts'
import { deliveriesSeen, type SeenDelivery } from './deliveries.ts'
import { keyConditions, timesOfKey } from './key.ts'
import { touchesAreLists } from './reader.ts'
import { conditionOf, everything, readsOf, type Scope, sideOf } from './scope.ts'

/** One dataset on the way down, at the state that the layer above was built from. */
export interface TrailStep {
  readonly dataset: TableId
  /** 0 for the table asked about. */
  readonly depth: number
  readonly snapshotId: bigint | null
  /** The run that published the rows in scope, and what it said of them. */
  readonly run: {
    readonly id: string
    readonly outcome: string
    readonly reason: string
    readonly startedAtMs: number
    readonly limnVersion: string
    /** Of a backfill: by what it was published, `in-advance`, `as-seen` or `within-tolerance`. */
    readonly approval: string | null
  } | null
  /** The definition they were made by; `present` null: the lake does not remember it. */
  readonly code: { readonly fingerprint: string; readonly file: string; readonly present: boolean | null } | null
  /** Rows in scope. */
  readonly rows: number
  readonly scope: { readonly times: IntervalSet | null; readonly conditions: readonly string[] }
  /** Of a source: the deliveries that hold them, by ordinal. */
  readonly deliveries: readonly (SeenDelivery & { readonly rows: number })[]
  /** Whether main has moved on since the layer above read it. */
  readonly moved: boolean
  /** Snapshots that no run made. */
  readonly direct: readonly bigint[]
}

export interface KeyState {
  readonly snapshotId: bigint
  readonly publishedMs: number
  readonly run: string | null
  /** As text, in order of `columns`; at most 10. */
  readonly rows: readonly (readonly (string | null)[])[]
}

export interface TrailReport {
  readonly table: TableId
  readonly columns: readonly string[]
  /** The rows asked about, as text; at most 10. */
  readonly rows: readonly (readonly (string | null)[])[]
  readonly steps: readonly TrailStep[]
  /** With a key or condition: what they were at each snapshot, latest first; equal ones are one. */
  readonly history: readonly KeyState[]
  /** With a column: how it is computed, layer by layer. */
  readonly column: readonly ColumnStep[]
  readonly unknown: readonly string[]
}

export interface TrailRequest {
  readonly table: TableId
  readonly times: IntervalSet | null
  /** Values of the keys, in their order. */
  readonly key: readonly string[] | null
  readonly column: string | null
  readonly where: string | null
}

const rowsShown = 10
const snapshotsLooked = 20

/**
 * Walks from rows of a table down to the deliveries they came from: at each layer the state that was read, the run that
 * made it, by which definition, and how many rows are concerned, narrowed by what the edges say of time and by columns that
 * are handed through. What cannot be narrowed is said. Reads only.
 */
export async function trail(context: PipelineContext, request: TrailRequest): Promise<TrailReport> {
  const book = await WhyBook.open(context)
  const point = await book.now(request.table)
  const columns = schemaOfPin(point.pin).fields.map((field) => field.name)
  requireColumn(request, columns)
  const conditions = [
    ...keyConditions(book, request.table, request.key),
    ...(request.where === null ? [] : [`(${request.where}\n)`]),
  ]
  const down: Down = { book, steps: [], unknown: [], seen: new Set() }
  const times = point.shape?.kind === 'interval' ? (request.times ?? timesOfKey(book, point, request.key)) : null
  if (request.times !== null && times === null)
    down.unknown.push(`${request.table} is not built by interval: a date does not narrow it.`)
  const asked: Narrowed = { times, conditions, read: null }
  await descend(down, point, asked, 0)
  const narrowed = conditions.length > 0 || times !== null
  return {
    table: request.table,
    columns,
    rows: narrowed ? await rowsOf(book, point, asked, rowsShown) : [],
    steps: down.steps,
    history: conditions.length > 0 ? await historyOf(book, point, asked) : [],
    column:
      request.column === null ? [] : await columnTrail(book, request.table, request.column, (id) => codeAt(down, id)),
    unknown: [...new Set(down.unknown)],
  }
}

interface Down {
  readonly book: WhyBook
  readonly steps: TrailStep[]
  readonly unknown: string[]
  readonly seen: Set<string>
}

interface Narrowed {
  readonly times: IntervalSet | null
  /** What was asked of the rows, in this layer's words. */
  readonly conditions: readonly string[]
  /** What the edge above says of them; null: nothing but their time. */
  readonly read: string | null
  /** Whether these are the earlier rows of a dataset that reads itself: they are gone through once, not day by day. */
  readonly ofItself?: boolean
}

/** The definition by which a dataset met on the way was built; else its present one. */
async function codeAt(down: Down, dataset: TableId): Promise<Code | null> {
  const fingerprint = down.steps.find((one) => one.dataset === dataset)?.code?.fingerprint
  const present = down.book.context.project.nodes.get(dataset)?.fingerprint
  const wanted = fingerprint ?? present
  return wanted === undefined ? null : down.book.code(dataset, wanted)
}

async function descend(down: Down, point: Point, narrowed: Narrowed, depth: number): Promise<void> {
  const { book, seen } = down
  const { dataset } = point
  const key = JSON.stringify([
    dataset,
    String(point.pin.snapshotId),
    narrowed.times?.intervals ?? null,
    narrowed.conditions,
    narrowed.read,
  ])
  if (seen.has(key)) return
  seen.add(key)
  const main = await book.now(dataset)
  const common = {
    dataset,
    depth,
    snapshotId: point.pin.snapshotId,
    moved: main.pin.snapshotId !== point.pin.snapshotId,
    direct: point.direct,
  }
  const node = book.context.project.nodes.get(dataset)
  if (node?.producer.kind === 'source' || point.standing.built.length === 0) {
    const deliveries = node?.producer.kind === 'source' ? await deliveriesOf(book, point, narrowed) : []
    const landed = point.rows.findLast(
      (row) => deliveries.length === 0 || deliveries.some((one) => one.run === row.run),
    )
    const rows = deliveries.reduce((sum, one) => sum + one.rows, 0)
    down.steps.push({ ...common, run: runOf(point, landed), code: null, rows, scope: scopeOf(narrowed), deliveries })
    if (!landed) down.unknown.push(`No run made ${dataset}: where its rows came from is not in the ledger.`)
    return
  }
  for (const built of book.builtFrom(point, narrowed.times)) {
    const own: Narrowed = {
      ...narrowed,
      times: narrowed.times && built.times ? narrowed.times.intersect(built.times) : (built.times ?? narrowed.times),
    }
    const code = await book.code(dataset, built.fingerprint)
    const rows = await countRows(book, point, own)
    const present = code ? code.present : null
    down.steps.push({
      ...common,
      run: runOf(point, madeBy(point, built, own.times)),
      code: { fingerprint: built.fingerprint, file: code?.file ?? node?.file ?? '', present },
      rows,
      scope: scopeOf(own),
      deliveries: [],
    })
    if (!code) down.unknown.push(`The definition ${built.fingerprint.slice(0, 8)} of ${dataset} is not remembered.`)
    await descendInputs(down, point, code, built, own, depth)
  }
}

async function descendInputs(
  down: Down,
  point: Point,
  code: Code | null,
  built: BuiltFrom,
  own: Narrowed,
  depth: number,
): Promise<void> {
  const { book } = down
  for (const [name, snapshotId] of Object.entries(built.inputs).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const input = name as TableId
    const isItself = input === point.dataset
    if (isItself && own.ofItself) {
      const note = furtherBack(code, own.times)
      if (note !== null) down.unknown.push(note)
      continue
    }
    const below = await book.at(input, snapshotId)
    if (!below) {
      down.unknown.push(`The state of ${input} that ${point.dataset} was built from is gone: snapshot ${snapshotId}.`)
      continue
    }
    const edge = code?.edges.get(input)
    const lists = edge?.touches ? await touchesAreLists(book, input, edge.touches) : false
    const reads: Scope = code ? readsOf(edge, code.shape, below.shape, own.times, lists) : everything
    const kept = await handedDown(book, input, code, own.conditions)
    const lost = own.conditions.filter((one) => !kept.some((each) => each.from === one))
    if (lost.length > 0)
      down.unknown.push(
        `Which rows of ${input} made them is not known by ${lost.map((one) => one.replace(/\s+/g, ' ')).join(' and ')}${reads.times || reads.where ? ', only by time' : ''}.`,
      )
    const conditions = kept.map((one) => one.to)
    const next = { times: reads.times, conditions, read: reads.where, ofItself: isItself }
    // The first interval of all reads nothing of itself.
    if (!isItself || (await countRows(book, below, next)) > 0) await descend(down, below, next, depth + 1)
  }
}

/** What is left out of a dataset that reads itself: what lies further back than its own rows were gone through. */
function furtherBack(code: Code | null, times: IntervalSet | null): string | null {
  const reads = code?.edges.get(code.dataset)?.reads
  const hull = times?.hull
  if (!code || !hull || reads?.kind !== 'earlier' || reads.back === null || code.shape.kind !== 'interval') return null
  const start = formatStart(code.shape.unit, hull.start)
  return `${code.dataset} reads itself: what it holds of ${start} stands on earlier rows of its own; ask with --date ${start} to go on.`
}

/**
 * Conditions that hold of an input's rows as well: where its reader's query says so, else by columns of one name that the
 * query computes nothing of.
 */
async function handedDown(book: WhyBook, input: TableId, code: Code | null, conditions: readonly string[]) {
  const through = columnsHandedThrough(code?.tree)
  const out: { readonly from: string; readonly to: string }[] = []
  for (const one of await conditionsFor(book, input, code ? [code] : [], conditions)) {
    if (one.to !== null) {
      out.push(one)
      continue
    }
    const names = await columnsAsked(book, one.from)
    const computed = names.some((name) => !through.has(name) && columnItem(code?.tree, name) !== null)
    const quoted = namesIn(one.from)
    const to = renamedCondition(one.from, through)
    if (!computed && names.every((name) => quoted.includes(name)) && (await holds(book, input, to)))
      out.push({ from: one.from, to })
  }
  return out
}

function scopeOf({ times, conditions }: Narrowed): TrailStep['scope'] {
  return { times, conditions }
}

function runOf(point: Point, row: LedgerRow | undefined): TrailStep['run'] {
  if (!row) return null
  const { metadata } = point.pin
  const made = row.outputSnapshot === null ? undefined : snapshotById(metadata, row.outputSnapshot)
  return {
    id: row.run,
    outcome: row.outcome,
    reason: row.reason,
    startedAtMs: row.startedAtMs,
    limnVersion: row.version,
    approval: made?.summary[approvalProperty] ?? null,
  }
}

/** The ledger row that wrote what some times of a table hold. */
function madeBy(point: Point, built: BuiltFrom, times: IntervalSet | null): LedgerRow | undefined {
  const within = (row: LedgerRow) => row.interval === null || times === null || times.overlaps(row.interval)
  const same = (row: LedgerRow) => row.fingerprint === built.fingerprint && within(row)
  return (
    point.rows.findLast((row) => row.outcome === 'built' && same(row)) ??
    point.rows.findLast((row) => (row.outcome === 'kept' || row.outcome === 'carried') && same(row))
  )
}

/** Binds the rows of a point in scope as one table, and answers a query over them. */
async function ask(book: WhyBook, point: Point, narrowed: Narrowed, select: string, tail = '') {
  const { times, conditions, read } = narrowed
  const all = read === null ? conditions : [...conditions, read]
  const scope: Scope = { ...everything, times, where: all.length > 0 ? all.join(' AND ') : null }
  const side = sideOf(book.viewOf(point), point.shape, scope)
  const where = conditionOf(scope, point.shape)
  const sql = `SELECT ${select} FROM ${point.dataset} ${where === null ? '' : `WHERE ${where}`} ${tail}`
  const tables = new Map([[point.dataset, { columns: schemaOfPin(point.pin).fields }]])
  const predicate = (await book.context.engine.filters(sql, tables)).get(point.dataset)
  await using reading = await readPinned(book.context, point.pin, {
    keep: side.keep ?? (() => true),
    ...(predicate ? { predicate } : {}),
  })
  await using session = await book.context.engine.session([reading.bound], { signal: book.context.signal })
  return (await session.rows(sql)).rows
}

async function countRows(book: WhyBook, point: Point, narrowed: Narrowed): Promise<number> {
  return Number((await ask(book, point, narrowed, 'count(*)'))[0]?.[0] ?? 0)
}

async function rowsOf(book: WhyBook, point: Point, narrowed: Narrowed, limit: number) {
  const names = schemaOfPin(point.pin).fields.map((field) => `${quoteIdentifier(field.name)}::VARCHAR`)
  const rows = await ask(book, point, narrowed, names.join(', '), `ORDER BY ALL LIMIT ${limit}`)
  return rows.map((row) => row.map((cell) => (cell === null ? null : String(cell))))
}

async function deliveriesOf(book: WhyBook, point: Point, narrowed: Narrowed) {
  const seen = deliveriesSeen(point)
  const rows = await ask(book, point, narrowed, '_delivery, count(*)', 'GROUP BY 1 ORDER BY 1')
  return rows.flatMap(([ordinal, count]) => {
    const delivery = seen.get(Number(ordinal))
    return delivery ? [{ ...delivery, rows: Number(count) }] : []
  })
}

/** What rows were at each snapshot main has had, latest first; states in which they were the same are one, the earliest. */
async function historyOf(book: WhyBook, point: Point, narrowed: Narrowed): Promise<readonly KeyState[]> {
  const loaded = await book.loaded(point.dataset)
  const log = [...(loaded?.metadata.snapshotLog ?? [])].reverse().slice(0, snapshotsLooked)
  const out: KeyState[] = []
  for (const { snapshotId, timestampMs } of log) {
    if (!loaded?.metadata.snapshots.some((one) => one.snapshotId === snapshotId)) continue
    const then = book.pointOf({ ...pinSnapshot(loaded, snapshotId), schemaId: point.pin.schemaId })
    const state = {
      snapshotId,
      publishedMs: timestampMs,
      run: then.run,
      rows: await rowsOf(book, then, narrowed, rowsShown),
    }
    if (JSON.stringify(out.at(-1)?.rows) === JSON.stringify(state.rows)) out.pop()
    out.push(state)
  }
  return out
}

function requireColumn({ table, column }: TrailRequest, columns: readonly string[]): void {
  if (column === null || columns.includes(column)) return
  const close = nearest(column, columns)
  throw new LimnError('usage/argument', {
    message: `${table} has no column ${column}.`,
    notDone: 'Nothing was looked up.',
    remedy: close ? `Did you mean ${close}?` : `It has: ${columns.join(', ')}.`,
  })
}
