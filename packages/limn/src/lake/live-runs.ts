import type { RunId, TableId } from '../base/index.ts'
import { type EnvironmentName, nameIn } from '../catalog/index.ts'
import type { LoadedTable } from '../iceberg/index.ts'
import {
  BackfillState,
  backfillBranch,
  environmentRef,
  foldLedger,
  type LedgerRow,
  ledgerTable,
  livePhases,
  pinRefName,
  readLedger,
  runBranch,
  stagedMetadata,
} from '../pipeline/index.ts'
import type { LiveRuns } from '../table/index.ts'
import type { Lake } from './lake.ts'
import { ledgerOf } from './tables.ts'

/**
 * What runs and backfills rely on in a table: the pins and branches of those under way, how long the oldest has been, the
 * states of the table that they staged and have not published, and the snapshots that what is published was built from. A run
 * that was killed counts as under way until the next run finds it.
 */
export async function liveRunsOf(lake: Lake, table: TableId): Promise<LiveRuns> {
  const { runs, state, store, clock, signal } = await lake.context()
  const refs = new Set<string>()
  const staged: LoadedTable[] = []
  let longestMs = 0
  const addStaged = async (run: RunId) => {
    for (const { table: of, metadataLocation } of runs.pointers(run)) {
      const metadata = of === table ? await stagedMetadata(store, metadataLocation, signal) : null
      if (metadata) staged.push({ table, metadataLocation, metadata })
    }
  }
  for (const run of runs.runs()) {
    if (livePhases.includes(run.phase)) {
      refs.add(pinRefName(run.id)).add(runBranch(run.id))
      longestMs = Math.max(longestMs, clock.nowMs() - run.startedAtMs)
    }
    await addStaged(run.id)
  }
  // A backfill that waits for its approval is under way as long as nobody has ended it.
  for (const { id, createdMs } of new BackfillState(state).all().filter((one) => one.ended === null)) {
    refs.add(pinRefName(id)).add(backfillBranch(id))
    if (runs.isAlive(id)) longestMs = Math.max(longestMs, clock.nowMs() - createdMs)
    await addStaged(id)
  }
  const told = new Set(toldFrom(await ledgerOf(lake), table))
  if (lake.environment === null)
    for (const { name } of lake.base.environments.list()) {
      refs.add(environmentRef(name))
      for (const snapshotId of toldFrom(await environmentLedger(lake, name), table)) told.add(snapshotId)
    }
  return { refs, longestMs, staged, toldFrom: told }
}

/** An environment tells changes from states that production had when it was made. */
async function environmentLedger(lake: Lake, environment: EnvironmentName): Promise<readonly LedgerRow[]> {
  const name = nameIn(environment, ledgerTable)
  const loaded = (await lake.base.loadTables([name])).get(name)
  return loaded ? readLedger(await lake.context(), { ...loaded, table: ledgerTable }) : []
}

/** Without these, the next run could not tell what has changed, and would build everything anew. */
function toldFrom(rows: readonly LedgerRow[], table: TableId): ReadonlySet<bigint> {
  const out = new Set<bigint>()
  for (const [dataset, { built, outputSnapshot }] of foldLedger(rows)) {
    if (dataset === table && outputSnapshot !== null) out.add(outputSnapshot)
    for (const { inputs } of built) {
      const from = inputs[table]
      if (from !== undefined) out.add(from)
    }
  }
  return out
}
