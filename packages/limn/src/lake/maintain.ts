import { type LimnError, namespaceOf, type TableId } from '../base/index.ts'
import type { MaintainPolicy } from '../contract/index.ts'
import type { HealthThresholds, Remedy } from '../iceberg/index.ts'
import { droppedNamespace, type PipelineContext, quarantineOf } from '../pipeline/index.ts'
import {
  expireSnapshots,
  healthOf,
  ownsItsFiles,
  removeOrphans,
  rewriteDataFiles,
  rewriteManifests,
  rewritePositionDeletes,
} from '../table/index.ts'
import type { Lake } from './lake.ts'
import { liveRunsOf } from './live-runs.ts'
import { loadTable } from './tables.ts'

/** What was done to a table, or would be; null: not asked for by the policy, or there was no need. */
export interface TableMaintained {
  readonly table: TableId
  readonly compacted: { readonly files: number; readonly into: number; readonly rows: number } | null
  readonly deletes: { readonly files: number; readonly into: number } | null
  readonly manifests: { readonly before: number; readonly after: number } | null
  readonly expired: { readonly snapshots: number; readonly files: number } | null
  readonly orphans: { readonly files: number; readonly bytes: number } | null
  /** Why it stopped; what came before stays done. */
  readonly failed: LimnError | null
}

const dayMs = 86_400_000

/**
 * Maintains tables by the policies of their contracts, one table after the other: files, deletes and manifests where
 * their health asks for it, then snapshots and orphans by age. Tables of no dataset, and limn's own, have the default policy;
 * limn's own are not rewritten, as runs do that. A table that fails does not keep the others from it. Throws only for a
 * selection that names nothing.
 */
export async function maintain(
  lake: Lake,
  options: { readonly select?: readonly string[]; readonly dryRun?: boolean } = {},
): Promise<readonly TableMaintained[]> {
  const out: TableMaintained[] = []
  for (const { table, policy } of await maintained(lake, options.select ?? []))
    out.push(await maintainTable(lake, table, policy, options.dryRun === true))
  return out
}

/** Selected tables that exist, in order of names, with their policies. */
async function maintained(lake: Lake, patterns: readonly string[]) {
  const { nodes } = await lake.loadProject()
  const existing = new Set(await lake.catalog.listTables())
  const policies = new Map<TableId, MaintainPolicy>()
  for (const node of nodes.values()) {
    policies.set(node.id, node.contract.maintain ?? {})
    policies.set(quarantineOf(node.id), node.contract.maintain ?? {})
  }
  const dropped = (table: TableId) => namespaceOf(table) === droppedNamespace
  const free = [...existing].filter((table) => !policies.has(table) && !dropped(table))
  const wanted = new Set<TableId>()
  const named = free.filter((table) => patterns.includes(table))
  const others = patterns.filter((pattern) => !named.some((table) => table === pattern))
  if (patterns.length === 0) for (const table of free) wanted.add(table)
  for (const table of named) wanted.add(table)
  if (patterns.length === 0 || others.length > 0)
    for (const id of await lake.select(others)) wanted.add(id).add(quarantineOf(id))
  return [...wanted]
    .filter((table) => existing.has(table))
    .sort()
    .map((table) => ({ table, policy: policies.get(table) ?? {} }))
}

