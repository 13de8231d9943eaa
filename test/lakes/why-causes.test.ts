import { appendFileSync, copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { airportPath, flightPath, landAirports, landMonth } from '../../examples/flights/land.ts'
import { draws } from '../support/hostile.ts'
import { copyFlights, limn, SavedLake, temporaryFolder } from '../support/lake.ts'
import { writeLake } from '../support/small-lake.ts'
import { stateDay, stateDayFile } from '../support/state-day.ts'
import type { WhyJson } from '../support/why.ts'

const seed = Number(process.env.LIMN_SEED ?? 20261126)
const draw = draws(seed)
const pick = <T>(list: readonly T[]): T => {
  const one = list[draw(list.length)]
  if (one === undefined) throw new Error('There is nothing to choose from.')
  return one
}

/** Where each cause is injected: another month, airport, day and amount for each seed. */
const months = ['2001-01', '2001-02', '2001-03'] as const
const airports = ['ATL', 'ORD', 'DFW', 'LAX', 'PHX', 'DEN', 'STL', 'MSP'] as const

describe(`limn why on the flights lake, causes placed by seed ${seed}`, () => {
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
    for (const month of months) await landMonth(folder, month, 20)
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

  const pathOf = (month: string) => `inbox/flights/${month}.parquet`
  const all = (from: string) => `SELECT ${columns} FROM ${from}`

  interface Cause {
    readonly inject: () => Promise<void> | void
    /** What must be named, and nothing else. */
    readonly named: readonly [kind: string, dataset: string, origin: string, column: string | null]
    /** Stands in the sentence. */
    readonly says?: string
    /** The days that must be named. */
    readonly days?: readonly { readonly start: string; readonly end: string }[]
    readonly changes?: readonly [part: string, after: string]
  }

  const delivery = (month: string, kind: string, column: string | null): Cause['named'] => [
    kind,
    'bronze.flight_report',
    pathOf(month),
    column,
  ]
  const code = (kind: string, column: string | null): Cause['named'] => [kind, 'gold.state_day', 'code', column]

  /** The twelve things that go wrong, each somewhere. */
  const causes: Readonly<Record<string, () => Cause>> = {
    'a duplicate dimension row': () => {
      const airport = pick(airports)
      return {
        inject: () =>
          appendFileSync(
            airportPath(folder),
            `${airport},Old map,Somewhere,${pick(['IL', 'TX', 'NY'])},USA,41.9,-87.9\n`,
          ),
        named: ['duplicate-key', 'bronze.airport', 'inbox/airports.csv', 'iata'],
        says: airport,
      }
    },
    'a value that was dropped': () => {
      const [month, airport] = [pick(months), pick(airports)]
      const column = pick(['origin', 'destination'])
      return {
        inject: () => again(month, (from) => `${all(from)} WHERE ${column} <> '${airport}' ORDER BY file_row_number`),
        named: delivery(month, 'value-dropped', column),
        says: `${column} = ${airport}`,
      }
    },
    'times that moved by the offset of a zone': () => {
      const [month, hours] = [pick(months), pick([-8, -5, 1, 2, 5, 9])]
      const moved = `date + INTERVAL '${hours} hours' AS date, delay, distance, origin, destination`
      return {
        inject: () => again(month, (from) => `SELECT ${moved} FROM ${from} ORDER BY file_row_number`),
        named: delivery(month, 'time-shift', 'date'),
        says: `${hours > 0 ? '+' : '−'}${Math.abs(hours)} h`,
      }
    },
    'late rows, and the days they are of': () => {
      const [month, day] = [pick(months), 3 + draw(20)]
      const text = (n: number) => `${month}-${String(n).padStart(2, '0')}`
      return {
        inject: () =>
          again(
            month,
            (from) => `${all(from)} UNION ALL SELECT date, delay + 11, distance + 1, origin, destination FROM ${from}
              WHERE date >= TIMESTAMP '${text(day)}' AND date < TIMESTAMP '${text(day + 2)}' AND file_row_number % 5 = 0`,
          ),
        named: delivery(month, 'late-rows', null),
        days: [{ start: `${text(day)}T00:00:00`, end: `${text(day + 2)}T00:00:00` }],
      }
    },
    'a filter that drifted': () => {
      const least = pick([150, 300, 500])
      return {
        inject: () => edit(stateDayFile, 'f.distance_mi >= 0', `f.distance_mi >= ${least}`),
        named: code('filter-changed', null),
        changes: ['where', `>= ${least}`],
      }
    },
    'a join that fans out': () => {
      const on = pick(['left(a.iata, 2) = left(f.origin, 2)', 'a.iata IN (f.origin, f.destination)'])
      return {
        inject: () => edit(stateDayFile, 'ON a.iata = f.origin', `ON ${on}`),
        named: code('fan-out', null),
        says: 'silver.dim_airport',
      }
    },
    'a column that lost its values when it was renamed at the source': () => ({
      inject: () => {
        const lines = readFileSync(airportPath(folder), 'utf8').trimEnd().split('\n')
        const parts = lines.map((line) => /^(\w+,(?:"[^"]*"|[^,"]*),(?:"[^"]*"|[^,"]*)),([^,]*),(.*)$/.exec(line))
        const text = lines.map((line, i) => (i === 0 || !parts[i] ? line : `${parts[i]?.[1]},NA,${parts[i]?.[3]}`))
        writeFileSync(airportPath(folder), `${text.join('\n')}\n`)
      },
      named: ['column-null', 'bronze.airport', 'inbox/airports.csv', 'state'],
    }),
    'a delivery that came in part': () => {
      const [month, rows] = [pick(months), 4000 + draw(12_000)]
      return {
        inject: () => again(month, (from) => `${all(from)} WHERE file_row_number < ${rows} ORDER BY file_row_number`),
        named: delivery(month, 'partial-delivery', null),
      }
    },
    'changed code': () => {
      const least = pick([0, -5, 3])
      return {
        inject: () => edit(stateDayFile, 'sum(f.delay_min)', `sum(greatest(f.delay_min, ${least}))`),
        named: code('code-changed', 'delay_sum'),
        changes: ['column delay_sum', `greatest(f.delay_min, ${least < 0 ? '-5' : least})`],
      }
    },
    'a delivery that came twice': () => {
      const month = pick(months)
      return {
        inject: () => copyFileSync(flightPath(folder, month), flightPath(folder, `${month}-resent`)),
        named: delivery(`${month}-resent`, 'double-delivery', null),
        says: pathOf(month),
      }
    },
    'a unit that changed, with its factor': () => {
      const month = pick(months)
      const list = columns.replace('distance', 'round(distance * 1.609344)::BIGINT AS distance')
      return {
        inject: () => again(month, (from) => `SELECT ${list} FROM ${from} ORDER BY file_row_number`),
        named: delivery(month, 'unit-change', 'distance'),
        says: '1.609344',
      }
    },
    'a rounding': () => ({
      inject: () => edit(stateDayFile, 'avg(f.distance_mi)', `round(avg(f.distance_mi), ${pick([0, 1, 2])})`),
      named: code('rounding', 'mean_distance'),
    }),
  }

  function causeOf(name: string): Cause {
    const make = causes[name]
    if (!make) throw new Error(name)
    return make()
  }

  for (const name of Object.keys(causes))
    it(`names ${name}, and nothing else`, async () => {
      const cause = causeOf(name)
      const found = await caused(cause.inject)
      expect([named(found), found.unknown]).toEqual([[cause.named], []])
      const [one] = found.findings
      expect(one?.sentence).toContain(cause.says ?? '')
      if (cause.days) expect(one?.intervals).toEqual(cause.days)
      if (cause.changes)
        expect(one?.origin.changes).toMatchObject([
          { part: cause.changes[0], after: expect.stringContaining(cause.changes[1]) },
        ])
    })

  it('names both of two causes, wherever they are', async () => {
    const ofDelivery = [
      'a value that was dropped',
      'late rows, and the days they are of',
      'a delivery that came in part',
    ]
    const ofCode = ['a filter that drifted', 'changed code']
    for (const pair of [
      [causeOf(pick(ofDelivery)), causeOf(pick(ofCode))],
      [causeOf('a duplicate dimension row'), causeOf(pick(ofCode))],
      [causeOf(pick(ofDelivery)), causeOf('a duplicate dimension row')],
    ]) {
      const found = await caused(async () => {
        for (const one of pair) await one.inject()
      })
      expect(named(found).sort()).toEqual(pair.map((one) => one.named).sort())
    }
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
    const dropped = causeOf('a value that was dropped')
    const found = await caused(async () => {
      await landMonth(folder, '2001-04', 20)
      await dropped.inject()
    })
    expect(named(found).sort()).toEqual([
      ['new-rows', 'bronze.flight_report', 'inbox/flights/2001-04.parquet', null],
      dropped.named,
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
