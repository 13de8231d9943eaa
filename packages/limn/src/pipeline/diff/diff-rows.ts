import { LimnError, nearest } from '../../base/index.ts'
import { addUnits, alignTo, type Interval, IntervalSet } from '../../dataset/index.ts'
import type { Bound, Cell, Session } from '../../engine/index.ts'
import type { ScanTask } from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import {
  bindFiles,
  changedSql,
  checksumsSql,
  differingRowsSql,
  leaseFiles,
  liveTableTasks,
  onlySql,
  type PinnedTable,
  schemaOfPin,
  type TableContext,
  taskKey,
} from '../../table/index.ts'
import { intervalOfFile } from '../stage/view.ts'
import {
  afterRows,
  beforeRows,
  type ColumnDelta,
  equalAfter,
  equalBefore,
  type IntervalDelta,
  type Measure,
  type MeasureDelta,
  type RowDelta,
  type RowDiff,
  type RowDiffOptions,
  type RowSide,
  type SampleRow,
} from './row-diff.ts'
import {
  changedColumnsSql,
  countsSql,
  intervalColumn,
  isInexact,
  isNumeric,
  measuresSql,
  type Reading,
  type SharedColumn,
  sideSql,
} from './row-diff-sql.ts'
import { noRows, type Sides, shapeOf } from './shared-columns.ts'

/**
 * What differs between the rows of two states, as a whole or interval by interval: rows as often as they are there,
 * compared null-safe, by the columns that both have (of states of one table: by field id, else by name); zeros of either
 * sign are equal, and so are NaNs. Of two tables, files that are equal on both sides with the same deletes are not compared;
 * they are opened for measures alone, and only where their interval differs. Changes nothing. Throws `usage/argument` for
 * a key, time or measure that the sides do not have.
 */
export async function diffRows(
  context: TableContext,
  before: RowSide,
  after: RowSide,
  options: RowDiffOptions = {},
): Promise<RowDiff> {
  await using opened = await openSides(context, before, after, options)
  return { ...(await compare(opened.session, opened.sides, options)), files: opened.files }
}

/** Which intervals differ and by how many rows, told by hashes: cheaper than which rows they are. */
export interface RowsApart {
  /** Rows that one side has more often than the other, of either. */
  readonly rows: number
  /** Intervals that differ, in order; null: one of them is of rows without a time, or there is no unit. */
  readonly intervals: readonly Interval[] | null
}

/** As `diffRows`, without saying which rows. */
export async function rowsApart(
  context: TableContext,
  before: RowSide,
  after: RowSide,
  options: Pick<RowDiffOptions, 'column' | 'unit' | 'where'> = {},
): Promise<RowsApart> {
  await using opened = await openSides(context, before, after, options)
  const { session, sides } = opened
  const { byInterval, relations, compared } = await readingOf(session, sides, options)
  await session.exec(checksumsSql(relations, compared))
  const start = byInterval ? intervalColumn : 'NULL'
  const { rows } = await session.rows(`SELECT ${start} FROM limn_sums WHERE limn_differs ORDER BY 1`)
  if (rows.length === 0) return { rows: 0, intervals: [] }
  const [hashes = ''] = differingRowsSql(relations, compared)
  await session.exec(hashes)
  const counted = await session.rows('SELECT sum(limn_apart)::BIGINT FROM limn_hashes')
  const { unit } = options
  const intervals = rows.flatMap(([at]) =>
    at === null || at === undefined || unit === undefined
      ? []
      : [{ start: Number(at), end: addUnits(unit, Number(at), 1) }],
  )
  return { rows: Number(counted.rows[0]?.[0] ?? 0), intervals: intervals.length === rows.length ? intervals : null }
}

/** Binds what of two sides has to be compared, in one session. */
async function openSides(context: TableContext, before: RowSide, after: RowSide, options: RowDiffOptions) {
  const resources = new AsyncDisposableStack()
  try {
    return await bindSides(context, before, after, options, resources)
  } catch (error) {
    await resources.disposeAsync()
    throw error
  }
}

