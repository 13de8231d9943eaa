import { LimnError, unreachable } from '../../base/index.ts'
import { ancestorsOf, isAncestorOf, snapshotById, snapshotOfRef } from '../spec/lookup.ts'
import type { Requirement, SnapshotRef, TableMetadata, Update } from '../spec/types.ts'
import type { Evolution } from './evolve.ts'

/** How long a ref and its snapshots are kept (specification, "Snapshot Retention Policy"). Absent: the table's default. */
export interface Retention {
  /** Branches only. At least 1. */
  readonly minSnapshotsToKeep?: number
  /** Branches only, milliseconds. */
  readonly maxSnapshotAgeMs?: number
  /** Milliseconds since the ref's snapshot was made after which the ref itself goes; main never does. */
  readonly maxRefAgeMs?: number
}

/** One change of a table's branches and tags. Changes of a list are applied in order. */
export type RefChange =
  | {
      readonly kind: 'create-branch' | 'create-tag'
      readonly name: string
      /** Default: where main is. */
      readonly snapshotId?: bigint
      /** What to do when there is such a ref. Default `fail`. */
      readonly ifExists?: 'fail' | 'keep' | 'replace'
      readonly retention?: Retention
    }
  /** Moves an existing ref to any snapshot of the table, its retention kept. */
  | { readonly kind: 'replace-ref'; readonly name: string; readonly snapshotId: bigint }
  | { readonly kind: 'drop-branch' | 'drop-tag'; readonly name: string; readonly ifExists?: boolean }
  | { readonly kind: 'rename-ref'; readonly name: string; readonly to: string }
  /** Sets what is given; null takes away. */
  | {
      readonly kind: 'set-retention'
      readonly name: string
      readonly retention: { readonly [K in keyof Retention]?: Retention[K] | null }
    }
  /** Moves a branch to where another ref is, if it only gains snapshots. A branch that does not exist is made there. */
  | { readonly kind: 'fast-forward'; readonly branch: string; readonly to: string }
  /** Back to a snapshot the branch (default main) has had. */
  | { readonly kind: 'rollback'; readonly snapshotId: bigint; readonly branch?: string }
  /** Back to the newest snapshot of the branch that is older than a time (milliseconds, exclusive). */
  | { readonly kind: 'rollback-to-time'; readonly timestampMs: number; readonly branch?: string }
  /** To any snapshot of the table, ancestor or not. */
  | { readonly kind: 'set-current-snapshot'; readonly snapshotId: bigint; readonly branch?: string }

/**
 * What a catalog has to check and apply for changes of refs. Pure: no snapshot is made. Each ref that is read or moved is
 * required to be where it was. Throws `usage/unknown-ref`, `usage/unknown-snapshot`, `usage/argument`, and
 * `table/unsafe-change` for a move that would lose snapshots without being told to.
 */
export function changeRefs(base: TableMetadata, changes: readonly RefChange[]): Evolution {
  const refs = new Map(Object.entries(base.refs))
  const updates: Update[] = []
  const touched = new Set<string>()
  for (const change of changes) {
    for (const name of namesIn(change)) touched.add(name)
    for (const update of updatesOf(base, refs, change)) {
      if (update.action === 'set-snapshot-ref') refs.set(update.ref, update.to)
      if (update.action === 'remove-snapshot-ref') refs.delete(update.ref)
      updates.push(update)
    }
  }
  if (updates.length === 0) return { requirements: [], updates: [] }
  const uuid: Requirement[] = base.tableUuid === '' ? [] : [{ type: 'assert-table-uuid', uuid: base.tableUuid }]
  return {
    requirements: [
      ...uuid,
      ...[...touched].map((ref) => ({
        type: 'assert-ref-snapshot-id' as const,
        ref,
        snapshotId: snapshotOfRef(base, ref),
      })),
    ],
    updates,
  }
}

