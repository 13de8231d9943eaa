import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { Lake, type OpenLakeOptions, query } from '../../packages/limn/src/lake/index.ts'
import { temporaryFolder } from './lake.ts'
import { bronzeEvent, deliver, silverEvent, writeLake } from './small-lake.ts'

/** A lake whose last dataset has its SQL in a file, so that a definition changes within one process. */
export function goldenLake(name: string): ReturnType<typeof temporaryFolder> {
  const lake = temporaryFolder(name)
  writeLake(lake.folder, {
    'limn.config.ts':
      "import { defineLake } from 'limn'\nexport default defineLake({ name: 'small', environments: { test: { doc: 'Made when first used.' } } })\n",
    'datasets/bronze/event.ts': bronzeEvent,
    'datasets/silver/event.ts': silverEvent,
    'datasets/gold/day.ts': goldDay,
    'datasets/gold/day.sql': daySql('sum(amount)'),
  })
  deliver(lake.folder, 'a', [
    ['1', '2026-01-01 08:00:00', '10'],
    ['2', '2026-01-02 08:00:00', '20'],
  ])
  return lake
}

const goldDay = `import { byInterval, model, same, sqlFile } from 'limn'
export const day = model('gold.day', {
  doc: 'One row per day.', owner: 'test', grain: ['day'], keys: ['day'],
  columns: {
    day: { type: 'timestamp', doc: 'The day.' },
    amount: { type: 'long', doc: 'Sum of amounts.' },
  },
  build: byInterval('day', 'day', () => sqlFile('day.sql')),
  edges: { 'silver.event': { reads: same } },
  checks: (check) => [check.between('amount', 0, 1000)],
})
`

function daySql(amount: string): string {
  return `SELECT date_trunc('day', happened_at)::TIMESTAMP AS day, (${amount})::BIGINT AS amount FROM silver.event
WHERE happened_at >= $interval_start AND happened_at < $interval_end GROUP BY ALL\n`
}

/** Another definition of the last dataset. */
export function redefine(folder: string, amount: string): void {
  writeFileSync(join(folder, 'datasets/gold/day.sql'), daySql(amount))
}

export function definition(folder: string): string {
  return readFileSync(join(folder, 'datasets/gold/day.sql'), 'utf8')
}

type Options = Omit<OpenLakeOptions, 'cwd'>

export function open(folder: string, options: Options = {}): Promise<Lake> {
  return Lake.open({ cwd: folder, ...options })
}

export async function runIn(folder: string, options: Options = {}) {
  await using lake = await open(folder, options)
  return await lake.run()
}

/** What a run would do, as `dataset interval`. */
export async function planIn(folder: string, options: Options = {}): Promise<readonly string[]> {
  await using lake = await open(folder, options)
  const { plan } = await lake.plan()
  return plan.items.map(
    ({ dataset, interval, reason }) =>
      `${dataset} ${interval ? new Date(interval.start / 1000).toISOString().slice(0, 10) : 'whole'} ${reason}`,
  )
}

/** Rows of a query, as text. */
export async function rowsIn(folder: string, sql: string, options: Options = {}): Promise<readonly string[]> {
  await using lake = await open(folder, options)
  const { rows } = await query(lake, sql, { kind: 'now' })
  return rows.map((row) => row.map(String).join(' '))
}

export const days = "SELECT strftime(day, '%m-%d'), amount FROM gold.day ORDER BY day"

/** Every row of every dataset is read, so that a file that is gone is found. */
export async function readAll(folder: string, options: Options = {}): Promise<readonly string[]> {
  const out: string[] = []
  for (const [table, columns] of [
    ['bronze.event', 'id, amount'],
    ['silver.event', 'id, amount'],
    ['gold.day', 'day, amount'],
    ['limn.run', 'seq, dataset'],
  ] as const)
    out.push(...(await rowsIn(folder, `SELECT '${table}', ${columns} FROM ${table} ORDER BY ALL`, options)))
  return out
}

export const gold = tableId('gold.day')
