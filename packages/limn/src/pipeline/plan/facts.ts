import { invariant, sha256, type TableId } from '../../base/index.ts'
import { alignTo, type Edge, type Interval, IntervalSet, type IntervalUnit } from '../../dataset/index.ts'
import type { BoundTable, Session } from '../../engine/index.ts'
import { ancestorsOf, differ, type ScanTask, snapshotById } from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { bindFiles, leaseFiles, type PinnedTable, schemaOfPin } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { edgeTo, type Node } from '../project/node.ts'
import { addedRows, filesOfView, removedRows, tasksOfView, timesOfFiles, viewOf } from '../stage/view.ts'
import { comparedColumns } from './compared.ts'
import type { Touched } from './plan.ts'
import { impliedBy } from './reach.ts'

/**
 * Facts about immutable snapshots that planning needs: what the rows that differ between two snapshots touch, and which
 * domain an input spans. Pure functions of their arguments, so they are remembered in the state database.
 */

/**
 * Output times of `node` touched by what differs, in the columns it reads, in `input` between snapshot `from` and the pinned
 * one. Only what cannot be compared counts whole: rows of one side alone, columns of another type, all columns read.
 */
export async function touchedBetween(
  context: PipelineContext,
  node: Node,
  input: TableId,
  from: bigint | null,
  to: PinnedTable,
): Promise<Touched> {
  const edge = edgeTo(node, input)
  const inputNode = context.project.nodes.get(input)
  invariant(edge && inputNode, `${node.id} reads ${input}`)
  const nothing: Touched = { kind: 'times', times: IntervalSet.empty, rows: 0 }
  if (from === to.snapshotId) return nothing
  if (from !== null && !snapshotById(to.metadata, from)) return { kind: 'all' }
  if (onlyRewritten(to, from)) return nothing
  const columns = comparedColumns(context.project, node, inputNode, from, to)
  if (columns === 'incomparable') return { kind: 'all' }
  const question = [node.shape.kind === 'interval' ? node.shape.unit : 'whole', edge.reads, edge.touches, columns]
  const asked = sha256(JSON.stringify(question)).slice(0, 16)
  const key = `touched ${asked} ${to.metadata.tableUuid} ${from}..${to.snapshotId}`
  const known = context.runs.fact(key)
  if (known !== null) return revived(JSON.parse(known) as StoredTouched)
  const before = await tasksOfView(context, viewOf(inputNode, { ...to, snapshotId: from }))
  const after = await tasksOfView(context, viewOf(inputNode, to))
  const old = new Map(before.map((task) => [task.file.path, task]))
  const next = new Map(after.map((task) => [task.file.path, task]))
  const removed = before.filter((task) => differ(task, next.get(task.file.path)))
  const added = after.filter((task) => differ(task, old.get(task.file.path)))
  const touched =
    removed.length === 0 && added.length === 0
      ? nothing
      : await touchedByRows(context, { node, input: inputNode, edge, pin: to, columns, added, removed })
  const { rows } = touched
  const stored: StoredTouched = {
    intervals: touched.kind === 'all' ? null : touched.times.intervals,
    ...(rows === undefined ? {} : { rows }),
  }
  context.runs.rememberFact(key, JSON.stringify(stored))
  return touched
}

/** What differs of an input, and by which columns it is compared; null: as whole files. */
interface Difference {
  readonly node: Node
  readonly input: Node
  readonly edge: Edge
  readonly pin: PinnedTable
  readonly columns: readonly string[] | null
  readonly added: readonly ScanTask[]
  readonly removed: readonly ScanTask[]
}

interface StoredTouched {
  readonly intervals: readonly Interval[] | null
  readonly rows?: number
}

function revived({ intervals, rows }: StoredTouched): Touched {
  const counted = rows === undefined ? {} : { rows }
  return intervals === null
    ? { kind: 'all', ...counted }
    : { kind: 'times', times: IntervalSet.of(intervals), ...counted }
}

