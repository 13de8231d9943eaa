import { describe, expect, it } from 'vitest'
import { DrawnLake, type DrawnModel, type DrawnSource } from '../support/drawn-lake.ts'

const source: DrawnSource = {
  name: 'bronze.move',
  glob: 'inbox/*.csv',
  columns: { id: 'long', t: 'timestamp', amount: 'long' },
}

/** What stands at the end of each day: what stood at the end of the day before, and what moved. */
function balance(options: { readonly times?: number; readonly back?: number } = {}): DrawnModel {
  const { times = 1, back } = options
  return {
    name: 'gold.balance',
    by: 'day',
    columns: { day: 'timestamp', balance: 'long' },
    sql: `SELECT $interval_start::TIMESTAMP AS day,
      (coalesce((SELECT max_by(balance, day) FROM gold.balance), 0)
       + ${times} * coalesce((SELECT sum(amount) FROM bronze.move WHERE t >= $interval_start AND t < $interval_end), 0))::BIGINT AS balance`,
    edges: {
      'bronze.move': { touches: 't' },
      'gold.balance': { reads: { kind: 'earlier', back: back === undefined ? null : { count: back, unit: 'day' } } },
    },
  }
}

/** What a query sees of its own table that asks for everything: how many rows, the first and the last. */
const seen: DrawnModel = {
  name: 'gold.seen',
  by: 'day',
  columns: { day: 'timestamp', n: 'long', first: 'timestamp', last: 'timestamp' },
  sql: `SELECT $interval_start::TIMESTAMP AS day, count(*) AS n, min(day)::TIMESTAMP AS first, max(day)::TIMESTAMP AS last
    FROM gold.seen WHERE (SELECT count(*) FROM bronze.move WHERE t >= $interval_start AND t < $interval_end) >= 0`,
  edges: {
    'bronze.move': { touches: 't' },
    'gold.seen': { reads: { kind: 'earlier', back: { count: 3, unit: 'day' } } },
  },
}

const dayText = (day: number) => `2026-01-${String(day).padStart(2, '0')}`
const file = (moves: readonly (readonly [day: number, amount: number])[]) =>
  `id,t,amount\n${moves.map(([day, amount], i) => `${i},${dayText(day)} 10:00:00,${amount}`).join('\n')}\n`
const eachDay = (count: number) => file(Array.from({ length: count }, (_, day) => [day + 1, day + 1] as const))

async function balances(lake: DrawnLake): Promise<readonly number[]> {
  const rows = await lake.rows('gold.balance', ['day', 'balance'])
  return rows.map((row) => Number((JSON.parse(row) as string[])[1]))
}

/** Days of a plan or of what a run did, by what is said of them. */
function days(items: readonly { readonly interval: { readonly start: number; readonly end: number } | null }[]) {
  return items.flatMap(({ interval }) =>
    interval
      ? [`${new Date(interval.start / 1000).getUTCDate()}-${new Date(interval.end / 1000 - 1).getUTCDate()}`]
      : [],
  )
}

