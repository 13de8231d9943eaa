import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { landAll } from '../../examples/why/land.ts'
import { limn, root, SavedLake, temporaryFolder } from '../support/lake.ts'
import { headOf, named, runLake, whyOf } from '../support/why.ts'

describe('limn why of some rows', () => {
  const lake = temporaryFolder('narrow')
  const { folder } = lake
  let saved: SavedLake
  let before = ''
  let orders = ''

  beforeAll(async () => {
    for (const part of ['limn.config.ts', 'datasets'])
      cpSync(join(root, 'examples', 'why', part), join(folder, part), { recursive: true })
    landAll(folder)
    await runLake(folder)
    ;[before, orders] = [await headOf(folder, 'gold.revenue_by_region'), await headOf(folder, 'silver.order')]
    // January: one line more of order 9001. February: every amount of the second half is in cents.
    appendFileSync(join(folder, 'inbox/orders/2026-01.csv'), '9001,2026-01-05 10:00:00,5,1000.00\n')
    const february = join(folder, 'inbox/orders/2026-02.csv')
    const lines = readFileSync(february, 'utf8').trimEnd().split('\n')
    const cents = lines.map((line, i) =>
      i > 1500 ? line.replace(/,([\d.]+)$/, (_all, n: string) => `,${(Number(n) * 100).toFixed(2)}`) : line,
    )
    writeFileSync(february, `${cents.join('\n')}\n`)
    await runLake(folder)
    saved = new SavedLake(folder)
  })
  afterAll(() => {
    saved[Symbol.dispose]()
    lake[Symbol.dispose]()
  })

  const kinds = (found: Awaited<ReturnType<typeof whyOf>>) => named(found).map((one) => one[0])

  it('names both causes of all rows, and of one row its own alone', async () => {
    expect(kinds(await whyOf(folder, 'silver.order', orders))).toEqual(['late-rows', 'unit-change'])
    const one = await whyOf(folder, 'silver.order', orders, '--key', '9001')
    expect(kinds(one)).toEqual(['late-rows'])
    expect(one.findings[0]?.rows).toBe(1)
    expect([one.steps.map((step) => step.dataset), one.wider]).toEqual([['silver.order', 'bronze.order_line'], []])
  })

  it('puts a condition to each layer in its own words, and says where it cannot', async () => {
    const found = await whyOf(
      folder,
      'silver.order',
      orders,
      '--where',
      "date_trunc('month', ordered_at) = TIMESTAMP '2026-01-01'",
    )
    expect(kinds(found)).toEqual(['late-rows'])
    const sum = await whyOf(folder, 'silver.order', orders, '--where', 'revenue > 900')
    expect(sum.wider).toEqual(['bronze.order_line by (revenue > 900): revenue is computed of many rows.'])
    expect(kinds(sum)).toEqual(['late-rows', 'unit-change'])
  })

  it('follows the groups that differ, and no others', async () => {
    const found = await whyOf(
      folder,
      'gold.revenue_by_region',
      before,
      '--measure',
      'sum(revenue)',
      '--by',
      'region',
      '--date',
      '2026-01',
    )
    expect(found.numbers.groups.length).toBe(1)
    expect(found.wider).toEqual([
      expect.stringMatching(
        /^silver\.order by \("region"::VARCHAR = '\w+'\): region is a matter of silver\.customer\.$/,
      ),
    ])
    expect(kinds(found)).toEqual(['late-rows'])
  })

  it('shows what each cause moves where no number was asked for, and of one that was only its causes', async () => {
    try {
      const order = join(folder, 'datasets/silver/order.ts')
      const text = readFileSync(order, 'utf8')
      expect(text).toContain('min(customer_id) AS')
      writeFileSync(order, text.replace('min(customer_id) AS', '(max(customer_id) + 1)::INTEGER AS'))
      await runLake(folder)
      const found = await whyOf(folder, 'silver.order', orders)
      expect(kinds(found)).toEqual(['code-changed', 'late-rows', 'unit-change'])
      expect(found.numbers.also.map((one) => [one.measure, one.delta])).toEqual([['count(*)', '1']])
      expect(found.moved).toMatchObject({ added: 1, changed: 4500 })
      expect(found.moved?.columns.map((one) => one.name)).toEqual(['customer_id', 'revenue'])
      const told = (await limn(folder, 'why', 'silver.order', '--against', orders)).stdout
      expect(told).toMatch(/\nalso count\(\*\): 4500 → 4501 \(difference \+1\)\n/)
      expect(told).toMatch(/\nof its rows: 1 row added, 4,500 rows changed \(customer_id in 4,500 rows, revenue in /)
      const sum = await whyOf(folder, 'silver.order', orders, '--measure', 'sum(revenue)')
      expect([kinds(sum), sum.numbers.also, sum.moved]).toEqual([['late-rows', 'unit-change'], [], null])
    } finally {
      saved.restore()
    }
  })

  it('refuses a key of another length', async () => {
    expect((await limn(folder, 'why', 'silver.order', '--against', orders, '--key', '1,2')).code).toBe(2)
  })
})
