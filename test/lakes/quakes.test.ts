import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { Lake } from 'limn'
import { describe, expect, it } from 'vitest'
import { type Arrival, byDay, land } from '../../examples/quakes/land.ts'
import { parseAt, query } from '../../packages/limn/dist/lake/index.js'
import type { RunReport } from '../../packages/limn/dist/pipeline/index.js'
import { root, temporaryFolder } from '../support/lake.ts'
import { sharedData } from '../support/shared-data.ts'

const log = sharedData('usgs-quake-cdc/versions-2023.csv.gz')

/** Each of these days is a delivery and a run; after them a run takes a week, so that the suite stays within minutes. */
const dailyFor = 60

function project(folder: string): string {
  for (const part of ['limn.config.ts', 'datasets'])
    cpSync(join(root, 'examples', 'quakes', part), join(folder, part), { recursive: true })
  return folder
}

/** Deliveries in order: one per day, later one per week. */
function deliveries(days: ReadonlyMap<string, readonly Arrival[]>): readonly (readonly Arrival[])[] {
  const all = [...days.values()]
  const out: (readonly Arrival[])[] = all.slice(0, dailyFor)
  for (let at = dailyFor; at < all.length; at += 7) out.push(all.slice(at, at + 7).flat())
  return out
}

const micros = (day: string) => Date.parse(`${day}T00:00:00Z`) * 1000
const dayMicros = 86_400_000_000

/** The days of one dataset that a run worked on, and those of them whose rows changed. */
function daysOf(report: RunReport, dataset: string, outcome?: string): readonly string[] {
  const ranges = report.datasets.find((one) => one.dataset === dataset)?.ranges ?? []
  const out: string[] = []
  for (const range of ranges) {
    if (!range.interval || (outcome !== undefined && range.outcome !== outcome)) continue
    for (let at = range.interval.start; at < range.interval.end; at += dayMicros)
      out.push(new Date(at / 1000).toISOString().slice(0, 10))
  }
  return out.sort()
}

/** What each delivery touches, and the events as they last were, from the change log alone: no code of limn's. */
class Oracle {
  /** The day of each event seen so far. */
  private readonly dayOf = new Map<string, string>()
  private readonly columns: readonly string[]

  constructor(header: string) {
    this.columns = header.split(',')
  }

  touched(arrivals: readonly Arrival[]): readonly string[] {
    const out = new Set<string>()
    const [time, id] = [this.columns.indexOf('time'), this.columns.indexOf('id')]
    for (const { line } of arrivals) {
      // Only `place`, a later column, is ever quoted.
      const cells = line.split(',')
      const key = cells[id] ?? ''
      const before = this.dayOf.get(key)
      const day = cells[time] === '' ? before : cells[time]?.slice(0, 10)
      if (before !== undefined) out.add(before)
      if (day === undefined) continue
      out.add(day)
      this.dayOf.set(key, day)
    }
    return [...out].sort()
  }
}

async function rows(folder: string, sql: string): Promise<readonly (readonly unknown[])[]> {
  await using lake = await Lake.open({ cwd: folder })
  return (await query(lake, sql, parseAt(undefined))).rows
}

async function expected(file: string, sql: string): Promise<readonly (readonly unknown[])[]> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '2' })
  const connection = await instance.connect()
  try {
    await connection.run(`SET TimeZone = 'UTC'; CREATE TABLE version AS SELECT * FROM read_csv('${file}', all_varchar = true);
      CREATE VIEW quake AS SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY id ORDER BY scrape_seq::BIGINT DESC) AS n,
        count(*) OVER (PARTITION BY id) AS versions FROM version) WHERE n = 1 AND op <> 'd'`)
    return (await connection.runAndReadAll(sql)).getRowsJson()
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

const text = (all: readonly (readonly unknown[])[]) => all.map((row) => row.map(String).join(' '))

/** Order-free sums over every column: equal for equal rows. */
const fingerprints = {
  'silver.quake_version': 'SELECT count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM silver.quake_version AS t',
  'silver.quake': 'SELECT count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM silver.quake AS t',
  'gold.quake_day': 'SELECT count(*), sum(hash(t)::HUGEINT)::VARCHAR FROM gold.quake_day AS t',
} as const

describe.runIf(log !== null)('the earthquakes of 2023', () => {
  const file = log ?? ''

  it('arrive day by day: each run rebuilds the days touched and no other, and the year equals one full build', async () => {
    using daily = temporaryFolder('quakes')
    const { header, days } = byDay(gunzipSync(readFileSync(file)).toString('utf8'))
    expect(days.size).toBe(365)
    project(daily.folder)
    const oracle = new Oracle(header)
    let lateRuns = 0
    {
      await using lake = await Lake.open({ cwd: daily.folder })
      for (const arrivals of deliveries(days)) {
        land(daily.folder, header, arrivals)
        const report = await lake.run()
        const first = arrivals[0]?.day ?? ''
        expect([first, report.outcome]).toEqual([first, 'published'])
        const touched = oracle.touched(arrivals)
        expect([first, daysOf(report, 'silver.quake')]).toEqual([first, touched])
        expect([first, daysOf(report, 'silver.quake', 'built')]).toEqual([first, touched])
        // What is late reaches back a day, never more.
        const earliest = touched[0] ?? ''
        expect(micros(first) - micros(earliest)).toBeLessThanOrEqual(dayMicros)
        if (earliest < first) lateRuns++
        const gold = daysOf(report, 'gold.quake_day')
        expect(gold.filter((day) => !touched.includes(day))).toEqual([])
      }
      expect((await lake.run()).outcome).toBe('idle')
    }
    expect(lateRuns).toBeGreaterThan(dailyFor)

    using whole = temporaryFolder('quakes')
    project(whole.folder)
    for (const arrivals of deliveries(days)) land(whole.folder, header, arrivals)
    {
      await using lake = await Lake.open({ cwd: whole.folder })
      expect((await lake.run()).outcome).toBe('published')
    }
    for (const [table, sql] of Object.entries(fingerprints))
      expect([table, text(await rows(daily.folder, sql))]).toEqual([table, text(await rows(whole.folder, sql))])

    expect(text(await rows(daily.folder, perDay('silver.quake', 'versions')))).toEqual(
      text(await expected(file, perDay('quake', 'versions'))),
    )
    const largest = 'SELECT count(*), sum(quakes)::BIGINT, sum(strong)::BIGINT, max(largest) FROM gold.quake_day'
    const fromLog = `SELECT count(*), sum(n)::BIGINT, sum(s)::BIGINT, max(m) FROM (SELECT time::TIMESTAMP::DATE AS d, count(*) AS n,
      count(*) FILTER (mag::DOUBLE >= 4.5) AS s, max(mag::DOUBLE) AS m FROM quake WHERE type = 'earthquake' GROUP BY d)`
    expect(text(await rows(daily.folder, largest))).toEqual(text(await expected(file, fromLog)))
  })
})

function perDay(table: string, versions: string): string {
  return `SELECT strftime(time::TIMESTAMP, '%Y-%m-%d') AS d, count(*)::INTEGER, sum(${versions})::INTEGER, round(sum(mag::DOUBLE), 6),
    min(id), max(id) FROM ${table} GROUP BY d ORDER BY d`
}
