import { invariant, LimnError, type TableId } from '../../base/index.ts'
import { alignTo, type Interval, type IntervalSet } from '../../dataset/index.ts'
import { parseJson, stringifyJson } from '../../encoding/index.ts'
import type { Bound, BoundTable, Session } from '../../engine/index.ts'
import { overFromOf, quoteIdentifier, quoteText, tablesJoined } from '../../sql/index.ts'
import { readPinned, schemaOfPin, writeLocal } from '../../table/index.ts'
import type { RowSide } from '../diff/row-diff.ts'
import { batchesOf } from '../plan/plan.ts'
import { boundQuery } from '../stage/bound-sql.ts'
import { bindOwn, ownStateAt } from '../stage/own-rows.ts'
import { bindViews } from '../stage/stage.ts'
import type { DatasetView } from '../stage/view.ts'
import type { Code, Point, WhyBook } from './book.ts'
import { everything, type Scope, sideOf } from './scope.ts'

/** Builds of one what-if; more intervals are left out, and said so. */
export const buildsMax = 24

/** What a model would have been: some definition over some states of its inputs. */
export interface Variant {
  readonly code: Code
  readonly inputs: ReadonlyMap<TableId, Point>
}

/** The builds that make up some times of a model, `null` for one built whole. */
export function buildsOf(code: Code, times: IntervalSet | null): readonly (Interval | null)[] {
  const { shape } = code
  if (shape.kind !== 'interval') return [null]
  return times === null
    ? []
    : batchesOf(
        times.map((one) => alignTo(shape.unit, one)),
        shape.batch,
      )
}

/**
 * Builds a model's rows for some times into a local folder, as a run would have, and publishes nothing. Rows are laid out
 * as the table at `like`.
 */
export async function buildVariant(
  book: WhyBook,
  variant: Variant,
  builds: readonly (Interval | null)[],
  like: Point,
  folder: string,
): Promise<RowSide> {
  const schema = schemaOfPin(like.pin)
  const layout = { location: like.pin.metadata.location, schema, spec: { specId: 0, fields: [] } }
  const files: BoundTable['files'][number][] = []
  for (const [i, interval] of builds.entries()) {
    book.context.signal.throwIfAborted()
    await using bound = await variantSession(book, variant, interval)
    const written = await writeLocal(bound.session, bound.sql, layout, `${folder}/${i}`)
    files.push(...written.map((file) => ({ local: file.local })))
  }
  return { kind: 'files', schema, files }
}

