/**
 * `limn why --against` on the flights lake, 3 M rows: a gold number per day and state against what it was, with one cause
 * injected below it at a time. The command is timed as a process, from nothing to the named cause.
 *
 *   node benchmarks/operate/why.ts FOLDER [EVERY_NTH]
 */
import { spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { airportPath, flightPath, landAirports, landMonth, months } from '../../examples/flights/land.ts'
import { copyFlights, SavedLake } from '../../test/support/lake.ts'
import { stateDay, stateDayFile } from '../../test/support/state-day.ts'
import { median, round } from '../iceberg/bench.ts'

const everyNth = process.argv[3] ?? '1'
const rounds = 3
const limn = fileURLToPath(new URL('../../packages/limn/bin/limn.js', import.meta.url))
// Inside of the repository, so that the lake's files find `limn`.
const lake = join(fileURLToPath(new URL('../../test/.lakes', import.meta.url)), `bench-why-${process.pid}`)

function command(...args: readonly string[]): Promise<{ readonly text: string; readonly seconds: number }> {
  const began = performance.now()
  const child = spawn(process.execPath, [limn, ...args, '--json'], { cwd: lake, stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return new Promise((done, failed) => {
    child.on('close', (code) => {
      if (code === 0) done({ text, seconds: (performance.now() - began) / 1000 })
      else failed(new Error(`limn ${args.join(' ')} ended with ${code}: ${text.slice(0, 2000)}`))
    })
  })
}

async function again(month: string, select: string): Promise<void> {
  const path = flightPath(lake, month)
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (SELECT ${select} FROM read_parquet('${path}')) TO '${path}.part' (FORMAT parquet)`)
  connection.closeSync()
  instance.closeSync()
  renameSync(`${path}.part`, path)
}

function edit(file: string, from: string, to: string): void {
  const path = join(lake, file)
  writeFileSync(path, readFileSync(path, 'utf8').replace(from, to))
}

const causes: Readonly<Record<string, { readonly kind: string; readonly inject: () => Promise<void> | void }>> = {
  unit: {
    kind: 'unit-change',
    inject: () => again('2001-06', 'date, delay, round(distance * 1.609344)::BIGINT AS distance, origin, destination'),
  },
  dimension: {
    kind: 'duplicate-key',
    inject: () => appendFileSync(airportPath(lake), 'ORD,Chicago O Hare (old map),Chicago,IL,USA,41.9,-87.9\n'),
  },
  filter: { kind: 'filter-changed', inject: () => edit(stateDayFile, 'f.distance_mi >= 0', 'f.distance_mi >= 300') },
}

mkdirSync(lake, { recursive: true })
copyFlights(lake)
writeFileSync(join(lake, stateDayFile), stateDay)
edit('datasets/silver/dim_airport.ts', "keys: ['iata']", 'keys: []')
for (const month of months) await landMonth(lake, month, Number(everyNth))
landAirports(lake)
await command('run')
const history = JSON.parse((await command('table', 'history', 'gold.state_day')).text) as readonly {
  snapshotId: string
}[]
const before = String(history[0]?.snapshotId)
const figures: Record<string, number> = {}
{
  using saved = new SavedLake(lake)
  for (const [name, { kind, inject }] of Object.entries(causes)) {
    saved.restore()
    await inject()
    await command('run')
    const seconds: number[] = []
    for (let i = 0; i < rounds; i++) {
      const { text, seconds: one } = await command('why', 'gold.state_day', '--against', before)
      const kinds = (JSON.parse(text) as { findings: readonly { kind: string }[] }).findings.map((each) => each.kind)
      if (kinds.join() !== kind) throw new Error(`${name}: found ${kinds.join() || 'nothing'}, not ${kind}`)
      seconds.push(one)
    }
    figures[`${name}_s`] = round(median(seconds))
  }
}
rmSync(lake, { recursive: true, force: true })
process.stdout.write(`${JSON.stringify({ ...figures, slowest_s: Math.max(...Object.values(figures)) })}\n`)
