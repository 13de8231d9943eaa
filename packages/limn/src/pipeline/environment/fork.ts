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
 * of no file. First production tags what the environment stands on, in one commit, so that it never expires; then all
 * names of the environment come into being in one transaction. A crash between the two leaves tags and metadata files
 * that nothing names, which making or dropping it clears. Throws `usage/environment-exists`, `lease/held`,
 * `catalog/conflict`.
 */
export async function forkEnvironment(
  context: PipelineContext,
  environments: SqliteEnvironments,
  environment: EnvironmentName,
): Promise<Forked> {
  await using _lease = await environmentLease(context, environment)
  if (environments.list().some((one) => one.name === environment)) throw exists(environment)
  const tables = await tagTables(context, environment)
  const ledger = await readLedger(context, tables.find((one) => one.table === ledgerTable) ?? null)
  const lastSeq = ledger.reduce((max, row) => Math.max(max, row.seq), 0)
  const told = toldFrom(ledger)
  const copies = await mapConcurrently(tables, writesAtOnce, (one) =>
    copyTable(context, environment, one, lastSeq, told.get(one.table) ?? new Set()),
  )
  const record = { name: environment, madeAtMs: context.clock.nowMs() }
  if (!(await environments.make(record, copies))) throw exists(environment)
  return { environment, tables: tables.map((one) => one.table) }
}

/** States of each table that runs tell changes from. Production keeps them for as long as the environment does. */
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

/** Tags where every main stands, all at one instant, and gives the tables as of it. */
async function tagTables(context: PipelineContext, environment: EnvironmentName): Promise<readonly LoadedTable[]> {
  const { catalog, clock, signal } = context
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const ids = await catalog.listTables({ signal })
    const loaded = await catalog.loadTables(ids, { signal })
    const tables = ids.flatMap((id) => loaded.get(id) ?? [])
    const commits = tables.flatMap((table) => tagCommit(table, environment))
    if (commits.length === 0) return tables
    const outcome = await catalog.commit(commits, { timestampMs: clock.nowMs(), signal })
    if (outcome.kind === 'committed') return tables.map((one) => outcome.metadata.get(one.table) ?? one)
  }
  throw new LimnError('catalog/conflict', {
    message: `Others kept changing the lake while ${environment} was to be made of it.`,
    notDone: 'There is no environment yet.',
    remedy: 'Try again when it is quieter.',
    retryable: true,
  })
}

function tagCommit({ table, metadata }: LoadedTable, environment: EnvironmentName): readonly TableCommit[] {
  const snapshotId = metadata.currentSnapshotId
  if (snapshotId === null) return []
  return [
    {
      table,
      requirements: [
        { type: 'assert-table-uuid', uuid: metadata.tableUuid },
        { type: 'assert-ref-snapshot-id', ref: 'main', snapshotId },
      ],
      updates: [{ action: 'set-snapshot-ref', ref: environmentRef(environment), to: { type: 'tag', snapshotId } }],
    },
  ]
}

async function copyTable(
  context: PipelineContext,
  environment: EnvironmentName,
  loaded: LoadedTable,
  lastSeq: number,
  told: ReadonlySet<bigint>,
): Promise<LoadedTable> {
  const { store, steps, randomness, signal } = context
  const metadata = copyOf(context, environment, loaded, lastSeq, told)
  const metadataLocation = storePath(`${metadataFolder(metadata)}/00000-${randomUuid(randomness)}.metadata.json`)
  await step(steps, 'metadata.write', metadataLocation, () =>
    store.write(metadataLocation, encodeMetadata(metadata), { signal }),
  )
  return { table: nameIn(environment, loaded.table), metadataLocation, metadata }
}

/**
 * Same rows and standing, main's history from the oldest state that a run tells changes from; own identity and places. Branches and other tags stay behind. Other engines
 * are told that its files are not its own (`gc.enabled`).
 */
function copyOf(
  context: PipelineContext,
  environment: EnvironmentName,
  { table, metadata }: LoadedTable,
  lastSeq: number,
  told: ReadonlySet<bigint>,
): TableMetadata {
  const main = metadata.currentSnapshotId
  const ancestors = main === null ? [] : [...ancestorsOf(metadata, main)].map((one) => one.snapshotId)
  const last = ancestors.findLastIndex((one) => told.has(one))
  // What is older may expire in production, and its files are not the environment's to keep.
  const line = new Set(ancestors.slice(0, Math.max(last, 0) + 1))
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