async function bindSides(
  context: TableContext,
  before: RowSide,
  after: RowSide,
  options: RowDiffOptions,
  resources: AsyncDisposableStack,
) {
  const bound: Bound[] = []
  const tasks = await tasksApart(context, before, after, options)
  const place = async (side: RowSide, own: Tasks | null, id: typeof beforeRows, equal: typeof equalBefore) => {
    switch (side.kind) {
      case 'none':
        return null
      case 'query':
        for (const one of side.bound) if (!bound.some((other) => other.id === one.id)) bound.push(one)
        return `(${side.sql}\n)`
      case 'files':
        bound.push({ id, schema: side.schema, files: side.files })
        return id as string
      case 'table': {
        const compared = own?.compared ?? (await liveOf(context, side))
        const lease = resources.use(await leaseFiles(context, [...compared, ...(own?.equal ?? [])]))
        bound.push(bindFiles({ ...side.pin, id }, compared, lease))
        if (own && own.equal.length > 0) bound.push(bindFiles({ ...side.pin, id: equal }, own.equal, lease))
        return id as string
      }
    }
  }
  const left = await place(before, tasks?.before ?? null, beforeRows, equalBefore)
  const right = await place(after, tasks?.after ?? null, afterRows, equalAfter)
  const session = resources.use(await context.engine.session(bound, { signal: context.signal }))
  const sides: Sides = { before, after, left, right, equal: (tasks?.before.equal.length ?? 0) > 0 }
  const files = {
    compared:
      tasks === null
        ? bound.reduce((sum, one) => sum + ('files' in one ? one.files.length : 0), 0)
        : tasks.before.compared.length + tasks.after.compared.length,
    equal: tasks?.equalFiles ?? 0,
  }
  return { session, sides, files, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

interface Tasks {
  readonly compared: readonly ScanTask[]
  /** Equal on both sides, and of an interval that differs: read for measures alone. */
  readonly equal: readonly ScanTask[]
}

type TableSide = Extract<RowSide, { readonly kind: 'table' }>

async function liveOf(context: TableContext, { pin, keep }: TableSide): Promise<readonly ScanTask[]> {
  const tasks = await liveTableTasks(context, pin)
  return keep ? tasks.filter((task) => keep(task.file)) : tasks
}

/** The files of two tables apart from those that both have; null when a side is no table. */
async function tasksApart(context: TableContext, before: RowSide, after: RowSide, options: RowDiffOptions) {
  if (before.kind !== 'table' || after.kind !== 'table') return null
  const [old, now] = [await liveOf(context, before), await liveOf(context, after)]
  const [known, present] = [new Set(old.map(taskKey)), new Set(now.map(taskKey))]
  const gone = old.filter((task) => !present.has(taskKey(task)))
  const come = now.filter((task) => !known.has(taskKey(task)))
  const sameBefore = old.filter((task) => present.has(taskKey(task)))
  const sameAfter = now.filter((task) => known.has(taskKey(task)))
  const { column, unit } = options
  const timeOf = (pin: PinnedTable, task: ScanTask): Interval | null =>
    column === undefined ? null : intervalOfFile(task.file, pin.metadata, schemaOfPin(pin), { column })
  let relevant: (pin: PinnedTable, task: ScanTask) => boolean = () => true
  if (column !== undefined && unit !== undefined) {
    const times = [...gone.map((task) => timeOf(before.pin, task)), ...come.map((task) => timeOf(after.pin, task))]
    const placed = times.filter((one) => one !== null)
    if (placed.length === times.length) {
      const touched = IntervalSet.of(placed.map((one) => alignTo(unit, one)))
      relevant = (pin, task) => {
        const time = timeOf(pin, task)
        return time === null ? times.length > 0 : touched.overlaps(time)
      }
    }
  }
  return {
    before: { compared: gone, equal: sameBefore.filter((task) => relevant(before.pin, task)) },
    after: { compared: come, equal: sameAfter.filter((task) => relevant(after.pin, task)) },
    equalFiles: sameBefore.length,
  }
}

/** What both sides are read as and compared by. */
async function readingOf(session: Session, sides: Sides, options: RowDiffOptions) {
  const { keys = [], column, unit, where = null } = options
  const shape = await shapeOf(session, sides)
  const names = new Set(shape.compared.map((one) => one.name))
  for (const key of keys) requireColumn(key, names, 'key')
  const byInterval = column !== undefined && unit !== undefined
  if (byInterval) requireColumn(column, names, 'time column')
  const reading: Reading = { columns: shape.columns, time: byInterval ? { column, unit } : null, where }
  const left = sideSql(sides.left ?? noRows(shape.columns), 'before', reading)
  const right = sideSql(sides.right ?? noRows(shape.columns), 'after', reading)
  const own = shape.compared.map(({ name, type }) => ({ name, type }))
  const compared = {
    columns: byInterval ? [{ name: intervalColumn, type: 'BIGINT' }, ...own] : own,
    by: byInterval ? [intervalColumn] : [],
    keys: keys.length > 0 && byInterval ? [intervalColumn, ...keys] : keys,
  }
  const relations = [
    { from: left, told: new Set<string>() },
    { from: right, told: new Set<string>() },
  ] as const
  return { shape, reading, byInterval, left, right, own, compared, relations }
}

async function compare(session: Session, sides: Sides, options: RowDiffOptions): Promise<Omit<RowDiff, 'files'>> {
  const { keys = [], unit, sample = 10 } = options
  const { shape, reading, left, right, own, compared, relations, ...found } = await readingOf(session, sides, options)
  const byInterval = found.byInterval && unit !== undefined
  const rest = sides.equal
    ? { before: sideSql(equalBefore, 'before', reading), after: sideSql(equalAfter, 'after', reading) }
    : null
  const measures = await typedMeasures(session, right, options.measures ?? defaultMeasures(shape.compared, keys))
  await session.exec(checksumsSql(relations, compared))
  const differs =
    Number((await session.rows('SELECT count(*) FROM limn_sums WHERE limn_differs')).rows[0]?.[0] ?? 0) > 0
  const deltas = new Map<string, Counts>()
  if (differs) {
    for (const sql of differingRowsSql(relations, compared)) await session.exec(sql)
    for (const [start = null, removed, added, changed] of (await session.rows(countsSql(byInterval))).rows)
      deltas.set(keyOf(start), {
        removed: Number(removed),
        added: Number(added),
        changed: Number(changed),
        columns: [],
      })
    if (keys.length > 0)
      await addColumns(
        session,
        deltas,
        own.filter((one) => !keys.includes(one.name)),
        compared.keys,
        byInterval,
      )
  }
  const measured = async (grouped: boolean) =>
    (await session.rows(measuresSql({ before: left, after: right }, rest, measures, { byInterval, grouped }))).rows
  const none: Counts = { removed: 0, added: 0, changed: 0, columns: [] }
  const intervals: IntervalDelta[] = []
  if (byInterval && differs)
    for (const row of await measured(true)) {
      const start = row[0] ?? null
      intervals.push({
        interval: start === null ? null : { start: Number(start), end: addUnits(unit, Number(start), 1) },
        ...deltaOf(row, deltas.get(keyOf(start)) ?? none, measures),
      })
    }
  const [totals = [null, 0, 0]] = byInterval && !differs ? [] : await measured(false)
  return {
    same: !differs && shape.added.length + shape.removed.length + shape.retyped.length + shape.renamed.length === 0,
    columns: {
      added: shape.added,
      removed: shape.removed,
      renamed: shape.renamed,
      retyped: shape.retyped,
      compared: own.map((one) => one.name),
    },
    keys,
    unit: byInterval ? unit : null,
    total: deltaOf(
      totals,
      sumOf(
        [...deltas.values()],
        own.map((one) => one.name),
      ),
      measures,
    ),
    intervals,
    sample: differs && sample > 0 ? await samplesOf(session, compared, sample, byInterval) : [],
  }
}

interface Counts {
  readonly added: number
  readonly removed: number
  readonly changed: number
  readonly columns: readonly ColumnDelta[]
}

function keyOf(start: Cell): string {
  return start === null ? 'none' : String(start)
}

function sumOf(deltas: readonly Counts[], order: readonly string[]): Counts {
  const total = (key: 'added' | 'removed' | 'changed') => deltas.reduce((sum, one) => sum + one[key], 0)
  const columns = new Map<string, ColumnDelta>()
  for (const one of deltas.flatMap((delta) => delta.columns)) {
    const known = columns.get(one.name)
    const greatest = Math.max(known?.greatest ?? -1, one.greatest ?? -1)
    columns.set(one.name, {
      name: one.name,
      rows: (known?.rows ?? 0) + one.rows,
      greatest: greatest < 0 ? null : greatest,
    })
  }
  return {
    added: total('added'),
    removed: total('removed'),
    changed: total('changed'),
    columns: order.flatMap((name) => columns.get(name) ?? []),
  }
}

async function addColumns(
  session: Session,
  deltas: Map<string, Counts>,
  columns: readonly { readonly name: string; readonly type: string }[],
  keys: readonly string[],
  byInterval: boolean,
): Promise<void> {
  if (columns.length === 0) return
  for (const [start = null, ...cells] of (await session.rows(changedColumnsSql(columns, keys, byInterval))).rows) {
    const counts = deltas.get(keyOf(start))
    if (!counts) continue
    const found = columns.flatMap(({ name }, i) => {
      const [rows, greatest = null] = [Number(cells[2 * i]), cells[2 * i + 1]]
      return rows > 0 ? [{ name, rows, greatest: greatest === null ? null : Number(greatest) }] : []
    })
    deltas.set(keyOf(start), { ...counts, columns: found })
  }
}

type TypedMeasure = Measure & { readonly number: boolean; readonly inexact: boolean }

function deltaOf(row: readonly Cell[], counts: Counts, measures: readonly TypedMeasure[]): RowDelta {
  const text = (cell: Cell | undefined) => (cell === null || cell === undefined ? null : String(cell))
  return {
    before: Number(row[1]),
    after: Number(row[2]),
    added: counts.added,
    removed: counts.removed,
    changed: counts.changed,
    columns: counts.columns,
    measures: measures.map((measure, i): MeasureDelta => {
      const [before, after, delta, relative] = row.slice(3 + 4 * i, 7 + 4 * i)
      return {
        name: measure.name,
        before: text(before),
        after: text(after),
        delta: text(delta) ?? (measure.number ? '0' : null),
        relative: relative === null || relative === undefined ? null : Number(relative),
        inexact: measure.inexact,
      }
    }),
  }
}

async function samplesOf(
  session: Session,
  names: Parameters<typeof changedSql>[0],
  limit: number,
  byInterval: boolean,
): Promise<readonly SampleRow[]> {
  const skip = byInterval ? 1 : 0
  const text = (cells: readonly Cell[]) => cells.map((cell) => (cell === null ? null : String(cell)))
  const out: SampleRow[] = []
  if (names.keys.length > 0) {
    const rest = names.columns.filter((one) => !names.keys.includes(one.name))
    for (const row of (await session.rows(changedSql(names, limit))).rows) {
      const cells = text(row)
      const at = names.keys.length
      out.push({
        kind: 'changed',
        key: cells.slice(skip, at),
        columns: rest.flatMap(({ name }, i) => {
          const [before = null, after = null, differs] = cells.slice(at + 3 * i, at + 3 * i + 3)
          return differs === 'true' ? [{ name, before, after }] : []
        }),
      })
    }
  }
  for (const [kind, side] of [
    ['removed', 'left'],
    ['added', 'right'],
  ] as const)
    for (const row of (await session.rows(onlySql(names, side, limit))).rows)
      out.push({ kind, values: text(row.slice(1 + skip)), times: Number(row[0]) })
  return out
}

function defaultMeasures(columns: readonly SharedColumn[], keys: readonly string[]): readonly Measure[] {
  return columns.flatMap(({ name, type }) =>
    isNumeric(type) && !keys.includes(name) ? [{ name, sql: `sum(${quoteIdentifier(name)})` }] : [],
  )
}

async function typedMeasures(
  session: Session,
  rows: string,
  measures: readonly Measure[],
): Promise<readonly TypedMeasure[]> {
  if (measures.length === 0) return []
  const list = measures.map((one, i) => `${one.sql} AS limn_m${i}`).join(', ')
  const described = await session.rows(`DESCRIBE SELECT ${list} FROM ${rows}`)
  return measures.map((one, i) => {
    const type = String(described.rows[i]?.[1])
    return { ...one, number: isNumeric(type), inexact: isInexact(type) }
  })
}

function requireColumn(name: string, known: ReadonlySet<string>, what: string): void {
  if (known.has(name)) return
  const close = nearest(name, known)
  throw new LimnError('usage/argument', {
    message: `The ${what} "${name}" is not a column of both sides.`,
    notDone: 'Nothing was compared.',
    remedy: close ? `Did you mean ${close}?` : `Both have: ${[...known].join(', ')}.`,
  })
}
