import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { parseAt, query } from '../../packages/limn/dist/lake/index.js'
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

describe.runIf(data !== null)('a week of a shop with a wrong price', () => {
  it('is restated: the days of that week and no other, the rows of that product and no other', async () => {
    const [header = '', ...lines] = gunzipSync(readFileSync(data ?? ''))
      .toString('utf8')
      .trimEnd()
      .split(/\r?\n/)
    const weeks = Map.groupBy(lines, mondayOf)
    const correct = weeks.get(week.from) ?? []
    const wrongLines = correct.filter((line) => line.split(',')[1] === product).length
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
    for (const table of ['silver.sale', 'gold.revenue_day']) {
      const all = `SELECT count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM ${table} AS t`
      expect([table, await rows(lake, all)]).toEqual([table, await rows(never, all)])
    }
  })
})
