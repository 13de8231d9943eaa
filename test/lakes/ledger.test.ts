import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { newRunId } from '../../packages/limn/dist/base/index.js'
import { filesOf, ledgerOf } from '../../packages/limn/dist/lake/index.js'
import { foldLedger, type LedgerRow, ledgerTable } from '../../packages/limn/dist/pipeline/ledger/ledger.js'
import { commitRecord } from '../../packages/limn/dist/pipeline/ledger/ledger-store.js'
import { runRow } from '../../packages/limn/dist/pipeline/run/recover.js'
import { smallLake } from '../support/small-lake.ts'

describe('the ledger', () => {
  it('rewrites a month into one file when it has over a hundred, and loses no row', async () => {
    using made = smallLake('ledger')
    await using lake = await Lake.open({ cwd: made.folder })
    const context = await lake.context()
    const startedAtMs = Date.UTC(2026, 0, 15)
    for (let i = 0; i < 103; i++) {
      const run = newRunId(startedAtMs, i)
      const row = runRow(context, { id: run, startedAtMs, host: 'h', message: String(i) }, 'abandoned', startedAtMs)
      await commitRecord(context, { run, rows: [row], verdicts: [], judgedAtMs: startedAtMs })
    }
    const rows = await ledgerOf(lake)
    expect(rows.map((row) => [row.seq, row.message])).toEqual(Array.from({ length: 103 }, (_, i) => [i + 1, String(i)]))
    // The 102nd append found 101 files and wrote one; the 103rd added another.
    expect(await filesOf(lake, ledgerTable)).toHaveLength(2)
  })

  it('folds rows in order of publication: the latest word on an interval holds, unpublished ones say nothing', () => {
    const base = {
      planned: '[]',
      checksHash: 'c',
      deliveries: [],
      baseSnapshot: null,
      outputSnapshot: 1n,
      rows: 0,
      files: 0,
      bytes: 0,
      quarantined: 0,
      startedAtMs: 0,
      judgedAtMs: 0,
      seconds: 0,
      version: '',
      host: '',
      message: '',
      reason: '',
      run: 'r',
      dataset: 'silver.x',
    }
    const row = (seq: number, outcome: LedgerRow['outcome'], start: number, end: number, input: bigint): LedgerRow => ({
      ...base,
      seq,
      outcome,
      interval: { start, end },
      fingerprint: 'f',
      inputs: { 'bronze.x': input },
    })
    const folded = foldLedger([
      row(3, 'refused', 0, 10, 9n),
      row(2, 'built', 3, 5, 2n),
      row(1, 'built', 0, 10, 1n),
      row(4, 'carried', 8, 10, 4n),
    ])
    const built = [...folded.values()][0]?.built.map((entry) => [
      entry.interval?.start,
      entry.interval?.end,
      entry.inputs['bronze.x'],
    ])
    expect(built).toEqual([
      [0, 3, 1n],
      [3, 5, 2n],
      [5, 8, 1n],
      [8, 10, 4n],
    ])
  })
})
