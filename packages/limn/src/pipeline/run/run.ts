import { newRunId, type RunId, type TableId } from '../../base/index.ts'
import type { LeaseHolder } from '../../state/index.ts'
import type { PipelineContext } from '../context.ts'
import type { RunRequest } from '../plan/fact-book.ts'
import { Execution } from './execution.ts'
import { recover } from './recover.ts'
import type { RunReport } from './report.ts'

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
  options: { readonly waitMs: number },
): Promise<RunReport> {
  const startedAtMs = context.clock.nowMs()
  const names = [...request.selected].map((id) => datasetLease('run', id))
  const leases = await context.state.acquireAll(names, `limn run (process ${context.pid} on ${context.host})`, {
    waitMs: options.waitMs,
    signal: context.signal,
    onWait: (holders) => context.progress.note(waitingFor(holders)),
  })
  try {
    const recovery = await recover(context)
    const id: RunId = newRunId(startedAtMs, Buffer.from(context.randomness.bytes(3)).readUIntBE(0, 3))
    return await new Execution({ context, leases, run: id, startedAtMs, recovery, request }).execute()
  } finally {
    await leases.release()
  }
}

/** Who holds what, in one line. */
export function waitingFor(holders: readonly LeaseHolder[]): string {
  const groups = [...Map.groupBy(holders, (one) => one.holder)].map(
    ([holder, own]) => `${holder}, which holds ${own.map((one) => one.name).join(', ')}`,
  )
  return `Waiting for ${groups.join('; and for ')}.`
}
