import { describe, expect, it } from 'vitest'
import { runId } from '../../packages/limn/src/base/index.ts'
import type { LedgerRow } from '../../packages/limn/src/pipeline/ledger/ledger.ts'
import { stillTrue } from '../../packages/limn/src/pipeline/ledger/ledger-store.ts'
import { ledgerRow } from '../support/projects.ts'

const dataset = 'silver.a'
const days = (start: number, end: number) => ({ start, end })
/** What a run says that planned when the ledger had ten rows, after others wrote `later`. */
function said(rows: readonly Partial<LedgerRow>[], later: readonly Partial<LedgerRow>[], basedOn: number | null = 10) {
  const record = {
    run: runId('20260101T000000-000001'),
    verdicts: [],
    judgedAtMs: 0,
    rows: rows.map((row) => ledgerRow({ dataset, ...row })),
    ...(basedOn === null ? {} : { basedOn }),
  }
  const others = later.map((row, i) => ledgerRow({ dataset, seq: 11 + i, ...row }))
  return stillTrue(record, others).map((row) => [row.outcome, row.interval?.start, row.interval?.end, row.checksHash])
}

describe('what a run says of rows it did not write', () => {
  it('stands while nobody else has published the dataset, whatever was refused or is of others', () => {
    const rows: readonly Partial<LedgerRow>[] = [
      { outcome: 'carried', interval: days(0, 9), checksHash: 'c' },
      { outcome: 'checked', interval: null, checksHash: 'c' },
    ]
    const all = [
      ['carried', 0, 9, 'c'],
      ['checked', undefined, undefined, 'c'],
    ]
    expect(said(rows, [])).toEqual(all)
    expect(said(rows, [{ outcome: 'refused', interval: days(0, 9) }])).toEqual(all)
    expect(said(rows, [{ dataset: 'silver.b', interval: days(0, 9) }])).toEqual(all)
    expect(said(rows, [{ outcome: 'checked', interval: null }])).toEqual(all)
    // Whoever does not say when it planned says what it knows.
    expect(said(rows, [{ interval: days(0, 9) }], null)).toEqual(all)
  })

  it('is said of the other intervals alone once some were published anew, with the checks these were judged by', () => {
    const later = [{ interval: days(3, 5), checksHash: 'former' }]
    for (const outcome of ['carried', 'kept', 'accepted'] as const)
      expect(said([{ outcome, interval: days(0, 9), checksHash: 'new' }], later)).toEqual([
        [outcome, 0, 3, 'former'],
        [outcome, 5, 9, 'former'],
      ])
    expect(said([{ outcome: 'kept', interval: days(3, 4) }], later)).toEqual([])
    expect(said([{ outcome: 'kept', interval: null }], later)).toEqual([])
    expect(said([{ outcome: 'kept', interval: days(0, 9) }], [{ interval: null }])).toEqual([])
  })

  it('is not that they pass checks which others have not judged theirs by', () => {
    const checked = [{ outcome: 'checked' as const, interval: null, checksHash: 'new' }]
    for (const outcome of ['built', 'landed', 'kept', 'carried', 'edited', 'renamed'] as const)
      expect(said(checked, [{ outcome, interval: days(3, 5) }])).toEqual([])
  })

  it('is all it says of rows that it wrote: these are published onto the main it knew, or not at all', () => {
    const later = [{ interval: days(0, 9) }]
    expect(said([{ outcome: 'built', interval: days(0, 9), checksHash: 'c' }], later)).toEqual([['built', 0, 9, 'c']])
    expect(said([{ outcome: 'refused', interval: days(0, 9), checksHash: 'c' }], later)).toEqual([
      ['refused', 0, 9, 'c'],
    ])
  })
})
