import { invariant, type TableId } from '../../base/index.ts'
import { addUnits, type Interval, type IntervalUnit } from '../../dataset/index.ts'
import type { Cell, Session } from '../../engine/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { bindFiles, leaseFiles, liveTableTasks } from '../../table/index.ts'
import { afterRows, beforeRows } from '../diff/row-diff.ts'
import { isNumeric } from '../diff/row-diff-sql.ts'
import type { Point, WhyBook } from './book.ts'
import { conditionOf, type Scope } from './scope.ts'

/** One number on two sides. */
export interface NumberApart {
  readonly before: string | null
  readonly after: string | null
  readonly delta: string | null
}

export interface GroupApart extends NumberApart {
  readonly values: readonly (string | null)[]
}

export interface NumbersApart {
  readonly measure: string
  readonly total: NumberApart
  readonly unit: IntervalUnit | null
  /** Intervals in which the numbers differ, in order. */
  readonly intervals: readonly (NumberApart & { readonly interval: Interval })[]
  readonly by: readonly string[]
  /** Groups in which they differ within those intervals, the greatest difference first; at most 20. */
  readonly groups: readonly GroupApart[]
  readonly groupsApart: number
  /** Of the other measures asked for, those that differ. */
  readonly also: readonly AlsoApart[]
}

/** Another number that differs: in total, or in some intervals that make up for each other. */
export interface AlsoApart extends NumberApart {
  readonly measure: string
  readonly intervals: number
}

/** An SQL aggregate, for each side over its own columns. */
export interface TwoMeasures {
  readonly before: string
  readonly after: string
}

export interface NumbersAsk {
  /** The first that differs is told, or the first of all when none does. */
  readonly measures: readonly TwoMeasures[]
  readonly by: readonly string[]
  /** Which rows, by columns that both have and by the time of each. */
  readonly scope: Scope
}

const groupsShown = 20

/**
 * Computes a number on two sides: of all rows, of each interval, and of each group within the intervals that differ. Of the
 * other measures that differ the totals are told.
 */
export async function numbersApart(book: WhyBook, before: Point, after: Point, ask: NumbersAsk): Promise<NumbersApart> {
  await using resources = new AsyncDisposableStack()
  const bind = async (point: Point, id: TableId) => {
    const view = book.viewOf(point)
    const tasks = (await liveTableTasks(book.context, view.pin)).filter((task) => view.keep(task.file))
    const lease = resources.use(await leaseFiles(book.context, tasks))
    return bindFiles({ ...view.pin, id }, tasks, lease)
  }
  const session = resources.use(
    await book.context.engine.session([await bind(before, beforeRows), await bind(after, afterRows)], {
      signal: book.context.signal,
    }),
  )
  const rows = (point: Point, from: TableId) => {
    const where = conditionOf(ask.scope, point.shape)
    return `(SELECT * FROM ${from}${where === null ? '' : ` WHERE ${where}`})`
  }
  const sides = { left: rows(before, beforeRows), right: rows(after, afterRows) }
  const time = timeOf(before, after)
  let shown: Omit<NumbersApart, 'also'> | null = null
  const also: AlsoApart[] = []
  for (const measure of ask.measures) {
    const isTold = shown !== null && numbersDiffer(shown)
    const found = await numbersOf(session, sides, measure, time, isTold ? [] : ask.by)
    if (!isTold && (shown === null || numbersDiffer(found))) shown = found
    else if (numbersDiffer(found))
      also.push({ measure: found.measure, ...found.total, intervals: found.intervals.length })
  }
  invariant(shown, 'a measure')
  return { ...shown, also }
}

export function numbersDiffer({ total, intervals, groupsApart }: Omit<NumbersApart, 'also'>): boolean {
  return total.before !== total.after || intervals.length > 0 || groupsApart > 0
}

