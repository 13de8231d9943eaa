import type { RunId, TableId } from '../../base/index.ts'
import type { PinnedTable } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { pinRefName } from '../stage/staged-table.ts'

/** A pin outlives its run by at most this, should nobody find the run dead. */
const pinAgeMaxMs = 24 * 3_600_000

/**
 * Keeps the snapshots that a run reads from expiring while it does: a tag per table, noted in the state database before it
 * is made, so that whoever finds the run dead can drop it.
 */
export class InputPins {
  private readonly context: PipelineContext
  private readonly run: RunId
  private readonly pinned = new Map<TableId, Promise<void>>()

  /** `context` sees registered tables only: those of a run itself need no pin. */
  constructor(context: PipelineContext, run: RunId) {
    this.context = context
    this.run = run
  }

  get tables(): readonly TableId[] {
    return [...this.pinned.keys()]
  }

  /** Returns when the pin stands, also for who asks while another is at making it. */
  async pin({ id, snapshotId }: PinnedTable): Promise<void> {
    if (snapshotId === null) return
    const made = this.pinned.get(id) ?? this.make(id, snapshotId)
    this.pinned.set(id, made)
    await made
  }

  private async make(id: TableId, snapshotId: bigint): Promise<void> {
    const ref = pinRefName(this.run)
    const { runs, catalog, clock, signal } = this.context
    await runs.noteRef(this.run, id, ref, snapshotId)
    const to = { type: 'tag', snapshotId, maxRefAgeMs: pinAgeMaxMs } as const
    await catalog.commit([{ table: id, requirements: [], updates: [{ action: 'set-snapshot-ref', ref, to }] }], {
      timestampMs: clock.nowMs(),
      signal,
    })
  }

  async release(): Promise<void> {
    const ref = pinRefName(this.run)
    for (const id of this.pinned.keys()) {
      await this.context.catalog.commit(
        [{ table: id, requirements: [], updates: [{ action: 'remove-snapshot-ref', ref }] }],
        { timestampMs: this.context.clock.nowMs() },
      )
    }
    this.pinned.clear()
  }
}
