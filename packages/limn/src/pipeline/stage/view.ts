import { type TableId, tableId } from '../../base/index.ts'
import { addUnits, type Interval, IntervalSet } from '../../dataset/index.ts'
import {
  ancestorsOf,
  type DataFile,
  type PartitionSpec,
  type ScanTask,
  specById,
  type TableMetadata,
} from '../../iceberg/index.ts'
import { fieldByName, type Schema } from '../../schema/index.ts'
import {
  liveTableTasks,
  type PinnedTable,
  schemaOfPin,
  snapshotOfPin,
  supersededProperty,
  watermarkProperty,
} from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Node, Shape } from '../project/node.ts'

/**
 * What a dataset's readers see of its table. Bronze keeps all deliveries; readers get those that no later delivery of
 * the same path has superseded. Which ones are superseded is written in the snapshot, so it holds for any snapshot.
 */
export interface DatasetView {
  readonly pin: PinnedTable
  readonly keep: (file: DataFile) => boolean
}

/** Ordinals as text, runs joined: `1-5,8`. */
export function formatOrdinals(ordinals: ReadonlySet<number>): string {
  const sorted = [...ordinals].sort((a, b) => a - b)
  const parts: { first: number; last: number }[] = []
  for (const ordinal of sorted) {
    const last = parts.at(-1)
    if (last && ordinal === last.last + 1) last.last = ordinal
    else parts.push({ first: ordinal, last: ordinal })
  }
  return parts.map((part) => (part.first === part.last ? `${part.first}` : `${part.first}-${part.last}`)).join(',')
}

export function parseOrdinals(text: string): ReadonlySet<number> {
  const out = new Set<number>()
  for (const part of text.split(',')) {
    if (part === '') continue
    const [first = 0, last = first] = part.split('-').map(Number)
    for (let ordinal = first; ordinal <= last; ordinal++) out.add(ordinal)
  }
  return out
}

/** Deliveries superseded as of a snapshot: said by the nearest of it and its ancestors that says anything. */
export function supersededAt(metadata: TableMetadata, snapshotId: bigint | null): ReadonlySet<number> {
  if (snapshotId === null) return new Set()
  for (const snapshot of ancestorsOf(metadata, snapshotId)) {
    const text = snapshot.summary[supersededProperty]
    if (text !== undefined) return parseOrdinals(text)
  }
  return new Set()
}

/** Up to which time a source had handed over everything as of a snapshot, in microseconds; null when it says nothing of it. */
export function watermarkAt(metadata: TableMetadata, snapshotId: bigint | null): number | null {
  if (snapshotId === null) return null
  for (const snapshot of ancestorsOf(metadata, snapshotId)) {
    const text = snapshot.summary[watermarkProperty]
    if (text !== undefined) return Number(text)
  }
  return null
}

/** The rows of a pinned dataset that its readers see. */
export function viewOf(node: Node | undefined, pin: PinnedTable): DatasetView {
  if (node?.producer.kind !== 'source') return { pin, keep: () => true }
  const superseded = supersededAt(pin.metadata, pin.snapshotId)
  const ordinalOf = deliveryOf(pin)
  return { pin, keep: (file) => !superseded.has(ordinalOf(file) ?? -1) }
}

/** Tells which delivery a data file of a source came with; null when its partition does not say. */
export function deliveryOf(pin: PinnedTable): (file: DataFile) => number | null {
  const positions = new Map<number, number>()
  return (file) => {
    let position = positions.get(file.specId)
    if (position === undefined) {
      position = deliveryPosition(specById(pin.metadata, file.specId), schemaOfPin(pin))
      positions.set(file.specId, position)
    }
    const ordinal = file.partition[position]
    return ordinal === null || ordinal === undefined ? null : Number(ordinal)
  }
}

function deliveryPosition(spec: PartitionSpec, schema: Schema): number {
  const column = fieldByName(schema, '_delivery')
  return spec.fields.findIndex((field) => field.sourceId === column?.id && field.transform.kind === 'identity')
}

/** The live files of a view with the deletes that apply to them, in order of paths. */
export async function tasksOfView(context: PipelineContext, view: DatasetView): Promise<readonly ScanTask[]> {
  const { pin } = view
  if (pin.snapshotId === null || snapshotOfPin(pin) === null) return []
  return (await liveTableTasks(context, pin)).filter((task) => view.keep(task.file))
}

/** The live files of a view, in order of paths, whatever deletes apply to them. */
export async function filesOfView(context: PipelineContext, view: DatasetView): Promise<readonly DataFile[]> {
  return (await tasksOfView(context, view)).map((task) => task.file)
}

type IntervalShape = Extract<Shape, { kind: 'interval' }>

/** The time a data file of an interval dataset covers, from its partition; null when its partition says nothing of it. */
export function intervalOfFile(
  file: Pick<DataFile, 'partition' | 'specId'>,
  metadata: TableMetadata,
  schema: Schema,
  shape: Pick<IntervalShape, 'column'>,
): Interval | null {
  const column = fieldByName(schema, shape.column)
  const spec = specById(metadata, file.specId)
  for (const [i, field] of spec.fields.entries()) {
    const value = file.partition[i]
    if (field.sourceId !== column?.id || value === null || value === undefined) continue
    const { kind } = field.transform
    if (kind !== 'year' && kind !== 'month' && kind !== 'day' && kind !== 'hour') continue
    const start = addUnits(kind, 0, Number(value))
    return { start, end: addUnits(kind, start, 1) }
  }
  return null
}

/** The times of files, or null when one of them cannot be placed. */
export function timesOfFiles(
  files: readonly DataFile[],
  metadata: TableMetadata,
  schema: Schema,
  shape: IntervalShape,
): IntervalSet | null {
  const intervals: Interval[] = []
  for (const file of files) {
    const interval = intervalOfFile(file, metadata, schema, shape)
    if (!interval) return null
    intervals.push(interval)
  }
  return IntervalSet.of(intervals)
}

/** Names under which a run binds rows that are no table. */
export const stagedRows: TableId = tableId('limn_staged.rows')
export const addedRows: TableId = tableId('limn_diff.added')
export const removedRows: TableId = tableId('limn_diff.removed')

/**
 * SQL for rows that one table has more often than the other, each once; nulls are equal. One grouping of both, which spills, in place
 * of `EXCEPT ALL` both ways, which takes three times as long.
 */
export function differingRows(columns: string, one: TableId, other: TableId): string {
  const sides = `SELECT ${columns}, 1 AS __limn_side FROM ${one} UNION ALL SELECT ${columns}, -1 FROM ${other}`
  return `SELECT * EXCLUDE (__limn_side) FROM (${sides}) GROUP BY ALL HAVING sum(__limn_side) <> 0`
}
