import { silentProgress, type TableId } from '../../base/index.ts'
import {
  type AddedFile,
  type CommitCheck,
  type DanglingDelete,
  type DataFile,
  type DeleteGroup,
  danglingDeletes,
  fileKey,
  type ManifestEntry,
  planDeleteRewrite,
  type RewriteDeletesOptions,
  type RewriteDeletesPlan,
  readInventory,
  snapshotOfRef,
} from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { changeTable, type Working } from '../commit/commit.ts'
import type { TableContext } from '../context.ts'
import { loadTable } from '../shape/alter.ts'
import { carriedSummary } from './carry.ts'
import { joinVectors, rewritePositions, toVectors } from './delete-files.ts'
import type { MaintenanceOptions } from './removal.ts'

interface BranchOptions extends MaintenanceOptions {
  /** Default `main`. */
  readonly branch?: string
  readonly summary?: Readonly<Record<string, string>>
}

export interface RewriteTableDeletesOptions extends RewriteDeletesOptions, BranchOptions {}

export interface RewriteDeletesResult {
  readonly plan: RewriteDeletesPlan
  /** Null when there was nothing to do, or on a dry run. */
  readonly snapshotId: bigint | null
  readonly removed: readonly DataFile[]
  readonly added: readonly DataFile[]
}

/**
 * Writes a branch's position deletes and deletion vectors anew (see `planDeleteRewrite`): small files joined, positions of
 * files that are gone left out, a version 3 table's position deletes made vectors, vectors gathered in few files; what
 * reaches no row is dropped. Rows stay as they are. Done again when others change those deletes meanwhile. Throws
 * `usage/unknown-table`, `catalog/conflict`.
 */
export async function rewritePositionDeletes(
  context: TableContext,
  table: TableId,
  options: RewriteTableDeletesOptions = {},
): Promise<RewriteDeletesResult> {
  const { dryRun, progress = silentProgress } = options
  const planned = async () => planDeleteRewrite(...(await stateOf(context, table, options.branch)), options)
  if (dryRun) return { plan: await planned(), snapshotId: null, removed: [], added: [] }
  const task = progress.begin(`${table} rewrite deletes`)
  const result = await changeTable(context, table, changeOptions(options), async (working) => {
    const inventory = await inventoryOf(context, working)
    const plan = planDeleteRewrite(working.pin.metadata, inventory, options)
    const added: AddedFile[] = []
    for (const group of plan.groups) added.push(...(await rewriteGroup(context, working, group)))
    const gone = [...plan.groups.flatMap((group) => group.deletes), ...plan.dangling.map((one) => one.entry)]
    const removed = filesOf(gone)
    const written = [...new Set(added.map((file) => file.path))]
    const checks = plan.groups.flatMap(checksOf)
    return {
      change:
        removed.length === 0
          ? null
          : { operation: 'replace', added, removed, checks, written, summary: carriedOf(working) },
      result: { plan, removed, added },
    }
  })
  task.end(`${result.removed.length} → ${result.added.length} delete files`)
  return result
}

export interface DanglingDeletesResult {
  readonly dangling: readonly DanglingDelete[]
  /** Null when there was nothing to do, or on a dry run. */
  readonly snapshotId: bigint | null
}

/** Drops the delete files of a branch, of every kind, that reach no live row (see `danglingDeletes`). Rows stay as they are. */
export async function removeDanglingDeletes(
  context: TableContext,
  table: TableId,
  options: BranchOptions = {},
): Promise<DanglingDeletesResult> {
  if (options.dryRun) {
    return { dangling: danglingDeletes(...(await stateOf(context, table, options.branch))), snapshotId: null }
  }
  return await changeTable(context, table, changeOptions(options), async (working) => {
    const dangling = danglingDeletes(working.pin.metadata, await inventoryOf(context, working))
    const removed = filesOf(dangling.map((one) => one.entry))
    return {
      change:
        removed.length === 0
          ? null
          : { operation: 'replace', added: [], removed, written: [], summary: carriedOf(working) },
      result: { dangling },
    }
  })
}

function rewriteGroup(context: TableContext, working: Working, group: DeleteGroup): Promise<readonly AddedFile[]> {
  switch (group.kind) {
    case 'positions':
      return rewritePositions(context, working, group)
    case 'to-vectors':
      return toVectors(context, working, group)
    case 'vectors':
      return joinVectors(context, working, group)
  }
}

/** A data file has one vector at most: another that came meanwhile would be a second one. */
function checksOf(group: DeleteGroup): readonly CommitCheck[] {
  if (group.kind === 'positions') return []
  return [{ kind: 'noVectorsFor', paths: new Set<StorePath>(group.data.map((entry) => entry.file.path)) }]
}

function filesOf(entries: readonly ManifestEntry[]): readonly DataFile[] {
  return [...new Map(entries.map(({ file }) => [fileKey(file), file])).values()]
}

function carriedOf({ pin }: Working) {
  return carriedSummary(pin.metadata, pin.snapshotId)
}

function changeOptions(options: BranchOptions) {
  return { branch: options.branch ?? 'main', summary: options.summary ?? {} }
}

function inventoryOf({ manifests, signal }: TableContext, { pin: { metadata, snapshotId } }: Working) {
  return readInventory({ manifests, metadata, snapshotId, statistics: false, signal })
}

async function stateOf(context: TableContext, table: TableId, branch = 'main') {
  const { metadata } = await loadTable(context, table)
  const { manifests, signal } = context
  const snapshotId = snapshotOfRef(metadata, branch)
  return [metadata, await readInventory({ manifests, metadata, snapshotId, statistics: false, signal })] as const
}
