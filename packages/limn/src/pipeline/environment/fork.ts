import { LimnError, mapConcurrently, randomUuid, step, type TableId } from '../../base/index.ts'
import { type EnvironmentName, nameIn, type SqliteEnvironments } from '../../catalog/index.ts'
import {
  ancestorsOf,
  encodeMetadata,
  type LoadedTable,
  metadataFolder,
  type TableCommit,
  type TableMetadata,
} from '../../iceberg/index.ts'
import { storePath } from '../../storage/index.ts'
import { places } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { foldLedger, type LedgerRow, ledgerTable } from '../ledger/ledger.ts'
import { readLedger } from '../ledger/ledger-read.ts'
import { environmentLease, environmentRef, type ForkOrigin, folderIn, originProperties } from './standing.ts'

export interface Forked {
  readonly environment: EnvironmentName
  readonly tables: readonly TableId[]
}

const attemptsMax = 10
const writesAtOnce = 16

/**
 * Makes an environment: a copy of the metadata of every table of production as of one instant, the ledger among them, and
 * of no file. First a branch of each table of production is set, in one commit, that keeps what the environment stands on
 * and tells changes from (`env/NAME`); then all names of the environment come into being in one transaction. A crash between
 * the two leaves branches and metadata files that nothing names, which making or dropping it clears. Throws `usage/environment-exists`, `lease/held`,
 * `catalog/conflict`.
 */
export async function forkEnvironment(
  context: PipelineContext,
  environments: SqliteEnvironments,
  environment: EnvironmentName,
): Promise<Forked> {
  await using _lease = await environmentLease(context, environment)
  if (environments.list().some((one) => one.name === environment)) throw exists(environment)
  const { tables, ledger } = await holdTables(context, environment)
  const lastSeq = ledger.reduce((max, row) => Math.max(max, row.seq), 0)
  const told = toldFrom(ledger)
  const copies = await mapConcurrently(tables, writesAtOnce, (one) =>
    copyTable(context, environment, one, lastSeq, lineOf(one.metadata, told.get(one.table))),
  )
  const record = { name: environment, madeAtMs: context.clock.nowMs() }
  if (!(await environments.make(record, copies))) throw exists(environment)
  return { environment, tables: tables.map((one) => one.table) }
}

/** States of each table that runs tell changes from. */
function toldFrom(rows: readonly LedgerRow[]): ReadonlyMap<string, ReadonlySet<bigint>> {
  const told = new Map<string, Set<bigint>>()
  const add = (table: string, snapshotId: bigint) =>
    told.set(table, (told.get(table) ?? new Set<bigint>()).add(snapshotId))
  for (const [dataset, { built, outputSnapshot }] of foldLedger(rows)) {
    if (outputSnapshot !== null) add(dataset, outputSnapshot)
    for (const { inputs } of built) for (const [table, snapshotId] of Object.entries(inputs)) add(table, snapshotId)
  }
  return told
}

/** Main's history, latest first, back to the oldest state that a run tells changes from: what an environment needs of it. */
function lineOf(metadata: TableMetadata, told: ReadonlySet<bigint> = new Set()): readonly bigint[] {
  const main = metadata.currentSnapshotId
  if (main === null) return []
  const ancestors = [...ancestorsOf(metadata, main)].map((one) => one.snapshotId)
  const last = ancestors.findLastIndex((one) => told.has(one))
  return ancestors.slice(0, Math.max(last, 0) + 1)
}

