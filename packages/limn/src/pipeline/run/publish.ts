import { LimnError, type RunId, type TableId } from '../../base/index.ts'
import { isAncestorOf, type Requirement, type TableCommit, type Update } from '../../iceberg/index.ts'
import type { Lease } from '../../state/index.ts'
import type { PipelineContext } from '../context.ts'
import { definitionTable } from '../ledger/definition.ts'
import { ledgerTable, verdictTable } from '../ledger/ledger.ts'
import { prepareRecord, type RunRecordRows } from '../ledger/ledger-store.ts'
import { pinRefName, runBranch, type StagedTable } from '../stage/staged-table.ts'

const attemptsMax = 10

const ownTables: ReadonlySet<TableId> = new Set([ledgerTable, verdictTable, definitionTable])

/** How one attempt to publish ended. */
export type PublishOutcome =
  | { readonly kind: 'published' }
  /** Somebody moved `main` of a table this run publishes: rebase and try again. */
  | { readonly kind: 'main-moved'; readonly table: TableId }

export interface Publication {
  readonly run: RunId
  readonly tables: readonly StagedTable[]
  /** Tables that carry this run's pin, to be unpinned. */
  readonly pinned: readonly TableId[]
  /** Made anew for each attempt. */
  readonly record: RunRecordRows
}

/**
 * One catalog commit for all outputs: moves main of every staged table (or creates it), makes staged schemas and specs
 * current, drops run branches and pins, and appends the ledger rows and verdicts. Data and the record of it are atomic.
 *
 * A holder whose lease was taken over cannot pass: whoever takes over commits the dead run to the ledger first, so
 * either this commit's base of `limn.run` is older than that (and the commit conflicts), or the lease check made after
 * that base was read sees the new epoch. Throws `run/fenced`.
 */
export async function publish(
  context: PipelineContext,
  lease: Lease,
  publication: Publication,
): Promise<PublishOutcome> {
  const { run } = publication
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const prepared = await prepareRecord(context, publication.record)
    const expected = new Map(publication.tables.map((table) => [table.target.id, table.snapshotId]))
    for (const commit of prepared.commits) {
      for (const update of commit.updates)
        if (update.action === 'add-snapshot') expected.set(commit.table, update.snapshot.snapshotId)
    }
    requireLease(lease, run)
    await context.runs.publishing(run, expected)
    const outcome = await context.catalog.commit([...commitsOf(publication), ...prepared.commits], {
      timestampMs: context.clock.nowMs(),
    })
    switch (outcome.kind) {
      case 'committed':
        return { kind: 'published' }
      case 'unknown':
        if (await isPublished(context, expected)) return { kind: 'published' }
        continue
      case 'conflict': {
        await context.store.delete(prepared.files.map((file) => file.path))
        requireLease(lease, run)
        if (ownTables.has(outcome.table)) continue
        const requirement = outcome.requirement
        if (requirement.type === 'assert-ref-snapshot-id' && requirement.ref === runBranch(run)) throw fenced(run)
        return { kind: 'main-moved', table: outcome.table }
      }
    }
  }
  throw new LimnError('run/conflict', {
    message: `Run ${run} could not commit: the ledger was changed by others in each of ${attemptsMax} attempts.`,
    notDone: 'Nothing was published.',
    remedy: 'Run again.',
    retryable: true,
  })
}

function requireLease(lease: Lease, run: RunId): void {
  try {
    lease.assertHeld()
  } catch (cause) {
    throw fenced(run, cause)
  }
}

/** What a holder is told whose lease was taken over. */
export function fenced(run: RunId, cause?: unknown): LimnError {
  return new LimnError('run/fenced', {
    message: `Run ${run} was taken for dead and its lease was taken over while it was paused.`,
    notDone: 'It published nothing.',
    remedy: 'Look at what the other run did (limn runs ls), then run again.',
    cause,
  })
}

function commitsOf(publication: Publication): readonly TableCommit[] {
  const { run, tables, pinned } = publication
  const staged = new Set(tables.map((table) => table.target.id))
  return [
    ...tables.map((table) => commitOf(run, table)),
    ...pinned
      .filter((id) => !staged.has(id))
      .map(
        (id): TableCommit => ({
          table: id,
          requirements: [],
          updates: [{ action: 'remove-snapshot-ref', ref: pinRefName(run) }],
        }),
      ),
  ]
}

function commitOf(run: RunId, staged: StagedTable): TableCommit {
  const { target, snapshotId } = staged
  const toMain: Update = { action: 'set-snapshot-ref', ref: 'main', to: { type: 'branch', snapshotId } }
  const current: Update[] = [
    { action: 'set-current-schema', schemaId: target.layout.schema.schemaId },
    { action: 'set-default-spec', specId: target.layout.spec.specId },
  ]
  if (target.base === null) {
    return {
      table: target.id,
      requirements: [{ type: 'assert-create' }],
      updates: [...staged.updates, ...current, toMain],
    }
  }
  const base = target.base.metadata
  const requirements: Requirement[] = [
    { type: 'assert-table-uuid', uuid: base.tableUuid },
    { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId: base.currentSnapshotId },
    { type: 'assert-ref-snapshot-id', ref: runBranch(run), snapshotId },
    { type: 'assert-current-schema-id', currentSchemaId: base.currentSchemaId },
    { type: 'assert-default-spec-id', defaultSpecId: base.defaultSpecId },
  ]
  const shape = target.evolves ? current : []
  return {
    table: target.id,
    requirements,
    updates: [...shape, toMain, { action: 'remove-snapshot-ref', ref: runBranch(run) }],
  }
}

/** Whether a commit of unknown outcome happened: each main is or descends from what it was to become. */
export async function isPublished(context: PipelineContext, expected: ReadonlyMap<TableId, bigint>): Promise<boolean> {
  const tables = await context.catalog.loadTables([...expected.keys()])
  return [...expected].every(([id, snapshotId]) => {
    const metadata = tables.get(id)?.metadata
    const current = metadata?.currentSnapshotId ?? null
    return metadata !== undefined && current !== null && isAncestorOf(metadata, snapshotId, current)
  })
}

/** What a run is told that could not publish although it held the write leases. */
export function movedTooOften(table: TableId, attempts: number): LimnError {
  return new LimnError('run/conflict', {
    message: `${table} was changed by others during each of ${attempts} attempts to publish, the last with its write lease held.`,
    notDone: 'Nothing was published.',
    remedy: 'Another engine writes this table; run again when it has finished.',
    retryable: true,
  })
}
