import type { RunId, TableId } from '../../base/index.ts'
import type { PipelineContext } from '../context.ts'

/** Works are remembered this long after they were staged, unless the run ends before. */
const waitMs = 100

/**
 * Remembers what a run staged, for whoever takes it over: once it is durable, never before. Nobody waits for that until the run
 * ends, so that the files of many datasets are synced together; a process that dies takes back what it staged in the last moment.
 */
export class StagedWorks {
  private readonly context: PipelineContext
  private readonly run: RunId
  private readonly waiting = new Map<TableId, string>()
  private timer: NodeJS.Timeout | null = null
  private last: Promise<void> = Promise.resolve()

  constructor(context: PipelineContext, run: RunId) {
    this.context = context
    this.run = run
  }

  add(dataset: TableId, work: string): void {
    this.waiting.set(dataset, work)
    this.timer ??= setTimeout(() => {
      // What fails here fails again for whoever flushes, who is told.
      this.flush().catch(() => undefined)
    }, waitMs)
  }

  /** Everything added so far is remembered when it returns. */
  flush(): Promise<void> {
    if (this.timer) clearTimeout(this.timer)
    this.timer = null
    this.last = this.last.catch(() => undefined).then(() => this.remember())
    return this.last
  }

  private async remember(): Promise<void> {
    const works = [...this.waiting]
    if (works.length === 0) return
    await this.context.store.settle()
    this.context.runs.rememberWorks(this.run, works)
    for (const [dataset, work] of works) if (this.waiting.get(dataset) === work) this.waiting.delete(dataset)
  }
}
