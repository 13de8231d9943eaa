import type { TableId } from '../base/index.ts'
import { type BackfillReport, type BuiltStep, type RunReport, refusals } from '../pipeline/index.ts'
import type { DatasetOutcome } from './events.ts'
import type { ObservedJob } from './observed-job.ts'

/** What a run that has ended says of itself, whichever verb it was of. */
export type EndedRun = Pick<RunReport, 'run' | 'outcome' | 'judgements'> & { readonly datasets: readonly TableId[] }

/**
 * Tells how a run ended: each dataset is complete when the run has published, not before; what a check refused has failed, and
 * what was refused with it is aborted. A run that found nothing to do has no datasets.
 */
export function tellEnded(job: ObservedJob, report: EndedRun, outcomes: ReadonlyMap<TableId, DatasetOutcome>): void {
  const refused = report.outcome === 'refused' ? refusals(report.judgements) : []
  const message = refused.map((one) => `${one.dataset}: ${one.check}: ${one.explanation}`).join(' · ')
  const ledgerRun = report.run
  for (const dataset of report.datasets) job.begin(dataset)
  for (const id of job.datasets) {
    const own = refused.filter((one) => one.dataset === id)
    const outcome = outcomes.get(id) ?? null
    if (report.outcome !== 'refused') job.end(id, { type: 'COMPLETE', ledgerRun }, outcome)
    else if (own.length === 0)
      job.end(id, { type: 'ABORT', error: `The run was refused: ${message}`, ledgerRun }, outcome)
    else {
      const error = own.map((one) => `${one.check}: ${one.explanation}`).join(' · ')
      job.end(id, { type: 'FAIL', error, ledgerRun }, outcome)
    }
  }
  job.endWhole(
    report.outcome === 'refused' ? { type: 'FAIL', error: message, ledgerRun } : { type: 'COMPLETE', ledgerRun },
  )
}

/** Tells of one step of a backfill that stands on its branch now: nothing of it is published yet. */
export function tellStep(job: ObservedJob, step: BuiltStep): void {
  const { facets } = job.events
  job.running(step.dataset, {
    ...(step.interval ? { nominalTime: facets.of('nominalTime', nominalTime(step.interval)) } : {}),
    limn_step: facets.own({
      step: step.name,
      outcome: step.outcome,
      rows: step.rows,
      bytes: step.bytes,
      files: step.files,
      snapshot: String(step.snapshotId),
      done: step.done,
      of: step.of,
    }),
  })
}

/** Tells how a backfill's process ended. What waits for approval, and a sample, has published nothing: it is aborted. */
export function tellBackfillEnded(
  job: ObservedJob,
  { outcome }: BackfillReport,
  outcomes: ReadonlyMap<TableId, DatasetOutcome>,
): void {
  const abort = (error: string) => {
    for (const id of job.datasets) job.end(id, { type: 'ABORT', error }, null)
    job.endWhole({ type: 'ABORT', error })
  }
  switch (outcome.kind) {
    case 'published':
    case 'refused':
      if (outcome.report === null) job.endWhole({ type: 'COMPLETE' })
      else {
        const datasets = outcome.report.datasets.map((one) => one.dataset)
        tellEnded(job, { ...outcome.report, datasets }, outcomes)
      }
      break
    case 'nothing':
      job.endWhole({ type: 'COMPLETE' })
      break
    case 'waiting':
      abort(`Built and not published: ${outcome.why}.`)
      break
    case 'sampled':
      abort('Built and not published: a sample is only to look at.')
      break
    case 'failed': {
      const { failures } = outcome
      for (const id of job.datasets) {
        const own = failures.filter((one) => one.dataset === id)
        if (own.length > 0) job.end(id, { type: 'FAIL', error: own[0]?.error }, null)
        else job.end(id, { type: 'ABORT', error: 'Built and not published: steps of another dataset failed.' }, null)
      }
      const steps = failures.length === 1 ? 'One step' : `${failures.length} steps`
      job.endWhole({ type: 'FAIL', error: `${steps} failed: ${failures[0]?.error.message ?? ''}` })
    }
  }
}

/** Times as the specification has them: of zoneless ones too, as if they were UTC. */
export function nominalTime({ start, end }: { readonly start: number; readonly end: number }) {
  const text = (micros: number) => new Date(micros / 1000).toISOString()
  return { nominalStartTime: text(start), nominalEndTime: text(end) }
}
