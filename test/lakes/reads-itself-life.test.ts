import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { balanceFile, balanceLake, dayOf, moves, sums } from '../support/balance-lake.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { writeLake } from '../support/small-lake.ts'

/** What people do with a dataset that reads itself: look where a number comes from, prove it, rename it, work in an environment. */

let lake: ReturnType<typeof temporaryFolder>

async function json<T>(...args: readonly string[]): Promise<T> {
  const ended = await limn(lake.folder, ...args, '--json')
  expect([args.join(' '), ended.code]).toEqual([args.join(' '), 0])
  return JSON.parse(ended.stdout) as T
}

async function balances(table: string, ...more: readonly string[]): Promise<readonly number[]> {
  const sql = `SELECT balance FROM ${table} ORDER BY day`
  const { rows } = await json<{ rows: readonly (readonly unknown[])[] }>('sql', sql, ...more)
  return rows.map((row) => Number(row[0]))
}

beforeAll(async () => {
  lake = balanceLake('reads-itself-life')
  await json('run')
  writeLake(lake.folder, moves('late', [[3, 1000]]))
  await json('run')
})
afterAll(() => lake[Symbol.dispose]())

describe('a dataset that reads itself', () => {
  it('is told from its deliveries and from the rows before it, which are gone through once', async () => {
    interface Trail {
      readonly steps: readonly { readonly dataset: string; readonly depth: number; readonly rows: number }[]
      readonly unknown: readonly string[]
    }
    const { steps, unknown } = await json<Trail>('why', 'gold.balance', '--date', dayOf(4))
    expect(steps.map(({ dataset, depth, rows }) => [dataset, depth, rows])).toEqual([
      ['gold.balance', 0, 1],
      ['bronze.move', 1, 1],
      ['gold.balance', 1, 1],
      ['bronze.move', 2, 2],
    ])
    expect(unknown).toEqual([expect.stringContaining('ask with --date 2026-01-03 to go on')])
    const first = await json<Trail>('why', 'gold.balance', '--date', dayOf(1))
    expect([first.steps.map((one) => one.dataset), first.unknown]).toEqual([['gold.balance', 'bronze.move'], []])
  })

  it('parts from what it was where the late row is, however far that is from the day asked about', async () => {
    interface Apart {
      readonly findings: readonly { readonly kind: string; readonly dataset: string }[]
      readonly steps: readonly unknown[]
    }
    const { rows } = await json<{ rows: readonly (readonly string[])[] }>(
      'sql',
      "SELECT output_snapshot::VARCHAR AS at FROM limn.run WHERE dataset = 'gold.balance' ORDER BY seq LIMIT 1",
    )
    for (const date of [[], ['--date', dayOf(12)]]) {
      const { findings, steps } = await json<Apart>('why', 'gold.balance', '--against', rows[0]?.[0] ?? '', ...date)
      expect(findings.map(({ kind, dataset }) => [kind, dataset])).toEqual([['late-rows', 'bronze.move']])
      expect(steps.length).toBeLessThan(7)
    }
  })

  it('is proven from the rows before it, and printed with them', async () => {
    const proven = await limn(lake.folder, 'prove', 'gold.balance', '--interval', dayOf(5))
    expect([proven.code, proven.stdout]).toEqual([0, expect.stringMatching(/gold\.balance +2026-01-05 +1 +same/)])
    const compiled = await limn(lake.folder, 'compile', 'gold.balance', '--date', dayOf(5))
    expect(compiled.stdout).toContain(
      `WHERE "day" >= TIMESTAMP '2026-01-04 00:00:00' AND "day" < TIMESTAMP '2026-01-05 00:00:00'`,
    )
  })

  it('is built in an environment from its own rows there', async () => {
    writeLake(lake.folder, moves('later', [[6, 500]]))
    await json('env', 'create', 'dev')
    await json('run', '--env', 'dev')
    expect(await balances('gold.balance', '--env', 'dev')).toEqual(
      sums([
        [3, 1000],
        [6, 500],
      ]),
    )
    expect(await balances('gold.balance')).toEqual(sums([[3, 1000]]))
    await json('env', 'promote', 'dev')
    expect((await json<{ items: readonly unknown[] }>('plan')).items).toEqual([])
    expect(await balances('gold.balance')).toEqual(
      sums([
        [3, 1000],
        [6, 500],
      ]),
    )
  })

  it('goes on under another name from what it holds', async () => {
    writeLake(lake.folder, { 'datasets/gold/balance.ts': balanceFile('gold.account', 'gold.balance') })
    expect((await json<{ items: readonly unknown[] }>('plan')).items).toEqual([])
    writeLake(lake.folder, moves('last', [[9, 7]]))
    const { items } = await json<{ items: readonly { dataset: string; reason: string; because: string }[] }>('plan')
    expect(items.map(({ dataset, reason, because }) => [dataset, reason, because])).toEqual([
      ['bronze.move', 'new-delivery', 'inbox/last.csv new'],
      ['gold.account', 'input-changed', 'bronze.move'],
      ['gold.account', 'reads-itself', '2026-01-09 is built again'],
    ])
    await json('run')
    expect(await balances('gold.account')).toEqual(
      sums([
        [3, 1000],
        [6, 500],
        [9, 7],
      ]),
    )
    expect((await json<{ items: readonly unknown[] }>('plan')).items).toEqual([])
  })
})
