import { setTimeout as sleep } from 'node:timers/promises'
import { LimnError, step, type TableId } from '../../base/index.ts'
import type { CommitOutcome, LoadedTable, TableCommit, TableMetadata } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'
import { type PendingTable, type Staged, stagePending, whyInvalid } from './commit-pending.ts'

/** How a commit ended, known for certain. */
export type Ended =
  | { readonly kind: 'committed'; readonly metadata: ReadonlyMap<TableId, LoadedTable> }
  /** What was worked out does not hold any more. Nothing was committed; only the files of the work are left. */
  | { readonly kind: 'invalid'; readonly table: TableId; readonly why: string }
  /** Others were always faster. Nothing was committed; only the files of the work are left. */
  | { readonly kind: 'exhausted'; readonly table: TableId }

/** How often and how long a commit is tried again, as table properties say (`commit.retry.*`). */
export class Retries {
  private readonly context: TableContext
  private readonly began: number
  private count = 0

  constructor(context: TableContext) {
    this.context = context
    this.began = context.clock.nowMs()
  }

  /**
   * Waits before the next try: `min-wait-ms` (default 100), doubled each time up to `max-wait-ms` (default 60,000), of
   * which a random part between half and all. False, without waiting, when `num-retries` (default 4) are used up or
   * `total-timeout-ms` (default 30 minutes) is over.
   */
  async again(properties: Readonly<Record<string, string>>): Promise<boolean> {
    const of = (name: string, otherwise: number) => setting(properties, `commit.retry.${name}`, otherwise)
    if (this.count >= of('num-retries', 4)) return false
    if (this.context.clock.nowMs() - this.began >= of('total-timeout-ms', 1_800_000)) return false
    await pause(this.context, this.count++, of('min-wait-ms', 100), of('max-wait-ms', 60_000))
    return true
  }
}

function setting(properties: Readonly<Record<string, string>>, name: string, otherwise: number): number {
  const text = properties[name]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : otherwise
}

async function pause(context: TableContext, count: number, minMs: number, maxMs: number): Promise<void> {
  const longest = Math.min(maxMs, minMs * 2 ** count)
  const [byte = 0] = context.randomness.bytes(1)
  const ms = Math.round(longest * (0.5 + byte / 510))
  if (context.wait) await context.wait(ms, context.signal)
  else await sleep(ms, undefined, { signal: context.signal })
}

/**
 * Commits what is pending for several tables, all or nothing. When a table has moved, what was worked out is checked
 * against what happened meanwhile and, if it holds, only its manifests are staged anew. A lost answer is settled by
 * looking for the snapshots, then by sending the same commit again: only one of the two can be applied. Manifests of a
 * superseded attempt are deleted after a definite answer only. Throws `catalog/unknown-outcome` when no answer is to be
 * had; then every file is left in place.
 */
export async function commitPending(
  context: TableContext,
  tables: readonly PendingTable[],
  retries: Retries,
): Promise<Ended> {
  for (;;) {
    const conflict = await attempt(context, tables)
    if (conflict.kind === 'committed') return conflict
    const properties = tables[0]?.pinned?.metadata.properties ?? {}
    const { table } = conflict
    if (!(await retries.again(properties))) {
      await deleteDebris(context, stagedFiles(tables))
      return { kind: 'exhausted', table }
    }
    await context.steps.reach('commit.retry', 'before', table)
    const now = await loadAll(context, tables)
    if (tables.some((one) => showsOurs(now.get(one.table)?.metadata, one)))
      return { kind: 'committed', metadata: present(now) }
    for (const pending of tables) {
      const current = now.get(pending.table) ?? null
      if (pending.staged && pending.staged.base?.metadataLocation === current?.metadataLocation) continue
      if (pending.staged) await deleteDebris(context, pending.staged.written)
      pending.staged = null
      const why = (await whyInvalid(context, pending, current)) ?? (await restage(context, pending, current))
      if (why !== null) {
        await deleteDebris(context, stagedFiles(tables))
        return { kind: 'invalid', table: pending.table, why }
      }
    }
    await context.steps.reach('commit.retry', 'after', table)
  }
}

async function restage(context: TableContext, pending: PendingTable, now: LoadedTable | null): Promise<string | null> {
  const staged = await stagePending(context, pending, now)
  if (typeof staged === 'string') return staged
  pending.staged = staged
  return null
}

function stagedFiles(tables: readonly PendingTable[]): readonly StorePath[] {
  return tables.flatMap((one) => one.staged?.written ?? [])
}

