import { LimnError, mapConcurrently, type TableId, tableId } from '../base/index.ts'
import type { BoundTable } from '../engine/index.ts'
import {
  type DataFile,
  diffTasks,
  filesAddedBy,
  type ScanTask,
  type Snapshot,
  type SnapshotRange,
  snapshotsBetween,
} from '../iceberg/index.ts'
import type { Schema } from '../schema/index.ts'
import { bindFiles } from './bind.ts'
import { type ChangeStep, changesSql, noChangesSql, type RowIdentity } from './changes-sql.ts'
import { type PinnedTable, schemaOfPin, type TableContext } from './context.ts'
import { leaseFiles } from './read.ts'

/** Snapshots compared with their parents at the same time. */
const diffsAtOnce = 4

/** Tables to bind, and the query over them. Disposing lets go of their files. */
export interface ChangeReading extends AsyncDisposable {
  readonly bound: readonly BoundTable[]
  readonly sql: string
  /** The snapshots read, oldest first, without those that only rewrote files; `_change_ordinal` of a changelog counts them from 0. */
  readonly snapshots: readonly Snapshot[]
}

export interface ChangelogOptions {
  /** Changes after this snapshot; null: from the table's first on. */
  readonly from: bigint | null
  /** One change at most for each row: what differs between the beginning and the end. Default false. */
  readonly net?: boolean
  /**
   * Columns that identify a row, so that a deleted and an inserted one are an update. Default: the identifier fields of the
   * schema; without any, row ids where the format has them (version 3). An empty list: updates are not told.
   */
  readonly identifiers?: readonly string[]
}

/**
 * The changes between a snapshot and the one a table is pinned at, in the pin's schema: how each commit changed the rows,
 * whatever it did to files (copies on write, position deletes, deletion vectors, equality deletes). A commit that only
 * rewrote files (`replace`) has none and is not counted. The query yields the table's columns, `_change_type` (INSERT, DELETE, UPDATE_BEFORE,
 * UPDATE_AFTER), `_change_ordinal` (from 0, a commit each) and `_commit_snapshot_id`, in no order. Throws
 * `usage/unknown-snapshot` when the snapshots are not on one line of history, `usage/argument` for an unknown identifier.
 */
