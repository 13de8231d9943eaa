import { describe, expect, it } from 'vitest'
import { DrawnLake, type DrawnModel, type DrawnSource } from '../support/drawn-lake.ts'

const sale: DrawnSource = {
  name: 'bronze.sale',
  glob: 'sale/*.csv',
  columns: { id: 'long', t: 'timestamp', amount: 'long' },
}
const rate: DrawnSource = { name: 'bronze.rate', glob: 'rate/*.csv', columns: { t: 'timestamp', factor: 'long' } }

const columns = { day: 'timestamp', total: 'long' } as const
const factor = '(SELECT max(factor) FROM bronze.rate'
const within = 't >= $interval_start AND t < $interval_end'

const plain: DrawnModel = {
  name: 'gold.total',
  by: 'day',
  columns,
  sql: `SELECT $interval_start::TIMESTAMP AS day, sum(amount)::BIGINT AS total FROM bronze.sale WHERE ${within}`,
  edges: { 'bronze.sale': { touches: 't' } },
}
/** The same, times the rate of the day. */
const byDay: DrawnModel = {
  ...plain,
  sql: `SELECT $interval_start::TIMESTAMP AS day, (sum(amount) * coalesce(${factor} WHERE ${within}), 1))::BIGINT AS total
    FROM bronze.sale WHERE ${within}`,
  edges: { ...plain.edges, 'bronze.rate': { touches: 't' } },
}
/** The same, times the highest rate there ever was. */
const byHighest: DrawnModel = {
  ...plain,
  sql: `SELECT $interval_start::TIMESTAMP AS day, (sum(amount) * ${factor}))::BIGINT AS total FROM bronze.sale WHERE ${within}`,
  edges: { ...plain.edges, 'bronze.rate': { reads: { kind: 'all' } } },
}
const whole: DrawnModel = {
  ...plain,
  by: 'whole',
  sql: "SELECT date_trunc('day', t)::TIMESTAMP AS day, sum(amount)::BIGINT AS total FROM bronze.sale GROUP BY ALL",
  edges: { 'bronze.sale': { reads: { kind: 'all' } } },
}
const wholeByHighest: DrawnModel = {
  ...whole,
  sql: `SELECT date_trunc('day', t)::TIMESTAMP AS day, (sum(amount) * ${factor}))::BIGINT AS total FROM bronze.sale GROUP BY ALL`,
  edges: { ...whole.edges, 'bronze.rate': { reads: { kind: 'all' } } },
}

const at = (day: number) => `2026-01-0${day} 10:00:00`
const sales = (...days: readonly number[]) =>
  `id,t,amount\n${days.map((day) => `${day},${at(day)},${day}`).join('\n')}\n`
const rates = (...given: readonly (readonly [day: number, factor: number])[]) =>
  `t,factor\n${given.map(([day, one]) => `${at(day)},${one}`).join('\n')}\n`

const forwardOnly = true

async function totals(lake: DrawnLake): Promise<readonly number[]> {
  const rows = await lake.rows('gold.total', ['day', 'total'])
  return rows.map((row) => Number((JSON.parse(row) as string[])[1]))
}

type Project = Awaited<ReturnType<DrawnLake['project']>>

/** What is planned of the dataset: the reason, and from which day to which. */
async function planned(lake: DrawnLake, project: Project, wish = {}): Promise<readonly string[]> {
  const { plan } = await lake.plan(project, wish)
  return plan.items
    .filter((item) => item.dataset === 'gold.total')
    .map(({ reason, interval }) => {
      if (!interval) return reason
      const day = (us: number) => new Date(us / 1000).getUTCDate()
      return `${reason} ${day(interval.start)}-${day(interval.end - 1)}`
    })
}

/** A lake of three days built without the rate, and the project in which `after` reads it. */
async function rated(lake: DrawnLake, before: DrawnModel, after: DrawnModel): Promise<Project> {
  lake.write('sale/a.csv', sales(1, 2, 3))
  await lake.run(await lake.project([sale], [before]))
  lake.write('rate/a.csv', rates([2, 10], [4, 20]))
  return lake.project([sale, rate], [after])
}

describe('a change for new intervals only that brings an input in', () => {
  it('lets stand what was built without the input, and builds what is new with it', async () => {
    await using lake = await DrawnLake.open('forward-only-new')
    const project = await rated(lake, plain, byHighest)
    expect(await planned(lake, project, { forwardOnly })).toEqual(['accepted 1-3'])
    lake.write('sale/b.csv', sales(4))
    await lake.run(project, { forwardOnly })
    expect(await totals(lake)).toEqual([1, 2, 3, 80])
    expect(await planned(lake, project)).toEqual([])
  })

  it('builds by the new definition what the input touches when it changes later, and nothing else', async () => {
    await using lake = await DrawnLake.open('forward-only-touched')
    const project = await rated(lake, plain, byDay)
    // The input gives days of its own: one that was never built is due.
    expect((await planned(lake, project, { forwardOnly }))[0]).toBe('accepted 1-3')
    lake.write('sale/b.csv', sales(4))
    await lake.run(project, { forwardOnly })
    expect(await totals(lake)).toEqual([1, 2, 3, 80])
    expect(await planned(lake, project)).toEqual([])
    lake.write('rate/b.csv', rates([3, 100]))
    await lake.run(project, { forwardOnly })
    expect(await totals(lake)).toEqual([1, 2, 300, 80])
    expect(await planned(lake, project)).toEqual([])
  })

  it('holds all to a later change of an input that is read as a whole', async () => {
    await using lake = await DrawnLake.open('forward-only-all')
    const project = await rated(lake, plain, byHighest)
    await lake.run(project, { forwardOnly })
    expect(await totals(lake)).toEqual([1, 2, 3])
    lake.write('rate/b.csv', rates([3, 100]))
    await lake.run(project)
    expect(await totals(lake)).toEqual([100, 200, 300])
  })

  it('lets stand what is built whole until one of its inputs changes', async () => {
    await using lake = await DrawnLake.open('forward-only-whole')
    const project = await rated(lake, whole, wholeByHighest)
    expect(await planned(lake, project, { forwardOnly })).toEqual(['accepted'])
    await lake.run(project, { forwardOnly })
    expect(await totals(lake)).toEqual([1, 2, 3])
    expect(await planned(lake, project)).toEqual([])
    lake.write('rate/b.csv', rates([3, 100]))
    await lake.run(project, { forwardOnly })
    expect(await totals(lake)).toEqual([100, 200, 300])
  })

  it('is no reason to let stand what an input has changed that was read before', async () => {
    await using lake = await DrawnLake.open('forward-only-late')
    const project = await rated(lake, plain, byHighest)
    lake.write('sale/late.csv', sales(2))
    await lake.run(project, { forwardOnly })
    expect(await totals(lake)).toEqual([1, 80, 3])
    expect(await planned(lake, project)).toEqual([])
  })
})
