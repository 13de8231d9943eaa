import { LimnError, type RunId, type TableId } from '../../base/index.ts'
import { isAncestorOf, type Requirement, type TableCommit, type Update } from '../../iceberg/index.ts'
import type { Leases } from '../../state/index.ts'
import type { PipelineContext } from '../context.ts'
import { definitionTable } from '../ledger/definition.ts'
import { isPublishedOutcome, ledgerTable, verdictTable } from '../ledger/ledger.ts'
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
  /** Refs that have served their purpose once this is published, by table. */
  readonly drops?: ReadonlyMap<TableId, string>
  /** Work that this publishes: it is not published either when that was asked to stop. */
  readonly backfill?: RunId | undefined
  /** Made anew for each attempt. */
  readonly record: RunRecordRows
}

/**
 * One catalog commit for all outputs: moves main of every staged table (or creates it), makes staged schemas and specs
 * current, drops run branches and pins, and appends the ledger rows and verdicts. Data and the record of it are atomic.
 *
 * A holder of whose leases any was taken over cannot pass: whoever takes over commits the dead run to the ledger before
 * anything else, so either this commit's base of `limn.run` is older than that (and the commit conflicts), or the check of
 * the leases made after that base was read sees a new epoch. Throws `run/fenced`, and `interrupted` when it was asked to stop.
 */
export async function publish(
  context: PipelineContext,
  leases: Leases,
  publication: Publication,
): Promise<PublishOutcome> {
  const { run } = publication
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const prepared = await prepareRecord(context, publication.record)
    if (prepared.known.length > 0) {
      if (prepared.known.some((row) => isPublishedOutcome(row.outcome))) return { kind: 'published' }
      throw fenced(run)
    }
    const [twice] = prepared.landedTwice
    if (twice !== undefined) throw landedTwice(run, twice)
    const expected = new Map(publication.tables.map((table) => [table.target.id, table.snapshotId]))
    for (const commit of prepared.commits) {
      for (const update of commit.updates)
        if (update.action === 'add-snapshot') expected.set(commit.table, update.snapshot.snapshotId)
    }
    requireLeases(leases, run)
    await context.runs.publishing(run, expected)
    context.signal.throwIfAborted()
    requireNotStopped(context, run)
    if (publication.backfill) requireNotStopped(context, publication.backfill)
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
        requireLeases(leases, run)
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

function requireLeases(leases: Leases, run: RunId): void {
  try {
    leases.assertHeld()
  } catch (cause) {
    throw fenced(run, cause)
  }
}

/** Throws `interrupted` when somebody asked the run to stop. */
export function requireNotStopped(context: PipelineContext, run: RunId): void {
  const by = context.runs.stopAskedBy(run)
  if (by !== null) throw stopped(run, by)
}

/** How a run ends that was asked to stop. */
export function stopped(run: RunId, by: string): LimnError {
  return new LimnError('interrupted', {
    message: `${run} was asked to stop by ${by}.`,
    notDone: 'Nothing was published.',
    remedy: `Run again, or take over what it staged: limn runs retry ${run}`,
  })
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

/** Only who lost its leases without noticing comes here: a state database that was taken away, or put back. */
function landedTwice(run: RunId, dataset: string): LimnError {
  return new LimnError('run/conflict', {
    message: `Deliveries of ${dataset} were landed by another run while run ${run} landed them.`,
    notDone: 'It published nothing.',
    remedy: 'Run again: what is new since is landed then.',
    retryable: true,
  })
}

function commitsOf({ run, tables, pinned, drops = new Map() }: Publication): readonly TableCommit[] {
  const staged = new Map(tables.map((table) => [table.target.id, table]))
  const unpinned = new Set(pinned)
  const others = [...new Set([...pinned, ...drops.keys()])].filter((id) => !staged.has(id))
  const dropped = (id: TableId): readonly Update[] => {
    const ref = drops.get(id)
    return ref === undefined ? [] : [{ action: 'remove-snapshot-ref', ref }]
  }
  return [
    ...tables.map((table): TableCommit => {
      const commit = commitOf(run, table)
      // What was never registered has no refs but those that are made now.
      return table.target.base === null ? commit : { ...commit, updates: [...commit.updates, ...dropped(commit.table)] }
    }),
    ...others.map((id): TableCommit => {
      const pin: readonly Update[] = unpinned.has(id) ? [{ action: 'remove-snapshot-ref', ref: pinRefName(run) }] : []
      return { table: id, requirements: [], updates: [...pin, ...dropped(id)] }
    }),
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
