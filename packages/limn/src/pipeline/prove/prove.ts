import type { TableId } from '../../base/index.ts'
import { addUnits, alignTo, type Interval, IntervalSet } from '../../dataset/index.ts'
import type { BoundTable, FileEngine, Session } from '../../engine/index.ts'
import {
  columnsNamed,
  quoteIdentifier,
  quoteText,
  type Volatile,
  type VolatileKind,
  volatileParts,
} from '../../sql/index.ts'
import { type PinnedTable, pinRef, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { diffRows } from '../diff/diff-rows.ts'
import type { RowDiff, SampleRow } from '../diff/row-diff.ts'
import { domainOf } from '../plan/facts.ts'
import type { Node } from '../project/node.ts'
import { boundSql } from '../stage/bound-sql.ts'
import { bindOwn, type OwnState, ownStateAt } from '../stage/own-rows.ts'
import { bindViews } from '../stage/stage.ts'
import { targetOf } from '../stage/staged-table.ts'
import { viewOf } from '../stage/view.ts'
import { WhyBook } from '../why/book.ts'
import { expressionText } from '../why/code-change.ts'
import { serialized } from '../why/variant.ts'

/** One expression that came out otherwise, or may. */
export interface Doubt {
  /** Null: it decides on which rows there are. */
  readonly column: string | null
  readonly kind: VolatileKind | 'unexplained'
  /** The part of the query, as SQL. */
  readonly expression: string
  /** In how many rows the column differed; 0 where none did. */
  readonly rows: number
}

export interface Proof {
  readonly dataset: TableId
  readonly interval: Interval | null
  /**
   * `same`: both builds gave the same rows · `differs` · nothing was proven, `unbuilt`: it or an input has no rows yet, or `outside`:
   * the interval is in neither the dataset's domain nor what was built of it.
   */
  readonly verdict: 'same' | 'differs' | 'unbuilt' | 'outside'
  /** Of `outside`: where there is something to prove; null: nowhere. */
  readonly domain: Interval | null
  readonly rows: number
  /** What differed, with the expressions that did it. */
  readonly differs: readonly Doubt[]
  /** Expressions that came out the same here and need not elsewhere. */
  readonly mayDiffer: readonly Doubt[]
  readonly sample: readonly SampleRow[]
  /** Of the first build, the second, and the comparison. */
  readonly seconds: { readonly first: number; readonly second: number; readonly compare: number }
}

export interface ProveRequest {
  readonly selected: ReadonlySet<TableId>
  /** Null: the latest interval built. */
  readonly range: Interval | null
  /** An engine with another number of threads. */
  readonly other: FileEngine
}

/** How far the second build's clock is ahead: another day, and another time of it. */
const clockAheadMs = 26 * 3_600_000 + 17 * 60_000

/** Inputs of up to so many rows are also read in another order within a file. */
const shuffledRowsMax = 200_000

/**
 * Builds each selected model twice from the same inputs: with another number of threads, input files and, of small inputs,
 * rows in another order, the clock a day and two hours on, another seed. What differs is named by column and expression.
 * Both builds are files of a scratch folder: nothing is staged or published.
 */
export async function prove(context: PipelineContext, request: ProveRequest): Promise<readonly Proof[]> {
  const out: Proof[] = []
  for (const id of context.project.order) {
    const node = context.project.nodes.get(id)
    if (!request.selected.has(id) || !node || node.producer.kind !== 'model') continue
    context.signal.throwIfAborted()
    const task = context.progress.begin(id)
    const proof = await proveOne(context, node, request)
    out.push(proof)
    task.end(proof.verdict)
  }
  return out
}

interface Conditions {
  readonly engine: FileEngine
  readonly reversed: boolean
  readonly seed: number
  readonly nowMs: number
}

async function proveOne(context: PipelineContext, node: Node, request: ProveRequest): Promise<Proof> {
  const book = await WhyBook.open(context)
  const pins: PinnedTable[] = []
  for (const input of node.edges.keys()) {
    const loaded = await book.loaded(input)
    const pin = loaded && pinRef(loaded)
    if (pin) pins.push(pin)
  }
  const interval = await intervalOf(book, node, request.range)
  const main = node.self ? await book.loaded(node.id) : null
  const pin = main && pinRef(main)
  const own = pin ? await ownStateAt(context, pin) : null
  const unproven = (verdict: 'unbuilt' | 'outside', domain: Interval | null): Proof => ({
    dataset: node.id,
    interval,
    verdict,
    domain,
    rows: 0,
    differs: [],
    mayDiffer: [],
    sample: [],
    seconds: { first: 0, second: 0, compare: 0 },
  })
  const unbuilt =
    pins.length < node.edges.size ||
    (node.self !== undefined && own === null) ||
    (node.shape.kind === 'interval' && interval === null)
  if (unbuilt) return unproven('unbuilt', null)
  if (interval !== null) {
    const times = await timesOf(context, book, node, pins)
    if (!times.overlaps(interval)) return unproven('outside', times.hull)
  }
  const nowMs = context.clock.nowMs()
  await using scratch = await context.store.scratch({ signal: context.signal })
  const first: Conditions = { engine: context.engine, reversed: false, seed: 0.25, nowMs }
  const second: Conditions = { engine: request.other, reversed: true, seed: -0.75, nowMs: nowMs + clockAheadMs }
  const began = performance.now()
  const a = await build(context, node, pins, own, interval, first, `${scratch.folder}/first`)
  const built = performance.now()
  const b = await build(context, node, pins, own, interval, second, `${scratch.folder}/second`)
  const rebuilt = performance.now()
  const diff = await diffRows(
    context,
    { kind: 'files', schema: a.schema, files: a.files },
    { kind: 'files', schema: b.schema, files: b.files },
    { keys: node.contract.keys, measures: [], sample: 3 },
  )
  const differing = await differingColumns(context, diff, a, b)
  const { differs, mayDiffer } = await doubtsOf(context, node, diff, differing)
  const seconds = (from: number, to: number) => (to - from) / 1000
  return {
    dataset: node.id,
    interval,
    verdict: diff.total.added + diff.total.removed + diff.total.changed === 0 ? 'same' : 'differs',
    domain: null,
    rows: a.files.reduce((sum, file) => sum + Number(file.recordCount ?? 0n), 0),
    differs,
    mayDiffer,
    sample: diff.sample,
    seconds: {
      first: seconds(began, built),
      second: seconds(built, rebuilt),
      compare: seconds(rebuilt, performance.now()),
    },
  }
}

/** The whole units of a range, of a dataset that reads itself the last of them; or the latest interval that was built. */
async function intervalOf(book: WhyBook, node: Node, range: Interval | null): Promise<Interval | null> {
  const { shape } = node
  if (shape.kind !== 'interval') return null
  if (range !== null) {
    const { start, end } = alignTo(shape.unit, range)
    return { start: node.self ? addUnits(shape.unit, end, -1) : start, end }
  }
  const loaded = await book.loaded(node.id)
  const pin = loaded && pinRef(loaded)
  const last = pin ? book.pointOf(pin).standing.built.at(-1)?.interval : null
  return last ? { start: addUnits(shape.unit, last.end, -1), end: last.end } : null
}

/** The domain over the inputs' present states, and what was built of the dataset. */
async function timesOf(
  context: PipelineContext,
  book: WhyBook,
  node: Node,
  pins: readonly PinnedTable[],
): Promise<IntervalSet> {
  const domain = await domainOf(context, node, (input) => pins.find((pin) => pin.id === input) ?? null)
  const loaded = await book.loaded(node.id)
  const pin = loaded && pinRef(loaded)
  const built = pin ? book.pointOf(pin).standing.built : []
  return IntervalSet.of([...(domain ? [domain] : []), ...built.flatMap((one) => one.interval ?? [])])
}

async function build(
  context: PipelineContext,
  node: Node,
  pins: readonly PinnedTable[],
  own: OwnState | null,
  interval: Interval | null,
  conditions: Conditions,
  folder: string,
) {
  const sql = boundSql(node, interval)
  const views = pins.map((pin) => viewOf(context.project.nodes.get(pin.id), pin))
  await using bound = await bindViews(context, views, sql, own && { id: node.id, schema: own.schema })
  await using earlier = own && interval ? await bindOwn(context, node, own, interval) : null
  const [ownFiles, ownView] = earlier?.bound ?? []
  const tables = bound.readings.map(({ reading }) => reading.bound)
  const shuffled = conditions.reversed ? tables.filter(isSmall) : []
  const given = tables.map((table): BoundTable => {
    if (!conditions.reversed) return table
    const other = backwards(table)
    return shuffled.includes(table) ? { ...other, id: asideOf(table.id) } : other
  })
  const ofItself = ownFiles && ownView ? [conditions.reversed ? backwards(ownFiles) : ownFiles, ownView] : []
  await using session = await conditions.engine.session([...given, ...ofItself], { signal: context.signal })
  await session.exec(`SELECT setseed(${conditions.seed})`)
  await setClock(session, conditions.nowMs)
  for (const { id } of shuffled) {
    const [schema = '', name = ''] = id.split('.')
    const table = `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`
    await session.exec(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`)
    await session.exec(
      `CREATE TABLE ${table} AS SELECT * FROM ${asideOf(id)} AS limn_rows ORDER BY hash(limn_rows::VARCHAR || 'again') DESC`,
    )
  }
  const target = targetOf(context, node.contract, null)
  const layout = { ...target.layout, spec: { specId: 0, fields: [] } }
  const written = await writeLocal(session, sql, layout, folder)
  return {
    schema: target.layout.schema,
    files: written.map((file) => ({ local: file.local, recordCount: file.recordCount })),
  }
}

/** The same rows, their files in another order. */
function backwards(table: BoundTable): BoundTable {
  return { ...table, files: [...table.files].reverse() }
}

function asideOf(id: TableId): TableId {
  return `limn_prove.${id.replace('.', '_')}` as TableId
}

function isSmall(table: BoundTable): boolean {
  return table.files.reduce((sum, file) => sum + Number(file.recordCount ?? 0n), 0) <= shuffledRowsMax
}

/** Functions of the session's own stand before those built in: so a build sees the time it is given. */
async function setClock(session: Session, nowMs: number): Promise<void> {
  const instant = new Date(nowMs).toISOString().replace('T', ' ').replace('Z', '')
  const [date = '', time = ''] = instant.split(' ')
  const zoned = `TIMESTAMPTZ ${quoteText(`${instant}+00`)}`
  const values: Readonly<Record<string, string>> = {
    now: zoned,
    get_current_timestamp: zoned,
    transaction_timestamp: zoned,
    current_localtimestamp: `TIMESTAMP ${quoteText(instant)}`,
    today: `DATE ${quoteText(date)}`,
    current_date: `DATE ${quoteText(date)}`,
    get_current_time: `TIME ${quoteText(time)}`,
    current_localtime: `TIME ${quoteText(time)}`,
  }
  for (const [name, value] of Object.entries(values)) await session.exec(`CREATE MACRO ${name}() AS ${value}`)
}

type Built = Awaited<ReturnType<typeof build>>

/** Columns that differ: of rows with one key those that do; of others, those whose values as a whole do. */
async function differingColumns(
  context: PipelineContext,
  diff: RowDiff,
  a: Built,
  b: Built,
): Promise<ReadonlyMap<string, { readonly rows: number; readonly greatest: number | null }>> {
  const out = new Map<string, { readonly rows: number; readonly greatest: number | null }>()
  for (const one of diff.total.columns) out.set(one.name, one)
  if (diff.total.added + diff.total.removed === 0) return out
  const bind = (id: string, built: Built): BoundTable => ({
    id: id as TableId,
    schema: built.schema,
    files: built.files,
  })
  await using session = await context.engine.session([bind('limn_prove.a', a), bind('limn_prove.b', b)], {
    signal: context.signal,
  })
  const rows = Math.max(diff.total.added, diff.total.removed)
  for (const name of diff.columns.compared) {
    const column = quoteIdentifier(name)
    const sum = (from: string) => `(SELECT sum(hash(${column})::HUGEINT) FROM limn_prove.${from})`
    const { rows: found } = await session.rows(`SELECT ${sum('a')} IS DISTINCT FROM ${sum('b')}`)
    if (found[0]?.[0] === true && !out.has(name)) out.set(name, { rows, greatest: null })
  }
  return out
}

async function doubtsOf(
  context: PipelineContext,
  node: Node,
  diff: RowDiff,
  differing: ReadonlyMap<string, { readonly rows: number; readonly greatest: number | null }>,
): Promise<Pick<Proof, 'differs' | 'mayDiffer'>> {
  await using session = await context.engine.session([], { signal: context.signal })
  const tree = await serialized(session, node.query?.text ?? '')
  const template = await serialized(session, 'SELECT 1')
  const parts = volatileParts(tree).filter((one) => one.kind !== 'sum-order' || addsFractions(context, node, one))
  const text = async (one: Volatile) => (one.tree === null ? one.what : expressionText(session, one.tree, template))
  const differs: Doubt[] = []
  const named = new Set<Volatile>()
  for (const [column, found] of differing) {
    const own = parts.filter((one) => one.column === column)
    const rest = parts.filter((one) => one.column === null)
    const likely = ranked(own.length > 0 ? own : rest, found.greatest)
    for (const one of likely) named.add(one)
    const [kind, expression] = likely[0] ? [likely[0].kind, await text(likely[0])] : (['unexplained', column] as const)
    differs.push({ column, kind, expression, rows: found.rows })
  }
  const { added, removed } = diff.total
  if (added + removed > 0 && differing.size === 0)
    for (const one of parts) {
      named.add(one)
      differs.push({ column: one.column, kind: one.kind, expression: await text(one), rows: added + removed })
    }
  if (added + removed > 0 && differs.length === 0)
    differs.push({ column: null, kind: 'unexplained', expression: 'the query as a whole', rows: added + removed })
  const mayDiffer: Doubt[] = []
  for (const one of parts)
    if (!named.has(one)) mayDiffer.push({ column: one.column, kind: one.kind, expression: await text(one), rows: 0 })
  return { differs, mayDiffer }
}

/** A difference in the last digits alone is one of the order of a sum; a larger one is not. */
function ranked(parts: readonly Volatile[], greatest: number | null): readonly Volatile[] {
  const tiny = greatest !== null && greatest < 1e-9
  const order: readonly VolatileKind[] = tiny
    ? ['sum-order', 'order', 'ties', 'sample', 'approximate', 'random', 'clock']
    : ['random', 'clock', 'sample', 'order', 'ties', 'approximate', 'sum-order']
  const [best] = [...parts].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
  return best ? parts.filter((one) => one.kind === best.kind) : []
}

const exactSums = new Set(['sum', 'avg', 'mean'])

/** Whether what is added up may be binary fractions: sums and means of whole numbers and decimals are exact. */
function addsFractions(context: PipelineContext, node: Node, { what, tree }: Volatile): boolean {
  if (!exactSums.has(what)) return true
  return columnsNamed(tree).some((path) => {
    const name = path.at(-1) ?? ''
    const types = [...node.edges.keys()].flatMap(
      (id) => context.project.nodes.get(id)?.contract.columns[name]?.type ?? [],
    )
    return types.length === 0 || types.some((type) => type === 'double' || type === 'float')
  })
}