async function touchedByRows(context: PipelineContext, difference: Difference): Promise<Touched> {
  const { node, input, edge, columns, added, removed } = difference
  const bothSides = added.length > 0 && removed.length > 0
  if (node.shape.kind !== 'interval' || (edge.touches === null && edge.reads.kind === 'all')) {
    const rows = bothSides && columns !== null ? await rowsThatDiffer(context, difference) : recordsOf(difference)
    return rows === 0 ? { kind: 'times', times: IntervalSet.empty, rows } : { kind: 'all', rows }
  }
  if (edge.touches !== null) return touchedTimes(context, difference, edge.touches, node.shape.unit)
  if (bothSides && columns !== null && input.shape.kind === 'interval') {
    const { column, unit } = input.shape
    const at = `date_trunc('${unit}', ${quoteIdentifier(column)})::TIMESTAMP`
    const found = await touchedTimes(context, difference, at, unit)
    const implied = found.kind === 'times' ? impliedBy(edge, node.shape.unit, found.times) : null
    return implied ? { ...found, kind: 'times', times: implied } : { kind: 'all' }
  }
  return impliedByFiles(difference)
}

function recordsOf({ added, removed }: Pick<Difference, 'added' | 'removed'>): number {
  return [...added, ...removed].reduce((total, task) => total + Number(task.file.recordCount), 0)
}

/** Maintenance keeps the rows: between the two snapshots there are only such that replaced files (operation `replace`). */
export function onlyRewritten(to: PinnedTable, from: bigint | null): boolean {
  if (from === null || to.snapshotId === null) return false
  for (const snapshot of ancestorsOf(to.metadata, to.snapshotId)) {
    if (snapshot.snapshotId === from) return true
    if (snapshot.operation !== 'replace') return false
  }
  return false
}

function impliedByFiles(difference: Difference): Touched {
  const { node, input, edge, pin, added, removed } = difference
  const rows = recordsOf(difference)
  if (edge.reads.kind === 'all' || input.shape.kind !== 'interval' || node.shape.kind !== 'interval')
    return { kind: 'all', rows }
  const files = [...added, ...removed].map((task) => task.file)
  const changed = timesOfFiles(files, pin.metadata, schemaOfPin(pin), input.shape)
  const implied = changed && impliedBy(edge, node.shape.unit, changed)
  return implied ? { kind: 'times', times: implied, rows } : { kind: 'all', rows }
}

async function withRows<T>(
  context: PipelineContext,
  pin: PinnedTable,
  groups: readonly { readonly name: TableId; readonly files: readonly ScanTask[] }[],
  body: (session: Session) => Promise<T>,
): Promise<T> {
  await using lease = await leaseFiles(
    context,
    groups.flatMap((group) => group.files),
  )
  const tables: BoundTable[] = groups.map((group) => ({ ...bindFiles(pin, group.files, lease), id: group.name }))
  await using session = await context.engine.session(tables, { signal: context.signal })
  return await body(session)
}

/** Rows of one side that the other lacks, both ways, each as often as it is too many. */
function bothWays(columns: string): string {
  const side = (a: TableId, b: TableId) => `(SELECT ${columns} FROM ${a} EXCEPT ALL SELECT ${columns} FROM ${b})`
  return `${side(addedRows, removedRows)} UNION ALL ${side(removedRows, addedRows)}`
}

function listOf(columns: readonly string[], more: readonly string[] = []): string {
  const list = [...columns.map(quoteIdentifier), ...more]
  return list.length === 0 ? '1 AS one' : list.join(', ')
}

function sides({ added, removed }: Difference) {
  return [
    { name: addedRows, files: added },
    { name: removedRows, files: removed },
  ]
}

async function rowsThatDiffer(context: PipelineContext, difference: Difference): Promise<number> {
  const columns = listOf(difference.columns ?? [])
  return withRows(context, difference.pin, sides(difference), async (session) => {
    const { rows } = await session.rows(`SELECT count(*) FROM (${bothWays(columns)})`)
    return Number(rows[0]?.[0] ?? 0)
  })
}

/**
 * The units that rows which differ touch. What a row touches is compared with it, so that a row that moved from one unit to
 * another touches both.
 */
async function touchedTimes(
  context: PipelineContext,
  difference: Difference,
  touches: string,
  unit: IntervalUnit,
): Promise<Touched> {
  const { pin, added, removed, columns } = difference
  return withRows(context, pin, sides(difference), async (session) => {
    const touching = `(${touches}) AS limn_touches`
    const compared = listOf(columns ?? schemaOfPin(pin).fields.map((field) => field.name), [touching])
    const rows =
      removed.length === 0
        ? `SELECT ${touching} FROM ${addedRows}`
        : added.length === 0
          ? `SELECT ${touching} FROM ${removedRows}`
          : bothWays(compared)
    const times = await timesOf(session, 'limn_touches', rows)
    const { rows: found } = await session.rows(
      `SELECT epoch_us(date_trunc('${unit}', t)::TIMESTAMP), count(*) FROM (${times}) GROUP BY ALL`,
    )
    const starts = found.flatMap(([at]) => (at === null || at === undefined ? [] : [Number(at)]))
    return {
      kind: 'times',
      times: IntervalSet.of(starts.map((start) => alignTo(unit, { start, end: start + 1 }))),
      rows: found.reduce((total, row) => total + Number(row[1]), 0),
    }
  })
}

