import { renameSync } from 'node:fs'
import { hashKeyOf } from 'limn'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  airportPath,
  flightPath,
  flightsFile,
  landAll,
  landBadAirports,
  landJuneAgain,
  months,
  restoreJune,
  withdrawBadAirports,
} from '../../examples/flights/land.ts'
import { contentsOf, pointersOf } from '../support/contents.ts'
import { copyFlights, limn, temporaryFolder } from '../support/lake.ts'
import { oracle } from './oracle.ts'

interface RunJson {
  readonly run: string | null
  readonly outcome: string
  readonly datasets: readonly {
    readonly dataset: string
    readonly ranges: readonly {
      readonly outcome: string
      readonly reason: string
      readonly interval: { readonly start: string; readonly end: string } | null
    }[]
  }[]
}

describe('the flights lake', () => {
  const lake = temporaryFolder('flights')
  const { folder } = lake
  const files = () => months.map((month) => flightPath(folder, month))
  let first: Readonly<Record<string, string>> = {}

  async function run(...args: readonly string[]): Promise<RunJson> {
    const ended = await limn(folder, 'run', '--json', ...args)
    expect(ended.stderr).toBe('')
    return JSON.parse(ended.stdout) as RunJson
  }

  async function rows(sql: string, ...args: readonly string[]): Promise<readonly (readonly unknown[])[]> {
    const ended = await limn(folder, 'sql', '--json', ...args, sql)
    expect(ended.code).toBe(0)
    return (JSON.parse(ended.stdout) as { rows: readonly (readonly unknown[])[] }).rows
  }

  /** Intervals a run rewrote, per dataset. */
  function rewritten(report: RunJson): Readonly<Record<string, readonly string[]>> {
    return Object.fromEntries(
      report.datasets.map((one) => [
        one.dataset,
        one.ranges
          .filter((range) => range.outcome === 'built')
          .map((range) => `${range.interval?.start.slice(0, 10)}…${range.interval?.end.slice(0, 10)}`),
      ]),
    )
  }

  beforeAll(async () => {
    copyFlights(folder)
    await landAll(folder)
    expect((await run()).outcome).toBe('published')
    first = await contentsOf(folder)
  })
  afterAll(() => lake[Symbol.dispose]())

  it('keeps 2,999,809 of 3,000,000 rows and counts 191 exact duplicates', async () => {
    const found = await rows(
      'SELECT count(*), sum(copies)::BIGINT, sum(copies - 1)::BIGINT, (SELECT count(*) FROM bronze.flight_report), (SELECT count(*) FROM bronze.airport) FROM silver.flight',
    )
    expect(found).toEqual([[2_999_809, 3_000_000, 191, 3_000_000, 3_376]])
    expect(
      await oracle(
        [flightsFile],
        'SELECT (SELECT count(*) FROM report)::VARCHAR, (SELECT count(*) FROM flight)::VARCHAR',
      ),
    ).toEqual([['3000000', '2999809']])
  })

  it('agrees with plain SQL over the files in every gold row', async () => {
    const day = "strftime(date_trunc('day', date), '%Y-%m-%d')"
    const known = "strftime(date_trunc('day', date + to_minutes(delay::INTEGER)), '%Y-%m-%d')"
    const measures =
      'count(*), count(*) FILTER (delay >= 15), sum(delay)::BIGINT, count(delay), quantile_disc(delay, 0.5)::BIGINT, quantile_disc(delay, 0.95)::BIGINT'
    const all = (sql: string) =>
      `SELECT count(*)::VARCHAR, sum(hash(a, b, c, d, e, f, g, h)::HUGEINT)::VARCHAR FROM (${sql}) t(a, b, c, d, e, f, g, h)`
    for (const [table, column, expected] of [
      ['gold.airport_day', 'day', day],
      ['gold.airport_day_by_report', 'report_day', known],
    ] as const) {
      const own = await rows(
        all(
          `SELECT strftime(${column}, '%Y-%m-%d'), origin, flights, delayed, delay_sum, delay_count, p50::BIGINT, p95::BIGINT FROM ${table}`,
        ),
      )
      expect([table, own]).toEqual([
        table,
        await oracle(files(), all(`SELECT ${expected}, origin, ${measures} FROM flight GROUP BY 1, 2`)),
      ])
    }
    const month = "strftime(date_trunc('month', date), '%Y-%m-%d')"
    const routes = await rows(
      all(
        "SELECT strftime(month, '%Y-%m-%d'), origin, destination, flights, delayed, delay_sum, distance_sum, 0 FROM gold.route_month",
      ),
    )
    const sums = 'count(*), count(*) FILTER (delay >= 15), sum(delay)::BIGINT, sum(distance)::BIGINT, 0'
    expect(routes).toEqual(
      await oracle(files(), all(`SELECT ${month}, origin, destination, ${sums} FROM flight GROUP BY 1, 2, 3`)),
    )
  })

  it('gives the same 16-byte keys in SQL and TypeScript', async () => {
    const sample = await rows(
      'SELECT flight_key, epoch_us(scheduled_at), delay_min, distance_mi, origin, destination FROM silver.flight ORDER BY flight_key LIMIT 200',
    )
    for (const [key, date, delay, distance, origin, destination] of sample) {
      const expected = hashKeyOf([
        { type: 'timestamp', value: BigInt(date as number) },
        { type: 'long', value: BigInt(delay as number) },
        { type: 'long', value: BigInt(distance as number) },
        { type: 'string', value: origin as string },
        { type: 'string', value: destination as string },
      ])
      expect(key).toBe(expected)
    }
  })

  it('knows the calendar: ISO weeks, fiscal years, holidays and their observed days', async () => {
    const days = await rows(
      "SELECT date::VARCHAR, iso_year, iso_week, fiscal_year, fiscal_quarter, holiday, observed_holiday, is_business_day FROM silver.dim_date WHERE date IN ('2000-01-01', '2001-01-01', '2000-09-30', '2000-10-01', '2001-07-04', '2000-11-10', '2001-11-12', '2001-05-28', '2001-11-22') ORDER BY date",
    )
    expect(days).toEqual([
      ['2000-01-01', 1999, 52, 2000, 2, "New Year's Day", null, false],
      ['2000-09-30', 2000, 39, 2000, 4, null, null, false],
      ['2000-10-01', 2000, 39, 2001, 1, null, null, false],
      ['2000-11-10', 2000, 45, 2001, 1, null, 'Veterans Day', false],
      ['2001-01-01', 2001, 1, 2001, 2, "New Year's Day", "New Year's Day", false],
      ['2001-05-28', 2001, 22, 2001, 3, 'Memorial Day', 'Memorial Day', false],
      ['2001-07-04', 2001, 27, 2001, 4, 'Independence Day', 'Independence Day', false],
      ['2001-11-12', 2001, 46, 2002, 1, null, 'Veterans Day', false],
      ['2001-11-22', 2001, 47, 2002, 1, 'Thanksgiving Day', 'Thanksgiving Day', false],
    ])
  })

  it('has nothing to do when run again, and commits nothing', async () => {
    const before = pointersOf(folder)
    expect((await run()).outcome).toBe('idle')
    expect(pointersOf(folder)).toEqual(before)
  })

  it('rebuilds silver and gold from bronze with --full into equal rows, and keeps the files', async () => {
    const before = pointersOf(folder)
    const report = await run('--full', 'gold.*', 'silver.dim_date')
    expect(report.outcome).toBe('published')
    expect(Object.values(rewritten(report)).flat()).toEqual([])
    expect(await contentsOf(folder)).toEqual(first)
    expect(Object.keys(pointersOf(folder))).toEqual(Object.keys(before))
  })

  it('opens only the files a build can use, and says so', async () => {
    const ended = await limn(folder, 'run', '--full', 'gold.route_month', '--date', '2001-06', '--json', '--explain')
    const { datasets } = JSON.parse(ended.stdout) as {
      datasets: readonly {
        scans: readonly {
          considered: { files: number; bytes: number }
          pruned: { files: number; bytes: number }
          read: { files: number; bytes: number }
        }[]
      }[]
    }
    const [scan] = datasets[0]?.scans ?? []
    expect([scan?.considered.files, scan?.pruned.files, scan?.read.files]).toEqual([7, 6, 1])
    expect(scan?.considered.bytes).toBe((scan?.pruned.bytes ?? 0) + (scan?.read.bytes ?? 0))
    const shown = await limn(folder, 'run', '--full', 'gold.route_month', '--date', '2001-06', '--explain')
    expect(shown.stdout).toMatch(/gold\.route_month\s+2001-06\s+silver\.flight\s+7\s+6\s+1/)
  })

  it('compiles a model to SQL that plain DuckDB runs, with the same rows', async () => {
    const { sql } = JSON.parse(
      (await limn(folder, 'compile', 'gold.route_month', '--date', '2001-06', '--json')).stdout,
    ) as { sql: string }
    const text = (await limn(folder, 'compile', 'gold.route_month', '--date', '2001-06')).stdout
    expect(text.trimEnd()).toBe(sql)
    const statements = sql.split(/;\n/)
    const select = statements.pop()?.replace(/;\s*$/, '') ?? ''
    const counted = await oracle(
      files(),
      `${statements.join(';\n')}; SELECT count(*)::VARCHAR, sum(flights)::VARCHAR FROM (${select})`,
    )
    const own = await rows(
      "SELECT count(*)::VARCHAR, sum(flights)::VARCHAR FROM gold.route_month WHERE month = '2001-06-01'",
    )
    expect(counted).toEqual(own)
  })

  it('plans a superset when June is delivered again, and rewrites exactly the intervals whose rows changed', async () => {
    await landJuneAgain(folder)
    const planned = await limn(folder, 'plan', '--json', '--exit-code')
    expect(planned.code).toBe(4)
    const { items } = JSON.parse(planned.stdout) as {
      items: readonly {
        dataset: string
        interval: { start: string; end: string } | null
        reason: string
        because: string
        atMost: boolean
      }[]
    }
    const planOf = (dataset: string) =>
      items
        .filter((item) => item.dataset === dataset)
        .map((item) => [item.interval?.start.slice(0, 10), item.interval?.end.slice(0, 10), item.reason, item.atMost])
    expect(planOf('silver.flight')).toEqual([['2001-06-01', '2001-07-01', 'input-changed', true]])
    expect(planOf('gold.airport_day')).toEqual([['2001-06-01', '2001-07-01', 'input-changed', true]])
    expect(planOf('gold.airport_day_by_report')).toEqual([['2001-05-31', '2001-07-04', 'input-changed', true]])
    expect(items.find((item) => item.dataset === 'bronze.flight_report')).toMatchObject({
      reason: 'new-delivery',
      because: 'inbox/flights/2001-06.parquet changed',
    })

    const report = await run()
    expect(rewritten(report)).toEqual({
      'bronze.flight_report': [],
      'silver.flight': ['2001-06-01…2001-07-01'],
      'gold.airport_day': ['2001-06-10…2001-06-15'],
      'gold.airport_day_by_report': ['2001-06-10…2001-06-16'],
      'gold.route_month': ['2001-06-01…2001-07-01'],
    })
    const shown = JSON.parse((await limn(folder, 'runs', 'show', report.run ?? '', '--json')).stdout) as {
      ranges: readonly { dataset: string; outcome: string; reason: string }[]
    }
    expect(
      shown.ranges
        .filter((range) => range.outcome === 'built')
        .map((range) => range.dataset)
        .sort(),
    ).toEqual(['gold.airport_day', 'gold.airport_day_by_report', 'gold.route_month', 'silver.flight'])
    expect(await rows('SELECT count(*) FROM silver.flight')).toEqual([[3_000_309]])
  })

  it('reads the lake as it was, by time and by snapshot', async () => {
    const history = JSON.parse((await limn(folder, 'table', 'history', 'silver.flight', '--json')).stdout) as readonly {
      published: string
      snapshotId: string
    }[]
    const [latest, before] = history
    expect(await rows('SELECT count(*) FROM silver.flight', '--at', before?.snapshotId ?? '')).toEqual([[2_999_809]])
    const time = new Date(Date.parse(latest?.published ?? '') - 1).toISOString().replace('Z', '')
    expect(
      await rows(
        'SELECT (SELECT count(*) FROM silver.flight), (SELECT sum(flights)::BIGINT FROM gold.airport_day)',
        '--at',
        time,
      ),
    ).toEqual([[2_999_809, 2_999_809]])
  })

  it('comes back to the first tables when the first June is restored', async () => {
    restoreJune(folder)
    expect((await run()).outcome).toBe('published')
    expect(await contentsOf(folder)).toEqual(first)
  })

  it('refuses two airports mapped twice, shows them, and has nothing to do once they are withdrawn', async () => {
    const before = pointersOf(folder)
    landBadAirports(folder)
    const refused = await limn(folder, 'run', '--json')
    expect(refused.code).toBe(3)
    const report = JSON.parse(refused.stdout) as {
      run: string
      verdicts: readonly { check: string; outcome: string; sample: { rows: readonly (readonly unknown[])[] } }[]
    }
    const failed = report.verdicts.filter((one) => one.outcome === 'failed')
    expect(failed.map((one) => one.check)).toEqual(['unique(iata)'])
    expect(failed[0]?.sample.rows.map((row) => row[0])).toEqual(['ATL', 'ATL', 'ORD', 'ORD'])
    expect(await contentsOf(folder)).toEqual(first)
    expect(Object.keys(pointersOf(folder))).toEqual(Object.keys(before))
    expect(await rows('SELECT count(*) FROM silver.dim_airport', '--at', `run/${report.run}`)).toEqual([[3_379]])
    withdrawBadAirports(folder)
    expect((await run()).outcome).toBe('idle')
  })

  it('stops when a delivered file is gone, until the source says what that means', async () => {
    renameSync(airportPath(folder), `${airportPath(folder)}.away`)
    const ended = await limn(folder, 'run', '--json')
    expect((JSON.parse(ended.stdout) as { error: { kind: string } }).error.kind).toBe('source/vanished')
    renameSync(`${airportPath(folder)}.away`, airportPath(folder))
  })
})