async function numbersOf(
  session: Session,
  { left, right }: { readonly left: string; readonly right: string },
  measure: TwoMeasures,
  time: ReturnType<typeof timeOf>,
  by: readonly string[],
): Promise<Omit<NumbersApart, 'also'>> {
  const type = String((await session.rows(`DESCRIBE SELECT ${measure.after} FROM ${right}`)).rows[0]?.[1] ?? '')
  const number = isNumeric(type)
  const [total = []] = (await session.rows(apartSql(['NULL'], ['NULL'], left, right, measure, number, true))).rows
  const intervals: (NumberApart & { readonly interval: Interval })[] = []
  let [leftRows, rightRows] = [left, right]
  if (time) {
    const start = (column: string) => `epoch_us(date_trunc('${time.unit}', ${quoteIdentifier(column)})::TIMESTAMP)`
    const [a, b] = [start(time.before), start(time.after)]
    const { rows } = await session.rows(apartSql([a], [b], left, right, measure, number, false))
    for (const row of rows)
      if (row[0] !== null)
        intervals.push({
          interval: { start: Number(row[0]), end: addUnits(time.unit, Number(row[0]), 1) },
          ...numberOf(row, 1),
        })
    intervals.sort((x, y) => x.interval.start - y.interval.start)
    if (intervals.length > 0) {
      const list = intervals.map((one) => one.interval.start).join(', ')
      leftRows = `(SELECT * FROM ${left} WHERE ${a} IN (${list}))`
      rightRows = `(SELECT * FROM ${right} WHERE ${b} IN (${list}))`
    }
  }
  const groups: GroupApart[] = []
  if (by.length > 0) {
    const names = by.map(quoteIdentifier)
    const { rows } = await session.rows(apartSql(names, names, leftRows, rightRows, measure, number, false))
    for (const row of rows)
      groups.push({ values: row.slice(0, names.length).map(textOf), ...numberOf(row, names.length) })
    groups.sort((x, y) => Math.abs(Number(y.delta ?? 0)) - Math.abs(Number(x.delta ?? 0)))
  }
  return {
    measure: measure.after,
    total: numberOf(total, 1),
    unit: time?.unit ?? null,
    intervals,
    by,
    groups: groups.slice(0, groupsShown),
    groupsApart: groups.length,
  }
}

/** The time both sides are divided by, in the coarser unit; null when one has none. */
function timeOf(before: Point, after: Point) {
  const [a, b] = [before.shape, after.shape]
  if (a?.kind !== 'interval' || b?.kind !== 'interval') return null
  const units: readonly IntervalUnit[] = ['hour', 'day', 'month', 'year']
  const unit = units[Math.max(units.indexOf(a.unit), units.indexOf(b.unit))] ?? 'day'
  return { before: a.column, after: b.column, unit }
}

function apartSql(
  before: readonly string[],
  after: readonly string[],
  left: string,
  right: string,
  measure: TwoMeasures,
  number: boolean,
  total: boolean,
): string {
  const keys = before.map((_one, i) => `limn_g${i}`)
  const side = (list: readonly string[], sql: string, from: string) =>
    `(SELECT ${list.map((one, i) => `${one} AS limn_g${i}`).join(', ')}, ${sql} AS limn_m FROM ${from} ${total ? '' : 'GROUP BY ALL'})`
  const on = keys.map((key) => `limn_l.${key} IS NOT DISTINCT FROM limn_r.${key}`).join(' AND ')
  const values = keys.map((key) => `coalesce(limn_l.${key}, limn_r.${key})::VARCHAR AS ${key}`)
  const delta = number ? '(coalesce(limn_r.limn_m, 0) - coalesce(limn_l.limn_m, 0))::VARCHAR' : 'NULL'
  const filter = total ? '' : 'WHERE limn_l.limn_m IS DISTINCT FROM limn_r.limn_m'
  return `SELECT ${values.join(', ')}, limn_l.limn_m::VARCHAR, limn_r.limn_m::VARCHAR, ${delta}
    FROM ${side(before, measure.before, left)} AS limn_l FULL JOIN ${side(after, measure.after, right)} AS limn_r ON ${on} ${filter} ORDER BY ALL`
}

function numberOf(row: readonly Cell[], at: number): NumberApart {
  return { before: textOf(row[at]), after: textOf(row[at + 1]), delta: textOf(row[at + 2]) }
}

function textOf(cell: Cell | undefined): string | null {
  return cell === null || cell === undefined ? null : String(cell)
}