/** A query of one column `t`: the times an expression gives for rows, a list of times unnested. */
export async function timesOf(session: Session, touches: string, rows: string): Promise<string> {
  const described = await session.rows(`DESCRIBE SELECT (${touches}) AS t FROM (${rows})`)
  const type = String(described.rows[0]?.[1] ?? '')
  return `SELECT ${type.endsWith('[]') ? `unnest(${touches})` : `(${touches})`}::TIMESTAMP AS t FROM (${rows})`
}

export async function distinctUnits(session: Session, times: string, unit: IntervalUnit): Promise<IntervalSet> {
  const { rows } = await session.rows(
    `SELECT DISTINCT epoch_us(date_trunc('${unit}', t)::TIMESTAMP) FROM (${times}) WHERE t IS NOT NULL`,
  )
  const starts = rows.map((row) => Number(row[0]))
  return IntervalSet.of(starts.map((start) => alignTo(unit, { start, end: start + 1 })))
}

/**
 * The domain of an interval dataset over its pinned inputs, aligned to its unit: from its stated start, or the first
 * interval an input row reaches, to its stated end or the last. Null when no row reaches any.
 */
export async function domainOf(
  context: PipelineContext,
  node: Node,
  pinOf: (input: TableId) => PinnedTable | null,
): Promise<Interval | null> {
  const shape = node.shape
  invariant(shape.kind === 'interval', 'an interval dataset')
  let hull: Interval | null = null
  if (shape.start === null || shape.end === null) {
    for (const [input, edge] of node.edges) {
      const pin = pinOf(input)
      const reached = pin && (await reachOf(context, node, input, edge, pin))
      if (reached)
        hull = hull ? { start: Math.min(hull.start, reached.start), end: Math.max(hull.end, reached.end) } : reached
    }
  }
  const start = shape.start ?? hull?.start
  const end = shape.end ?? hull?.end
  return start === undefined || end === undefined || start >= end ? null : { start, end }
}

async function reachOf(
  context: PipelineContext,
  node: Node,
  input: TableId,
  edge: Edge,
  pin: PinnedTable,
): Promise<Interval | null> {
  const inputNode = context.project.nodes.get(input)
  invariant(inputNode && node.shape.kind === 'interval', `${node.id} reads ${input}`)
  const { unit } = node.shape
  if (edge.touches === null) {
    if (edge.reads.kind === 'all' || inputNode.shape.kind !== 'interval') return null
    const key = `reach ${unit} ${JSON.stringify(edge.reads)} ${pin.metadata.tableUuid} ${pin.snapshotId}`
    const known = context.runs.fact(key)
    if (known !== null) return JSON.parse(known) as Interval | null
    const times = timesOfFiles(
      await filesOfView(context, viewOf(inputNode, pin)),
      pin.metadata,
      schemaOfPin(pin),
      inputNode.shape,
    )
    const reached = (times && impliedBy(edge, unit, times))?.hull ?? null
    context.runs.rememberFact(key, JSON.stringify(reached))
    return reached
  }
  const { touches } = edge
  const key = `reach ${unit} ${touches} ${input} ${pin.snapshotId}`
  const known = context.runs.fact(key)
  if (known !== null) return JSON.parse(known) as Interval | null
  const files = await tasksOfView(context, viewOf(inputNode, pin))
  const reached = await withRows(context, pin, [{ name: addedRows, files }], async (session) => {
    const times = await timesOf(session, touches, `SELECT * FROM ${addedRows}`)
    const { rows } = await session.rows(`SELECT epoch_us(min(t)), epoch_us(max(t)) FROM (${times})`)
    const [first, last] = rows[0] ?? []
    if (first === null || first === undefined) return null
    return alignTo(unit, { start: Number(first), end: Number(last) + 1 })
  })
  context.runs.rememberFact(key, JSON.stringify(reached))
  return reached
}