function namesIn(change: RefChange): readonly string[] {
  switch (change.kind) {
    case 'rename-ref':
      return [change.name, change.to]
    case 'fast-forward':
      return [change.branch, change.to]
    case 'rollback':
    case 'rollback-to-time':
    case 'set-current-snapshot':
      return [change.branch ?? 'main']
    case 'create-branch':
    case 'create-tag':
      return change.snapshotId === undefined ? [change.name, 'main'] : [change.name]
    default:
      return [change.name]
  }
}

function updatesOf(base: TableMetadata, refs: ReadonlyMap<string, SnapshotRef>, change: RefChange): readonly Update[] {
  const set = (name: string, to: SnapshotRef): readonly Update[] => {
    const now = refs.get(name)
    return now && JSON.stringify(textOf(now)) === JSON.stringify(textOf(to))
      ? []
      : [{ action: 'set-snapshot-ref', ref: name, to }]
  }
  const known = (name: string) => refs.get(name) ?? missing(name, [...refs.keys()])
  const branch = (name: string) => {
    const ref = known(name)
    if (ref.type === 'branch') return ref
    throw refused(`"${name}" is a tag, and a tag never moves`, 'Name a branch, or replace the tag.')
  }
  switch (change.kind) {
    case 'create-branch':
    case 'create-tag': {
      const type = change.kind === 'create-tag' ? 'tag' : 'branch'
      const now = refs.get(change.name)
      requireName(change.name)
      if (now && change.ifExists === 'keep') return []
      if (now && change.ifExists !== 'replace')
        throw refused(`The table has a ${now.type} "${change.name}" already`, 'Replace it, or choose another name.')
      if (now && now.type !== type)
        throw refused(`"${change.name}" is a ${now.type} and cannot become a ${type}`, 'Drop it first.')
      const snapshotId = change.snapshotId ?? refs.get('main')?.snapshotId
      if (snapshotId === undefined)
        throw refused('The table has no snapshot yet', `Write to the branch "${change.name}", or name a snapshot.`)
      requireSnapshot(base, snapshotId)
      return set(change.name, retained({ type, snapshotId }, change.retention ?? {}, change.name))
    }
    case 'replace-ref':
      requireSnapshot(base, change.snapshotId)
      return set(change.name, { ...known(change.name), snapshotId: change.snapshotId })
    case 'drop-branch':
    case 'drop-tag': {
      const type = change.kind === 'drop-tag' ? 'tag' : 'branch'
      if (change.ifExists && !refs.has(change.name)) return []
      const now = known(change.name)
      if (now.type !== type) throw refused(`"${change.name}" is a ${now.type}, not a ${type}`, `Drop the ${now.type}.`)
      requireNotMain(change.name, 'dropped')
      return [{ action: 'remove-snapshot-ref', ref: change.name }]
    }
    case 'rename-ref': {
      const now = known(change.name)
      requireNotMain(change.name, 'renamed')
      requireName(change.to)
      if (change.to === change.name) return []
      if (refs.has(change.to)) throw refused(`The table has a ref "${change.to}" already`, 'Choose another name.')
      return [
        { action: 'remove-snapshot-ref', ref: change.name },
        { action: 'set-snapshot-ref', ref: change.to, to: now },
      ]
    }
    case 'set-retention':
      return set(change.name, retained(known(change.name), change.retention, change.name))
    case 'fast-forward': {
      const target = known(change.to)
      if (!refs.has(change.branch)) {
        requireName(change.branch)
        return set(change.branch, { type: 'branch', snapshotId: target.snapshotId })
      }
      const now = branch(change.branch)
      if (!isAncestorOf(base, now.snapshotId, target.snapshotId))
        throw refused(
          `"${change.branch}" cannot be fast-forwarded to "${change.to}": it has snapshots that "${change.to}" lacks`,
          'Cherry-pick what is missing, or replace the branch.',
        )
      return set(change.branch, { ...now, snapshotId: target.snapshotId })
    }
    case 'rollback': {
      const now = branch(change.branch ?? 'main')
      requireSnapshot(base, change.snapshotId)
      if (!isAncestorOf(base, change.snapshotId, now.snapshotId))
        throw refused(
          `The table cannot be rolled back to snapshot ${change.snapshotId}: the branch never was there`,
          'Set the current snapshot instead, if that is what you mean.',
        )
      return set(change.branch ?? 'main', { ...now, snapshotId: change.snapshotId })
    }
    case 'rollback-to-time': {
      const now = branch(change.branch ?? 'main')
      const older = [...ancestorsOf(base, now.snapshotId)].filter((one) => one.timestampMs < change.timestampMs)
      const [newest] = older.sort((x, y) => y.timestampMs - x.timestampMs)
      if (!newest)
        throw refused(
          `The branch has no snapshot older than ${new Date(change.timestampMs).toISOString()}`,
          'Name a later time.',
        )
      return set(change.branch ?? 'main', { ...now, snapshotId: newest.snapshotId })
    }
    case 'set-current-snapshot': {
      requireSnapshot(base, change.snapshotId)
      const name = change.branch ?? 'main'
      const now: SnapshotRef = refs.has(name) ? branch(name) : { type: 'branch', snapshotId: change.snapshotId }
      return set(name, { ...now, snapshotId: change.snapshotId })
    }
    default:
      return unreachable(change)
  }
}

