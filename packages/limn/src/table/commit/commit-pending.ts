import type { TableId } from '../../base/index.ts'
import {
  applyUpdates,
  type CommitCheck,
  changesSince,
  checkRequirements,
  conflictOf,
  conflictText,
  currentSchema,
  type DataFile,
  type LoadedTable,
  type Requirement,
  type SnapshotOperation,
  snapshotOfRef,
  stageSnapshot,
  type TableMetadata,
  type Update,
} from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'

/** What an operation did to a table: the files of one new snapshot, and what it relied on. */
export interface SnapshotChange {
  readonly operation: SnapshotOperation
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  /** What must not have changed meanwhile. That removed files are still there is always checked. */
  readonly checks?: readonly CommitCheck[]
  readonly summary?: Readonly<Record<string, string>>
  /** Files this change put into the store: deleted when it is given up. */
  readonly written: readonly StorePath[]
  /** Changes of the metadata that the snapshot needs, applied right before it. */
  readonly updates?: readonly Update[]
  /** The new snapshot starts from nothing: it has no parent. */
  readonly startsEmpty?: boolean
}

/** One step of what is to be committed to a table. */
export type PendingItem =
  | {
      readonly kind: 'snapshot'
      readonly branch: string
      /** Chosen once, so that a lost answer can be settled by looking for it. */
      readonly snapshotId: bigint
      readonly change: SnapshotChange
    }
  | { readonly kind: 'metadata'; readonly requirements: readonly Requirement[]; readonly updates: readonly Update[] }

/** What is to be committed to one table. */
export interface PendingTable {
  readonly table: TableId
  /** The table as the work saw it; null: it did not exist. */
  readonly pinned: LoadedTable | null
  readonly items: PendingItem[]
  staged: Staged | null
}

/** Pending items made into one commit on a certain state of the table. */
export interface Staged {
  /** The state it is for. */
  readonly base: LoadedTable | null
  readonly requirements: readonly Requirement[]
  readonly updates: readonly Update[]
  readonly written: readonly StorePath[]
  /** The table as it will be. */
  readonly metadata: TableMetadata | null
}

/** Gathers the changes of a transaction. */
export interface Gathering {
  /** Makes a change part of the transaction; later reads through its catalog see it. */
  add(table: TableId, item: PendingItem): Promise<void>
  /** Holds a table's write lease until the transaction ends. */
  hold(table: TableId): Promise<void>
}

export function unstaged(table: TableId, pinned: LoadedTable | null): PendingTable {
  const metadata = pinned?.metadata ?? null
  return { table, pinned, items: [], staged: { base: pinned, requirements: [], updates: [], written: [], metadata } }
}

/** Stages all items anew on a state of the table. A string says why that is not possible. */
export async function stagePending(
  context: TableContext,
  pending: PendingTable,
  base: LoadedTable | null,
): Promise<Staged | string> {
  let staged: Staged = { base, requirements: [], updates: [], written: [], metadata: base?.metadata ?? null }
  for (const item of pending.items) {
    const next = await stageItem(context, staged, item)
    if (typeof next === 'string') return next
    staged = next
  }
  return staged
}

/** Stages one more item on what is staged already. */
export async function stageItem(context: TableContext, before: Staged, item: PendingItem): Promise<Staged | string> {
  const timestampMs = context.clock.nowMs()
  if (item.kind === 'metadata') {
    const failed = checkRequirements(before.metadata, item.requirements)
    if (failed) return `a requirement failed (${failed.type})`
    return {
      ...joined(before, item.requirements, item.updates),
      metadata: applyUpdates(before.metadata, item.updates, { timestampMs }),
    }
  }
  const { change, branch, snapshotId } = item
  if (before.metadata === null) return 'it does not exist'
  const prepared = change.updates ?? []
  const metadata = prepared.length > 0 ? applyUpdates(before.metadata, prepared, { timestampMs }) : before.metadata
  const staged = await stageSnapshot({
    store: context.store,
    manifests: context.manifests,
    steps: context.steps,
    randomness: context.randomness,
    base: metadata,
    parentSnapshotId: change.startsEmpty ? null : headOf(metadata, branch),
    ref: branch,
    operation: change.operation,
    added: change.added,
    removed: change.removed,
    snapshotId,
    timestampMs,
    summary: change.summary ?? {},
    signal: context.signal,
  })
  // Rows were written and read with the current schema; under another one the files might lack what it requires.
  const sameSchema = { type: 'assert-current-schema-id', currentSchemaId: before.metadata.currentSchemaId } as const
  const next = joined(before, [...staged.requirements, sameSchema], [...prepared, ...staged.updates])
  return {
    ...next,
    written: [...before.written, ...staged.written],
    metadata: applyUpdates(metadata, staged.updates, { timestampMs }),
  }
}

