import type { TableId } from '../../base/index.ts'

import { IntervalSet } from '../../dataset/index.ts'
import type { Catalog } from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { schemaOfPin } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Measure } from '../diff/row-diff.ts'
import { type Point, WhyBook } from './book.ts'
import { tablesApart } from './chains.ts'
import { oneOf } from './conditions.ts'
import type { Finding } from './finding.ts'
import { keyConditions, timesOfKey } from './key.ts'
import { type NumbersApart, numbersApart, numbersDiffer, type TwoMeasures } from './numbers.ts'
import { everything } from './scope.ts'
import { compare, type Step, type Walk, walk, wholeWalk } from './walk.ts'

/** The state that a number is compared with. */
export interface Against {
  /** As it was asked for. */
  readonly text: string
  readonly point: (book: WhyBook) => Promise<Point>
}

export interface ApartRequest {
  readonly table: TableId
  /** The state asked about; null: main now. */
  readonly at: ((book: WhyBook) => Promise<Point>) | null
  readonly against: Against
  /** An SQL aggregate over the table's columns. Default: the first additive column's sum, else the number of rows. */
  readonly measure: string | null
  /** For another table, where its columns are called otherwise. Default: the same. */
  readonly measureAgainst: string | null
  /** Default: the keys, the time aside. */
  readonly by: readonly string[] | null
  /** Values of the keys, in their order; null: all rows. */
  readonly key: readonly string[] | null
  readonly where: string | null
  /** Only these times of the table. */
  readonly times: IntervalSet | null
}

export interface ApartReport {
  readonly table: TableId
  readonly snapshotId: bigint | null
  readonly against: { readonly text: string; readonly table: TableId; readonly snapshotId: bigint | null }
  readonly numbers: NumbersApart
  /** Where no number was asked for: the rows and columns of the table that the findings move; else null. */
  readonly moved: MovedRows | null
  readonly steps: readonly Step[]
  /** Why they part; empty when they do not. */
  readonly findings: readonly Finding[]
  /** What could not be known. */
  readonly unknown: readonly string[]
  /** Inputs that were looked at in more rows than were asked for, and why. */
  readonly wider: readonly string[]
}

/** What differs between the rows of two states of a table. */
export interface MovedRows {
  readonly added: number
  readonly removed: number
  /** Rows of one key with other values; of a table without keys 0. */
  readonly changed: number
  readonly columns: readonly { readonly name: string; readonly rows: number }[]
}

/**
 * Compares a number of a table with that of another of its states, or of another table, narrows the difference down to
 * intervals and groups, and walks down the layers to the first thing that sets them apart. In an environment, `production` is
 * the catalog of the lake it was made of. Reads only.
 */
