import { describe, expect, it } from 'vitest'
import type { TableId } from '../../packages/limn/src/base/index.ts'
import { CountingRows } from '../../packages/limn/src/pipeline/ledger/counting-rows.ts'
import {
  type DatasetLedger,
  type FoldedRow,
  foldLedger,
  type Outcome,
  renamedPrefix,
  samplesMax,
} from '../../packages/limn/src/pipeline/ledger/ledger.ts'
import { Chooser } from '../support/query-specs.ts'

const outcomes: readonly Outcome[] = [
  ...(['built', 'built', 'built', 'carried', 'carried', 'kept', 'accepted'] as const),
  ...(['landed', 'checked', 'edited', 'refused', 'failed'] as const),
]
const names = ['silver.a', 'silver.b', 'silver.c', 'silver.d']

function rowOf(seq: number, chooser: Chooser): FoldedRow {
  const dataset = chooser.one(names)
  const renamed = chooser.chance(25)
  const outcome = renamed ? 'renamed' : chooser.one(outcomes)
  const start = chooser.below(12)
  const whole = chooser.chance(12) || renamed || outcome === 'landed'
  const path = `inbox/${chooser.below(4)}.csv`
  return {
    seq,
    run: `run ${seq}`,
    dataset,
    outcome,
    reason: renamed ? `${renamedPrefix}${chooser.one(names.filter((name) => name !== dataset))}` : '',
    interval: whole ? null : { start, end: start + chooser.below(6) },
    fingerprint: `f${chooser.below(3)}`,
    checksHash: `c${chooser.below(5)}`,
    deliveries:
      outcome === 'landed'
        ? [{ ordinal: seq, path, sha256: `${seq}`, replaces: null, read: 1, kept: 1, quarantined: 0 }]
        : [],
    inputs: Object.fromEntries(names.slice(0, 1 + chooser.below(2)).map((name) => [name, BigInt(chooser.below(2))])),
    outputSnapshot: chooser.chance(3) ? null : BigInt(seq),
    rows: seq,
    bytes: seq,
    startedAtMs: seq,
    seconds: 1,
  }
}

function countingOf(rows: readonly FoldedRow[]): ReadonlySet<number> {
  const counting = new CountingRows()
  for (const row of rows) counting.add({ ...row, hasOutput: row.outputSnapshot !== null })
  return new Set(counting.seqs())
}

describe('the rows of a ledger that count', () => {
  it('give the standing that all rows give, after renames, edits, whole builds and an earlier standing', () => {
    let left = 0
    for (let seed = 0; seed < 500; seed++) {
      const chooser = new Chooser(`counting ${seed}`)
      const rows = Array.from({ length: 1 + chooser.below(90) }, (_, i) => rowOf(i + 1, chooser))
      const from = chooser.chance(2) ? 0 : chooser.below(rows.length)
      const before: ReadonlyMap<TableId, DatasetLedger> = foldLedger(rows.slice(0, from))
      const later = rows.slice(from)
      const counting = countingOf(later)
      const kept = later.filter((row) => counting.has(row.seq))
      left += later.length - kept.length
      expect(foldLedger(kept, before), `seed ${seed}`).toEqual(foldLedger(later, before))
    }
    expect(left).toBeGreaterThan(3000)
  })

  it('are as many as stand, not as many as were written', () => {
    const day = (seq: number, outcome: Outcome, start: number, end: number): FoldedRow => ({
      ...rowOf(seq, new Chooser('day')),
      dataset: 'silver.a',
      outcome,
      interval: { start, end },
    })
    const rows = Array.from({ length: 1000 }, (_, i) => [
      day(2 * i + 1, 'carried', 0, i + 1),
      day(2 * i + 2, 'built', i + 1, i + 2),
    ]).flat()
    // The last two, and of the builds before them those that estimates are made of.
    expect(countingOf(rows).size).toBe(samplesMax + 1)
  })
})
