import { invariant, type TableId } from '../../base/index.ts'
import {
  type ExpireOptions,
  type ExpirePlan,
  type FileKind,
  filesNoLongerReachable,
  type ManifestFile,
  planExpiry,
  type TableMetadata,
  type Unreachable,
  unusedShapes,
  withoutSnapshots,
} from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { committed } from '../commit/commit.ts'
import type { TableContext } from '../context.ts'
import { loadTable } from '../shape/alter.ts'
import { deleteFiles, keepsConflicting, type LiveRuns, type MaintenanceOptions, ownsItsFiles } from './removal.ts'

export interface ExpireSnapshotsOptions
  extends Omit<ExpireOptions, 'nowMs' | 'liveRefs' | 'toldFrom'>,
    MaintenanceOptions {
  readonly live?: LiveRuns
  /** Also drops partition specs and schemas that nothing names any more; never while a run is alive. Default false. */
  readonly dropUnusedShapes?: boolean
}

export interface ExpireResult {
  readonly plan: ExpirePlan
  readonly committed: boolean
  /** Files that went, or would go, by kind. */
  readonly files: Readonly<Record<FileKind, number>>
  readonly deleted: readonly StorePath[]
  /** Unreachable, and left: outside the warehouse, or not the table's own (`gc.enabled` is false). */
  readonly left: readonly StorePath[]
  /** Metadata of expired snapshots that could not be read; what it leads to is left for orphan removal. */
  readonly unreadable: readonly StorePath[]
  readonly droppedShapes: number
}

const attemptsMax = 10

/**
 * Expires snapshots and refs by retention (see `planExpiry`) in one commit, then deletes the files that no snapshot left
 * leads to. A crash between the two leaves orphans, never a missing file; an unknown outcome deletes nothing. Throws
 * `usage/unknown-table`, `usage/argument`, `catalog/conflict`, `catalog/unknown-outcome`.
 */
export async function expireSnapshots(
  context: TableContext,
  table: TableId,
  options: ExpireSnapshotsOptions = {},
): Promise<ExpireResult> {
  // A cherry-pick takes up files of a snapshot that only its own reader knows of: direct writers take turns.
  await using _held = options.dryRun ? undefined : await context.holdForWrite?.(table)
  for (let attempt = 1; ; attempt++) {
    const loaded = await loadTable(context, table)
    const before = loaded.metadata
    const plan = planExpiry(before, {
      ...options,
      nowMs: context.clock.nowMs(),
      ...(options.live?.refs ? { liveRefs: options.live.refs } : {}),
      ...(options.live?.toldFrom ? { toldFrom: options.live.toldFrom } : {}),
    })
    const shapes = await unusedIn(context, before, plan, options)
    const updates = [...plan.updates, ...shapes]
    const own = ownsItsFiles(loaded)
    if (options.dryRun || updates.length === 0) {
      const gone =
        plan.updates.length === 0
          ? { files: [], unreadable: [] }
          : await unreachable(context, before, withoutSnapshots(before, plan.expired))
      return resultOf(plan, false, gone, { deleted: [], left: own ? [] : pathsOf(gone) }, shapes.length)
    }
    const outcome = await context.catalog.commit(
      [
        {
          table,
          requirements: [...plan.requirements, ...shapeRequirements(before, shapes.length > 0)],
          updates,
        },
      ],
      { timestampMs: context.clock.nowMs(), signal: context.signal },
    )
    if (outcome.kind === 'conflict') {
      if (attempt >= attemptsMax) throw keepsConflicting(table)
      continue
    }
    const after = committed(outcome, table).get(table)?.metadata
    invariant(after, `${table} was committed`)
    const gone = await unreachable(context, before, after)
    if (!own) return resultOf(plan, true, gone, { deleted: [], left: pathsOf(gone) }, shapes.length)
    const { deleted, outside } = await deleteFiles(context, table, pathsOf(gone), options.progress)
    return resultOf(plan, true, gone, { deleted, left: outside }, shapes.length)
  }
}

function unreachable(context: TableContext, before: TableMetadata, after: TableMetadata): Promise<Unreachable> {
  return filesNoLongerReachable(before, after, context.manifests, context.signal)
}

function pathsOf(gone: Unreachable): readonly StorePath[] {
  return gone.files.map((file) => file.path)
}

async function unusedIn(
  context: TableContext,
  metadata: TableMetadata,
  plan: ExpirePlan,
  options: ExpireSnapshotsOptions,
) {
  // A live run may have staged a schema or spec that only its publish makes current.
  if (options.dropUnusedShapes !== true || (options.live?.refs?.size ?? 0) > 0) return []
  const left = withoutSnapshots(metadata, plan.expired)
  const manifests: ManifestFile[] = []
  for (const snapshot of left.snapshots)
    manifests.push(...(await context.manifests.manifestsOf(snapshot, context.signal)))
  return unusedShapes(left, manifests)
}

/** A schema or spec made current, or written with, meanwhile is no longer unused. */
function shapeRequirements(metadata: TableMetadata, drops: boolean) {
  if (!drops) return []
  return [
    { type: 'assert-current-schema-id', currentSchemaId: metadata.currentSchemaId },
    { type: 'assert-default-spec-id', defaultSpecId: metadata.defaultSpecId },
    ...Object.entries(metadata.refs).map(([ref, to]) => ({
      type: 'assert-ref-snapshot-id' as const,
      ref,
      snapshotId: to.snapshotId,
    })),
  ] as const
}

function resultOf(
  plan: ExpirePlan,
  done: boolean,
  gone: Unreachable,
  fate: Pick<ExpireResult, 'deleted' | 'left'>,
  droppedShapes: number,
): ExpireResult {
  const files: Record<FileKind, number> = {
    data: 0,
    deletes: 0,
    manifest: 0,
    'manifest-list': 0,
    statistics: 0,
    metadata: 0,
  }
  for (const file of gone.files) files[file.kind]++
  return { plan, committed: done, files, ...fate, unreadable: gone.unreadable, droppedShapes }
}
