import { randomPositiveLong, type TableId } from '../../base/index.ts'
import {
  planManifestRewrite,
  type RewriteManifestsOptions,
  type RewriteManifestsPlan,
  snapshotById,
  snapshotOfRef,
  stageManifests,
} from '../../iceberg/index.ts'
import { committed } from '../commit/commit.ts'
import type { TableContext } from '../context.ts'
import { loadTable } from '../shape/alter.ts'
import { carriedSummary } from './carry.ts'
import { keepsConflicting, type MaintenanceOptions } from './removal.ts'

export interface RewriteTableManifestsOptions extends RewriteManifestsOptions, MaintenanceOptions {
  /** Default `main`. */
  readonly branch?: string
  readonly summary?: Readonly<Record<string, string>>
}

export interface RewriteManifestsResult {
  readonly plan: RewriteManifestsPlan
  /** The snapshot committed; null when there was nothing to do, or on a dry run. */
  readonly snapshotId: bigint | null
  readonly manifestsBefore: number
  readonly manifestsAfter: number
}

const attemptsMax = 10

/**
 * Writes manifests of a branch anew, in order of partitions, where that makes planning read less (see
 * `planManifestRewrite`). Files and rows stay as they are. When another commit comes between it is planned anew. Throws
 * `usage/unknown-table`, `usage/argument`, `catalog/conflict`.
 */
export async function rewriteManifests(
  context: TableContext,
  table: TableId,
  options: RewriteTableManifestsOptions = {},
): Promise<RewriteManifestsResult> {
  const { store, manifests, steps, randomness, clock, signal } = context
  const branch = options.branch ?? 'main'
  await using _held = options.dryRun ? undefined : await context.holdForWrite?.(table)
  const task = options.progress?.begin(`${table} rewrite manifests`)
  for (let attempt = 1; ; attempt++) {
    const { metadata } = await loadTable(context, table)
    const parentSnapshotId = snapshotOfRef(metadata, branch)
    const parent = parentSnapshotId === null ? undefined : snapshotById(metadata, parentSnapshotId)
    const before = parent ? await manifests.manifestsOf(parent, signal) : []
    const plan = planManifestRewrite(metadata, before, options)
    const planned = plan.kept.length + plan.groups.reduce((sum, group) => sum + group.outputManifests, 0)
    if (!parent || plan.groups.length === 0 || options.dryRun) {
      task?.end(plan.groups.length === 0 ? 'nothing to do' : `${before.length} → ${planned} manifests (dry run)`)
      return { plan, snapshotId: null, manifestsBefore: before.length, manifestsAfter: planned }
    }
    const snapshotId = randomPositiveLong(randomness)
    const staged = await stageManifests({
      store,
      manifests,
      steps,
      randomness,
      base: metadata,
      parentSnapshotId: parent.snapshotId,
      ref: branch,
      plan,
      snapshotId,
      timestampMs: clock.nowMs(),
      signal,
      ...(options.clusterBy ? { clusterBy: options.clusterBy } : {}),
      ...(options.targetBytes ? { targetBytes: options.targetBytes } : {}),
      summary: { ...options.summary, ...carriedSummary(metadata, parent.snapshotId) },
    })
    const { requirements, updates } = staged
    const outcome = await context.catalog.commit([{ table, requirements, updates }], {
      timestampMs: clock.nowMs(),
      signal,
    })
    if (outcome.kind === 'conflict') {
      await store.delete(staged.written, { signal })
      if (attempt < attemptsMax) continue
      task?.end('given up')
      throw keepsConflicting(table)
    }
    committed(outcome, table)
    const manifestsAfter = plan.kept.length + staged.manifestsWritten
    task?.end(`${before.length} → ${manifestsAfter} manifests`)
    return { plan, snapshotId, manifestsBefore: before.length, manifestsAfter }
  }
}