describe('a dataset that reads itself', () => {
  it('is built in interval order, each interval from those before, and again from where a late row falls', async () => {
    for (const back of [undefined, 1]) {
      await using drawn = await DrawnLake.open('reads-itself')
      drawn.write('inbox/a.csv', eachDay(10))
      const project = await drawn.project([source], [balance({ ...(back ? { back } : {}) })])
      const first = await drawn.run(project)
      expect(await balances(drawn)).toEqual([1, 3, 6, 10, 15, 21, 28, 36, 45, 55])
      expect(first.datasets.find((one) => one.dataset === 'gold.balance')?.ranges.length).toBe(10)
      expect((await drawn.plan(project)).plan.items).toEqual([])
      drawn.write('inbox/b.csv', file([[3, 100]]))
      const planned = (await drawn.plan(project)).plan.items.filter((one) => one.dataset === 'gold.balance')
      expect(planned.map(({ reason, because, atMost }) => [reason, because, atMost])).toEqual([
        ['input-changed', 'bronze.move', true],
        ['reads-itself', '2026-01-03 is built again', true],
      ])
      expect(days(planned)).toEqual(['3-3', '4-10'])
      await drawn.run(project)
      expect(await balances(drawn)).toEqual([1, 3, 106, 110, 115, 121, 128, 136, 145, 155])
      expect((await drawn.plan(project)).plan.items).toEqual([])
      // Rows that come to nothing: their day is built, equals what it was, and nothing after it is built.
      drawn.write(
        'inbox/c.csv',
        file([
          [3, 5],
          [3, -5],
        ]),
      )
      const same = await drawn.run(project)
      const ranges = same.datasets.find((one) => one.dataset === 'gold.balance')?.ranges ?? []
      expect([days(ranges), ranges.map((one) => one.outcome)]).toEqual([['3-3'], ['kept']])
      expect((await drawn.plan(project)).plan.items).toEqual([])
    }
  })

  it('sees rows of its earlier intervals alone, as far back as it says, whatever its query asks for', async () => {
    await using drawn = await DrawnLake.open('reads-itself-seen')
    drawn.write('inbox/a.csv', eachDay(6))
    const project = await drawn.project([source], [seen])
    const expected = [1, 2, 3, 4, 5, 6].map((day) => {
      const n = Math.min(3, day - 1)
      const at = (other: number) => (n === 0 ? null : `${dayText(other)} 00:00:00`)
      return JSON.stringify([`${dayText(day)} 00:00:00`, String(n), at(day - n), at(day - 1)])
    })
    await drawn.run(project)
    const columns = Object.keys(seen.columns)
    expect(await drawn.rows('gold.seen', columns)).toEqual(expected)
    // Later rows are there by now.
    await drawn.run(project, { full: true })
    await drawn.run(project, { restate: ['gold.seen'], range: ['2026-01-02', '2026-01-04'] })
    expect(await drawn.rows('gold.seen', columns)).toEqual(expected)
  })

  it('is stale after an interval that was built alone, until what follows is built too', async () => {
    await using drawn = await DrawnLake.open('reads-itself-range')
    drawn.write('inbox/a.csv', eachDay(8))
    const project = await drawn.project([source], [balance({ back: 1 })])
    await drawn.run(project)
    drawn.write('inbox/b.csv', file([[3, 100]]))
    await drawn.run(project, { range: ['2026-01-03', '2026-01-04'] })
    expect(await balances(drawn)).toEqual([1, 3, 106, 10, 15, 21, 28, 36])
    const { items } = (await drawn.plan(project)).plan
    expect(items.map(({ reason, because, atMost }) => [reason, because, atMost])).toEqual([
      ['reads-itself', '2026-01-03 changed', false],
      ['reads-itself', '2026-01-04 is built again', true],
    ])
    expect(days(items)).toEqual(['4-4', '5-8'])
    await drawn.run(project)
    expect(await balances(drawn)).toEqual([1, 3, 106, 110, 115, 121, 128, 136])
    // A restatement reaches what follows from it, beyond its range.
    const restated = (await drawn.plan(project, { restate: ['gold.balance'], range: ['2026-01-05', '2026-01-06'] }))
      .plan
    expect([days(restated.items), restated.items.map((one) => one.reason)]).toEqual([
      ['5-5', '6-8'],
      ['restated', 'reads-itself'],
    ])
  })

  it('goes on from rows of an earlier definition when those are accepted', async () => {
    await using drawn = await DrawnLake.open('reads-itself-forward')
    drawn.write('inbox/a.csv', eachDay(4))
    await drawn.run(await drawn.project([source], [balance({ back: 1 })]))
    const doubled = await drawn.project([source], [balance({ times: 2, back: 1 })])
    drawn.write('inbox/b.csv', file([[5, 5]]))
    await drawn.run(doubled, { forwardOnly: true })
    expect(await balances(drawn)).toEqual([1, 3, 6, 10, 20])
    expect((await drawn.plan(doubled)).plan.items).toEqual([])
    // A late row: its day and all that follow are built by the new definition, on what stands before.
    drawn.write('inbox/c.csv', file([[3, 1]]))
    await drawn.run(doubled, { forwardOnly: true })
    expect(await balances(drawn)).toEqual([1, 3, 11, 19, 29])
    expect((await drawn.plan(doubled)).plan.items).toEqual([])
  })

  it('begins to read itself on what it held before, when that is accepted', async () => {
    await using drawn = await DrawnLake.open('reads-itself-begins')
    drawn.write('inbox/a.csv', eachDay(4))
    const alone: DrawnModel = {
      ...balance(),
      sql: `SELECT date_trunc('day', t)::TIMESTAMP AS day, sum(amount)::BIGINT AS balance FROM bronze.move
        WHERE t >= $interval_start AND t < $interval_end GROUP BY ALL`,
      edges: { 'bronze.move': { touches: 't' } },
    }
    await drawn.run(await drawn.project([source], [alone]))
    const project = await drawn.project([source], [balance({ back: 1 })])
    drawn.write('inbox/b.csv', file([[5, 5]]))
    await drawn.run(project, { forwardOnly: true })
    expect(await balances(drawn)).toEqual([1, 2, 3, 4, 9])
    expect((await drawn.plan(project)).plan.items).toEqual([])
    drawn.write('inbox/c.csv', file([[2, 100]]))
    await drawn.run(project)
    expect(await balances(drawn)).toEqual([1, 103, 106, 110, 115])
    expect((await drawn.plan(project)).plan.items).toEqual([])
  })

  it('publishes nothing of a run in which one interval fails, and starts anew from there', async () => {
    await using drawn = await DrawnLake.open('reads-itself-fails')
    drawn.write('inbox/a.csv', eachDay(5))
    const project = await drawn.project([source], [balance()])
    await drawn.run(project)
    const failing = balance()
    const broken = {
      ...failing,
      sql: failing.sql.replace(
        'AS day,',
        "+ CASE WHEN $interval_start = TIMESTAMP '2026-01-03' THEN INTERVAL 1 DAY ELSE INTERVAL 0 DAY END AS day,",
      ),
    }
    await expect(drawn.run(await drawn.project([source], [broken]))).rejects.toThrow(/2026-01-03: a row has day/)
    expect(await balances(drawn)).toEqual([1, 3, 6, 10, 15])
    expect((await drawn.plan(project)).plan.items).toEqual([])
  })

  it('is built by month as well, months back', async () => {
    await using drawn = await DrawnLake.open('reads-itself-month')
    drawn.write(
      'inbox/a.csv',
      'id,t,amount\n1,2025-11-03 10:00:00,1\n2,2025-12-31 23:00:00,2\n3,2026-01-01 00:00:00,4\n4,2026-03-01 00:00:00,8\n',
    )
    const monthly: DrawnModel = {
      ...balance(),
      by: 'month',
      edges: {
        'bronze.move': { touches: 't' },
        'gold.balance': { reads: { kind: 'earlier', back: { count: 1, unit: 'month' } } },
      },
    }
    const project = await drawn.project([source], [monthly])
    await drawn.run(project)
    expect(await balances(drawn)).toEqual([1, 3, 7, 7, 15])
    drawn.write('inbox/b.csv', 'id,t,amount\n5,2025-12-01 00:00:00,100\n')
    expect(days((await drawn.plan(project)).plan.items)).toEqual(['1-31', '1-31'])
    await drawn.run(project)
    expect(await balances(drawn)).toEqual([1, 103, 107, 107, 115])
  })
})

