import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { newRunId } from '../../packages/limn/dist/base/index.js'
import { filesOf, ledgerOf } from '../../packages/limn/dist/lake/index.js'
import {
  foldLedger,
  type LedgerRow,
  ledgerTable,
  renamedPrefix,
} from '../../packages/limn/dist/pipeline/ledger/ledger.js'
import { commitRecord } from '../../packages/limn/dist/pipeline/ledger/ledger-store.js'
import { standingOf } from '../../packages/limn/dist/pipeline/ledger/standing.js'
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

  it('gives the same standing when it is read anew, of many rows by those that count, and when it is kept', async () => {
    using made = smallLake('ledger-anew')
    await using lake = await Lake.open({ cwd: made.folder })
    await lake.run()
    const context = await lake.context()
    const startedAtMs = Date.UTC(2026, 0, 15)
    const names = Array.from({ length: 30 }, (_, i) => `gold.d${i}`)
    for (let commit = 0; commit < 6; commit++) {
      const run = newRunId(startedAtMs, commit)
      const row = runRow(context, { id: run, startedAtMs, host: 'h', message: '' }, 'built', startedAtMs)
      const days = Array.from({ length: 1000 }, (_, i) => {
        const day = commit * 33 + Math.floor(i / 30)
        const carried = i % 7 === 3
        return {
          ...row,
          dataset: names[i % 30] ?? '',
          outcome: carried ? ('carried' as const) : ('built' as const),
          interval: i % 501 === 500 ? null : { start: carried ? Math.floor(day / 2) : day, end: day + 1 },
          fingerprint: `f${day % 5}`,
          checksHash: `c${day % 3}`,
          inputs: { 'silver.reading': BigInt(2) ** 60n + BigInt(day % 4) },
          outputSnapshot: BigInt(2) ** 62n + BigInt(i),
          rows: i,
          bytes: i * 1.0e6,
          seconds: i / 7,
        }
      })
      const renamed = { ...row, dataset: 'gold.e1', outcome: 'renamed' as const, reason: `${renamedPrefix}gold.d1` }
      const rows = commit === 3 ? [...days, renamed] : days
      await commitRecord(context, { run, rows, verdicts: [], judgedAtMs: startedAtMs })
    }
    const loaded = (await lake.catalog.loadTables([ledgerTable])).get(ledgerTable) ?? null
    const ofAllRows = foldLedger(await ledgerOf(lake))
    const forget = () => context.state.transact((tx) => tx.run("DELETE FROM fact WHERE key LIKE 'standing%'", []))
    forget()
    const anew = await standingOf(context, loaded)
    const kept = await standingOf(context, loaded)
    expect(ofAllRows.size).toBeGreaterThan(30)
    expect(anew.datasets).toEqual(ofAllRows)
    expect(kept).toEqual(anew)
    expect(anew.lastSeq).toBe((await ledgerOf(lake)).at(-1)?.seq)
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
