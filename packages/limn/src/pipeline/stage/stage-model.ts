import { counted, invariant, LimnError, mapConcurrently, type ProgressTask, type TableId } from '../../base/index.ts'
import { formatInterval, formatMicros, formatStart, type Interval, IntervalSet, splitBy } from '../../dataset/index.ts'
import type { BoundTable, WrittenFile } from '../../engine/index.ts'
import { type DataFile, decodeSingleValue, type ScanTask } from '../../iceberg/index.ts'
import { budgetAllows, rejectSql } from '../../quality/index.ts'
import { fieldByName, type Schema } from '../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'
import { bindFiles, leaseFiles, pinRef, putFiles, schemaOfPin, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { batchesOf, certainTimes, isDue, type PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { boundSql } from './bound-sql.ts'
import { stageIncrement } from './increment.ts'
import { keepParts } from './keep-parts.ts'
import { bindOwn, OwnTable } from './own-rows.ts'
import { type QuarantineWriter, quarantineWriter } from './quarantine.ts'
import {
  bindViews,
  inputSnapshots,
  type RangeResult,
  requireView,
  type ScanReport,
  type StagedDataset,
  type StageInputs,
} from './stage.ts'
import { type StagedTable, stageTable, type Target } from './staged-table.ts'
import { addedRows, type DatasetView, differingRows, intervalOfFile, removedRows, tasksOfView, viewOf } from './view.ts'

/** Builds of one dataset that go on at once: the engine is busy while another's files are synced. */
const buildsAtOnce = 2

/** One build of a model: its files, still local, and what it means for each interval. */
interface Built {
  readonly interval: Interval | null
  readonly keepOld: boolean
  readonly changed: IntervalSet | 'all'
  readonly files: readonly WrittenFile[]
  readonly oldFiles: readonly ScanTask[]
  readonly scans: readonly ScanReport[]
  readonly quarantined: number
  readonly startedAtMs: number
  readonly seconds: number
}

/** What building a model's intervals came to: its files are put, and nothing of it is part of a snapshot yet. */
export interface ModelBuild {
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  readonly ranges: readonly RangeResult[]
  readonly scans: readonly ScanReport[]
}

/**
 * Builds the planned intervals of a model (or all of it) on the run's branch, in one snapshot. Where a rebuilt interval
 * equals the old one its files are kept. A row outside its interval, or null in the interval column, fails the run.
 */
export async function stageModel(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  replaces: StagedDataset | null,
): Promise<StagedDataset> {
  const views = await viewsOf(context, inputs, node)
  const increment = await stageIncrement(context, inputs, node, items, target, views, replaces)
  if (increment) return increment
  const quarantine = await quarantineWriter(context, inputs.run, node)
  const task = context.progress.begin(node.id)
  const old = await oldFilesOf(context, node, target)
  const parts: ModelBuild[] = []
  const keep = (part: ModelBuild) => void parts.push(part)
  const built = await buildModel(context, inputs, node, items, target, old, quarantine, task, keep).catch(
    async (error: unknown) => {
      if (!replaces) await keepParts(context, inputs, node, items, target, parts)
      throw error
    },
  )
  const { added, removed, ranges, scans } = built
  const done = node.self ? withoutSkipped(items, ranges) : items
  const untouched = added.length === 0 && removed.length === 0 && target.base !== null && target.updates.length === 0
  const table: StagedTable | null = untouched
    ? null
    : await stageTable(context, inputs.run, target, { added, removed, summary: {} }, replaces?.table ?? null)
  task.end(
    untouched
      ? 'rebuilt, equal to what is published'
      : `${counted(sum(ranges, 'rows'), 'row')} in ${counted(added.length, 'file')}`,
  )
  return {
    node,
    items: done,
    table,
    quarantine: await quarantine.stage(replaces?.quarantine ?? null),
    ranges,
    inputs: await inputSnapshots(inputs, node, table?.snapshotId ?? target.base?.metadata.currentSnapshotId ?? null),
    scans,
  }
}

/** Items without the intervals that were not built, because no earlier one that they read had changed. */
function withoutSkipped(items: readonly PlanItem[], ranges: readonly RangeResult[]): readonly PlanItem[] {
  const built = IntervalSet.of(ranges.flatMap((range) => range.interval ?? []))
  return items.flatMap((item) => {
    const { interval } = item
    return interval
      ? built.intersect(IntervalSet.of([interval])).intervals.map((part) => ({ ...item, interval: part }))
      : [item]
  })
}

async function viewsOf(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
): Promise<ReadonlyMap<TableId, DatasetView>> {
  const views = new Map<TableId, DatasetView>()
  for (const input of node.edges.keys()) views.set(input, await requireView(context, inputs, node.id, input))
  return views
}

/**
 * Builds intervals of a model (or all of it) and puts the files of those that differ from `old`. Commits nothing. Intervals of a
 * model that reads itself are built one after the other, each from `old` with the earlier ones in their place; those that are
 * built only if an earlier one changes are left out when none did. `keep` gets each
 * as it is done.
 */
export async function buildModel(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  old: readonly ScanTask[],
  quarantine: QuarantineWriter,
  task: Pick<ProgressTask, 'update'>,
  keep: (part: ModelBuild) => void = () => undefined,
): Promise<ModelBuild> {
  const views = await viewsOf(context, inputs, node)
  const batches = batchesFor(node, items)
  const { self } = node
  const own = self ? new OwnTable(target, old) : null
  const certain = certainTimes(items)
  let changed = IntervalSet.empty
  let done = 0
  const all = await mapConcurrently(batches, self ? 1 : buildsAtOnce, async (batch) => {
    context.signal.throwIfAborted()
    if (self && batch && !isDue(self, batch, certain, changed)) return null
    await using scratch = await context.store.scratch({ signal: context.signal })
    const built = await buildBatch(context, node, views, own, batch, target, old, scratch.folder, quarantine)
    const settled = await settleFiles(context, node, target, built)
    if (own && batch && !built.keepOld) {
      own.replace(settled)
      changed = changed.union(built.changed === 'all' ? IntervalSet.of([batch]) : built.changed)
    }
    task.update(describeBatch(node, batch, ++done, batches.length))
    const part: ModelBuild = { ...settled, scans: built.scans, ranges: rangesOf(node, items, target, built, settled) }
    keep(part)
    return part
  })
  const results = all.filter((one) => one !== null)
  return {
    added: results.flatMap((one) => one.added),
    removed: results.flatMap((one) => one.removed),
    ranges: results.flatMap((one) => one.ranges),
    scans: results.flatMap((one) => one.scans),
  }
}

function batchesFor(node: Node, items: readonly PlanItem[]): readonly (Interval | null)[] {
  if (node.shape.kind !== 'interval') return [null]
  const stale = IntervalSet.of(items.flatMap((item) => (item.interval ? [item.interval] : [])))
  return batchesOf(stale, node.shape.batch)
}

function describeBatch(node: Node, batch: Interval | null, index: number, count: number): string {
  if (batch === null || node.shape.kind !== 'interval') return 'building'
  return `${formatInterval(node.shape.unit, batch)} (${index} of ${count})`
}

/** Live files of the published table, if old and new can be compared and kept side by side. */
export async function oldFilesOf(context: PipelineContext, node: Node, target: Target): Promise<readonly ScanTask[]> {
  const pin = target.base && pinRef(target.base)
  return pin ? tasksOfView(context, viewOf(node, pin)) : []
}

async function buildBatch(
  context: PipelineContext,
  node: Node,
  views: ReadonlyMap<TableId, DatasetView>,
  own: OwnTable | null,
  interval: Interval | null,
  target: Target,
  old: readonly ScanTask[],
  folder: string,
  quarantine: QuarantineWriter,
): Promise<Built> {
  const startedAtMs = context.clock.nowMs()
  const sql = boundSql(node, interval)
  await using earlier = own && interval ? await bindOwn(context, node, own.state, interval) : null
  await using bound = await bindViews(
    context,
    [...views.values()],
    sql,
    own && { id: node.id, schema: own.state.schema },
  )
  const scan = (input: TableId, scan: ScanReport['scan']) => ({ dataset: node.id, interval, input, scan })
  const scans = [
    ...bound.readings.map(({ id, reading }) => scan(id, reading.scan)),
    ...(earlier ? [scan(node.id, earlier.scan)] : []),
  ]
  await using session = await context.engine.session(
    [...bound.readings.map(({ reading }) => reading.bound), ...(earlier?.bound ?? [])],
    { signal: context.signal },
  )
  let rows = sql
  let quarantined = 0
  const scopes = scopesOf(node, interval)
  if (node.contract.rejects.length > 0) {
    const split = rejectSql(sql, node.contract.rejects, node.contract, scopeSql(node, scopes))
    rows = split.kept
    quarantined = await quarantine.replace(session, split.rejected, scopes, folder)
  } else if (quarantine.exists) {
    quarantine.clear(scopes)
  }
  const files = await writeLocal(session, rows, target.layout, folder)
  const written = files.reduce((total, file) => total + Number(file.recordCount), 0)
  if (
    quarantined > 0 &&
    !budgetAllows(node.contract.rejectBudget, { read: written + quarantined, rejected: quarantined })
  ) {
    throw new LimnError('source/over-reject-budget', {
      message: `${node.id} rejects ${quarantined} of ${written + quarantined} rows, more than its contract allows.`,
      notDone: 'Nothing was published.',
      remedy: 'Correct the input or the reject rules, or raise rejectBudget.',
    })
  }
  requireInside(node, interval, target.layout.schema, files)
  const oldFiles = old.filter(({ file }) => belongsTo(file, node, target, interval))
  const changed = await changedIntervals(context, node, target, interval, files, oldFiles)
  return {
    interval,
    keepOld: changed !== 'all' && changed.isEmpty,
    changed,
    files,
    oldFiles,
    scans,
    quarantined,
    startedAtMs,
    seconds: (context.clock.nowMs() - startedAtMs) / 1000,
  }
}

/** What rejected rows of a build are kept under: each interval of its own, so that any of them can be replaced alone. */
function scopesOf(node: Node, interval: Interval | null): readonly string[] {
  const { shape } = node
  if (interval === null || shape.kind !== 'interval') return ['whole']
  return splitBy(shape.unit, interval).map((part) => formatStart(shape.unit, part.start))
}

const startFormats = { hour: '%Y-%m-%dT%H:%M', day: '%Y-%m-%d', month: '%Y-%m', year: '%Y' } as const

/** The scope of one rejected row; a row without its time goes to the build's first. */
function scopeSql(node: Node, scopes: readonly string[]): string {
  const first = quoteText(scopes[0] ?? 'whole')
  if (node.shape.kind !== 'interval') return first
  const { unit, column } = node.shape
  return `coalesce(strftime(date_trunc('${unit}', ${quoteIdentifier(column)})::TIMESTAMP, '${startFormats[unit]}'), ${first})`
}

function requireInside(node: Node, interval: Interval | null, schema: Schema, files: readonly WrittenFile[]): void {
  const shape = node.shape
  if (shape.kind !== 'interval' || interval === null) return
  const field = fieldByName(schema, shape.column)
  invariant(field, `${node.id} has its interval column`)
  const perDay = shape.columnType === 'date' ? 86_400_000_000 : 1
  for (const file of files) {
    const nulls = file.nullValueCounts.get(field.id) ?? 0n
    const low = file.lowerBounds.get(field.id)
    const high = file.upperBounds.get(field.id)
    const micros = (bytes: Uint8Array) => Number(decodeSingleValue(shape.columnType, bytes)) * perDay
    const first = low ? micros(low) : null
    const last = high ? micros(high) : null
    const outside = (at: number | null) => at !== null && (at < interval.start || at >= interval.end)
    if (nulls === 0n && !outside(first) && !outside(last)) continue
    const found =
      nulls > 0n
        ? `${nulls} rows have no ${shape.column}`
        : `a row has ${shape.column} = ${formatMicros(outside(first) ? (first ?? 0) : (last ?? 0))}`
    throw new LimnError('run/row-outside-interval', {
      message: `${node.id}, built for ${formatInterval(shape.unit, interval)}: ${found}.`,
      notDone: 'Nothing was published.',
      remedy: `Make the query yield only rows with ${shape.column} in [$interval_start, $interval_end).`,
      location: node.query?.origin ?? { file: node.file },
      context: { dataset: node.id, interval },
    })
  }
}

function belongsTo(file: DataFile, node: Node, target: Target, interval: Interval | null): boolean {
  if (node.shape.kind !== 'interval' || interval === null) return true
  const own = intervalOfFile(file, target.evolved, target.layout.schema, node.shape)
  return own !== null && own.start < interval.end && interval.start < own.end
}

/** Which intervals of a build differ from what is published. Files of another shape always differ. */
async function changedIntervals(
  context: PipelineContext,
  node: Node,
  target: Target,
  interval: Interval | null,
  files: readonly WrittenFile[],
  oldFiles: readonly ScanTask[],
): Promise<IntervalSet | 'all'> {
  const pin = target.base && pinRef(target.base)
  if (!pin || target.reshaped) return 'all'
  if (oldFiles.length === 0) {
    if (files.length === 0) return IntervalSet.empty
    if (node.shape.kind !== 'interval' || interval === null) return 'all'
  }
  await using lease = await leaseFiles(context, oldFiles)
  const oldBound: BoundTable = { ...bindFiles(pin, oldFiles, lease), id: removedRows }
  const newBound: BoundTable = {
    id: addedRows,
    schema: schemaOfPin(pin),
    files: files.map((file) => ({ local: file.local })),
  }
  await using session = await context.engine.session([oldBound, newBound], { signal: context.signal })
  const difference = differingRows('*', addedRows, removedRows)
  if (node.shape.kind !== 'interval' || interval === null) {
    const { rows } = await session.rows(`SELECT 1 FROM (${difference}) LIMIT 1`)
    return rows.length > 0 ? 'all' : IntervalSet.empty
  }
  const { unit, column } = node.shape
  const start = `epoch_us(date_trunc('${unit}', ${quoteIdentifier(column)})::TIMESTAMP)`
  const { rows } = await session.rows(`SELECT DISTINCT ${start} FROM (${difference})`)
  const starts = new Set(rows.map((row) => Number(row[0])))
  return IntervalSet.of(splitBy(unit, interval).filter((part) => starts.has(part.start)))
}

/** What a build changes in the table. */
interface Settled {
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

/** Puts the files of changed intervals and names the old ones to remove; those of equal intervals stay as they are. */
async function settleFiles(context: PipelineContext, node: Node, target: Target, built: Built): Promise<Settled> {
  if (built.keepOld) return { added: [], removed: [] }
  const { changed } = built
  const { shape } = node
  const { specId } = target.layout.spec
  const within = (file: Pick<DataFile, 'partition' | 'specId'>) => {
    if (changed === 'all' || shape.kind !== 'interval') return true
    const own = intervalOfFile(file, target.evolved, target.layout.schema, shape)
    return own === null || changed.overlaps(own)
  }
  const fresh = built.files.filter((file) => within({ partition: file.partition, specId }))
  return {
    added: await putFiles(context, target.layout, fresh),
    removed: built.oldFiles.map((task) => task.file).filter(within),
  }
}

function rangesOf(
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  built: Built,
  kept: Settled,
): readonly RangeResult[] {
  const shape = node.shape
  const [first] = items
  invariant(first, 'a build has a reason')
  const common = { deliveries: [], startedAtMs: built.startedAtMs, seconds: built.seconds }
  const numbers = (files: readonly DataFile[]) => ({
    rows: files.reduce((total, file) => total + Number(file.recordCount), 0),
    files: files.length,
    bytes: files.reduce((total, file) => total + Number(file.fileSizeInBytes), 0),
  })
  const interval = built.interval
  if (shape.kind !== 'interval' || interval === null) {
    return [
      {
        ...common,
        outcome: built.keepOld ? 'kept' : 'built',
        reason: first.reason,
        because: first.because,
        interval: null,
        quarantined: built.quarantined,
        ...numbers(kept.added),
      },
    ]
  }
  const whole = IntervalSet.of([interval])
  const changed = built.changed === 'all' ? whole : built.changed
  let quarantined = built.quarantined
  const out: RangeResult[] = []
  for (const [outcome, times] of [
    ['built', changed],
    ['kept', whole.minus(changed)],
  ] as const) {
    for (const item of items) {
      if (!item.interval) continue
      for (const part of times.intersect(IntervalSet.of([item.interval])).intervals) {
        const files = outcome === 'kept' ? [] : kept.added.filter((file) => belongsTo(file, node, target, part))
        out.push({
          ...common,
          outcome,
          reason: item.reason,
          because: item.because,
          interval: part,
          quarantined,
          ...numbers(files),
        })
        quarantined = 0
      }
    }
  }
  return out
}

function sum(ranges: readonly RangeResult[], key: 'rows'): number {
  return ranges.reduce((total, range) => total + range[key], 0)
}
