/**
 * The landing step: puts the real input where the lake's sources look for it. It stands for whatever delivers files in
 * real life, so it is outside the lake and outside what is timed. Every function is deterministic.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'

/** The data folder of the installed package, found upward: the package exports only its code. */
function dataFolder(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== dirname(at); at = dirname(at)) {
    const folder = join(at, 'node_modules', 'vega-datasets', 'data')
    if (existsSync(folder)) return folder
  }
  throw new Error('The package vega-datasets is not installed: run npm ci in the clone.')
}

const data = dataFolder()

export const flightsFile = join(data, 'flights-3m.parquet')
export const airportsFile = join(data, 'airports.csv')
export const months = ['2001-01', '2001-02', '2001-03', '2001-04', '2001-05', '2001-06', '2001-07'] as const

const text = (value: string) => `'${value.replaceAll("'", "''")}'`

async function copyQuery(sql: string, target: string): Promise<void> {
  mkdirSync(dirname(target), { recursive: true })
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  // Written aside and renamed into place: a source must never see half a file.
  await connection.run(`COPY (${sql}) TO ${text(`${target}.part`)} (FORMAT parquet, COMPRESSION zstd)`)
  renameSync(`${target}.part`, target)
  connection.closeSync()
  instance.closeSync()
}

const monthOf = (month: string) =>
  `date >= TIMESTAMP '${month}-01' AND date < TIMESTAMP '${month}-01' + INTERVAL 1 MONTH`

export function flightPath(folder: string, month: string): string {
  return join(folder, 'inbox', 'flights', `${month}.parquet`)
}

export function airportPath(folder: string): string {
  return join(folder, 'inbox', 'airports.csv')
}

/** One month of flights; with `everyNth`, a fixed sample of it. */
export async function landMonth(folder: string, month: string, everyNth = 1): Promise<void> {
  const sample = everyNth > 1 ? ` AND file_row_number % ${everyNth} = 0` : ''
  await copyQuery(
    `SELECT date, delay, distance, origin, destination FROM read_parquet(${text(flightsFile)}, file_row_number = true) WHERE ${monthOf(month)}${sample} ORDER BY file_row_number`,
    flightPath(folder, month),
  )
}

export function landAirports(folder: string): void {
  mkdirSync(join(folder, 'inbox'), { recursive: true })
  copyFileSync(airportsFile, airportPath(folder))
}

/** All seven months and the airports; files that are there already stay. */
export async function landAll(folder: string): Promise<void> {
  for (const month of months) if (!existsSync(flightPath(folder, month))) await landMonth(folder, month)
  if (!existsSync(airportPath(folder))) landAirports(folder)
}

/** The airports again, two of them mapped twice. */
export function landBadAirports(folder: string): void {
  const rows = readFileSync(airportsFile, 'utf8').trimEnd()
  const bad = [
    'ORD,Chicago O Hare (old map),Chicago,IL,USA,41.9,-87.9',
    'ATL,Atlanta Hartsfield (old map),Atlanta,GA,USA,33.6,-84.4',
  ]
  writeFileSync(airportPath(folder), `${rows}\n${bad.join('\n')}\n`)
}

export function withdrawBadAirports(folder: string): void {
  landAirports(folder)
}

/** June delivered again: 1,000 delays corrected and 500 late rows, all of 10 to 14 June at 40 airports. */
export async function landJuneAgain(folder: string): Promise<void> {
  const target = flightPath(folder, '2001-06')
  const first = `${target}.first`
  if (!existsSync(first)) copyFileSync(target, first)
  const june = `read_parquet(${text(first)}, file_row_number = true)`
  const busiest = `SELECT origin FROM ${june} GROUP BY origin ORDER BY count(*) DESC, origin LIMIT 40`
  const eligible = `SELECT file_row_number AS n, * EXCLUDE (file_row_number) FROM ${june} WHERE date >= TIMESTAMP '2001-06-10' AND date < TIMESTAMP '2001-06-15' AND origin IN (${busiest})`
  // A fixed seed: rows are drawn by a hash of their number.
  const drawn = `SELECT *, row_number() OVER (ORDER BY hash(n + 20010610), n) AS draw FROM (${eligible})`
  await copyQuery(
    `WITH drawn AS (${drawn}), fixed AS (SELECT n FROM drawn WHERE draw <= 1000)
     SELECT date, delay + CASE WHEN f.n IS NULL THEN 0 ELSE 7 END AS delay, distance, origin, destination
     FROM ${june} j LEFT JOIN fixed f ON f.n = j.file_row_number
     UNION ALL
     SELECT date, delay + 11, distance + 1, origin, destination FROM drawn WHERE draw > 1000 AND draw <= 1500
     ORDER BY ALL`,
    target,
  )
}

/** June as it was first delivered. */
export function restoreJune(folder: string): void {
  const target = flightPath(folder, '2001-06')
  renameSync(`${target}.first`, target)
}

export function unland(folder: string): void {
  rmSync(join(folder, 'inbox'), { recursive: true, force: true })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await landAll(dirname(fileURLToPath(import.meta.url)))
}
