import { newRunId, type RunId, type TableId } from '../../base/index.ts'
import type { LeaseHolder } from '../../state/index.ts'
import type { PipelineContext } from '../context.ts'
import type { RunRequest } from '../plan/fact-book.ts'
import { pendingRenames, renameDatasets } from '../rename/rename.ts'
import { attend } from './attend.ts'
import { Execution } from './execution.ts'
import { recover } from './recover.ts'
import type { RunReport } from './report.ts'
import { RetryTakeover } from './retry.ts'
import type { RunLog } from './run-log.ts'

/** Whoever writes datasets holds one lease per dataset in its pool: daily runs and backfills do not wait for each other. */
export type Pool = 'run' | 'backfill'

/** The name of the lease on writing a dataset. */
export function datasetLease(pool: Pool, dataset: TableId): string {
  return `${pool} ${dataset}`
}

/**
 * Plans, stages, judges and publishes. Runs go on side by side when they write different datasets; of each dataset there
 * is exactly one run at a time (lease `run <dataset>`, all of a run's or none). Nothing is visible to readers
 * before the one commit that publishes all outputs and the record of them; when a gate refuses, or anything fails,
 * readers keep what they had and the ledger says what happened.
 */
export async function run(
  context: PipelineContext,
  request: RunRequest,
  options: {
    readonly waitMs: number
    /** An unpublished run whose staged files are taken over where they still hold. */
    readonly retry?: RunId
  },
): Promise<RunReport> {
  const startedAtMs = context.clock.nowMs()
  const names = [...[...request.selected].map((id) => datasetLease('run', id)), ...(await leasesOfRenames(context))]
  const leases = await context.state.acquireAll(names, `limn run (process ${context.pid} on ${context.host})`, {
    waitMs: options.waitMs,
    signal: context.signal,
    onWait: (holders) => context.progress.note(waitingFor(holders)),
  })
  try {
    const recovery = await recover(context)
    await renameDatasets(context)
    const id: RunId = newRunId(startedAtMs, Buffer.from(context.randomness.bytes(3)).readUIntBE(0, 3))
    using attended = attend(context, id)
    const takeover = options.retry ? { takeover: await RetryTakeover.open(attended.context, options.retry) } : {}
    const execution = new Execution({
      context: attended.context,
      leases,
      run: id,
      startedAtMs,
      recovery,
      request,
      ...takeover,
    })
    return await logged(attended.log, () => execution.execute())
  } finally {
    await leases.release()
  }
}

/** Nobody builds a dataset under its old name while it gets the new one. */
async function leasesOfRenames(context: PipelineContext): Promise<readonly string[]> {
  const ids = (await pendingRenames(context)).flatMap((one) => [one.from, one.to])
  return ids.flatMap((id) => [datasetLease('run', id), datasetLease('backfill', id)])
}

/** The last line of a log says how the run ended. */
async function logged(log: RunLog, body: () => Promise<RunReport>): Promise<RunReport> {
  try {
    const report = await body()
    if (report.outcome === 'idle') log.discard()
    else log.write('end', 'run', report.outcome)
    return report
  } catch (error) {
    log.write('end', 'run', `failed: ${error instanceof Error ? error.message : String(error)}`)
    throw error
  }
}

/** Who holds what, in one line. */
export function waitingFor(holders: readonly LeaseHolder[]): string {
  const groups = [...Map.groupBy(holders, (one) => one.holder)].map(
    ([holder, own]) => `${holder}, which holds ${own.map((one) => one.name).join(', ')}`,
  )
  return `Waiting for ${groups.join('; and for ')}.`
}
