import { invariant, type RunId, randomPositiveLong } from '../../base/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'
import {
  ancestorsOf,
  type Catalog,
  type DataFile,
  type LoadedTable,
  type Requirement,
  snapshotById,
  stageSnapshot,
  type TableMetadata,
  type Update,
} from '../../iceberg/index.ts'
import { committed, type PinnedTable } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { RangeResult } from '../stage/stage.ts'
import type { Target } from '../stage/staged-table.ts'

/**
 * A backfill's branch of a table is the record of its progress. It begins with a *root*: a snapshot on main as it was found,
 * which says what was asked for. Each step adds one snapshot that says which interval range it built, by which definition
 * and from which snapshots. When main has moved a new root carries the steps over. Nothing else is remembered anywhere.
 */
export function backfillBranch(id: RunId): string {
  return `backfill/${id}`
}

/** What a step did to one interval range. */
export type StepRange = Pick<
  RangeResult,
  'outcome' | 'interval' | 'rows' | 'files' | 'bytes' | 'quarantined' | 'startedAtMs' | 'seconds'
>

/** One build on a backfill's branch. */
export interface Step {
  /** Null: the whole dataset. */
  readonly interval: Interval | null
  readonly fingerprint: string
  /** Snapshots it was built from; of datasets that the backfill builds too, those of its own branches. */
  readonly inputs: Readonly<Record<string, bigint>>
  readonly ranges: readonly StepRange[]
}

/** A backfill's branch of one table. */
export interface Branch {
  readonly loaded: LoadedTable
  readonly head: bigint
  /** Main's snapshot that it stands on; null: main had none. */
  readonly base: bigint | null
  /** Schema and spec that main had. */
  readonly mainShape: string
  readonly fingerprint: string
  readonly specId: number
  /** In the order they were made, each interval's last. */
  readonly steps: readonly Step[]
}

const idKey = 'limn.backfill'
const baseKey = 'limn.backfill-base'
const shapeKey = 'limn.backfill-main-shape'
const fingerprintKey = 'limn.backfill-fingerprint'
const requestKey = 'limn.backfill-request'
const specKey = 'limn.backfill-spec'
const stepsKey = 'limn.backfill-steps'

/** A backfill may wait for its approval longer than snapshots are kept elsewhere; its steps must not expire meanwhile. */
const stepsKeptMs = 10 * 365 * 24 * 3_600_000

/** Schema and spec of main, as a root notes them. */
export function shapeOf(metadata: TableMetadata): string {
  return `${metadata.currentSchemaId}/${metadata.defaultSpecId}`
}

/** Reads a branch; null when the table has none, or when its root is gone. */
export function readBranch(loaded: LoadedTable | null, id: RunId): Branch | null {
  const head = loaded?.metadata.refs[backfillBranch(id)]?.snapshotId
  if (!loaded || head === undefined) return null
  const groups: Step[][] = []
  for (const { summary } of ancestorsOf(loaded.metadata, head)) {
    if (summary[idKey] !== id) return null
    groups.push(parseSteps(summary[stepsKey]))
    const base = summary[baseKey]
    if (base === undefined) continue
    return {
      loaded,
      head,
      base: base === '' ? null : BigInt(base),
      mainShape: summary[shapeKey] ?? '',
      fingerprint: summary[fingerprintKey] ?? '',
      specId: Number(summary[specKey] ?? 0),
      steps: overlay(groups.reverse().flat()),
    }
  }
  return null
}

/** What was asked for, as the root of a branch says it; null when the head is no backfill's. */
export function requestIn(metadata: TableMetadata, head: bigint): string | null {
  for (const { summary } of ancestorsOf(metadata, head)) {
    if (summary[idKey] === undefined) return null
    const request = summary[requestKey]
    if (request !== undefined) return request
  }
  return null
}

/** A later step of the same times replaces an earlier one. */
function overlay(steps: readonly Step[]): readonly Step[] {
  const out: Step[] = []
  let covered = IntervalSet.empty
  for (const step of steps.toReversed()) {
    if (step.interval === null) return [step]
    if (covered.covers(step.interval)) continue
    covered = covered.union(IntervalSet.of([step.interval]))
    out.push(step)
  }
  return out.toReversed()
}

interface StoredStep extends Omit<Step, 'inputs'> {
  readonly inputs: Readonly<Record<string, string>>
}

function parseSteps(text: string | undefined): Step[] {
  const stored = JSON.parse(text ?? '[]') as StoredStep[]
  return stored.map((step) => ({
    ...step,
    inputs: Object.fromEntries(Object.entries(step.inputs).map(([name, snapshot]) => [name, BigInt(snapshot)])),
  }))
}

function stepsText(steps: readonly Step[]): string {
  return JSON.stringify(
    steps.map((step) => ({
      ...step,
      inputs: Object.fromEntries(Object.entries(step.inputs).map(([name, snapshot]) => [name, String(snapshot)])),
    })),
  )
}

/** The summary of a root. */
export function rootSummary(
  target: Target,
  root: { readonly fingerprint: string; readonly request: string; readonly steps: readonly Step[] },
): Readonly<Record<string, string>> {
  const main = target.base?.metadata
  const base = main?.currentSnapshotId ?? null
  return {
    [baseKey]: base === null ? '' : String(base),
    [shapeKey]: main ? shapeOf(main) : '',
    [fingerprintKey]: root.fingerprint,
    [requestKey]: root.request,
    [specKey]: String(target.layout.spec.specId),
    [stepsKey]: stepsText(root.steps),
  }
}

