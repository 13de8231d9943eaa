import { appendFileSync, copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { airportPath, flightPath, landAirports, landMonth } from '../../examples/flights/land.ts'
import { copyFlights, limn, SavedLake, temporaryFolder } from '../support/lake.ts'
import { writeLake } from '../support/small-lake.ts'
import { stateDay, stateDayFile } from '../support/state-day.ts'

interface FindingJson {
  readonly kind: string
  readonly dataset: string
  readonly column: string | null
  readonly sentence: string
  readonly rows: number
  readonly origin: {
    readonly kind: string
    readonly path?: string
    readonly changes?: readonly { readonly part: string; readonly before: string; readonly after: string }[]
  }
  readonly intervals: readonly { readonly start: string; readonly end: string }[]
  readonly evidence: { readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }
}

interface WhyJson {
  readonly findings: readonly FindingJson[]
  readonly unknown: readonly string[]
  readonly steps: readonly { readonly dataset: string; readonly verdict: string }[]
}

describe('limn why on the flights lake', () => {
  const lake = temporaryFolder('why')
  const { folder } = lake
  let saved: SavedLake
  let before = ''

  async function run(): Promise<void> {
    const ended = await limn(folder, 'run', '--json')
    expect([ended.code, ended.stdout.slice(0, 400)]).toEqual([0, expect.stringContaining('"outcome":"published"')])
  }

  async function why(...args: readonly string[]): Promise<WhyJson> {
    const ended = await limn(folder, 'why', 'gold.state_day', '--against', before, '--json', ...args)
    expect([ended.code, ended.stderr]).toEqual([0, ''])
    return JSON.parse(ended.stdout) as WhyJson
  }

  /** Delivers a month again as a query over what it was. */
  async function again(month: string, sql: (from: string) => string, to = month): Promise<void> {
    const path = flightPath(folder, month)
    const target = flightPath(folder, to)
    const instance = await DuckDBInstance.create(':memory:')
    const connection = await instance.connect()
    const from = `read_parquet('${path}', file_row_number = true)`
    await connection.run(`COPY (${sql(from)}) TO '${target}.part' (FORMAT parquet)`)
    connection.closeSync()
    instance.closeSync()
    renameSync(`${target}.part`, target)
  }

  const columns = 'date, delay, distance, origin, destination'

  function edit(file: string, from: string, to: string): void {
    const path = join(folder, file)
    const text = readFileSync(path, 'utf8')
    expect(text).toContain(from)
    writeFileSync(path, text.replace(from, to))
  }

  beforeAll(async () => {
    copyFlights(folder)
    writeLake(folder, { [stateDayFile]: stateDay })
    // The dimension promises no key, as where nobody looks: else the gate refuses a second row of one.
    edit('datasets/silver/dim_airport.ts', "keys: ['iata']", 'keys: []')
    for (const month of ['2001-01', '2001-02', '2001-03']) await landMonth(folder, month, 20)
    landAirports(folder)
    await run()
    const history = JSON.parse(
      (await limn(folder, 'table', 'history', 'gold.state_day', '--json')).stdout,
    ) as readonly {
      snapshotId: string
    }[]
    before = String(history[0]?.snapshotId)
    saved = new SavedLake(folder)
  })
  afterAll(() => {
    saved[Symbol.dispose]()
    lake[Symbol.dispose]()
  })

  /** Injects one thing into the lake as it was, runs, and asks why. */
  async function caused(inject: () => Promise<void> | void, ...args: readonly string[]): Promise<WhyJson> {
    saved.restore()
    await inject()
    await run()
    return why(...args)
  }

  const named = ({ findings }: WhyJson) =>
    findings.map((one) => [one.kind, one.dataset, one.origin.path ?? one.origin.kind, one.column])

  const february = 'inbox/flights/2001-02.parquet'

  it('names a duplicate dimension row', async () => {
    const found = await caused(() =>
      appendFileSync(airportPath(folder), 'ORD,Chicago O Hare (old map),Chicago,IL,USA,41.9,-87.9\n'),
    )
    expect(named(found)).toEqual([['duplicate-key', 'bronze.airport', 'inbox/airports.csv', 'iata']])
    expect(found.findings[0]?.evidence.rows.map((row) => row[0])).toEqual(['ORD', 'ORD'])
    expect(found.unknown).toEqual([])
  })

  it('names a value that was dropped', async () => {
    const found = await caused(() =>
      again('2001-02', (from) => `SELECT ${columns} FROM ${from} WHERE origin <> 'ATL' ORDER BY file_row_number`),
    )
    expect(named(found)).toEqual([['value-dropped', 'bronze.flight_report', february, 'origin']])
    expect(found.findings[0]?.sentence).toContain('origin = ATL')
  })

  it('names times that moved by the offset of a zone', async () => {
    const found = await caused(() =>
      again(
        '2001-02',
        (from) =>
          `SELECT date + INTERVAL 5 HOUR AS date, delay, distance, origin, destination FROM ${from} ORDER BY file_row_number`,
      ),
    )
    expect(named(found)).toEqual([['time-shift', 'bronze.flight_report', february, 'date']])
    expect(found.findings[0]?.sentence).toContain('+5 h')
  })

  it('names late rows, and the days they are of', async () => {
    const found = await caused(() =>
      again(
        '2001-02',
        (from) => `SELECT ${columns} FROM ${from} UNION ALL
          SELECT date, delay + 11, distance + 1, origin, destination FROM ${from}
          WHERE date >= TIMESTAMP '2001-02-10' AND date < TIMESTAMP '2001-02-12' AND file_row_number % 5 = 0`,
      ),
    )
    expect(named(found)).toEqual([['late-rows', 'bronze.flight_report', february, null]])
    expect(found.findings[0]?.intervals).toEqual([{ start: '2001-02-10T00:00:00', end: '2001-02-12T00:00:00' }])
  })

  it('names a filter that drifted, with both conditions', async () => {
    const found = await caused(() => edit(stateDayFile, 'f.distance_mi >= 0', 'f.distance_mi >= 300'))
    expect(named(found)).toEqual([['filter-changed', 'gold.state_day', 'code', null]])
    expect(found.findings[0]?.origin.changes).toMatchObject([
      { part: 'where', before: expect.stringContaining('>= 0'), after: expect.stringContaining('>= 300') },
    ])
  })

  it('names a join that fans out', async () => {
    const found = await caused(() =>
      edit(stateDayFile, 'ON a.iata = f.origin', 'ON left(a.iata, 2) = left(f.origin, 2)'),
    )
    expect(named(found)).toEqual([['fan-out', 'gold.state_day', 'code', null]])
    expect(found.findings[0]?.sentence).toContain('silver.dim_airport')
  })

  it('names a column that lost its values when it was renamed at the source', async () => {
    const found = await caused(() => {
      const lines = readFileSync(airportPath(folder), 'utf8').trimEnd().split('\n')
      const parts = lines.map((line) => /^(\w+,(?:"[^"]*"|[^,"]*),(?:"[^"]*"|[^,"]*)),([^,]*),(.*)$/.exec(line))
      const text = lines.map((line, i) => (i === 0 || !parts[i] ? line : `${parts[i]?.[1]},NA,${parts[i]?.[3]}`))
      writeFileSync(airportPath(folder), `${text.join('\n')}\n`)
    })
    expect(named(found)).toEqual([['column-null', 'bronze.airport', 'inbox/airports.csv', 'state']])
  })

  it('names a delivery that came in part', async () => {
    const found = await caused(() =>
      again(
        '2001-02',
        (from) => `SELECT ${columns} FROM ${from} WHERE file_row_number < 15000 ORDER BY file_row_number`,
      ),
    )
    expect(named(found)).toEqual([['partial-delivery', 'bronze.flight_report', february, null]])
  })

  it('names changed code, with the expression on both sides', async () => {
    const found = await caused(() => edit(stateDayFile, 'sum(f.delay_min)', 'sum(greatest(f.delay_min, 0))'))
    expect(named(found)).toEqual([['code-changed', 'gold.state_day', 'code', 'delay_sum']])
    expect(found.findings[0]?.origin.changes).toMatchObject([
      { part: 'column delay_sum', after: expect.stringContaining('greatest(f.delay_min, 0)') },
    ])
  })

  it('names a delivery that came twice', async () => {
    const found = await caused(() => copyFileSync(flightPath(folder, '2001-02'), flightPath(folder, '2001-02-resent')))
    expect(named(found)).toEqual([
      ['double-delivery', 'bronze.flight_report', 'inbox/flights/2001-02-resent.parquet', null],
    ])
    expect(found.findings[0]?.sentence).toContain(february)
  })

  it('names a unit that changed, with its factor', async () => {
    const found = await caused(() =>
      again(
        '2001-02',
        (from) =>
          `SELECT date, delay, round(distance * 1.609344)::BIGINT AS distance, origin, destination FROM ${from} ORDER BY file_row_number`,
      ),
    )
    expect(named(found)).toEqual([['unit-change', 'bronze.flight_report', february, 'distance']])
    expect(found.findings[0]?.sentence).toContain('1.609344')
  })

  it('names a rounding', async () => {
    const found = await caused(() => edit(stateDayFile, 'avg(f.distance_mi)', 'round(avg(f.distance_mi), 1)'))
    expect(named(found)).toEqual([['rounding', 'gold.state_day', 'code', 'mean_distance']])
  })

  it('accuses nobody where nothing was injected', async () => {
    saved.restore()
    expect((await why()).findings).toEqual([])
    // The same by other words, a dimension's row that nothing reads, and files rewritten: the numbers stay.
    edit(stateDayFile, 'AND f.distance_mi >= 0', 'AND /* all of them */ f.distance_mi >= 0')
    appendFileSync(airportPath(folder), 'ZZZZ,Nowhere Field,Nowhere,AK,USA,60.0,-150.0\n')
    await run()
    expect((await limn(folder, 'table', 'compact', 'gold.state_day', '--json')).code).toBe(0)
    expect((await why()).findings).toEqual([])
  })

  it('tells new rows of a new month from what went wrong in an old one', async () => {
    const found = await caused(async () => {
      await landMonth(folder, '2001-04', 20)
      await again('2001-02', (from) => `SELECT ${columns} FROM ${from} WHERE origin <> 'ATL' ORDER BY file_row_number`)
    })
    expect(named(found).sort()).toEqual([
      ['new-rows', 'bronze.flight_report', 'inbox/flights/2001-04.parquet', null],
      ['value-dropped', 'bronze.flight_report', february, 'origin'],
    ])
  })

  it('tries two things that changed at once alone, and lets the one go that changes nothing', async () => {
    const found = await caused(async () => {
      appendFileSync(airportPath(folder), 'ZZZZ,Nowhere Field,Nowhere,AK,USA,60.0,-150.0\n')
      edit(stateDayFile, 'f.distance_mi >= 0', 'f.distance_mi >= 300')
    })
    expect(named(found)).toEqual([['filter-changed', 'gold.state_day', 'code', null]])
  })
})
