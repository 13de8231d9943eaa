import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { processAlive, processStart } from '../base/index.ts'
import type { RunEvent } from './events.ts'

/** A process, told apart from others that had or will have its number. */
export interface ProcessIdentity {
  readonly host: string
  readonly pid: number
  readonly started: string
}

export function thisProcess(host: string): ProcessIdentity {
  return { host, pid: process.pid, started: processStart(process.pid) }
}

/**
 * What this process has told to have begun, in a file until the end of each was told too: were the process killed, another tells
 * the end. Never throws: a folder that cannot be written leaves such runs without one.
 */
export class OpenRuns {
  private readonly folder: string
  private readonly file: string
  private readonly self: ProcessIdentity
  private open = 0

  /** `name` is this caller's own among those of one process. */
  constructor(folder: string, name: string, self: ProcessIdentity) {
    this.folder = folder
    this.file = join(folder, `${name}.jsonl`)
    this.self = self
  }

  /** Right before the event is sent. */
  began(event: RunEvent): void {
    quietly(() => {
      mkdirSync(this.folder, { recursive: true })
      if (this.open++ === 0) appendFileSync(this.file, `${JSON.stringify({ of: this.self })}\n`)
      appendFileSync(this.file, `${JSON.stringify({ began: event })}\n`)
    })
  }

  /** Right after the event was sent, or given up. */
  ended(runId: string): void {
    quietly(() => appendFileSync(this.file, `${JSON.stringify({ ended: runId })}\n`))
  }

  /** The process needs nobody to speak for it any more. */
  close(): void {
    quietly(() => rmSync(this.file, { force: true }))
  }
}

/**
 * The first events of runs whose process, of this host, is gone without having told how they ended: each is handed to one caller
 * only, children after the run they are part of.
 */
export function takeAbandoned(folder: string, host: string): readonly RunEvent[] {
  const found: RunEvent[] = []
  quietly(() => {
    for (const name of readdirSync(folder).sort()) {
      if (!name.endsWith('.jsonl')) continue
      const file = join(folder, name)
      const { of, began } = readOpen(file)
      if (of !== null && (of.host !== host || isThere(of))) continue
      // Of several callers one can take it away.
      unlinkSync(file)
      found.push(...began)
    }
  })
  return found
}

function readOpen(file: string): { readonly of: ProcessIdentity | null; readonly began: readonly RunEvent[] } {
  let of: ProcessIdentity | null = null
  const began = new Map<string, RunEvent>()
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const one = parse(line)
    if (one?.of) of = one.of
    if (one?.began) began.set(one.began.run.runId, one.began)
    if (one?.ended !== undefined) began.delete(one.ended)
  }
  return { of, began: [...began.values()] }
}

interface Line {
  readonly of?: ProcessIdentity
  readonly began?: RunEvent
  readonly ended?: string
}

/** Null for a line that a killed process did not finish. */
function parse(line: string): Line | null {
  try {
    return JSON.parse(line) as Line
  } catch {
    return null
  }
}

function isThere({ pid, started }: ProcessIdentity): boolean {
  return processAlive(pid) && processStart(pid) === started
}

function quietly(body: () => void): void {
  try {
    body()
  } catch {
    // Telling never fails a run.
  }
}