/** Deletes files that nothing names. Call only after a definite answer of the catalog. */
export async function deleteDebris(context: TableContext, paths: readonly StorePath[]): Promise<void> {
  if (paths.length === 0) return
  const detail = `${paths[0]} × ${paths.length}`
  await step(context.steps, 'file.delete', detail, () => context.store.delete(paths, { signal: context.signal }))
}

type Definite = Exclude<CommitOutcome, { readonly kind: 'unknown' }>

async function attempt(context: TableContext, tables: readonly PendingTable[]): Promise<Definite> {
  const commits = tables.map((one): TableCommit => {
    const { requirements, updates } = one.staged ?? nothing
    return { table: one.table, requirements, updates }
  })
  const outcome = await send(context, tables, commits)
  return outcome.kind === 'unknown' ? settle(context, tables, commits, outcome.cause) : outcome
}

const nothing: Pick<Staged, 'requirements' | 'updates'> = { requirements: [], updates: [] }

/** A commit whose updates do not fit a table that moved (a sequence number or row ids taken by another branch) is a conflict. */
async function send(
  context: TableContext,
  tables: readonly PendingTable[],
  commits: readonly TableCommit[],
): Promise<CommitOutcome> {
  try {
    return await context.catalog.commit(commits, { timestampMs: context.clock.nowMs(), signal: context.signal })
  } catch (error) {
    if (!(error instanceof LimnError) || error.kind !== 'iceberg/invalid-metadata') throw error
    const now = await loadAll(context, tables)
    const moved = tables.find((one) => now.get(one.table)?.metadataLocation !== one.staged?.base?.metadataLocation)
    if (!moved) throw error
    return { kind: 'conflict', table: moved.table, requirement: { type: 'pointer-moved' } }
  }
}

/** How often a lost answer is asked after. */
const settlingMax = 4

async function settle(
  context: TableContext,
  tables: readonly PendingTable[],
  commits: readonly TableCommit[],
  cause: unknown,
): Promise<Definite> {
  for (let count = 0; count < settlingMax; count++) {
    const found = await lookForOurs(context, tables)
    if (typeof found !== 'string') return found
    if (found === 'not there') {
      const again = await send(context, tables, commits).catch((error) => ({ kind: 'unknown', cause: error }) as const)
      if (again.kind === 'committed') return again
      // The first commit may have arrived in between, and so be what the second met.
      const late = again.kind === 'conflict' ? await lookForOurs(context, tables) : 'no answer'
      if (typeof late !== 'string') return late
      if (late === 'not there' && again.kind === 'conflict') return again
    }
    await pause(context, count, 1000, 60_000)
  }
  throw unknownOutcome(commits[0]?.table, cause)
}

type Look = Extract<Definite, { readonly kind: 'committed' }> | 'not there' | 'no answer'

/** Whether the catalog shows the commit. */
async function lookForOurs(context: TableContext, tables: readonly PendingTable[]): Promise<Look> {
  const now = await loadAll(context, tables).catch(() => null)
  if (!now) return 'no answer'
  const ours = tables.some((one) => showsOurs(now.get(one.table)?.metadata, one))
  return ours ? { kind: 'committed', metadata: present(now) } : 'not there'
}

function present(tables: ReadonlyMap<TableId, LoadedTable | null>): ReadonlyMap<TableId, LoadedTable> {
  return new Map([...tables].flatMap(([id, one]) => (one ? [[id, one] as const] : [])))
}

function showsOurs(metadata: TableMetadata | undefined, pending: PendingTable): boolean {
  if (!metadata) return false
  const updates = pending.staged?.updates ?? []
  return updates.some((update) => {
    if (update.action === 'add-snapshot')
      return metadata.snapshots.some((one) => one.snapshotId === update.snapshot.snapshotId)
    return update.action === 'assign-uuid' && pending.pinned === null && metadata.tableUuid === update.uuid
  })
}

function loadAll(context: TableContext, tables: readonly PendingTable[]) {
  return context.catalog.loadTables(
    tables.map((one) => one.table),
    { signal: context.signal },
  )
}

export function unknownOutcome(table: TableId | undefined, cause: unknown): LimnError {
  return new LimnError('catalog/unknown-outcome', {
    message: `It is not known whether the commit to ${table ?? 'the tables'} happened.`,
    remedy: 'Look at the table: limn table history. Files of the attempt were left in place.',
    cause,
  })
}
