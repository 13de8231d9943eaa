import { cpSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lake } from 'limn'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { landAll, landCustomers, landMovedCustomers, landOrders } from '../../examples/why/land.ts'
import { limn, root, SavedLake, temporaryFolder } from '../support/lake.ts'
import type { WhyJson } from '../support/why.ts'

describe('two tables that should have one number', () => {
  const lake = temporaryFolder('shop')
  const { folder } = lake
  let saved: SavedLake

  async function run(...args: readonly string[]): Promise<string> {
    const ended = await limn(folder, 'run', '--json', ...args)
    expect(ended.code).toBe(0)
    return (JSON.parse(ended.stdout) as { run: string }).run
  }

  async function why(table: string, against: string, ...args: readonly string[]): Promise<WhyJson> {
    const ended = await limn(folder, 'why', table, '--against', against, '--json', ...args)
    expect([ended.code, ended.stderr]).toEqual([0, ''])
    return JSON.parse(ended.stdout) as WhyJson
  }

  const regions = (...args: readonly string[]) =>
    why('gold.revenue_by_region', 'gold.revenue', '--measure', 'sum(revenue)', ...args)
  const named = ({ findings }: WhyJson) => findings.map((one) => [one.kind, one.dataset])

  async function stateOf(table: string): Promise<string> {
    const shown = await limn(folder, 'table', 'history', table, '--json')
    return String((JSON.parse(shown.stdout) as readonly { snapshotId: string }[])[0]?.snapshotId)
  }

  function edit(file: string, from: string, to: string): void {
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    expect(text).toContain(from)
    writeFileSync(path, text.replace(from, to))
  }

  beforeAll(async () => {
    for (const part of ['limn.config.ts', 'datasets'])
      cpSync(join(root, 'examples', 'why', part), join(folder, part), { recursive: true })
    landAll(folder)
    await run()
    saved = new SavedLake(folder)
  })
  afterAll(() => {
    saved[Symbol.dispose]()
    lake[Symbol.dispose]()
  })

  it('have it where nothing is wrong, and nobody is accused', async () => {
    const found = await regions()
    expect(found.numbers.total.delta).toBe('0.00')
    expect([named(found), found.unknown]).toEqual([[], []])
  })

  it('part because a dimension was delivered with duplicates: the rows and their delivery', async () => {
    saved.restore()
    landMovedCustomers(folder)
    await run()
    const found = await regions()
    expect(named(found)).toEqual([['duplicate-key', 'silver.customer']])
    expect(found.findings[0]?.origin).toMatchObject({
      kind: 'delivery',
      source: 'bronze.customer',
      path: 'inbox/customers.csv',
      ordinal: 2,
    })
    expect(found.findings[0]?.evidence.rows.map((row) => row[0])).toEqual(['118', '118', '17', '17', '42', '42'])
    expect(found.numbers.intervals.length).toBe(3)
    // Withdrawn again, the numbers meet.
    landCustomers(folder)
    await run()
    expect(named(await regions())).toEqual([])
  })

  it('part because one filters what the other counts', async () => {
    saved.restore()
    edit('datasets/gold/revenue_by_region.ts', 'WHERE o.ordered_at >=', 'WHERE o.revenue < 500 AND o.ordered_at >=')
    await run()
    const found = await regions()
    expect(named(found)).toEqual([['filter-changed', 'gold.revenue_by_region']])
    expect(found.findings[0]?.sentence).toContain('o.revenue < 500')
  })

  it('part because a join finds no partner', async () => {
    saved.restore()
    const path = join(folder, 'inbox/customers.csv')
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    writeFileSync(path, `${lines.filter((line) => !line.startsWith('17,')).join('\n')}\n`)
    await run()
    expect(named(await regions())).toEqual([['unmatched-rows', 'gold.revenue_by_region']])
  })

  it('part because a join is on what is no key', async () => {
    saved.restore()
    edit(
      'datasets/gold/revenue_by_region.ts',
      'ON c.customer_id = o.customer_id',
      'ON c.customer_id IN (o.customer_id, o.customer_id + 1)',
    )
    await run()
    const found = await regions()
    expect(named(found)).toEqual([['fan-out', 'gold.revenue_by_region']])
    expect(found.findings[0]?.sentence).toContain('silver.customer')
  })

  it('part because one was not built since', async () => {
    saved.restore()
    const path = join(folder, 'inbox/orders/2026-02.csv')
    writeFileSync(path, `${readFileSync(path, 'utf8')}9999,2026-02-03 10:00:00,5,1000.00\n`)
    await run('+gold.revenue')
    const found = await regions()
    expect(named(found)).toEqual([['not-rebuilt', 'gold.revenue_by_region']])
    expect(found.findings[0]?.origin).toMatchObject({ kind: 'state', input: 'silver.order' })
    expect(found.findings[0]?.evidence.rows.map((row) => row[1])).toEqual(['9999'])
  })

  it('are told by groups, and by a number of their own on either side', async () => {
    saved.restore()
    landMovedCustomers(folder)
    await run()
    const found = await why(
      'gold.revenue_by_region',
      'gold.revenue',
      '--measure',
      'sum(orders)',
      '--measure-against',
      'sum(orders) + 0',
      '--by',
      'month',
    )
    expect(found.numbers.groups.map((one) => one.values[0])).toEqual([
      '2026-03-01 00:00:00',
      '2026-02-01 00:00:00',
      '2026-01-01 00:00:00',
    ])
    expect(named(found)).toEqual([['duplicate-key', 'silver.customer']])
  })

  it('of one table, a run is a state, also one that a gate refused', async () => {
    saved.restore()
    landMovedCustomers(folder)
    const later = await run()
    expect(named(await why('gold.revenue_by_region', `run/${later}`))).toEqual([])
    edit('datasets/silver/customer.ts', 'keys: []', "keys: ['customer_id']")
    const refused = await limn(folder, 'run', '--json')
    expect(refused.code).toBe(3)
    landCustomers(folder)
    await run()
    const { run: id } = JSON.parse(refused.stdout) as { run: string }
    const found = await why('silver.customer', `run/${id}`)
    expect(found.numbers.total.delta).toBe('-3')
    expect(named(found)).toEqual([['partial-delivery', 'bronze.customer']])
  })

  it('names a delivery that was withdrawn, and corrected rows', async () => {
    saved.restore()
    edit('datasets/bronze/order_line.ts', "format: 'csv' }", "format: 'csv', withdrawn: 'remove' }")
    renameSync(join(folder, 'inbox/orders/2026-03.csv'), join(folder, 'march.csv'))
    const path = join(folder, 'inbox/orders/2026-01.csv')
    const lines = readFileSync(path, 'utf8').split('\n')
    writeFileSync(path, lines.map((line, i) => (i > 0 && i < 9 ? line.replace(/,[\d.]+$/, ',1.00') : line)).join('\n'))
    await run()
    const history = JSON.parse((await limn(folder, 'table', 'history', 'gold.revenue', '--json')).stdout) as readonly {
      snapshotId: string
    }[]
    const found = await why('gold.revenue', String(history.at(-1)?.snapshotId))
    expect(found.findings.map((one) => [one.kind, one.origin.path, one.column]).sort()).toEqual([
      ['corrected-rows', 'inbox/orders/2026-01.csv', 'amount'],
      ['withdrawn-delivery', 'inbox/orders/2026-03.csv', null],
    ])
    landOrders(folder, '2026-01')
  })

  it('names what came out otherwise of the same, and rows that no run wrote', async () => {
    saved.restore()
    edit('datasets/gold/revenue.ts', 'count(*) AS orders', 'count(*) + (random() * 1000)::BIGINT AS orders')
    await run()
    const first = await stateOf('gold.revenue')
    await run('gold.revenue', '--full')
    const found = await why('gold.revenue', first)
    expect(named(found)).toEqual([['not-deterministic', 'gold.revenue']])
    expect(found.findings[0]?.column).toBe('orders')

    saved.restore()
    const before = await stateOf('silver.customer')
    await using lakeOpen = await Lake.open({ cwd: folder })
    const context = await lakeOpen.context(await lakeOpen.loadProject())
    const { append } = await import('../../packages/limn/dist/table/index.js')
    await append(context, 'silver.customer' as never, {
      sql: "SELECT 999 AS customer_id, 'Nobody' AS name, 'North' AS region",
    })
    expect(named(await why('silver.customer', before))).toEqual([['direct-write', 'silver.customer']])
  })

  it('tries code that reads one more input, and rows that came, each alone', async () => {
    saved.restore()
    const before = await stateOf('gold.revenue')
    edit(
      'datasets/gold/revenue.ts',
      'import { order }',
      "import { customer } from '../silver/customer.ts'\nimport { order }",
    )
    edit(
      'datasets/gold/revenue.ts',
      'WHERE ordered_at >=',
      "WHERE customer_id IN (SELECT customer_id FROM ${customer} WHERE region <> 'West') AND ordered_at >=",
    )
    const path = join(folder, 'inbox/orders/2026-02.csv')
    writeFileSync(path, `${readFileSync(path, 'utf8')}9999,2026-02-03 10:00:00,5,1000.00\n`)
    await run()
    const found = await why('gold.revenue', before)
    expect(named(found).sort()).toEqual([
      ['filter-changed', 'gold.revenue'],
      ['late-rows', 'bronze.order_line'],
    ])
    expect(found.unknown).toEqual([])
  })

  it('refuses what it cannot find', async () => {
    saved.restore()
    for (const against of ['gold.nothing', '12345678', 'run/20200101T000000-000000', 'no-such-branch']) {
      const ended = await limn(folder, 'why', 'gold.revenue', '--against', against, '--json')
      expect([against, ended.code]).toEqual([against, 2])
    }
  })
})
