import type { TableId } from '../../base/index.ts'
import { IntervalSet } from '../../dataset/index.ts'
import { columnsHandedThrough, quoteIdentifier } from '../../sql/index.ts'
import { readPinned } from '../../table/index.ts'
import type { Code, Point, WhyBook } from './book.ts'
import type { DeliveryAsk } from './delivered-rows.ts'
import type { Finding } from './finding.ts'
import { conditionOf, everything, sideOf } from './scope.ts'
import type { Walk } from './walk.ts'

/** Who reads a source, at the two states that are compared. */
export interface Reader {
  readonly before: Point
  readonly after: Point
  /** Its definition at the newer state; null: not remembered. */
  readonly code: Code | null
  /** Its intervals that part; null: all of it. */
  readonly times: IntervalSet | null
}

export const nothingAsked: Omit<DeliveryAsk, 'where'> = { identity: null, lateness: null }

/** What the reader of a source lets one ask of its rows. */
export function deliveryAsk(
  book: WhyBook,
  reader: Reader,
  input: TableId,
  touches: string | null,
  lists: boolean,
): Omit<DeliveryAsk, 'where'> {
  const { before, code } = reader
  const node = book.context.project.nodes.get(input)
  if (node?.producer.kind !== 'source' || !code) return nothingAsked
  const through = columnsHandedThrough(code.tree)
  const { grain } = code.contract
  const columns = grain.map((name) => through.get(name) ?? name)
  const isKnown = columns.length > 0 && columns.every((name) => name in node.contract.columns)
  const { shape } = code
  const built = IntervalSet.of(before.standing.built.flatMap((one) => (one.interval ? [one.interval] : [])))
  return {
    identity: isKnown ? { columns, isBroken: () => repeatsMore(book, reader, grain) } : null,
    lateness:
      shape.kind === 'interval' && touches !== null && !lists ? { sql: touches, unit: shape.unit, built } : null,
  }
}

/**
 * Whether the reader has more rows too many of its own grain than it had: a column that tells its rows apart need not be a
 * key of what it reads, which it may group, filter or make distinct.
 */
async function repeatsMore(
  book: WhyBook,
  { before, after, times }: Reader,
  grain: readonly string[],
): Promise<boolean> {
  const surplus = async (point: Point) => {
    const scope = { ...everything, times }
    const where = conditionOf(scope, point.shape)
    const names = grain.map(quoteIdentifier).join(', ')
    await using reading = await readPinned(book.context, point.pin, {
      keep: sideOf(book.viewOf(point), point.shape, scope).keep ?? (() => true),
    })
    await using session = await book.context.engine.session([reading.bound], { signal: book.context.signal })
    const { rows } = await session.rows(
      `SELECT coalesce(sum(limn_n - 1), 0)::BIGINT FROM (SELECT count(*) AS limn_n FROM ${point.dataset} ${where === null ? '' : `WHERE ${where}`} GROUP BY ${names})`,
    )
    return Number(rows[0]?.[0] ?? 0)
  }
  return (await surplus(after)) > (await surplus(before))
}

/** A query that looks at which delivery a row came with is another number where rows came under another name, or again. */
export function relabelled({ code }: Reader, input: TableId, out: Walk): readonly Finding[] | null {
  const found = out.relabelled.get(input)
  const [, column] = /\b(_delivery|_path|_run)\b/.exec(code?.sql ?? '') ?? []
  if (!code || !found || column === undefined) return null
  const kindOf = found.renames.length > 0 ? 'renamed-delivery' : 'delivered-again'
  const what = found.renames.map((one) => `${one.from} is now ${one.to}`)
  const list = what.length > 0 ? what : found.again.map((one) => `${one.path} came again`)
  const [first, ...also] = found.again.length > 0 && found.renames.length === 0 ? found.again : found.delivered
  if (!first) return null
  const more = list.length > 3 ? ` and ${list.length - 3} more` : ''
  return [
    {
      kind: kindOf,
      dataset: input,
      origin: {
        kind: 'delivery',
        source: input,
        path: first.path,
        ordinal: first.ordinal,
        sha256: first.sha256,
        run: first.run,
        also: also.map(({ path, ordinal, run }) => ({ path, ordinal, run })),
      },
      column,
      sentence: `${list.slice(0, 3).join(', ')}${more}, with the same rows, and ${code.dataset} looks at ${column}.`,
      rows: 0,
      intervals: [],
      evidence: { columns: [], rows: [] },
    },
  ]
}

export async function touchesAreLists(book: WhyBook, input: TableId, touches: string): Promise<boolean> {
  const columns = book.context.project.nodes.get(input)?.contract.columns ?? {}
  const shapes = new Map([[input, Object.entries(columns).map(([name, column]) => ({ name, type: column.type }))]])
  const [one] = await book.context.engine.describe(`SELECT (${touches}) AS t FROM ${input}`, shapes)
  return one?.type.endsWith('[]') ?? false
}
