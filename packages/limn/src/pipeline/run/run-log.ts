import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, type Progress, type RunId, systemCode } from '../../base/index.ts'

/** Logs of so many runs are kept; older ones go when a run begins. */
const logsKept = 200

/** A log that has grown to this many characters ends there. */
const logCharsMax = 5_000_000

/** One line of a run's log. */
export interface LogLine {
  /** ISO 8601, UTC. */
  readonly at: string
  readonly kind: 'begin' | 'progress' | 'end' | 'note'
  /** What was worked on; of a note, empty. */
  readonly label: string
  readonly text: string
}

/** Where the logs of a lake's runs are. */
export function logFolder(lake: string): string {
  return join(lake, '.limn', 'logs')
}

/**
 * What a run told while it went on, kept as one line of JSON each under `.limn/logs/<run>.ndjson`. A log is a convenience:
 * where it cannot be written the run goes on without.
 */
export class RunLog {
  private readonly file: string
  private readonly clock: Clock
  private left = logCharsMax
  private broken = false

  private constructor(folder: string, run: RunId, clock: Clock) {
    this.file = join(folder, `${run}.ndjson`)
    this.clock = clock
  }

  static open(lake: string, run: RunId, clock: Clock): RunLog {
    const folder = logFolder(lake)
    const log = new RunLog(folder, run, clock)
    log.attempt(() => {
      mkdirSync(folder, { recursive: true })
      const old = readdirSync(folder)
        .filter((name) => name.endsWith('.ndjson'))
        .sort()
      for (const name of old.slice(0, Math.max(0, old.length - logsKept + 1)))
        rmSync(join(folder, name), { force: true })
    })
    return log
  }

  write(kind: LogLine['kind'], label: string, text: string): void {
    const line = `${JSON.stringify({ at: new Date(this.clock.nowMs()).toISOString(), kind, label, text } satisfies LogLine)}\n`
    this.left -= line.length
    if (this.left < 0) return
    this.attempt(() => appendFileSync(this.file, line))
  }

  /** Forgets it: of a run that had nothing to do there is nothing to tell. */
  discard(): void {
    this.attempt(() => rmSync(this.file, { force: true }))
    this.broken = true
  }

  /** Progress that is kept and passed on. */
  over(progress: Progress): Progress {
    return {
      note: (text) => {
        this.write('note', '', text)
        progress.note(text)
      },
      begin: (label) => {
        this.write('begin', label, '')
        const task = progress.begin(label)
        return {
          update: (detail) => {
            this.write('progress', label, detail)
            task.update(detail)
          },
          end: (summary) => {
            this.write('end', label, summary ?? 'done')
            task.end(summary)
          },
        }
      },
    }
  }

  private attempt(body: () => void): void {
    if (this.broken) return
    try {
      body()
    } catch (error) {
      if (systemCode(error) === undefined) throw error
      this.broken = true
    }
  }
}

/** The log of a run, or null when there is none (any more). */
export function readLog(lake: string, run: RunId): readonly LogLine[] | null {
  let text: string
  try {
    text = readFileSync(join(logFolder(lake), `${run}.ndjson`), 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null
    throw error
  }
  // A process that was killed may have left half a line.
  return text.split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as LogLine]
    } catch {
      return []
    }
  })
}
