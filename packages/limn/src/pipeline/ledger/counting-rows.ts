import type { Interval } from '../../dataset/index.ts'
import { isPublishedOutcome, isSample, type LedgerRow, overlay, renamedPrefix, samplesMax } from './ledger.ts'

/** What tells whether a ledger row counts. */
export interface NarrowRow extends Pick<LedgerRow, 'seq' | 'dataset' | 'outcome' | 'interval' | 'reason'> {
  /** Whether it names an output snapshot. */
  readonly hasOutput: boolean
}

interface Said {
  readonly interval: Interval | null
  readonly seq: number
}

/** Rows of one dataset that later ones have not made meaningless. */
interface Group {
  readonly built: Said[]
  readonly samples: number[]
  /** The last of all, which says the checks; the last with an output; the last of the whole dataset, which ends all before it. */
  last: number
  lastWithOutput: number
  lastWhole: number
}

/**
 * Finds the rows that count, of rows added in order of `seq`: `foldLedger` over these alone gives what it gives over all rows
 * since the same standing. Of a row a day only those count whose interval no later row has covered, and the latest samples; more
 * than needed may be named.
 */
export class CountingRows {
  private readonly counting = new Set<number>()
  private readonly groups = new Map<string, Group>()

  add(row: NarrowRow): void {
    if (!isPublishedOutcome(row.outcome)) return
    if (row.outcome === 'renamed') {
      // What stands under either name is what the rename speaks of, whatever comes after it.
      this.settle(row.reason.slice(renamedPrefix.length))
      this.settle(row.dataset)
      this.counting.add(row.seq)
      return
    }
    const group = this.groups.get(row.dataset) ?? this.begin(row.dataset)
    if (row.hasOutput) group.lastWithOutput = row.seq
    if (row.outcome === 'edited') {
      // The first row of a dataset gives it a standing, if an empty one.
      group.last ||= row.seq
      return
    }
    group.last = row.seq
    if (isSample(row.outcome)) {
      group.samples.push(row.seq)
      if (group.samples.length > samplesMax) group.samples.shift()
    }
    if (row.outcome === 'checked') return
    if (row.outcome === 'landed') {
      this.counting.add(row.seq)
      return
    }
    if (row.interval === null) group.lastWhole = row.seq
    overlay(group.built, { interval: row.interval, seq: row.seq }, never)
  }

  /** In ascending order. */
  seqs(): readonly number[] {
    for (const name of [...this.groups.keys()]) this.settle(name)
    return [...this.counting].sort((a, b) => a - b)
  }

  private begin(dataset: string): Group {
    const group: Group = { built: [], samples: [], last: 0, lastWithOutput: 0, lastWhole: 0 }
    this.groups.set(dataset, group)
    return group
  }

  private settle(dataset: string): void {
    const group = this.groups.get(dataset)
    if (!group) return
    this.groups.delete(dataset)
    for (const { seq } of group.built) this.counting.add(seq)
    for (const seq of group.samples) this.counting.add(seq)
    for (const seq of [group.last, group.lastWithOutput, group.lastWhole]) if (seq > 0) this.counting.add(seq)
  }
}

function never(): boolean {
  return false
}
