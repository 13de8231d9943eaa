import { describe, expect, it } from 'vitest'
import { DrawnLake, type DrawnModel, type DrawnSource } from '../support/drawn-lake.ts'

const source: DrawnSource = {
  name: 'bronze.move',
  glob: 'inbox/*.csv',
  columns: { id: 'long', t: 'timestamp', amount: 'long' },
}

/** What stands at the end of each day: what stood at the end of the day before, and what moved. */
const balance: DrawnModel = {
  name: 'gold.balance',
  by: 'day',
  columns: { day: 'timestamp', balance: 'long' },
  sql: `SELECT $interval_start::TIMESTAMP AS day,
      (coalesce((SELECT max_by(balance, day) FROM gold.balance), 0)
       + coalesce((SELECT sum(amount) FROM bronze.move WHERE t >= $interval_start AND t < $interval_end), 0))::BIGINT AS balance`,
  edges: {
    'bronze.move': { touches: 't' },
    'gold.balance': { reads: { kind: 'earlier', back: { count: 1, unit: 'day' } } },
  },
}

const file = (moves: readonly (readonly [number, number])[]) =>
  `id,t,amount\n${moves.map(([day, amount], i) => `${i},2026-01-${String(day).padStart(2, '0')} 10:00:00,${amount}`).join('\n')}\n`

async function balances(lake: DrawnLake): Promise<readonly number[]> {
  const rows = await lake.rows('gold.balance', ['day', 'balance'])
  return rows.map((row) => Number((JSON.parse(row) as string[])[1]))
}

describe('a dataset that reads itself', () => {
  it('is built in interval order, each interval from the one before, and again from where a late row falls', async () => {
    await using drawn = await DrawnLake.open('reads-itself')
    drawn.write('inbox/a.csv', file(Array.from({ length: 10 }, (_, day) => [day + 1, day + 1])))
    const project = await drawn.project([source], [balance])
    await drawn.run(project)
    expect(await balances(drawn)).toEqual([1, 3, 6, 10, 15, 21, 28, 36, 45, 55])
    expect((await drawn.plan(project)).plan.items).toEqual([])
    drawn.write('inbox/b.csv', file([[3, 100]]))
    await drawn.run(project)
    expect(await balances(drawn)).toEqual([1, 3, 106, 110, 115, 121, 128, 136, 145, 155])
    expect((await drawn.plan(project)).plan.items).toEqual([])
    drawn.write(
      'inbox/c.csv',
      file([
        [3, 5],
        [3, -5],
      ]),
    )
    await drawn.run(project)
    expect((await drawn.plan(project)).plan.items).toEqual([])
  })
})
