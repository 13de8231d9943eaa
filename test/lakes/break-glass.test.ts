import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { breakGlass, type Lake, ledgerOf, runSql } from '../../packages/limn/src/lake/index.ts'
import { days, goldenLake, open, planIn, rowsIn, runIn } from '../support/golden-lake.ts'
import { limn, SavedLake } from '../support/lake.ts'

const lake = goldenLake('glass')
const { folder } = lake
let saved: SavedLake

async function inLake<T>(body: (lake: Lake) => Promise<T>): Promise<T> {
  await using one = await open(folder)
  return await body(one)
}

const why = { reason: 'a wrong sign', by: 'ada' }

beforeAll(async () => {
  await runIn(folder)
  saved = new SavedLake(folder)
})
beforeEach(() => saved.restore())
afterAll(() => {
  saved[Symbol.dispose]()
  lake[Symbol.dispose]()
})

describe('a table that a dataset owns', () => {
  it('is changed by hand in one commit that says who, why and what, and what reads it follows', async () => {
    const statement = 'UPDATE silver.event SET amount = 15 WHERE id = 1'
    const report = await inLake((one) => breakGlass(one, statement, why))
    expect(report).toMatchObject({ outcome: 'published', result: { changedRows: 1 } })
    expect(await rowsIn(folder, 'SELECT id, amount FROM silver.event ORDER BY id')).toEqual(['1 15', '2 20'])
    const row = await inLake(async (one) => (await ledgerOf(one)).at(-1))
    expect(row).toMatchObject({
      dataset: 'silver.event',
      outcome: 'edited',
      reason: 'break-glass: a wrong sign',
      message: 'a wrong sign',
      rows: 1,
      run: report.run,
    })
    expect(JSON.parse(row?.planned ?? '')).toEqual([{ by: 'ada', statement, rows: 1 }])
    const judged = await rowsIn(folder, `SELECT DISTINCT dataset FROM limn.check_result WHERE run_id = '${report.run}'`)
    expect(judged).toEqual(['silver.event'])
    expect(await rowsIn(folder, 'SELECT name FROM silver.event.refs ORDER BY 1')).toEqual(['main'])
    expect(await planIn(folder)).toEqual(['gold.day 2026-01-01 input-changed'])
    const { changes } = JSON.parse((await limn(folder, 'runs', 'diff', report.run, '--json')).stdout) as {
      changes: readonly { dataset: string; diff: { total: { changed: number } } }[]
    }
    expect(changes.map((one) => [one.dataset, one.diff.total.changed])).toEqual([['silver.event', 1]])
    await runIn(folder)
    expect(await rowsIn(folder, days)).toEqual(['01-01 15', '01-02 20'])
  })

  it('is named when somebody asks why a number is another one', async () => {
    const former = await inLake(async (one) => (await ledgerOf(one)).findLast((row) => row.dataset === 'silver.event'))
    await inLake((one) => breakGlass(one, 'UPDATE silver.event SET amount = 15 WHERE id = 1', why))
    const asked = await limn(folder, 'why', 'silver.event', '--against', String(former?.outputSnapshot), '--json')
    expect([asked.code, asked.stderr]).toEqual([0, ''])
    const { findings } = JSON.parse(asked.stdout) as { findings: readonly { kind: string; dataset: string }[] }
    expect(findings.map((one) => [one.kind, one.dataset])).toEqual([['direct-write', 'silver.event']])
  })

  it('is not changed where a check of it refuses; what was written can be looked at', async () => {
    const statement = "UPDATE gold.day SET amount = 5000 WHERE day = TIMESTAMP '2026-01-01'"
    const report = await inLake((one) => breakGlass(one, statement, why))
    expect(report.outcome).toBe('refused')
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 20'])
    const seen = await inLake((one) =>
      runSql(one, 'SELECT max(amount) FROM gold.day', { at: { kind: 'run', run: report.run } }),
    )
    expect(seen.kind === 'rows' && seen.result.rows[0]?.[0]).toBe(5000n)
    expect(await inLake(async (one) => (await ledgerOf(one)).at(-1)?.outcome)).toBe('refused')
    expect(await planIn(folder)).toEqual([])
  })

  it('is inserted into, deleted from and merged into alike, and a statement that concerns no row leaves nothing', async () => {
    const run = (sql: string) => inLake((one) => breakGlass(one, sql, why))
    expect((await run('DELETE FROM silver.event WHERE id = 2')).result.changedRows).toBe(1)
    expect(
      (await run("INSERT INTO silver.event VALUES (9, TIMESTAMP '2026-01-02 10:00:00', 7)")).result.changedRows,
    ).toBe(1)
    const merge = await run(
      'MERGE INTO silver.event AS t USING (SELECT 9::BIGINT AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET amount = 8',
    )
    expect(merge.result.changedRows).toBe(1)
    const before = await inLake(ledgerOf)
    expect((await run('DELETE FROM silver.event WHERE id = 77')).outcome).toBe('idle')
    expect((await inLake(ledgerOf)).length).toBe(before.length)
    expect(await rowsIn(folder, 'SELECT name FROM silver.event.refs')).toEqual(['main'])
    expect(await rowsIn(folder, 'SELECT id, amount FROM silver.event ORDER BY id')).toEqual(['1 10', '9 8'])
  })

  it('is not changed without a reason, in its shape, or where no dataset owns it', async () => {
    await inLake(async (one) => {
      await runSql(one, 'CREATE TABLE lab.note (id BIGINT)')
      for (const [sql, reason, kind] of [
        ['DELETE FROM silver.event', ' ', 'usage/argument'],
        ['ALTER TABLE silver.event ADD COLUMN x INT', 'why', 'usage/argument'],
        ['DROP TABLE silver.event', 'why', 'usage/argument'],
        ['DELETE FROM lab.note', 'why', 'usage/argument'],
        ['DELETE FROM limn.run', 'why', 'usage/owned-table'],
        ['DELETE FROM silver.event.branch_x', 'why', 'usage/argument'],
      ] as const)
        await expect(breakGlass(one, sql, { reason, by: 'ada' })).rejects.toMatchObject({ kind })
      await expect(runSql(one, 'DELETE FROM silver.event')).rejects.toMatchObject({ kind: 'usage/owned-table' })
    })
    expect(await rowsIn(folder, 'SELECT count(*) FROM silver.event')).toEqual(['2'])
  })

  it('says at the command line what it did, and refuses slips', async () => {
    const update = 'UPDATE silver.event SET amount = 15 WHERE id = 1'
    const slip = await limn(folder, 'sql', '--break-glass', update)
    expect([slip.code, slip.stderr]).toEqual([2, expect.stringContaining('go together')])
    const reads = await limn(folder, 'sql', '--write', 'SELECT 1')
    expect([reads.code, reads.stderr]).toEqual([2, expect.stringContaining('said to write')])
    const done = await limn(folder, 'sql', '--write', '--break-glass', '--reason', 'a wrong sign', update)
    expect([done.code, done.stdout]).toEqual([0, expect.stringContaining('1 row of silver.event changed by hand')])
    const refused = await limn(folder, 'sql', '--break-glass', '--reason', 'x', 'UPDATE gold.day SET amount = 5000')
    expect(refused.code).toBe(3)
  })
})
