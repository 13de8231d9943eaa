/**
 * The demo: lands the flights, builds the lake, shows what came of it, then delivers a bad file and shows limn refuse it.
 * Everything it runs is the command line anyone has; it ends with 0 when limn behaved as it says it does.
 */
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { airportPath, flightPath, landAll, landBadAirports, months, withdrawBadAirports } from './land.ts'

const folder = dirname(fileURLToPath(import.meta.url))
const launcher = join(folder, '..', '..', 'packages', 'limn', 'bin', 'limn.js')

interface Ended {
  readonly code: number | null
  readonly stdout: string
}

/** Runs limn in the lake; its progress goes straight to this terminal. */
function limn(...args: readonly string[]): Promise<Ended> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [launcher, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
    let stdout = ''
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
    })
    child.on('error', failed)
    child.on('close', (code) => done({ code, stdout }))
  })
}

function say(text = ''): void {
  process.stdout.write(`${text}\n`)
}

function require(condition: boolean, what: string): void {
  if (condition) return
  say(`\nThe demo did not go as it should: ${what}.`)
  process.exit(1)
}

interface RunJson {
  readonly run: string | null
  readonly outcome: string
  readonly verdicts: readonly {
    readonly dataset: string
    readonly check: string
    readonly outcome: string
    readonly explanation: string
    readonly sample: { readonly columns: readonly string[]; readonly rows: readonly (readonly unknown[])[] }
  }[]
}

const worst = `SELECT a.iata, a.name, sum(d.delayed)::BIGINT AS delayed, sum(d.flights)::BIGINT AS flights,
    round(100.0 * sum(d.delayed) / sum(d.flights), 1) AS percent
  FROM gold.airport_day d JOIN silver.dim_airport a ON a.iata = d.origin
  GROUP BY ALL HAVING sum(d.flights) >= 1000 ORDER BY sum(d.delayed) / sum(d.flights) DESC, a.iata LIMIT 10`

async function answer(): Promise<string> {
  return (await limn('sql', worst)).stdout
}

/** What a script without a gate would say of the same files: the join counts every flight of a doubled airport twice. */
async function plainScript(): Promise<string> {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const list = months.map((month) => `'${flightPath(folder, month)}'`).join(', ')
  const reader = await connection.runAndReadAll(
    `SELECT f.origin, count(*) AS flights FROM read_parquet([${list}]) f JOIN read_csv('${airportPath(folder)}') a ON a.iata = f.origin
     WHERE f.origin IN ('ATL', 'ORD') GROUP BY ALL ORDER BY ALL`,
  )
  const rows = reader.getRowsJson()
  connection.closeSync()
  instance.closeSync()
  return rows.map((row) => `${row[0]}: ${Number(row[1]).toLocaleString('en')} flights`).join(', ')
}

say('1. Landing three million flights of 2001 in examples/flights/inbox …')
await landAll(folder)
withdrawBadAirports(folder)

say('\n2. limn run')
const first = await limn('run')
say(first.stdout.trimEnd())
require(first.code === 0, 'the first run failed')

say('\n3. What was built (limn table ls)')
say((await limn('table', 'ls')).stdout.trimEnd())

say('\n4. The ten worst airports, by share of flights 15 minutes late or more')
const before = await answer()
say(before.trimEnd())
require(before.includes('iata'), 'the lake gave no answer')

say('\n5. A bad airports file arrives: ATL and ORD are in it twice. limn run')
landBadAirports(folder)
const refused = await limn('run', '--json')
const report = JSON.parse(refused.stdout) as RunJson
const plain = await plainScript()
require(refused.code === 3 && report.outcome === 'refused', 'limn published a bad file')
say(`   limn refused to publish (exit code ${refused.code}).`)
for (const verdict of report.verdicts.filter((one) => one.outcome === 'failed')) {
  say(`   ${verdict.dataset}: ${verdict.check}: ${verdict.explanation}. The rows at fault:`)
  for (const row of verdict.sample.rows) say(`     ${row.map((cell) => cell ?? 'null').join(' | ')}`)
}
const after = await answer()
require(after === before, 'readers saw something else after the refusal')
const real = (
  await limn(
    'sql',
    '--format',
    'csv',
    "SELECT origin, sum(flights)::BIGINT FROM gold.airport_day WHERE origin IN ('ATL', 'ORD') GROUP BY 1 ORDER BY 1",
  )
).stdout
say(
  `   Readers still see the lake as it was: ${real
    .trim()
    .split('\r\n')
    .slice(1)
    .map((line) => line.replace(',', ': '))
    .join(', ')} flights.`,
)
say(`   A plain DuckDB script would have reported ${plain}.`)

say('\n6. The file is withdrawn. limn run')
withdrawBadAirports(folder)
const idle = await limn('run')
say(idle.stdout.trimEnd())
require(idle.code === 0 && idle.stdout.includes('Nothing to do'), 'the withdrawn file left work behind')

say('\nTry next, in examples/flights:')
say('  npx limn runs ls')
say(`  npx limn sql --at run/${report.run} "SELECT iata, name FROM silver.dim_airport WHERE iata IN ('ATL', 'ORD')"`)
say('  npx limn compile gold.route_month --date 2001-06')