/** Sets the branch that keeps them on every table, all at one instant, and gives the tables and the ledger as of it. */
async function holdTables(
  context: PipelineContext,
  environment: EnvironmentName,
): Promise<{ readonly tables: readonly LoadedTable[]; readonly ledger: readonly LedgerRow[] }> {
  const { catalog, clock, signal } = context
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const ids = await catalog.listTables({ signal })
    const loaded = await catalog.loadTables(ids, { signal })
    const tables = ids.flatMap((id) => loaded.get(id) ?? [])
    const ledger = await readLedger(context, loaded.get(ledgerTable) ?? null)
    const told = toldFrom(ledger)
    const commits = tables.flatMap((one) => holdCommit(one, environment, lineOf(one.metadata, told.get(one.table))))
    if (commits.length === 0) return { tables, ledger }
    const outcome = await catalog.commit(commits, { timestampMs: clock.nowMs(), signal })
    if (outcome.kind === 'committed')
      return { tables: tables.map((one) => outcome.metadata.get(one.table) ?? one), ledger }
  }
  throw new LimnError('catalog/conflict', {
    message: `Others kept changing the lake while ${environment} was to be made of it.`,
    notDone: 'There is no environment yet.',
    remedy: 'Try again when it is quieter.',
    retryable: true,
  })
}

/** Longer than any environment lives: whatever retention a table has, the branch is not dropped for its age. */
const keptMs = 100 * 365 * 86_400_000

function holdCommit(
  { table, metadata }: LoadedTable,
  environment: EnvironmentName,
  line: readonly bigint[],
): readonly TableCommit[] {
  const [snapshotId] = line
  if (snapshotId === undefined) return []
  const to = { type: 'branch', snapshotId, minSnapshotsToKeep: line.length, maxRefAgeMs: keptMs } as const
  return [
    {
      table,
      requirements: [
        { type: 'assert-table-uuid', uuid: metadata.tableUuid },
        { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId },
      ],
      updates: [{ action: 'set-snapshot-ref', ref: environmentRef(environment), to }],
    },
  ]
}

async function copyTable(
  context: PipelineContext,
  environment: EnvironmentName,
  loaded: LoadedTable,
  lastSeq: number,
  line: readonly bigint[],
): Promise<LoadedTable> {
  const { store, steps, randomness, signal } = context
  const metadata = copyOf(context, environment, loaded, lastSeq, new Set(line))
  const metadataLocation = storePath(`${metadataFolder(metadata)}/00000-${randomUuid(randomness)}.metadata.json`)
  await step(steps, 'metadata.write', metadataLocation, () =>
    store.write(metadataLocation, encodeMetadata(metadata), { signal }),
  )
  return { table: nameIn(environment, loaded.table), metadataLocation, metadata }
}

/**
 * Same rows and standing, of main's history what production keeps for it; own identity and places. Branches and tags stay
 * behind. Other engines are told that its files are not its own (`gc.enabled`).
 */
function copyOf(
  context: PipelineContext,
  environment: EnvironmentName,
  { table, metadata }: LoadedTable,
  lastSeq: number,
  line: ReadonlySet<bigint>,
): TableMetadata {
  const main = metadata.currentSnapshotId
  const onMain = <T extends { readonly snapshotId: bigint }>(list: readonly T[]) =>
    list.filter((one) => line.has(one.snapshotId))
  const origin: ForkOrigin = {
    tableUuid: metadata.tableUuid,
    snapshotId: main,
    schemaId: metadata.currentSchemaId,
    specId: metadata.defaultSpecId,
    lastColumnId: metadata.lastColumnId,
    lastPartitionId: metadata.lastPartitionId,
    lastSeq,
  }
  const kept = Object.entries(metadata.properties).filter(([name]) => !places.includes(name))
  return {
    ...metadata,
    tableUuid: randomUuid(context.randomness),
    location: folderIn(context.store.root, environment, table),
    properties: {
      ...Object.fromEntries(kept),
      ...originProperties(environment, origin),
      'gc.enabled': 'false',
    },
    snapshots: onMain(metadata.snapshots),
    snapshotLog: onMain(metadata.snapshotLog),
    metadataLog: [],
    refs: main === null ? {} : { main: metadata.refs.main ?? { type: 'branch', snapshotId: main } },
    statistics: onMain(metadata.statistics),
    partitionStatistics: onMain(metadata.partitionStatistics),
  }
}

function exists(environment: EnvironmentName): LimnError {
  return new LimnError('usage/environment-exists', {
    message: `There is an environment ${environment} already.`,
    notDone: 'Nothing was made.',
    remedy: `Use it: --env ${environment}. Or drop it first: limn env drop ${environment}`,
  })
}