export async function readChanges(
  context: TableContext,
  pin: PinnedTable,
  options: ChangelogOptions,
): Promise<ChangeReading> {
  const schema = schemaOfPin(pin)
  // A commit that only rewrote files changes nothing, and is not counted: as the reference implementation has it.
  const snapshots = rangeOf(pin, options.from).filter((one) => one.operation !== 'replace')
  const identity = identityOf(pin, schema, options.identifiers)
  const changed = await mapConcurrently(snapshots, diffsAtOnce, async (snapshot, ordinal) => ({
    snapshot,
    ordinal,
    ...(await diffOf(context, pin, snapshot)),
  }))
  const lease = await leaseFiles(
    context,
    changed.flatMap((step) => [...step.removed, ...step.added]),
  )
  const bind = (id: TableId, tasks: readonly ScanTask[]): BoundTable =>
    bindFiles({ ...pin, id }, tasks, lease, { metadataColumns: identity.kind === 'row-ids' })
  const bound: BoundTable[] = []
  const queried: ChangeStep[] = []
  try {
    for (const { snapshot, ordinal, added, removed } of changed) {
      const before = tableId(`limn_changes.before_${ordinal}`)
      const after = tableId(`limn_changes.after_${ordinal}`)
      bound.push(bind(before, removed), bind(after, added))
      queried.push({ ordinal, snapshotId: snapshot.snapshotId, before, after })
    }
    if (queried.length === 0) {
      const none = tableId('limn_changes.none')
      bound.push(bindFiles({ ...pin, id: none }, [], lease))
      return reading(bound, noChangesSql(none), snapshots, lease)
    }
    const columns = schema.fields.map((field) => field.name)
    return reading(
      bound,
      changesSql({ columns, steps: queried, identity, net: options.net ?? false }),
      snapshots,
      lease,
    )
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

export interface AppendOptions {
  readonly from: bigint | null
  /** What to do with commits in between that remove or change rows. Default `refuse`. */
  readonly others?: 'refuse' | 'skip'
}

/**
 * The rows appended between a snapshot and the one a table is pinned at, as they were appended, in the pin's schema, with
 * `_commit_snapshot_id`. Commits that rewrite files are passed over; others that are no appends are refused, or skipped on
 * request. Throws `usage/unknown-snapshot` as `readChanges`, `usage/argument` for a commit that is no append.
 */
export async function readAppends(
  context: TableContext,
  pin: PinnedTable,
  options: AppendOptions,
): Promise<ChangeReading> {
  const snapshots = rangeOf(pin, options.from)
  const others = snapshots.filter((one) => one.operation !== 'append' && one.operation !== 'replace')
  const [other] = others
  if (other && options.others !== 'skip') {
    throw new LimnError('usage/argument', {
      message: `Between the snapshots ${pin.id} was not only appended to: snapshot ${other.snapshotId} is ${other.operation ?? 'of no stated operation'}.`,
      notDone: 'No rows were read.',
      remedy: 'Read the changes instead, or say that other commits are to be skipped.',
    })
  }
  const appends: { readonly snapshot: Snapshot; readonly files: readonly DataFile[] }[] = []
  for (const snapshot of snapshots)
    if (snapshot.operation === 'append')
      appends.push({ snapshot, files: await filesAddedBy(context.manifests, snapshot, context.signal) })
  const lease = await leaseFiles(
    context,
    appends.flatMap((one) => one.files),
  )
  try {
    const bound = appends.map(({ files }, i) =>
      bindFiles({ ...pin, id: tableId(`limn_changes.append_${i}`) }, files, lease),
    )
    const none = bindFiles({ ...pin, id: tableId('limn_changes.none') }, [], lease)
    const selects = appends.map(
      ({ snapshot }, i) =>
        `SELECT *, ${snapshot.snapshotId}::BIGINT AS _commit_snapshot_id FROM limn_changes.append_${i}`,
    )
    const nothing = `SELECT *, NULL::BIGINT AS _commit_snapshot_id FROM ${none.id} WHERE FALSE`
    return reading([...bound, none], [...selects, nothing].join('\nUNION ALL\n'), snapshots, lease)
  } catch (error) {
    await lease[Symbol.asyncDispose]()
    throw error
  }
}

function rangeOf(pin: PinnedTable, from: bigint | null): readonly Snapshot[] {
  if (pin.snapshotId === null || pin.snapshotId === from) return []
  const range: SnapshotRange = { from, to: pin.snapshotId }
  return snapshotsBetween(pin.metadata, range)
}

function diffOf(context: TableContext, pin: PinnedTable, snapshot: Snapshot) {
  const { manifests, signal } = context
  const { parentSnapshotId: from, snapshotId: to } = snapshot
  return diffTasks({ manifests, metadata: pin.metadata, from, to, signal })
}

function identityOf(pin: PinnedTable, schema: Schema, asked: readonly string[] | undefined): RowIdentity {
  if (new Set(schema.fields.map((field) => field.name.toLowerCase())).size < schema.fields.length) {
    throw new LimnError('iceberg/unsupported', {
      message: `${pin.id} has columns whose names differ in case alone.`,
      notDone: 'No changes were read: SQL could not tell those columns apart.',
      remedy: 'Rename one of them.',
    })
  }
  const names =
    asked ?? schema.fields.filter((field) => schema.identifierFieldIds.includes(field.id)).map((field) => field.name)
  const unknown = names.find((name) => !schema.fields.some((field) => field.name === name))
  if (unknown !== undefined) {
    throw new LimnError('usage/argument', {
      message: `${pin.id} has no column ${unknown} to know a row by.`,
      notDone: 'No changes were read.',
      remedy: `Its columns are: ${schema.fields.map((field) => field.name).join(', ')}.`,
    })
  }
  if (names.length > 0) return { kind: 'columns', names }
  return asked === undefined && pin.metadata.formatVersion >= 3 ? { kind: 'row-ids' } : { kind: 'none' }
}

function reading(
  bound: readonly BoundTable[],
  sql: string,
  snapshots: readonly Snapshot[],
  lease: AsyncDisposable,
): ChangeReading {
  return { bound, sql, snapshots, [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose]() }
}