export function stepSummary(step: Step, specId: number): Readonly<Record<string, string>> {
  return { [specKey]: String(specId), [stepsKey]: stepsText([step]) }
}

/**
 * One snapshot on a backfill's branch. `parent` is the branch's head, or main for a root; `expected` is what the branch
 * must still point to (null: it must not be there). Throws `catalog/conflict` when somebody else moved it.
 */
export async function commitToBranch(
  context: PipelineContext,
  id: RunId,
  change: {
    readonly target: Target
    readonly parent: bigint | null
    readonly expected: bigint | null
    readonly added: readonly DataFile[]
    readonly removed: readonly DataFile[]
    readonly summary: Readonly<Record<string, string>>
  },
): Promise<LoadedTable> {
  const { target, parent, expected, added, removed } = change
  const table = target.id
  const ref = backfillBranch(id)
  const snapshotId = randomPositiveLong(context.randomness)
  const staged = await stageSnapshot({
    store: context.store,
    manifests: context.manifests,
    steps: context.steps,
    randomness: context.randomness,
    base: target.evolved,
    parentSnapshotId: parent,
    ref,
    operation: removed.length > 0 ? 'overwrite' : 'append',
    added,
    removed,
    snapshotId,
    timestampMs: context.clock.nowMs(),
    schemaId: target.layout.schema.schemaId,
    summary: { ...change.summary, [idKey]: id },
    signal: context.signal,
  })
  const snapshot = staged.updates.filter((update) => update.action === 'add-snapshot')
  const to = { type: 'branch', snapshotId, maxSnapshotAgeMs: stepsKeptMs } as const
  const updates: Update[] = [...target.updates, ...snapshot, { action: 'set-snapshot-ref', ref, to }]
  const requirements: Requirement[] = target.base
    ? [
        { type: 'assert-table-uuid', uuid: target.base.metadata.tableUuid },
        { type: 'assert-ref-snapshot-id', ref, snapshotId: expected },
        ...(target.updates.length === 0 ? [] : shapeUnchanged(target.base.metadata)),
      ]
    : [{ type: 'assert-create' }]
  await context.runs.noteRef(id, table, ref, snapshotId)
  const outcome = await context.catalog.commit([{ table, requirements, updates }], {
    timestampMs: context.clock.nowMs(),
    signal: context.signal,
  })
  const loaded = committed(outcome, table).get(table)
  invariant(loaded, `${table} has the backfill's snapshot`)
  return loaded
}

function shapeUnchanged(metadata: TableMetadata): readonly Requirement[] {
  return [
    { type: 'assert-current-schema-id', currentSchemaId: metadata.currentSchemaId },
    { type: 'assert-last-assigned-field-id', lastAssignedFieldId: metadata.lastColumnId },
    { type: 'assert-default-spec-id', defaultSpecId: metadata.defaultSpecId },
    { type: 'assert-last-assigned-partition-id', lastAssignedPartitionId: metadata.lastPartitionId },
  ]
}

/** A table as the backfill sees it: main is where its branch stands, with the shape that was staged. */
export function asBranch(loaded: LoadedTable, id: RunId): LoadedTable {
  const { metadata } = loaded
  const ref = metadata.refs[backfillBranch(id)]
  if (!ref) return loaded
  const snapshot = snapshotById(metadata, ref.snapshotId)
  const spec = snapshot?.summary[specKey]
  return {
    ...loaded,
    metadata: {
      ...metadata,
      currentSnapshotId: ref.snapshotId,
      currentSchemaId: snapshot?.schemaId ?? metadata.currentSchemaId,
      defaultSpecId: spec === undefined ? metadata.defaultSpecId : Number(spec),
      refs: { ...metadata.refs, main: { type: 'branch', snapshotId: ref.snapshotId } },
    },
  }
}

/** A catalog that shows each table as the backfill sees it. Commits pass through as they are. */
export function branchCatalog(catalog: Catalog, id: RunId): Catalog {
  return {
    capabilities: catalog.capabilities,
    ...(catalog.views ? { views: catalog.views } : {}),
    listTables: (options) => catalog.listTables(options),
    loadTables: async (ids, options) =>
      new Map([...(await catalog.loadTables(ids, options))].map(([table, one]) => [table, one && asBranch(one, id)])),
    commit: (changes, options) => catalog.commit(changes, options),
    registerTable: (table, location, options) => catalog.registerTable(table, location, options),
  }
}

/** The branch's head as its readers see it. */
export function pinBranch(branch: Branch): PinnedTable {
  const { loaded, head } = branch
  const schemaId = snapshotById(loaded.metadata, head)?.schemaId ?? loaded.metadata.currentSchemaId
  return { id: loaded.table, metadata: loaded.metadata, snapshotId: head, schemaId }
}

/** Times whose rows differ from main's; `all` when the dataset is built whole and differs. */
export function changedTimes(steps: readonly Step[]): IntervalSet | 'all' {
  const built = steps.flatMap((step) => step.ranges.filter((range) => range.outcome === 'built'))
  if (built.some((range) => range.interval === null)) return 'all'
  return IntervalSet.of(built.flatMap((range) => (range.interval ? [range.interval] : [])))
}

/** Rows written by steps. */
export function rowsOfSteps(steps: readonly Step[]): number {
  return steps.reduce((sum, step) => sum + step.ranges.reduce((own, range) => own + range.rows, 0), 0)
}