async function maintainTable(
  lake: Lake,
  table: TableId,
  policy: MaintainPolicy,
  dryRun: boolean,
): Promise<TableMaintained> {
  let done: Omit<TableMaintained, 'failed'> = {
    table,
    compacted: null,
    deletes: null,
    manifests: null,
    expired: null,
    orphans: null,
  }
  const context = await lake.context()
  const common = { dryRun, progress: context.progress }
  try {
    await loadTable(lake, table)
    if (policy.compact !== false && namespaceOf(table) !== 'limn') {
      done = { ...done, ...(await rewrite(context, table, policy, common, await remediesOf(context, table, policy))) }
    }
    if (policy.expireAfterDays !== false) {
      const days = policy.expireAfterDays
      // Asked as late as can be: rewriting takes a while, and a run that began meanwhile has pinned what it reads.
      const live = await liveRunsOf(lake, table)
      const { plan, files } = await expireSnapshots(context, table, {
        ...common,
        live,
        ...(days === undefined ? {} : { maxSnapshotAgeMs: days * dayMs }),
        ...(policy.keepSnapshots === undefined ? {} : { minSnapshotsToKeep: policy.keepSnapshots }),
      })
      const count = Object.values(files).reduce((sum, one) => sum + one, 0)
      if (plan.expired.length > 0) done = { ...done, expired: { snapshots: plan.expired.length, files: count } }
    }
    const loaded = await loadTable(lake, table)
    const owns = ownsItsFiles(loaded)
    if (policy.orphansAfterDays !== false && owns) {
      const live = await liveRunsOf(lake, table)
      const ageMs = Math.max((policy.orphansAfterDays ?? 3) * dayMs, live.longestMs ?? 0)
      const { plan } = await removeOrphans(context, table, { ...common, live, ageMs })
      if (plan.orphans.length > 0) done = { ...done, orphans: { files: plan.orphans.length, bytes: plan.bytes } }
    }
    return { ...done, failed: null }
  } catch (error) {
    context.signal.throwIfAborted()
    return { ...done, failed: asFailure(error) }
  }
}

async function remediesOf(
  context: PipelineContext,
  table: TableId,
  policy: MaintainPolicy,
): Promise<ReadonlySet<Remedy>> {
  const thresholds: Partial<HealthThresholds> = policy.compact === false ? {} : (policy.compact ?? {})
  const { findings } = await healthOf(context, table, { thresholds, rewrite: sizesOf(policy) })
  return new Set(findings.map((one) => one.remedy))
}

function sizesOf({ targetFileBytes, compact }: MaintainPolicy) {
  const ratio = compact ? compact.deleteRatioMax : undefined
  return {
    ...(targetFileBytes === undefined ? {} : { targetFileBytes }),
    ...(ratio === undefined ? {} : { deleteRatioMin: ratio }),
  }
}

/** Rewrites in ten commits at most, so that a long compaction is not lost to one conflict. */
const commitsMax = 10

async function rewrite(
  context: PipelineContext,
  table: TableId,
  policy: MaintainPolicy,
  common: { readonly dryRun: boolean; readonly progress: PipelineContext['progress'] },
  asked: ReadonlySet<Remedy>,
): Promise<Partial<TableMaintained>> {
  const out: { -readonly [K in 'compacted' | 'deletes' | 'manifests']?: TableMaintained[K] } = {}
  if (asked.has('compact')) {
    const { plan, removed, added } = await rewriteDataFiles(context, table, {
      ...common,
      ...sizesOf(policy),
      commitsMax,
    })
    const groups = plan.commits.flat()
    const planned = {
      files: plan.files,
      into: groups.reduce((sum, group) => sum + group.outputFiles, 0),
      rows: groups.reduce((sum, group) => sum + group.inputRows - group.deletedRows, 0),
    }
    const done = common.dryRun ? planned : { files: removed.files, into: added.files, rows: added.rows }
    if (done.files > 0) out.compacted = done
  }
  if (asked.has('rewrite-deletes') || asked.has('compact')) {
    const { plan, removed, added } = await rewritePositionDeletes(context, table, common)
    const planned = plan.groups.reduce((sum, group) => sum + group.deletes.length, plan.dangling.length)
    const files = common.dryRun ? planned : removed.length
    if (files > 0) out.deletes = { files, into: common.dryRun ? plan.groups.length : added.length }
  }
  if (asked.has('rewrite-manifests')) {
    const { plan, manifestsBefore, manifestsAfter } = await rewriteManifests(context, table, common)
    if (plan.groups.length > 0) out.manifests = { before: manifestsBefore, after: manifestsAfter }
  }
  return out
}

function asFailure(error: unknown): LimnError {
  if (error instanceof Error && 'kind' in error) return error as LimnError
  throw error
}
