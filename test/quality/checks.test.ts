import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import type { Check, Contract } from '../../packages/limn/src/contract/index.ts'
import type { Session } from '../../packages/limn/src/engine/index.ts'
import {
  budgetAllows,
  countTogether,
  evaluateChecks,
  failingSql,
  rejectSql,
} from '../../packages/limn/src/quality/index.ts'
import { temporaryEngine } from '../support/duckdb.ts'

const table = tableId('silver.t')
const other = tableId('silver.p')
const contract: Contract = {
  id: table,
  doc: 'x',
  owner: 'x',
  grain: ['k'],
  keys: ['k'],
  partition: [],
  checks: [],
  rejects: [],
  rejectBudget: {},
  tags: [],
  columns: {
    k: { type: 'int', nulls: 'x' },
    'odd "name"': { type: 'string', nulls: 'x' },
    v: { type: 'int', nulls: 'x' },
    ts: { type: 'timestamp', nulls: 'x' },
  } as Contract['columns'],
}
const base = { severity: 'hard' as const, name: 'x' }
type Bare<K extends Check['kind']> = Omit<Extract<Check, { kind: K }>, 'name' | 'severity'>
const check = <K extends Check['kind']>(bare: Bare<K>): Check => ({ ...base, ...bare }) as unknown as Check

