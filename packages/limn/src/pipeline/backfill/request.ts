import type { RunId, TableId } from '../../base/index.ts'
import { sha256 } from '../../base/index.ts'
import { type Interval, IntervalSet } from '../../dataset/index.ts'
import type { StateDatabase } from '../../state/index.ts'

/** What a person asked a backfill to do. Kept by the state database, and in the root of each of its branches. */
export interface BackfillRequest {
  /** Datasets to build, in graph order; sources are not among them. */
  readonly datasets: readonly TableId[]
  readonly range: Interval
  /** Steps of one dataset at once, where it does not read itself. */
  readonly parallel: number
  /** Pause between two steps of one worker. */
  readonly throttleMs: number
  /** After a step failed: stop (`fast`), or build the others and end as failed. */
  readonly onFailure: 'fast' | 'keep-going'
  /** Share of the steps to build, only to look at; null: all. */
  readonly sample: number | null
  /** Compare every interval with what is published when it is built. */
  readonly diff: boolean
  /** Approved in advance: published when it is built, whatever it changes. */
  readonly approved: boolean
  /** Rows it may write; it stops before more. */
  readonly budgetRows: number | null
}

export type BackfillEnd = 'published' | 'discarded'

export interface BackfillRecord {
  readonly id: RunId
  readonly request: BackfillRequest
  readonly createdMs: number
  readonly ended: BackfillEnd | null
  readonly endedMs: number | null
  readonly message: string
}

interface Row {
  readonly id: string
  readonly request: string
  readonly created_ms: number
  readonly ended: string | null
  readonly ended_ms: number | null
  readonly message: string
}

/** The backfills that the state database knows. It coordinates; what is built is told by the branches alone. */
export class BackfillState {
  private readonly state: StateDatabase

  constructor(state: StateDatabase) {
    this.state = state
  }

  /** Latest first. */
  all(): readonly BackfillRecord[] {
    return this.state.read((tx) => tx.all<Row>('SELECT * FROM backfill ORDER BY id DESC')).map(recordOf)
  }

  get(id: RunId): BackfillRecord | null {
    const row = this.state.read((tx) => tx.get<Row>('SELECT * FROM backfill WHERE id = ?', [id]))
    return row ? recordOf(row) : null
  }

  create(id: RunId, request: BackfillRequest, nowMs: number): Promise<void> {
    return this.state.change(`backfill ${id} created`, (tx) => {
      tx.run('INSERT OR IGNORE INTO backfill (id, request, created_ms) VALUES (?, ?, ?)', [
        id,
        requestText(request),
        nowMs,
      ])
    })
  }

  /** Approves in advance, so that a resumed backfill publishes without being asked again. */
  change(id: RunId, request: BackfillRequest): Promise<void> {
    return this.state.change(`backfill ${id} changed`, (tx) => {
      tx.run('UPDATE backfill SET request = ? WHERE id = ?', [requestText(request), id])
    })
  }

  note(id: RunId, message: string): Promise<void> {
    return this.state.change(`backfill ${id} noted`, (tx) => {
      tx.run('UPDATE backfill SET message = ? WHERE id = ?', [message, id])
    })
  }

  end(id: RunId, ended: BackfillEnd, nowMs: number, message: string): Promise<void> {
    return this.state.change(`backfill ${id} ${ended}`, (tx) => {
      tx.run('UPDATE backfill SET ended = ?, ended_ms = ?, message = ? WHERE id = ?', [ended, nowMs, message, id])
      tx.run('DELETE FROM run_cancel WHERE run = ?', [id])
      tx.run('DELETE FROM run_lease WHERE run = ?', [id])
    })
  }
}

export function requestText(request: BackfillRequest): string {
  return JSON.stringify(request)
}

export function parseRequest(text: string): BackfillRequest {
  return JSON.parse(text) as BackfillRequest
}

function recordOf(row: Row): BackfillRecord {
  return {
    id: row.id as RunId,
    request: parseRequest(row.request),
    createdMs: Number(row.created_ms),
    ended: row.ended as BackfillEnd | null,
    endedMs: row.ended_ms === null ? null : Number(row.ended_ms),
    message: row.message,
  }
}

/**
 * A share of steps, the same ones whenever it is asked: each start's hash decides, so that datasets of one unit choose the same
 * intervals. At least one where there is any.
 */
export function sampled<T extends Interval>(steps: readonly T[], share: number | null): readonly T[] {
  if (share === null) return steps
  const rank = (step: T) => Number.parseInt(sha256(`backfill ${step.start}`).slice(0, 8), 16) / 2 ** 32
  const chosen = steps.filter((step) => rank(step) < share)
  if (chosen.length > 0) return chosen
  return steps.toSorted((a, b) => rank(a) - rank(b)).slice(0, 1)
}

/** Times of steps. */
export function timesOfSteps(steps: readonly { readonly interval: Interval | null }[]): IntervalSet {
  return IntervalSet.of(steps.flatMap((step) => (step.interval ? [step.interval] : [])))
}