/** One build of a variant: its SQL, and a session in which its inputs stand under their names. */
async function variantSession(book: WhyBook, variant: Variant, interval: Interval | null) {
  const { code } = variant
  const sql = boundQuery(code.sql, code.shape, interval)
  const stack = new AsyncDisposableStack()
  try {
    const self = code.edges.get(code.dataset)?.reads
    const point = variant.inputs.get(code.dataset)
    const own = self?.kind === 'earlier' && point ? await ownStateAt(book.context, point.pin) : null
    const others = viewsOf(book, variant).filter((view) => view.pin.id !== code.dataset)
    const bound = stack.use(await bindViews(book.context, others, sql, own && { id: code.dataset, schema: own.schema }))
    const tables: Bound[] = bound.readings.map(({ reading }) => reading.bound)
    if (own && interval && self?.kind === 'earlier') {
      const reader = { id: code.dataset, self, shape: code.shape }
      const earlier = stack.use(await bindOwn(book.context, reader, own, interval))
      tables.push(...earlier.bound)
    }
    const session = stack.use(await book.context.engine.session(tables, { signal: book.context.signal }))
    return { sql, session, [Symbol.asyncDispose]: () => stack.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

function viewsOf(book: WhyBook, { code, inputs }: Variant): readonly DatasetView[] {
  return [...code.edges.keys()].map((id) => {
    const point = inputs.get(id)
    if (!point)
      throw new LimnError('usage/unknown-snapshot', {
        message: `The state of ${id} that ${code.dataset} was built from is gone.`,
        notDone: 'The build was not tried again.',
        remedy: 'Keep snapshots longer: limn maintain follows the policy of each dataset.',
      })
    return book.viewOf(point)
  })
}

/** What a model's FROM and WHERE make of the rows of one of its inputs. */
export interface Multiplicity {
  readonly input: TableId
  /** Rows of the input in scope. */
  readonly rows: number
  /** Rows that joins find no partner for. */
  readonly unmatched: number
  /** Rows that the WHERE leaves out. */
  readonly filtered: number
  /** Rows that come out more than once. */
  readonly multiplied: number
  /** Rows that they come out as, above one each. */
  readonly surplus: number
}

/** Tables of a session in which a model's FROM can be asked about. */
export interface JoinSession extends AsyncDisposable {
  readonly session: Session
  /** The model's query, serialised. */
  readonly tree: unknown
  /** Table → the alias it goes by; only those that the outermost FROM names once. */
  readonly aliases: ReadonlyMap<string, string>
}

/** Binds a variant's inputs with the place of every row, to ask about its joins; null when its query has no plain FROM. */
export async function joinSession(
  book: WhyBook,
  variant: Variant,
  interval: Interval | null,
  scopes: ReadonlyMap<TableId, Scope>,
): Promise<JoinSession | null> {
  const stack = new AsyncDisposableStack()
  try {
    const bound: BoundTable[] = []
    for (const view of viewsOf(book, variant)) {
      const { id } = view.pin
      const shape = variant.inputs.get(id)?.shape ?? null
      const { keep = () => true } = sideOf(view, shape, scopes.get(id) ?? everything)
      const reading = stack.use(await readPinned(book.context, view.pin, { keep, metadataColumns: true }))
      bound.push(reading.bound)
    }
    const session = stack.use(await book.context.engine.session(bound, { signal: book.context.signal }))
    const tree = await serialized(session, boundQuery(variant.code.sql, variant.code.shape, interval))
    const joined = tablesJoined(tree)
    if (joined.length === 0) {
      await stack.disposeAsync()
      return null
    }
    const once = joined.filter((one) => joined.filter((other) => other.table === one.table).length === 1)
    const aliases = new Map(once.map((one) => [one.table, one.alias]))
    return { session, tree, aliases, [Symbol.asyncDispose]: () => stack.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

export async function serialized(session: Session, sql: string): Promise<unknown> {
  const { rows } = await session.rows(`SELECT json_serialize_sql(${quoteText(sql)}::VARCHAR)::VARCHAR`)
  return parseJson(String(rows[0]?.[0]))
}

export async function printed(session: Session, tree: unknown): Promise<string> {
  const { rows } = await session.rows(`SELECT json_deserialize_sql(${quoteText(stringifyJson(tree))}::JSON)::VARCHAR`)
  return String(rows[0]?.[0])
}

/** A SELECT list over the FROM, and unless told otherwise the WHERE, of a model. */
export async function overJoin(
  joins: JoinSession,
  select: string,
  options: { readonly where: boolean },
): Promise<string> {
  const template = await serialized(joins.session, `SELECT ${select}`)
  const tree = overFromOf(joins.tree, template, options)
  invariant(tree, 'a query with a plain FROM')
  return printed(joins.session, tree)
}

/** Leaves one row per row of `input` in the temporary table `limn_times`: its place, and how often it comes out. */
export async function countTimes(joins: JoinSession, input: TableId, where: string | null): Promise<void> {
  const alias = quoteIdentifier(joins.aliases.get(input) ?? '')
  const select = `${alias}._file AS limn_f, ${alias}._pos AS limn_p, count(*) AS limn_n GROUP BY 1, 2`
  const all = await overJoin(joins, select, { where: false })
  const kept = await overJoin(joins, select, { where: true })
  const scope = where === null ? '' : `WHERE (${where}\n)`
  await joins.session.exec(
    `CREATE OR REPLACE TEMP TABLE limn_times AS SELECT limn_i.*, coalesce(limn_a.limn_n, 0) AS limn_all, coalesce(limn_k.limn_n, 0) AS limn_kept
     FROM (SELECT * FROM ${input} ${scope}) AS limn_i
     LEFT JOIN (${all}) AS limn_a ON limn_a.limn_f = limn_i._file AND limn_a.limn_p = limn_i._pos
     LEFT JOIN (${kept}) AS limn_k ON limn_k.limn_f = limn_i._file AND limn_k.limn_p = limn_i._pos`,
  )
}

/** How often each row of `input` comes out; null when the outermost FROM does not name it once. */
export async function multiplicityOf(
  joins: JoinSession,
  input: TableId,
  where: string | null,
): Promise<Multiplicity | null> {
  if (!joins.aliases.has(input)) return null
  await countTimes(joins, input, where)
  const { rows } = await joins.session.rows(
    `SELECT count(*), count(*) FILTER (limn_all = 0), count(*) FILTER (limn_all > 0 AND limn_kept = 0), count(*) FILTER (limn_kept > 1),
       coalesce(sum(limn_kept - 1) FILTER (limn_kept > 1), 0)::BIGINT FROM limn_times`,
  )
  const [all = 0, unmatched = 0, filtered = 0, multiplied = 0, surplus = 0] = (rows[0] ?? []).map(Number)
  return { input, rows: all, unmatched, filtered, multiplied, surplus }
}

/** The interval that a single build of some times covers, when one does. */
export function hullOf(code: Code, times: IntervalSet | null): Interval | null {
  if (code.shape.kind !== 'interval') return null
  const hull = times?.hull
  return hull ? alignTo(code.shape.unit, hull) : null
}