describe('checks', () => {
  let engine: Awaited<ReturnType<typeof temporaryEngine>>
  let session: Session

  beforeAll(async () => {
    engine = await temporaryEngine()
    session = await engine.engine.session([])
  })
  afterAll(async () => {
    await session[Symbol.asyncDispose]()
    await engine[Symbol.asyncDispose]()
  })

  async function judge(
    rows: string,
    one: Check,
    parents = "SELECT 1 AS id, 10 AS amount, TIMESTAMP '2026-01-01' AS ts WHERE FALSE",
  ) {
    await session.exec(
      `CREATE SCHEMA IF NOT EXISTS silver; CREATE OR REPLACE VIEW silver.t AS ${rows}; CREATE OR REPLACE VIEW silver.p AS ${parents}`,
    )
    const day = (iso: string) => ({
      start: Date.parse(`${iso}T00:00:00Z`) * 1000,
      end: Date.parse(`${iso}T00:00:00Z`) * 1000 + 86_400_000_000,
    })
    const [verdict] = await evaluateChecks(session, {
      contract,
      checks: [one],
      table,
      staged: { view: table, interval: { column: 'ts', unit: 'day' } },
      stagedIntervals: [day('2026-01-01'), day('2026-01-02')],
    })
    // The query a person is given finds something exactly when the check does; an interval without rows it cannot show.
    const shown = await session.rows(failingSql(one, contract, { column: 'ts', unit: 'day' }))
    if (one.kind !== 'volume') expect([one, shown.rows.length > 0]).toEqual([one, verdict?.outcome === 'failed'])
    return verdict
  }
  const values = (...rows: string[]) =>
    `SELECT * FROM (VALUES ${rows.map((row) => `(${row})`).join(', ')}) v(k, "odd ""name""", v, ts)`
  const at = "TIMESTAMP '2026-01-01 10:00:00'"

  it('find values that repeat, nulls among them, and show the rows', async () => {
    const unique = check<'unique'>({ kind: 'unique', columns: ['k'] })
    expect(await judge(values(`1, 'a', 1, ${at}`, `2, 'b', 1, ${at}`, `NULL, 'c', 1, ${at}`), unique)).toMatchObject({
      outcome: 'passed',
      judged: 3,
    })
    const failed = await judge(
      values(`1, 'a', 1, ${at}`, `1, 'b', 2, ${at}`, `NULL, 'c', 1, ${at}`, `NULL, 'd', 1, ${at}`),
      unique,
    )
    expect([failed?.outcome, failed?.failures, failed?.sample.rows.length]).toEqual(['failed', 2, 4])
    const both = check<'unique'>({ kind: 'unique', columns: ['k', 'odd "name"'] })
    expect(await judge(values(`1, NULL, 1, ${at}`, `1, NULL, 2, ${at}`), both)).toMatchObject({
      outcome: 'failed',
      failures: 1,
    })
    expect(await judge(`${values(`1, 'a', 1, ${at}`)} WHERE FALSE`, both)).toMatchObject({
      outcome: 'passed',
      judged: 0,
    })
  })

  it('of keys are the same whether they are judged in the scan of rows or by themselves', async () => {
    const keys = [
      check<'unique'>({ kind: 'unique', columns: ['k'] }),
      check<'unique'>({ kind: 'unique', columns: ['k', 'v'] }),
    ].map((one, i) => ({ ...one, name: `key ${i}` }))
    const notNull = check<'notNull'>({ kind: 'notNull', column: 'v' })
    for (const rows of [
      values(`1, 'a', 1, ${at}`, `2, 'b', 1, ${at}`),
      values(`1, 'a', 1, ${at}`, `1, 'b', 2, ${at}`),
      values(`NULL, 'a', NULL, ${at}`, `NULL, 'b', NULL, ${at}`),
    ]) {
      const alone = [await judge(rows, keys[0] ?? notNull), await judge(rows, keys[1] ?? notNull)]
      const together = await evaluateChecks(session, {
        contract,
        checks: [...keys, notNull],
        table,
        staged: { view: table },
        stagedIntervals: [],
      })
      expect(together.slice(0, 2)).toEqual(alone)
    }
  })

  it('of several datasets are the same whether they are scanned together or each by itself', async () => {
    await session.exec(
      `CREATE SCHEMA IF NOT EXISTS silver; CREATE OR REPLACE VIEW ${table} AS ${values(`1, 'a', NULL, ${at}`, `2, 'b', 99, ${at}`)}`,
    )
    await session.exec(`CREATE OR REPLACE VIEW ${other} AS ${values(`1, 'a', 1, ${at}`, `1, 'b', 2, ${at}`)}`)
    const checks = [
      check<'unique'>({ kind: 'unique', columns: ['k'] }),
      check<'notNull'>({ kind: 'notNull', column: 'v' }),
      check<'between'>({ kind: 'between', column: 'v', min: 0, max: 10 }),
    ].map((one, i) => ({ ...one, name: `check ${i}` }))
    const inputs = [table, other].map((id) => ({
      contract,
      checks,
      table: id,
      staged: { view: id },
      stagedIntervals: [],
    }))
    const counted = await countTogether(session, inputs)
    expect(counted).toEqual([
      [2, 1, 1, 2],
      [2, 0, 0, 1],
    ])
    for (const [i, input] of inputs.entries())
      expect(await evaluateChecks(session, input, counted[i])).toEqual(await evaluateChecks(session, input))
    const broken = inputs.map((input, i) => (i === 0 ? input : { ...input, staged: { view: tableId('silver.none') } }))
    expect(await countTogether(session, broken)).toEqual([])
  })

  it('find nulls and values out of range, ends included', async () => {
    expect(
      await judge(
        values(`1, 'a', NULL, ${at}`, `2, 'b', 1, ${at}`),
        check<'notNull'>({ kind: 'notNull', column: 'v' }),
      ),
    ).toMatchObject({ outcome: 'failed', failures: 1, judged: 2 })
    const between = check<'between'>({ kind: 'between', column: 'v', min: 0, max: 10 })
    expect(await judge(values(`1, 'a', 0, ${at}`, `2, 'b', 10, ${at}`, `3, 'c', NULL, ${at}`), between)).toMatchObject({
      outcome: 'passed',
    })
    expect(await judge(values(`1, 'a', -1, ${at}`, `2, 'b', 11, ${at}`), between)).toMatchObject({
      outcome: 'failed',
      failures: 2,
    })
    expect(
      await judge(
        values(`1, 'a', 1, ${at}`),
        check<'between'>({ kind: 'between', column: 'ts', min: '2026-01-02', max: '2026-01-03' }),
      ),
    ).toMatchObject({ outcome: 'failed' })
  })

  it('find orphans', async () => {
    const reference = check<'reference'>({ kind: 'reference', columns: ['v'], to: other, toColumns: ['id'] })
    const parents = `SELECT 1 AS id, 10 AS amount, ${at} AS ts`
    expect(await judge(values(`1, 'a', 1, ${at}`, `2, 'b', NULL, ${at}`), reference, parents)).toMatchObject({
      outcome: 'passed',
      judged: 1,
    })
    const failed = await judge(values(`1, 'a', 7, ${at}`, `2, 'b', 7, ${at}`), reference, parents)
    expect([failed?.failures, failed?.sample.rows]).toEqual([2, [[7, 2]]])
  })

  it('reconcile sums in all and group by group, a missing group included', async () => {
    const parents = `SELECT * FROM (VALUES (1, 3, ${at}), (2, 4, ${at} + INTERVAL 1 DAY)) p(id, amount, ts)`
    const all = check<'reconcile'>({
      kind: 'reconcile',
      left: 'sum(v)',
      with: other,
      right: 'sum(amount)',
      tolerance: 0,
    })
    expect(await judge(values(`1, 'a', 7, ${at}`), all, parents)).toMatchObject({ outcome: 'passed' })
    expect(await judge(values(`1, 'a', 8, ${at}`), all, parents)).toMatchObject({ outcome: 'failed' })
    expect(await judge(values(`1, 'a', 8, ${at}`), { ...all, tolerance: 1 } as Check, parents)).toMatchObject({
      outcome: 'passed',
    })
    const by = { left: "date_trunc('day', ts)", right: "date_trunc('day', ts)" }
    expect(await judge(values(`1, 'a', 7, ${at}`), { ...all, by } as Check, parents)).toMatchObject({
      outcome: 'failed',
      failures: 2,
      judged: 2,
    })
    expect(
      await judge(values(`1, 'a', 3, ${at}`, `2, 'b', 4, ${at} + INTERVAL 1 DAY`), { ...all, by } as Check, parents),
    ).toMatchObject({ outcome: 'passed' })
  })

  it('count rows per interval, empty intervals and partial ones too', async () => {
    const volume = check<'volume'>({ kind: 'volume', min: 1, max: 2, partial: [] })
    expect(await judge(values(`1, 'a', 1, ${at}`), volume)).toMatchObject({ outcome: 'failed', failures: 1, judged: 2 })
    expect(await judge(values(`1, 'a', 1, ${at}`), { ...volume, partial: ['2026-01-02'] } as Check)).toMatchObject({
      outcome: 'passed',
    })
  })

  it('run queries of their own, and name the check whose SQL is wrong', async () => {
    expect(
      await judge(values(`1, 'a', 1, ${at}`), check<'sql'>({ kind: 'sql', sql: 'SELECT k FROM silver.t WHERE v > 0' })),
    ).toMatchObject({ outcome: 'failed', failures: 1 })
    await expect(
      judge(values(`1, 'a', 1, ${at}`), check<'sql'>({ kind: 'sql', sql: 'SELECT nope FROM silver.t' })),
    ).rejects.toMatchObject({ kind: 'sql/invalid', message: expect.stringContaining('The check x') })
  })

  it('send each row to exactly one side of the reject rules', async () => {
    const rules = [
      { name: 'low', when: 'v < 0' },
      { name: 'odd', when: 'v % 2 <> 0', reason: 'not even' },
    ]
    const { kept, rejected } = rejectSql(
      values(`1, 'a', -1, ${at}`, `2, 'b', 3, ${at}`, `3, 'c', 4, ${at}`, `4, 'd', NULL, ${at}`),
      rules,
      contract,
      "'s'",
    )
    expect((await session.rows(`SELECT k FROM (${kept}) ORDER BY k`)).rows.flat()).toEqual([3, 4])
    expect((await session.rows(`SELECT reason FROM (${rejected}) ORDER BY ALL`)).rows.flat()).toEqual([
      'low',
      'not even',
    ])
    expect([
      budgetAllows({}, { read: 10, rejected: 1 }),
      budgetAllows({ ratio: 0.1 }, { read: 10, rejected: 1 }),
      budgetAllows({ rows: 2, ratio: 0.1 }, { read: 10, rejected: 3 }),
    ]).toEqual([false, true, false])
  })
})