function textOf(ref: SnapshotRef): Readonly<Record<string, unknown>> {
  const { snapshotId, type, minSnapshotsToKeep, maxSnapshotAgeMs, maxRefAgeMs } = ref
  return { snapshotId: String(snapshotId), type, minSnapshotsToKeep, maxSnapshotAgeMs, maxRefAgeMs }
}

function retained(
  ref: SnapshotRef,
  retention: { readonly [K in keyof Retention]?: Retention[K] | null },
  name: string,
): SnapshotRef {
  const next: Record<string, unknown> = { ...ref }
  for (const key of ['minSnapshotsToKeep', 'maxSnapshotAgeMs', 'maxRefAgeMs'] as const) {
    const value = retention[key]
    if (value === undefined) continue
    if (value === null) {
      delete next[key]
      continue
    }
    if (!Number.isSafeInteger(value) || value <= 0)
      throw new LimnError('usage/argument', {
        message: `The retention of "${name}" is not a whole number above zero: ${value}.`,
        notDone: 'The table is unchanged.',
      })
    if (ref.type === 'tag' && key !== 'maxRefAgeMs')
      throw new LimnError('usage/argument', {
        message: `"${name}" is a tag: it keeps one snapshot and has no retention of snapshots.`,
        notDone: 'The table is unchanged.',
        remedy: 'Set how long the tag itself is kept.',
      })
    next[key] = value
  }
  return next as unknown as SnapshotRef
}

function requireSnapshot(base: TableMetadata, snapshotId: bigint): void {
  if (snapshotById(base, snapshotId)) return
  throw new LimnError('usage/unknown-snapshot', {
    message: `The table has no snapshot ${snapshotId}.`,
    notDone: 'The table is unchanged.',
    remedy: 'List its snapshots with: limn table history NAME',
  })
}

function requireName(name: string): void {
  if (name.trim() !== '') return
  throw new LimnError('usage/argument', {
    message: 'A branch or tag needs a name.',
    notDone: 'The table is unchanged.',
  })
}

function requireNotMain(name: string, what: string): void {
  if (name === 'main') throw refused(`The branch main cannot be ${what}`, 'Every table has one.')
}

function missing(name: string, names: readonly string[]): never {
  throw new LimnError('usage/unknown-ref', {
    message: `The table has no branch or tag "${name}".`,
    notDone: 'The table is unchanged.',
    remedy: names.length === 0 ? 'It has none.' : `It has: ${names.toSorted().join(', ')}.`,
  })
}

export function refused(what: string, remedy: string): LimnError {
  return new LimnError('table/unsafe-change', { message: `${what}.`, notDone: 'The table is unchanged.', remedy })
}
