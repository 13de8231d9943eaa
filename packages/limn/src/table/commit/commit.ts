import { LimnError, randomPositiveLong, type TableId } from '../../base/index.ts'
import type { CommitOutcome, IsolationLevel, LoadedTable } from '../../iceberg/index.ts'
import { type PinnedTable, pinRef, type TableContext } from '../context.ts'
import { type Layout, layoutOf } from '../write/write.ts'
import { commitPending, deleteDebris, type Ended, Retries, unknownOutcome } from './commit-loop.ts'
import { type PendingItem, type PendingTable, type SnapshotChange, stagePending, unstaged } from './commit-pending.ts'

export type { Gathering, SnapshotChange } from './commit-pending.ts'

export interface ChangeOptions {
  /** Branch to write. Default `main`; a branch that does not exist starts at `main`. */
  readonly branch?: string
  readonly summary?: Readonly<Record<string, string>>
  /** What others may do meanwhile. Default: the table's property for the operation, else `serializable`. */
  readonly isolation?: IsolationLevel
  /**
   * When others changed what the work relied on: `redo` (default) does it again on the new state, as if it had begun
   * then; `fail` throws `catalog/conflict`. Retries are as `commit.retry.*` of the table says.
   */
  readonly onConflict?: 'redo' | 'fail'
  /**
   * The snapshot (null: none) at which the caller has read this very branch to know what to write. When the branch is
   * elsewhere by now, or its rows change before the commit, throws `catalog/conflict`: what was read holds no more.
   */
  readonly readAt?: bigint | null
}

/** What a piece of work is given: the table pinned at the branch, and a local folder that is removed afterwards. */
export interface Working {
  readonly pin: PinnedTable
  readonly layout: Layout
  readonly folder: string
}

/** What a piece of work comes to; `change` null: there is nothing to change, and nothing is committed. */
export interface Worked<R> {
  readonly change: SnapshotChange | null
  readonly result: R
}

/**
 * Changes a table by one snapshot: pins it, does the work once and commits. When others commit first, the work is kept
 * as long as what it relied on still holds (`checks`), and only manifests are written anew; see `onConflict` for when it
 * does not. Nothing is visible before the commit. In a transaction the change becomes part of it instead. Throws
 * `usage/unknown-table`, `catalog/conflict` (retryable; names the file and partition), `catalog/unknown-outcome`.
 */
export async function changeTable<R>(
  context: TableContext,
  table: TableId,
  options: ChangeOptions,
  work: (input: Working) => Promise<Worked<R>>,
): Promise<R & { readonly snapshotId: bigint | null }> {
  const branch = options.branch ?? 'main'
  if (context.gathering) await context.gathering.hold(table)
  await using _held = context.gathering ? undefined : await context.holdForWrite?.(table)
  const retries = new Retries(context)
  for (;;) {
    const loaded = await loadExisting(context, table)
    const { readAt } = options
    if (readAt !== undefined && (pinRef(loaded, branch) ?? pinRef(loaded))?.snapshotId !== readAt)
      throw conflict(table, 'it moved since it was read')
    const { change, result } = await workOn(context, loaded, branch, work)
    if (change === null) return { ...result, snapshotId: null }
    const snapshotId = randomPositiveLong(context.randomness)
    const summary = { ...options.summary, ...change.summary }
    const checks = readAt === undefined ? change.checks : [...(change.checks ?? []), untouched]
    const item: PendingItem = {
      kind: 'snapshot',
      branch,
      snapshotId,
      change: { ...change, summary, ...(checks ? { checks } : {}) },
    }
    if (context.gathering) {
      await context.gathering.add(table, item)
      return { ...result, snapshotId }
    }
    const pending = unstaged(table, loaded)
    pending.items.push(item)
    const staged = await stagePending(context, pending, loaded)
    if (typeof staged === 'string') throw conflict(table, staged)
    pending.staged = staged
    const ended = await commitPending(context, [pending], retries)
    if (ended.kind === 'committed') return { ...result, snapshotId }
    await discardWork(context, [pending])
    if (ended.kind === 'exhausted' || options.onConflict === 'fail' || readAt !== undefined) throw conflictOfEnd(ended)
  }
}

const untouched = { kind: 'untouched', within: { kind: 'rows', predicate: { kind: 'true' } } } as const

async function workOn<R>(
  context: TableContext,
  loaded: LoadedTable,
  branch: string,
  work: (input: Working) => Promise<Worked<R>>,
): Promise<Worked<R>> {
  const { metadata } = loaded
  if (metadata.refs[branch]?.type === 'tag') {
    throw new LimnError('usage/argument', {
      message: `"${branch}" is a tag of ${loaded.table}, and a tag never moves.`,
      notDone: 'Nothing was written.',
      remedy: 'Name a branch.',
    })
  }
  const found = pinRef(loaded, branch) ?? pinRef(loaded)
  if (!found) throw conflict(loaded.table, `branch ${branch} is gone`)
  // Writes are of the table's current schema, whatever schema the branch was last written with.
  const pin: PinnedTable = { ...found, schemaId: metadata.currentSchemaId }
  await using scratch = await context.store.scratch({ signal: context.signal })
  return await work({ pin, layout: layoutOf(metadata), folder: scratch.folder })
}

/** The table as the catalog has it now. Throws `usage/unknown-table`. */
export async function loadExisting(context: TableContext, table: TableId): Promise<LoadedTable> {
  const loaded = (await context.catalog.loadTables([table], { signal: context.signal })).get(table)
  if (loaded) return loaded
  throw new LimnError('usage/unknown-table', {
    message: `There is no table ${table}.`,
    notDone: 'Nothing was written.',
    remedy: 'List the tables with: limn table ls',
  })
}

/** Deletes the files of work that was given up. Call only when it is certain that it was not committed. */
export async function discardWork(context: TableContext, tables: readonly PendingTable[]): Promise<void> {
  const written = tables.flatMap((one) =>
    one.items.flatMap((item) => (item.kind === 'snapshot' ? item.change.written : [])),
  )
  await deleteDebris(context, written)
}

/** Throws unless the commit is known to have happened. */
export function committed(outcome: CommitOutcome, table: TableId): ReadonlyMap<TableId, LoadedTable> {
  switch (outcome.kind) {
    case 'committed':
      return outcome.metadata
    case 'conflict':
      if (outcome.requirement.type === 'assert-create')
        throw new LimnError('catalog/conflict', {
          message: `${outcome.table} exists already.`,
          notDone: 'Nothing was committed.',
          remedy: 'Choose another name, or replace the table.',
        })
      throw conflict(outcome.table, `a requirement failed (${outcome.requirement.type})`)
    case 'unknown':
      throw unknownOutcome(table, outcome.cause)
  }
}

export function conflictOfEnd(ended: Exclude<Ended, { readonly kind: 'committed' }>): LimnError {
  return conflict(
    ended.table,
    ended.kind === 'invalid' ? ended.why : 'others kept committing to it until the retries were used up',
  )
}

export function conflict(table: TableId, why: string): LimnError {
  return new LimnError('catalog/conflict', {
    message: `${table} was changed by someone else: ${why}.`,
    notDone: 'Nothing was committed.',
    remedy: 'Run the command again.',
    retryable: true,
  })
}
