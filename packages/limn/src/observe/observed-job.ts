import { LimnError, type Progress, randomUuid, type TableId } from '../base/index.ts'
import type { PipelineContext } from '../pipeline/index.ts'
import type { Emitter } from './emitter.ts'
import {
  type DatasetOutcome,
  datasetEvent,
  type EventContext,
  type EventDetail,
  lakeEvent,
  type Moved,
  movedEvent,
} from './events.ts'
import type { Facets } from './facets.ts'

/** What is told at the end of one dataset's part. */
export interface End {
  readonly type: 'COMPLETE' | 'FAIL' | 'ABORT'
  readonly error?: unknown
  readonly ledgerRun?: string | null
}

/**
 * One run and its children, one per dataset: START of each is told once, when it begins, and one end. The clock says when, and
 * ids are drawn from the lake's randomness.
 */
export class ObservedJob {
  readonly events: EventContext
  private readonly emitter: Emitter
  private readonly pipeline: Pick<PipelineContext, 'clock' | 'randomness'>
  /** Runs of datasets that have begun, in that order. */
  private readonly begun = new Map<TableId, string>()
  private readonly moved = new Map<TableId, Moved>()

  constructor(emitter: Emitter, pipeline: Pick<PipelineContext, 'clock' | 'randomness'>, events: EventContext) {
    this.emitter = emitter
    this.pipeline = pipeline
    this.events = events
    emitter.emit(lakeEvent(events, this.detail('START', {})))
  }

  get datasets(): readonly TableId[] {
    return [...this.begun.keys()]
  }

  /** Progress that also tells when work on a dataset begins. */
  watch(progress: Progress): Progress {
    return {
      begin: (label) => {
        const id = [...this.events.project.nodes.keys()].find((one) => one === label)
        if (id) this.begin(id)
        return progress.begin(label)
      },
      note: (text) => progress.note(text),
    }
  }

  begin(id: TableId): void {
    this.runOf(id)
  }

  /** Begins a table's part that copies rows from elsewhere. */
  beginMoved(moved: Moved): void {
    this.moved.set(moved.table, moved)
    this.runOf(moved.table)
  }

  /** Says how far a dataset's part is. */
  running(id: TableId, more: Facets): void {
    this.tell(id, { ...this.detail('RUNNING', {}), runId: this.runOf(id), more }, null)
  }

  end(id: TableId, end: End, outcome: DatasetOutcome | null): void {
    this.tell(id, { ...this.detail(end.type, end), runId: this.runOf(id) }, outcome)
  }

  endWhole(end: End): void {
    this.emitter.emit(lakeEvent(this.events, this.detail(end.type, end)))
  }

  /** Ends all that has begun with the error that ended the run: what did not cause it is aborted. */
  failed(error: unknown): void {
    const interrupted = error instanceof LimnError && error.kind === 'interrupted'
    const culprit = error instanceof LimnError ? error.context.dataset : undefined
    for (const id of this.datasets) {
      const type = interrupted || (culprit !== undefined && culprit !== id) ? 'ABORT' : 'FAIL'
      this.end(id, { type, error }, null)
    }
    this.endWhole({ type: interrupted ? 'ABORT' : 'FAIL', error })
  }

  /** The run of a dataset, begun with this call if it has not. */
  private runOf(id: TableId): string {
    const known = this.begun.get(id)
    if (known !== undefined) return known
    const runId = randomUuid(this.pipeline.randomness)
    this.begun.set(id, runId)
    this.tell(id, { ...this.detail('START', {}), runId }, null)
    return runId
  }

  private tell(id: TableId, detail: EventDetail & { readonly runId: string }, outcome: DatasetOutcome | null): void {
    const moved = this.moved.get(id)
    const node = this.events.project.nodes.get(id)
    if (moved) this.emitter.emit(movedEvent(this.events, detail, moved, outcome))
    else if (node) this.emitter.emit(datasetEvent(this.events, detail, node, outcome))
  }

  private detail(type: EventDetail['type'], { error, ledgerRun }: Partial<End>): EventDetail {
    return {
      type,
      atMs: this.pipeline.clock.nowMs(),
      ...(error === undefined ? {} : { error }),
      ...(ledgerRun === undefined ? {} : { ledgerRun }),
    }
  }
}
