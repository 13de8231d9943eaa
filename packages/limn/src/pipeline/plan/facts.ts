import { invariant, type TableId } from '../../base/index.ts'
import {
  alignTo,
  deliveryColumns,
  type Edge,
  type Interval,
  IntervalSet,
  type IntervalUnit,
} from '../../dataset/index.ts'
import type { BoundTable, Session } from '../../engine/index.ts'
import { ancestorsOf, differ, type ScanTask, snapshotById } from '../../iceberg/index.ts'
import { bindFiles, leaseFiles, type PinnedTable, schemaOfPin } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Node } from '../project/node.ts'
import { addedRows, filesOfView, removedRows, tasksOfView, timesOfFiles, viewOf } from '../stage/view.ts'
import { impliedBy, type Touched } from './plan.ts'

/**
 * Facts about immutable snapshots that planning needs: what the rows that differ between two snapshots touch, and which
 * domain an input spans. Pure functions of their arguments, so they are remembered in the state database.
 */

/** Columns of an input that count as data: delivery and run columns are aside. */
export function dataColumns(node: Node): readonly string[] {
  const own = Object.keys(node.contract.columns)
  return node.producer.kind === 'source' ? own.filter((name) => !(name in deliveryColumns)) : own
}

/** Output times of `node` touched by what differs in `input` between snapshot `from` and the pinned one. */
export async function touchedBetween(
  context: PipelineContext,
  node: Node,
  input: TableId,
  from: bigint | null,
  to: PinnedTable,
): Promise<Touched> {
  const edge = node.edges.get(input)
  const inputNode = context.project.nodes.get(input)
  invariant(edge && inputNode, `${node.id} reads ${input}`)
  if (from === to.snapshotId) return { kind: 'times', times: IntervalSet.empty }
  if (from !== null && !snapshotById(to.metadata, from)) return { kind: 'all' }
  if (onlyRewritten(to, from)) return { kind: 'times', times: IntervalSet.empty }
  const before = await tasksOfView(context, viewOf(inputNode, { ...to, snapshotId: from }))
  const after = await tasksOfView(context, viewOf(inputNode, to))
  const old = new Map(before.map((task) => [task.file.path, task]))
  const next = new Map(after.map((task) => [task.file.path, task]))
  const removed = before.filter((task) => differ(task, next.get(task.file.path)))
  const added = after.filter((task) => differ(task, old.get(task.file.path)))
  if (removed.length === 0 && added.length === 0) return { kind: 'times', times: IntervalSet.empty }
  if (node.shape.kind !== 'interval') {
    const differ = await rowsDiffer(context, inputNode, to, added, removed)
    return differ ? { kind: 'all' } : { kind: 'times', times: IntervalSet.empty }
  }
  if (edge.touches === null) return impliedByFiles(node, inputNode, edge, to, [...added, ...removed])
  const key = `touched ${node.shape.unit} ${edge.touches} ${input} ${from}..${to.snapshotId}`
  const known = context.runs.fact(key)
  if (known !== null) return { kind: 'times', times: IntervalSet.of(JSON.parse(known) as Interval[]) }
  const times = await touchedTimes(context, inputNode, to, edge.touches, node.shape.unit, added, removed)
  context.runs.rememberFact(key, JSON.stringify(times.intervals))
  return { kind: 'times', times }
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

function impliedByFiles(node: Node, input: Node, edge: Edge, to: PinnedTable, tasks: readonly ScanTask[]): Touched {
  const files = tasks.map((task) => task.file)
  if (edge.reads.kind === 'all' || input.shape.kind !== 'interval' || node.shape.kind !== 'interval')
    return { kind: 'all' }
  const changed = timesOfFiles(files, to.metadata, schemaOfPin(to), input.shape)
  const implied = changed && impliedBy(edge, node.shape.unit, changed)
  return implied ? { kind: 'times', times: implied } : { kind: 'all' }
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

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ')
}

function bothWays(columns: string): string {
  const side = (a: TableId, b: TableId) => `(SELECT ${columns} FROM ${a} EXCEPT ALL SELECT ${columns} FROM ${b})`
  return `${side(addedRows, removedRows)} UNION ALL ${side(removedRows, addedRows)}`
}

async function rowsDiffer(
  context: PipelineContext,
  input: Node,
  pin: PinnedTable,
  added: readonly ScanTask[],
  removed: readonly ScanTask[],
): Promise<boolean> {
  if (input.producer.kind !== 'source') return true
  const groups = [
    { name: addedRows, files: added },
    { name: removedRows, files: removed },
  ]
  return withRows(context, pin, groups, async (session) => {
    const { rows } = await session.rows(`SELECT 1 FROM (${bothWays(quoted(dataColumns(input)))}) LIMIT 1`)
    return rows.length > 0
  })
}

async function touchedTimes(
  context: PipelineContext,
  input: Node,
  pin: PinnedTable,
  touches: string,
  unit: IntervalUnit,
  added: readonly ScanTask[],
  removed: readonly ScanTask[],
): Promise<IntervalSet> {
  const columns = quoted(dataColumns(input))
  const groups = [
    { name: addedRows, files: added },
    { name: removedRows, files: removed },
  ]
  return withRows(context, pin, groups, async (session) => {
    const rows =
      removed.length === 0
        ? `SELECT ${columns} FROM ${addedRows}`
        : added.length === 0
          ? `SELECT ${columns} FROM ${removedRows}`
          : bothWays(columns)
    return distinctUnits(session, await timesOf(session, touches, rows), unit)
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
    const times = timesOfFiles(
      await filesOfView(context, viewOf(inputNode, pin)),
      pin.metadata,
      schemaOfPin(pin),
      inputNode.shape,
    )
    return (times && impliedBy(edge, unit, times))?.hull ?? null
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