export async function apart(
  context: PipelineContext,
  request: ApartRequest,
  production: Catalog | null = null,
): Promise<ApartReport> {
  const book = await WhyBook.open(context, production)
  const after = request.at ? await request.at(book) : await book.now(request.table)
  const before = await request.against.point(book)
  const conditions = [
    ...keyConditions(book, request.table, request.key),
    ...(request.where === null ? [] : [`(${request.where}\n)`]),
  ]
  const given = limited(timesOfKey(book, after, request.key), request.times)
  const by = request.by ?? defaultGroups(book, before, after)
  const numbers = await numbersApart(book, before, after, {
    measures: measuresAsked(book, before, after, request),
    by,
    scope: { ...everything, times: given, conditions },
  })
  const { measure } = numbers
  const out: Walk = { steps: [], unknown: [], relabelled: new Map(), changes: new WeakMap(), wider: [] }
  const moved = numbers.intervals.map((one) => one.interval)
  const times = moved.length > 0 ? limited(IntervalSet.of(moved), given) : given
  const differs = numbersDiffer(numbers)
  // Of a number that was asked for, only the intervals in which it differs matter; else every row does.
  const asked = differs && request.measure !== null
  const one: Measure = { name: measure, sql: measure }
  const groups = differs && request.by !== null ? groupsApart(numbers, out) : []
  const narrow = [...conditions, ...groups]
  let findings: readonly Finding[] = []
  let rows: MovedRows | null = null
  if (before.dataset === after.dataset) {
    const scope = {
      ...everything,
      conditions: narrow,
      times: after.shape?.kind === 'interval' ? (asked ? times : given) : null,
    }
    findings = (await walk(book, before, after, { ...wholeWalk, scope, measure: asked ? one : null }, out)) ?? []
    // Every cause is named then, also of what the number shown does not count.
    if (request.measure === null && findings.length > 0) {
      const { total } = await compare(book, before, after, { ...wholeWalk, scope })
      const columns = total.columns.map((each) => ({ name: each.name, rows: each.rows }))
      rows = { added: total.added, removed: total.removed, changed: total.changed, columns }
    }
  } else if (differs) {
    const own = (point: Point) => (point.shape?.kind === 'interval' ? times : null)
    findings = await tablesApart(book, before, after, { before: own(before), after: own(after) }, narrow, out)
  }
  return {
    table: request.table,
    snapshotId: after.pin.snapshotId,
    against: { text: request.against.text, table: before.dataset, snapshotId: before.pin.snapshotId },
    numbers,
    moved: rows,
    steps: out.steps,
    findings,
    unknown: [...new Set(out.unknown)],
    wider: [...new Set(out.wider)],
  }
}

/** The groups in which a number differs, as a condition; none when there are too many to name. */
function groupsApart({ by, groups, groupsApart: all }: NumbersApart, out: Walk): readonly string[] {
  if (groups.length === 0) return []
  if (groups.length === all)
    return [
      oneOf(
        by,
        groups.map((one) => one.values),
      ),
    ]
  out.wider.push(`All groups were looked at: ${all.toLocaleString('en')} differ.`)
  return []
}

function limited<T extends IntervalSet | null>(times: T, to: IntervalSet | null): T | IntervalSet {
  if (to === null) return times
  return times === null ? to : times.intersect(to)
}

/** The number asked for; else sums of additive columns, of which the first that differs is told in full, and the number of rows. */
function measuresAsked(book: WhyBook, before: Point, after: Point, request: ApartRequest): readonly TwoMeasures[] {
  if (request.measure !== null) return [{ before: request.measureAgainst ?? request.measure, after: request.measure }]
  const sums = additiveSums(book, before, after)
  const count = sums.length === 0 || (before.dataset === after.dataset && request.measureAgainst === null)
  return [...sums, ...(count ? ['count(*)'] : [])].map((one) => ({ before: request.measureAgainst ?? one, after: one }))
}

/** Sums of columns that both sides have and that may be added up. */
function additiveSums(book: WhyBook, before: Point, after: Point): readonly string[] {
  const columnsOf = ({ pin }: Point) => new Set(schemaOfPin(pin).fields.map((field) => field.name))
  const [old, fresh] = [columnsOf(before), columnsOf(after)]
  const contract = book.context.project.nodes.get(after.dataset)?.contract
  return Object.entries(contract?.columns ?? {})
    .filter(([name, one]) => one.additivity === 'additive' && old.has(name) && fresh.has(name))
    .map(([name]) => `sum(${quoteIdentifier(name)})`)
}

function defaultGroups(book: WhyBook, before: Point, after: Point): readonly string[] {
  const contract = book.context.project.nodes.get(after.dataset)?.contract
  const other = book.context.project.nodes.get(before.dataset)?.contract
  const time = after.shape?.kind === 'interval' ? after.shape.column : null
  const names = (contract?.keys.length ? contract.keys : (contract?.grain ?? [])).filter((name) => name !== time)
  const shared = names.filter((name) => other !== undefined && name in other.columns)
  // A key of its own for every row groups nothing.
  return contract?.columns[shared[0] ?? '']?.type === 'uuid' ? [] : shared.slice(0, 3)
}
