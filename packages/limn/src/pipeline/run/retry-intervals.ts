import type { RunId } from '../../base/index.ts'
import { counted } from '../../base/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'
import type { DataFile, TableMetadata } from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import type { PipelineContext } from '../context.ts'
import { touchedBetween } from '../plan/facts.ts'
import type { PlanItem } from '../plan/plan.ts'
import type { Node } from '../project/node.ts'
import { standsByInterval } from '../stage/keep-parts.ts'
import { quarantineWriter } from '../stage/quarantine.ts'
import { inputSnapshots, type RangeResult, type StagedDataset, type StageInputs } from '../stage/stage.ts'
import { buildModel, type ModelBuild, oldFilesOf } from '../stage/stage-model.ts'
import { stageTable, type Target } from '../stage/staged-table.ts'
import { intervalOfFile } from '../stage/view.ts'

/** What an earlier run staged of a dataset, as files. */
export interface StagedFiles {
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  readonly metadata: TableMetadata
  readonly schema: Schema
}

/** An earlier run's intervals of a dataset and what they were built from. */
export interface StagedIntervals {
  readonly from: RunId
  readonly ranges: readonly RangeResult[]
  readonly inputs: Readonly<Record<string, bigint>>
  /** Null: it found all of them equal to main. */
  readonly files: StagedFiles | null
}

/**
 * Takes over the intervals that an earlier run built and that hold still, and builds the others: of those it is asked for, the
 * ones that no row which came or went in an input since touches. Definition and main must be what they were. `isSame` says of
 * an input's snapshot whether this run's stands for it. Null: nothing can be taken over.
 */
export async function takeIntervals(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
  staged: StagedIntervals,
  isSame: (before: bigint | null, now: bigint | null) => boolean,
): Promise<StagedDataset | null> {
  const { shape } = node
  if (shape.kind !== 'interval' || !standsByInterval(node) || (target.base !== null && target.evolves)) return null
  if (target.base !== null && target.updates.length > 0) return null
  const valid = await stillValid(context, inputs, node, staged, isSame)
  const wanted = IntervalSet.of(items.flatMap((item) => (item.interval ? [item.interval] : [])))
  const taken = valid.intersect(wanted)
  if (taken.isEmpty) return null
  const placed = filesWithin(staged.files, shape, taken)
  if (placed === null) return null
  const missing = items.flatMap((item) =>
    (item.interval ? IntervalSet.of([item.interval]).minus(taken).intervals : []).map((interval) => ({
      ...item,
      interval,
    })),
  )
  const built = missing.length === 0 ? nothing : await buildMissing(context, inputs, node, missing, target)
  const added = [...placed.added.map((one) => one.file), ...built.added]
  const removed = [...placed.removed.map((one) => one.file), ...built.removed]
  const untouched = added.length + removed.length === 0 && target.base !== null
  const table = untouched ? null : await stageTable(context, inputs.run, target, { added, removed, summary: {} }, null)
  const ranges = [...rangesWithin(staged.ranges, taken, placed.added), ...built.ranges]
  return {
    node,
    items,
    table,
    quarantine: null,
    ranges: ranges.toSorted((a, b) => (a.interval?.start ?? 0) - (b.interval?.start ?? 0)),
    inputs: await inputSnapshots(inputs, node, null),
    scans: built.scans,
    takenFrom: staged.from,
    taken,
  }
}

const nothing: ModelBuild = { added: [], removed: [], ranges: [], scans: [] }

async function buildMissing(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  items: readonly PlanItem[],
  target: Target,
): Promise<ModelBuild> {
  const task = context.progress.begin(node.id)
  const quarantine = await quarantineWriter(context, inputs.run, node)
  const old = await oldFilesOf(context, node, target)
  const built = await buildModel(context, inputs, node, items, target, old, quarantine, task)
  task.end(
    `${counted(
      built.ranges.reduce((sum, range) => sum + range.rows, 0),
      'row',
    )} built anew`,
  )
  return built
}

/** The staged intervals that building now would give the same rows. */
async function stillValid(
  context: PipelineContext,
  inputs: StageInputs,
  node: Node,
  staged: StagedIntervals,
  isSame: (before: bigint | null, now: bigint | null) => boolean,
): Promise<IntervalSet> {
  let valid = IntervalSet.of(staged.ranges.flatMap((range) => (range.interval ? [range.interval] : [])))
  for (const input of node.edges.keys()) {
    const before = staged.inputs[input] ?? null
    const now = await inputs.pinOf(input)
    if (isSame(before, now?.snapshotId ?? null)) continue
    if (before === null || now === null) return IntervalSet.empty
    const touched = await touchedBetween(context, node, input, before, now)
    if (touched.kind === 'all') return IntervalSet.empty
    valid = valid.minus(touched.times)
  }
  return valid
}

interface PlacedFile {
  readonly file: DataFile
  readonly interval: Interval
}

/** The files of some times; null when one cannot be placed. */
function filesWithin(
  files: StagedFiles | null,
  shape: Extract<Node['shape'], { kind: 'interval' }>,
  times: IntervalSet,
): { readonly added: readonly PlacedFile[]; readonly removed: readonly PlacedFile[] } | null {
  if (files === null) return { added: [], removed: [] }
  const place = (list: readonly DataFile[]): readonly PlacedFile[] | null => {
    const placed: PlacedFile[] = []
    for (const file of list) {
      const interval = intervalOfFile(file, files.metadata, files.schema, shape)
      if (interval === null) return null
      if (times.covers(interval)) placed.push({ file, interval })
    }
    return placed
  }
  const [added, removed] = [place(files.added), place(files.removed)]
  return added && removed ? { added, removed } : null
}

/** What the earlier run did, as far as it is taken over: its rows are those of the files. */
function rangesWithin(
  ranges: readonly RangeResult[],
  times: IntervalSet,
  files: readonly PlacedFile[],
): readonly RangeResult[] {
  return ranges.flatMap((range) => {
    const parts = range.interval ? IntervalSet.of([range.interval]).intersect(times).intervals : []
    return parts.map((interval) => {
      const within = IntervalSet.of([interval])
      const own = files.flatMap((one) => (within.covers(one.interval) ? [one.file] : []))
      return {
        ...range,
        interval,
        rows: own.reduce((sum, file) => sum + Number(file.recordCount), 0),
        files: own.length,
        bytes: own.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0),
      }
    })
  })
}
