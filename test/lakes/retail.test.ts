import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { approve, backfill, parseAt, query } from '../../packages/limn/dist/lake/index.js'
import { root, temporaryFolder } from '../support/lake.ts'
import { sharedData } from '../support/shared-data.ts'

const data = sharedData('online-retail-a/transactions.csv.gz')

/** The week whose export has a comma lost in one product's price. */
const week = { from: '2011-03-07', to: '2011-03-14' }
const product = '22720'

const micros = (day: string) => Date.parse(`${day}T00:00:00Z`) * 1000

/** The Monday of a line's week. */
function mondayOf(line: string): string {
  const day = /,(\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d,/.exec(line)?.[1] ?? ''
  const at = new Date(`${day}T00:00:00Z`)
  at.setUTCDate(at.getUTCDate() - ((at.getUTCDay() + 6) % 7))
  return at.toISOString().slice(0, 10)
}

/** The price is the last cell but two, and never quoted. */
function tenfold(line: string): string {
  const cells = line.split(',')
  if (cells[1] === product) cells[cells.length - 3] = String(Number((Number(cells.at(-3)) * 10).toFixed(3)))
  return cells.join(',')
}

function shop(name: string) {
  const lake = temporaryFolder(name)
  for (const part of ['limn.config.ts', 'datasets'])
    cpSync(join(root, 'examples', 'retail', part), join(lake.folder, part), { recursive: true })
  mkdirSync(join(lake.folder, 'inbox'))
  return lake
}

function deliver(folder: string, monday: string, header: string, lines: readonly string[]): void {
  writeFileSync(join(folder, 'inbox', `${monday}.csv`), `${[header, ...lines].join('\n')}\n`)
}

async function rows(lake: Lake, sql: string): Promise<readonly string[]> {
  return (await query(lake, sql, parseAt(undefined))).rows.map((row) => row.map(String).join(' '))
}

/** The weeks of the export by their Monday, and what is wrong with one of them. */
function readWeeks() {
  const [header = '', ...lines] = gunzipSync(readFileSync(data ?? ''))
    .toString('utf8')
    .trimEnd()
    .split(/\r?\n/)
  const weeks = Map.groupBy(lines, mondayOf)
  const correct = weeks.get(week.from) ?? []
  return { header, weeks, correct, wrongLines: correct.filter((line) => line.split(',')[1] === product).length }
}

async function sameTables(one: Lake, other: Lake): Promise<void> {
  for (const table of ['silver.sale', 'gold.revenue_day']) {
    const all = `SELECT count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM ${table} AS t`
    expect([table, await rows(one, all)]).toEqual([table, await rows(other, all)])
  }
}

describe.runIf(data !== null)('a week of a shop with a wrong price', () => {
  it('is restated: the days of that week and no other, the rows of that product and no other', async () => {
    const { header, weeks, correct, wrongLines } = readWeeks()
    expect(wrongLines).toBeGreaterThan(30)

    using folder = shop('retail')
    await using lake = await Lake.open({ cwd: folder.folder })
    for (const [monday, all] of weeks)
      deliver(folder.folder, monday, header, monday === week.from ? all.map(tenfold) : all)
    expect((await lake.run()).outcome).toBe('published')
    const snapshots = async (table: string) =>
      (await rows(lake, `SELECT snapshot_id FROM ${table}.snapshots ORDER BY committed_at DESC LIMIT 1`))[0] ?? ''
    const before = { sale: await snapshots('silver.sale'), revenue: await snapshots('gold.revenue_day') }

    deliver(folder.folder, week.from, header, correct)
    const { plan } = await lake.plan()
    const planned = plan.items.filter((item) => item.dataset === 'silver.sale')
    expect(planned.length).toBeGreaterThan(0)
    const range = { start: micros(week.from), end: micros(week.to) }
    for (const { interval } of planned)
      expect(interval && interval.start >= range.start && interval.end <= range.end).toBe(true)
    const report = await lake.run({ range })
    expect(report.outcome).toBe('published')
    for (const one of report.datasets.filter(({ dataset }) => dataset !== 'bronze.transaction')) {
      expect(one.ranges.some(({ outcome }) => outcome === 'built')).toBe(true)
      for (const { interval } of one.ranges)
        expect(interval && interval.start >= range.start && interval.end <= range.end).toBe(true)
    }

    // What changed, row by row: sales of that product at a tenth of the price, in that week.
    const was = `silver.sale FOR SYSTEM_VERSION AS OF ${before.sale}`
    const changed = (a: string, b: string) => `(SELECT * FROM ${a} EXCEPT ALL SELECT * FROM ${b})`
    expect(
      await rows(
        lake,
        `SELECT DISTINCT stock_code FROM (${changed(was, 'silver.sale')} UNION ALL ${changed('silver.sale', was)})`,
      ),
    ).toEqual([product])
    expect(
      await rows(
        lake,
        `SELECT (SELECT sum(amount) FROM ${changed(was, 'silver.sale')}) = 10 * (SELECT sum(amount) FROM ${changed('silver.sale', was)}),
           (SELECT sum(lines) FROM ${changed('silver.sale', was)}) = ${wrongLines}`,
      ),
    ).toEqual(['true true'])
    const days = `SELECT min(day) >= DATE '${week.from}' AND max(day) < DATE '${week.to}', sum(now.revenue) < sum(was.revenue)
      FROM gold.revenue_day AS now JOIN gold.revenue_day FOR SYSTEM_VERSION AS OF ${before.revenue} AS was USING (day, country)
      WHERE now.revenue <> was.revenue`
    expect(await rows(lake, days)).toEqual(['true true'])
    expect((await lake.run()).outcome).toBe('idle')

    using other = shop('retail')
    await using never = await Lake.open({ cwd: other.folder })
    for (const [monday, all] of weeks) deliver(other.folder, monday, header, all)
    await never.run()
    await sameTables(lake, never)
  })

  it('is backfilled: the change is shown before it is published, and published as it was seen', async () => {
    const { header, weeks, correct, wrongLines } = readWeeks()
    const months = [...weeks].filter(([monday]) => monday >= '2011-02-07' && monday < '2011-04-04')
    using folder = shop('retail')
    await using lake = await Lake.open({ cwd: folder.folder })
    for (const [monday, all] of months)
      deliver(folder.folder, monday, header, monday === week.from ? all.map(tenfold) : all)
    await lake.run()
    const wrong = await rows(lake, 'SELECT sum(revenue)::VARCHAR FROM gold.revenue_day')

    // The corrected export is landed by itself; what is made of it is asked for with a look before.
    deliver(folder.folder, week.from, header, correct)
    await lake.run({ select: ['bronze.transaction'] })
    const range = { start: micros(week.from), end: micros(week.to) }
    const select = ['silver.sale', 'gold.revenue_day']
    const report = await backfill(lake, { select, range, diff: true })
    expect(report.outcome.kind).toBe('waiting')
    expect(await rows(lake, 'SELECT sum(revenue)::VARCHAR FROM gold.revenue_day')).toEqual(wrong)
    const [sales, revenue] = report.changes ?? []
    // The price is part of a sale's key: the wrong one goes, the right one comes.
    expect(sales?.dataset).toBe('silver.sale')
    expect(sales?.diff.total.added).toBe(sales?.diff.total.removed)
    const lineDelta = sales?.diff.total.measures.find((one) => one.name === 'lines')
    expect([lineDelta?.before, lineDelta?.delta === '0' || Number(lineDelta?.delta) === 0]).toEqual([
      expect.anything(),
      true,
    ])
    expect(sales?.diff.total.removed).toBeLessThanOrEqual(wrongLines)
    expect(revenue?.diff.total).toMatchObject({ added: 0, removed: 0 })
    expect(revenue?.diff.total.columns.map((one) => one.name)).toEqual(['revenue'])
    const lost = Number(revenue?.diff.total.measures.find((one) => one.name === 'revenue')?.delta)
    expect(lost).toBeLessThan(0)
    for (const { interval } of revenue?.intervals ?? [])
      expect(interval && interval.start >= range.start && interval.end <= range.end).toBe(true)

    expect((await approve(lake, report.id)).outcome.kind).toBe('published')
    const now = await rows(lake, 'SELECT sum(revenue)::VARCHAR FROM gold.revenue_day')
    expect(Number(now[0]) - Number(wrong[0])).toBeCloseTo(lost, 3)
    expect((await lake.run()).outcome).toBe('idle')

    using other = shop('retail')
    await using never = await Lake.open({ cwd: other.folder })
    for (const [monday, all] of months) deliver(other.folder, monday, header, all)
    await never.run()
    await sameTables(lake, never)
  })
})
