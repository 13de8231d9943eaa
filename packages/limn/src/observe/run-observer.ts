import { LimnError, type Progress, randomUuid, type TableId } from '../base/index.ts'
import { type PipelineContext, type RunReport, refusals } from '../pipeline/index.ts'
import type { Emitter } from './emitter.ts'
import { type DatasetOutcome, datasetEvent, type EventContext, type EventDetail, lakeEvent } from './events.ts'

/**
 * Turns one run into events: START when it begins and when work on a dataset does, then one of COMPLETE, FAIL and ABORT for
 * each. A dataset is complete when the run has published, not before. A run that found nothing to do has no datasets.
 */
export class RunObserver {
  private readonly emitter: Emitter
  private readonly pipeline: Pick<PipelineContext, 'clock' | 'randomness'>
  private readonly events: EventContext
  /** Runs of datasets that have begun, in that order. */
  private readonly begun = new Map<TableId, string>()

  constructor(emitter: Emitter, pipeline: Pick<PipelineContext, 'clock' | 'randomness'>, events: EventContext) {
    this.emitter = emitter
    this.pipeline = pipeline
    this.events = events
    emitter.emit(lakeEvent(events, this.detail('START')))
  }

  /** Progress that also tells when work on a dataset begins. */
  watch(progress: Progress): Progress {
    return {
      begin: (label) => {
        const id = [...this.events.project.nodes.keys()].find((one) => one === label)
        if (id) this.runOf(id)
        return progress.begin(label)
      },
      note: (text) => progress.note(text),
    }
  }

  ended(report: RunReport, outcomes: ReadonlyMap<TableId, DatasetOutcome>): void {
    const refused = report.outcome === 'refused' ? refusals(report.judgements) : []
    const message = refused.map((one) => `${one.dataset}: ${one.check}: ${one.explanation}`).join(' · ')
    for (const { dataset } of report.datasets) this.runOf(dataset)
    for (const [id, runId] of this.begun) {
      const own = refused.filter((one) => one.dataset === id)
      const why = own.map((one) => `${one.check}: ${one.explanation}`).join(' · ')
      const detail: EventDetail =
        report.outcome !== 'refused'
          ? this.detail('COMPLETE')
          : own.length > 0
            ? this.detail('FAIL', why)
            : this.detail('ABORT', `The run was refused: ${message}`)
      this.tell(id, { ...detail, runId, ledgerRun: report.run }, outcomes.get(id) ?? null)
    }
    const whole = report.outcome === 'refused' ? this.detail('FAIL', message) : this.detail('COMPLETE')
    this.emitter.emit(lakeEvent(this.events, { ...whole, ledgerRun: report.run }))
  }

  failed(error: unknown): void {
    const interrupted = error instanceof LimnError && error.kind === 'interrupted'
    const culprit = error instanceof LimnError ? error.context.dataset : undefined
    for (const [id, runId] of this.begun) {
      const type = interrupted || (culprit !== undefined && culprit !== id) ? 'ABORT' : 'FAIL'
      this.tell(id, { ...this.detail(type, error), runId }, null)
    }
    this.emitter.emit(lakeEvent(this.events, this.detail(interrupted ? 'ABORT' : 'FAIL', error)))
  }

  /** The run of a dataset, begun with this call if it has not. */
  private runOf(id: TableId): string {
    const known = this.begun.get(id)
    if (known !== undefined) return known
    const runId = randomUuid(this.pipeline.randomness)
    this.begun.set(id, runId)
    this.tell(id, { ...this.detail('START'), runId }, null)
    return runId
  }

  private tell(id: TableId, detail: EventDetail & { readonly runId: string }, outcome: DatasetOutcome | null): void {
    const node = this.events.project.nodes.get(id)
    if (node) this.emitter.emit(datasetEvent(this.events, detail, node, outcome))
  }

  private detail(type: EventDetail['type'], error?: unknown): EventDetail {
    return { type, atMs: this.pipeline.clock.nowMs(), ...(error === undefined ? {} : { error }) }
  }
}