describe('a definition that reads itself', () => {
  const refused = async (change: Partial<DrawnModel>): Promise<string> => {
    await using drawn = await DrawnLake.open('reads-itself-refused')
    try {
      await drawn.project([source], [{ ...balance(), ...change }])
    } catch (error) {
      if (error instanceof Error && 'remedy' in error) return `${error.message} ${String(error.remedy)}`
      throw error
    }
    return 'accepted'
  }
  const move = { 'bronze.move': { touches: 't' } }

  it('is refused where it would depend on itself, with what to do', async () => {
    expect(await refused({ by: 'whole', edges: {} })).toMatch(
      /^gold\.balance reads its own table and is built whole: .* Build it by interval/,
    )
    expect(await refused({ edges: { ...move, 'gold.balance': { reads: { kind: 'all' } } } })).toMatch(
      /with reads: all, .* reads: earlier\(\{ back: '1 day' \}\)/,
    )
    expect(await refused({ edges: { ...move, 'gold.balance': { touches: 'day' } } })).toMatch(/by what a row touches/)
    expect(
      await refused({
        edges: { ...move, 'gold.balance': { reads: { kind: 'earlier', back: { count: 1, unit: 'month' } } } },
      }),
    ).toMatch(/1 month back, .* earlier\(\{ back: '31 days' \}\)/)
    expect(
      await refused({ edges: { 'bronze.move': { reads: { kind: 'earlier', back: null }, touches: 't' } } }),
    ).toMatch(/earlier intervals of bronze\.move, which is another dataset/)
    expect(await refused({ edges: move })).toBe('accepted')
  })

  it('is refused in a cycle over several, which is named', async () => {
    await using drawn = await DrawnLake.open('reads-itself-cycle')
    const other: DrawnModel = {
      ...balance(),
      name: 'gold.other',
      sql: balance().sql.replaceAll('gold.balance', 'gold.other'),
    }
    const both = (one: DrawnModel, from: string): DrawnModel => ({
      ...one,
      sql: `${one.sql} FROM ${from}`,
      edges: { ...move, [from]: { reads: { kind: 'same' } } },
    })
    await expect(drawn.project([source], [both(balance(), 'gold.other'), both(other, 'gold.balance')])).rejects.toThrow(
      /cycle: gold\.balance ← gold\.other ← gold\.balance/,
    )
  })
})
