import { newRunId, type RunId } from '../../base/index.ts'
import type { PipelineContext } from '../context.ts'
import type { RunRequest } from '../plan/fact-book.ts'
import { renameDatasets } from '../rename/rename.ts'
import { Execution, type RunReport } from './execution.ts'
import { recover } from './recover.ts'

/**
 * Plans, stages, judges and publishes. Exactly one run at a time per lake (lease `run`). Nothing is visible to readers
 * before the one commit that publishes all outputs and the record of them; when a gate refuses, or anything fails,
 * readers keep what they had and the ledger says what happened.
 */
export async function run(
  context: PipelineContext,
  request: RunRequest,
  options: { readonly waitMs: number },
): Promise<RunReport> {
  const startedAtMs = context.clock.nowMs()
  const lease = await context.state.acquire('run', `limn run (process ${context.pid} on ${context.host})`, {
    waitMs: options.waitMs,
    signal: context.signal,
    onWait: (holder) => context.progress.note(`Waiting for ${holder.holder} to finish.`),
  })
  try {
    const recovery = await recover(context)
    await renameDatasets(context)
    const id: RunId = newRunId(startedAtMs, Buffer.from(context.randomness.bytes(3)).readUIntBE(0, 3))
    return await new Execution({ context, lease, run: id, startedAtMs, recovery, request }).execute()
  } finally {
    await lease.release()
  }
}