/** Where a branch stands; one that does not exist yet starts at `main`. */
export function headOf(metadata: TableMetadata, branch: string): bigint | null {
  return snapshotOfRef(metadata, branch) ?? snapshotOfRef(metadata, 'main')
}

/** Requirements are about the state before all updates: of later steps, only what no earlier step has changed is asked. */
function joined(before: Staged, requirements: readonly Requirement[], updates: readonly Update[]): Staged {
  const first = before.updates.length === 0
  const moved = new Set(before.updates.flatMap((one) => ('ref' in one ? [one.ref] : [])))
  const shaped = before.updates.some((one) => one.action === 'set-current-schema')
  const kept = requirements.filter((one) => {
    if (first) return true
    if (before.base === null) return false
    if (one.type === 'assert-ref-snapshot-id') return !moved.has(one.ref)
    return one.type === 'assert-current-schema-id' && !shaped
  })
  const again = new Set(updates.flatMap((one) => (one.action === 'set-snapshot-ref' ? [one.ref] : [])))
  // A ref moves once in a commit, so that no log names a state that nobody could see.
  const earlier = before.updates.filter((one) => !(one.action === 'set-snapshot-ref' && again.has(one.ref)))
  return { ...before, requirements: [...before.requirements, ...kept], updates: [...earlier, ...updates] }
}

/** Why the pending items do not hold any more on a newer state of the table; null when they do. */
export async function whyInvalid(
  context: TableContext,
  pending: PendingTable,
  now: LoadedTable | null,
): Promise<string | null> {
  const { pinned } = pending
  if (pinned === null) return now === null ? null : 'it was created meanwhile'
  if (now === null) return 'it was dropped meanwhile'
  const before = pinned.metadata
  const after = now.metadata
  if (after.tableUuid !== before.tableUuid) return 'another table took its name meanwhile'
  for (const item of pending.items) {
    if (item.kind !== 'snapshot') continue
    if (after.currentSchemaId !== before.currentSchemaId) return 'its schema was changed meanwhile'
    if (after.formatVersion !== before.formatVersion) return 'its format version was raised meanwhile'
    const { change } = item
    const own = new Set((change.updates ?? []).flatMap((one) => (one.action === 'add-spec' ? [one.spec.specId] : [])))
    const known = new Set([...after.partitionSpecs.map((one) => one.specId), ...own])
    if (change.added.some((file) => !known.has(file.specId))) return 'a partition spec was removed meanwhile'
    const history = await changesSince({
      manifests: context.manifests,
      metadata: after,
      from: headOf(before, item.branch),
      to: headOf(after, item.branch),
      signal: context.signal,
    })
    const checks = [...(change.checks ?? []), ...stillLive(change.removed)]
    if (checks.length === 0) continue
    const conflict =
      history === null
        ? ({ kind: 'history-lost', snapshotId: headOf(before, item.branch) } as const)
        : conflictOf({ metadata: after, schema: currentSchema(before), history, checks })
    if (conflict) return conflictText(conflict)
  }
  return null
}

function stillLive(removed: readonly DataFile[]): readonly CommitCheck[] {
  return removed.length === 0 ? [] : [{ kind: 'stillLive', files: removed }]
}
