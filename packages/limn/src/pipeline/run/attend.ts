import type { RunId } from '../../base/index.ts'
import type { PipelineContext } from '../context.ts'
import { stopped } from './publish.ts'
import { RunLog } from './run-log.ts'

/** How often a run looks whether it was asked to stop. */
const lookMs = 500

/** A context for the work of one run, and what has to be closed after it. */
export interface Attended extends Disposable {
  readonly context: PipelineContext
  readonly log: RunLog
}

/** Attends a run or backfill: what it tells is logged, and its signal is aborted when somebody asks it to stop. */
export function attend(context: PipelineContext, id: RunId): Attended {
  const log = RunLog.open(context.folder, id, context.clock)
  const abort = new AbortController()
  const timer = setInterval(() => {
    try {
      const by = context.runs.stopAskedBy(id)
      if (by !== null) abort.abort(stopped(id, by))
    } catch {
      // The database is busy or closed: it is asked again, and before the publish.
    }
  }, lookMs)
  timer.unref()
  return {
    context: {
      ...context,
      progress: log.over(context.progress),
      signal: AbortSignal.any([context.signal, abort.signal]),
    },
    log,
    [Symbol.dispose]: () => clearInterval(timer),
  }
}
