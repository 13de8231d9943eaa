import { randomPositiveLong, type TableId } from '../../base/index.ts'
import { changeRefs, cherryPick, type RefChange, type SnapshotRef, stageSnapshot } from '../../iceberg/index.ts'
import { committed } from '../commit/commit.ts'
import type { TableContext } from '../context.ts'
import { type Altered, changeMetadata, loadTable } from './alter.ts'

export interface RefsAltered extends Altered {
  /** Refs that are elsewhere than before, or kept otherwise; null where there is none. In order of names. */
  readonly refs: readonly {
    readonly name: string
    readonly before: SnapshotRef | null
    readonly after: SnapshotRef | null
  }[]
}

/**
 * Changes a table's branches and tags in one commit: create, replace, drop, rename, retention, fast-forward, rollback, set.
 * All or none; judged anew when a ref moved meanwhile. Rows and files stay as they are. A branch made in a table without
 * snapshots gets an empty one, in a commit of its own before the others. Throws `usage/unknown-ref`, `usage/unknown-snapshot`, `usage/argument`,
 * `table/unsafe-change`, `usage/unknown-table`, `catalog/conflict`.
 */
export async function alterRefs(
  context: TableContext,
  table: TableId,
  changes: readonly RefChange[],
): Promise<RefsAltered> {
  const before = await loadTable(context, table)
  const wanted: RefChange[] = []
  for (const change of changes) {
    const starts = change.kind === 'create-branch' && change.snapshotId === undefined
    const started = starts && before.metadata.snapshots.length === 0 && (await startBranch(context, table, change.name))
    wanted.push(started ? { kind: 'set-retention', name: change.name, retention: change.retention ?? {} } : change)
  }
  let old = before.metadata.refs
  const altered = await changeMetadata(context, table, ({ metadata }) => {
    // Judged anew, what others did meanwhile is not ours to report.
    if (before.metadata.snapshots.length > 0) old = metadata.refs
    return changeRefs(metadata, wanted)
  })
  const now = altered.loaded.metadata.refs
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])].sort()
  const refs = names
    .map((name) => ({ name, before: old[name] ?? null, after: now[name] ?? null }))
    .filter((one) => !sameRef(one.before, one.after))
  return { ...altered, changed: refs.length > 0, refs }
}

function sameRef(a: SnapshotRef | null, b: SnapshotRef | null): boolean {
  if (a === null || b === null) return a === b
  return (
    a.snapshotId === b.snapshotId &&
    a.type === b.type &&
    a.minSnapshotsToKeep === b.minSnapshotsToKeep &&
    a.maxSnapshotAgeMs === b.maxSnapshotAgeMs &&
    a.maxRefAgeMs === b.maxRefAgeMs
  )
}

/** An empty snapshot on a branch of a table that has none, so that there is something to point at; false: it has one now. */
async function startBranch(context: TableContext, table: TableId, branch: string): Promise<boolean> {
  const { metadata } = await loadTable(context, table)
  if (metadata.refs.main || metadata.refs[branch]) return false
  const { store, manifests, steps, randomness, clock, signal } = context
  const staged = await stageSnapshot({
    store,
    manifests,
    steps,
    randomness,
    base: metadata,
    parentSnapshotId: null,
    ref: branch,
    operation: 'append',
    added: [],
    removed: [],
    snapshotId: randomPositiveLong(randomness),
    timestampMs: clock.nowMs(),
    signal,
  })
  const outcome = await context.catalog.commit([{ table, ...staged }], { timestampMs: clock.nowMs(), signal })
  if (outcome.kind === 'conflict') {
    await context.store.delete(staged.written, { signal })
    return false
  }
  committed(outcome, table)
  return true
}

/** Conflicts are met this often before they are reported. */
const attemptsMax = 10

export interface CherryPickResult {
  readonly kind: 'moved' | 're-applied'
  /** Where the branch now is. */
  readonly snapshotId: bigint
}

/**
 * Repeats on a branch (default main) what another snapshot did, in one commit: see `cherryPick`. No data file is read or
 * written. Judged anew when the branch moved meanwhile.
 */
export async function cherryPickSnapshot(
  context: TableContext,
  table: TableId,
  picked: bigint,
  options: { readonly branch?: string } = {},
): Promise<CherryPickResult> {
  const { store, manifests, steps, randomness, clock, signal } = context
  for (let attempt = 1; ; attempt++) {
    const { metadata } = await loadTable(context, table)
    const made = await cherryPick({
      store,
      manifests,
      steps,
      randomness,
      base: metadata,
      picked,
      branch: options.branch ?? 'main',
      snapshotId: randomPositiveLong(randomness),
      timestampMs: clock.nowMs(),
      signal,
    })
    const { requirements, updates, kind, snapshotId } = made
    const outcome = await context.catalog.commit([{ table, requirements, updates }], {
      timestampMs: clock.nowMs(),
      signal,
    })
    if (outcome.kind === 'conflict') {
      await store.delete(made.written, { signal })
      if (attempt < attemptsMax) continue
    }
    committed(outcome, table)
    return { kind, snapshotId }
  }
}
