/**
 * What a tool adds to work that is next to nothing: `count` models of 100 rows, ten abreast, each reading one of the rank
 * before it, built from nothing and then all again, as commands. limn also judges a unique key per model and keeps a ledger;
 * the peers only build. A second lake of limn's has ten datasets by day, for the cost per dataset and interval.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median, round, timed } from '../iceberg/bench.ts'
import { command, fresh, writeFiles } from './lakes.ts'

const [folder = '', count = '100'] = process.argv.slice(2)
const models = Number(count)
const abreast = Math.min(10, models)
const rounds = 3
const days = 10
const peers = fileURLToPath(new URL('../../.peers', import.meta.url))
const limn = fileURLToPath(new URL('../../packages/limn/bin/limn.js', import.meta.url))

const name = (i: number) => `model_${String(i).padStart(3, '0')}`
const upstream = (i: number) => (i < abreast ? null : name(i - abreast))
const input = `id,happened_on,amount\n${Array.from({ length: 100 }, (_, i) => `${i},2026-01-${String((i % days) + 1).padStart(2, '0')},${i * 3}`).join('\n')}\n`

/** One tool's project and how it builds all of it, first and again. */
interface Side {
  readonly folder: string
  readonly first: () => Promise<void>
  readonly again: () => Promise<void>
}

function limnLake(to: string, kind: 'whole' | 'by day'): void {
  const columns = `id: { type: 'long', doc: 'Number.' },
    happened_on: { type: 'date', doc: 'Day.' },
    amount: { type: 'long', doc: 'Amount.' },`
  const files: Record<string, string> = {
    'limn.config.ts': "import { defineLake } from 'limn'\nexport default defineLake({ name: 'bench' })\n",
    'inbox/input.csv': input,
    'datasets/bronze/input.ts': `import { files, ingest } from 'limn'
export const input = ingest('bronze.input', {
  doc: 'Rows as delivered.', owner: 'bench', from: files('inbox/*.csv', { format: 'csv' }),
  columns: { ${columns} },
})
`,
  }
  for (let i = 0; i < (kind === 'whole' ? models : abreast); i++) {
    const from = upstream(i)
    const read = from === null ? 'bronze.input' : `silver.${from}`
    const select = `SELECT id, happened_on, amount + 1 AS amount FROM \${ref('${read}')}`
    const build =
      kind === 'whole'
        ? `whole(sql\`${select}\`)`
        : `byInterval('happened_on', 'day', ({ interval }) => sql\`${select} WHERE happened_on >= \${interval.start} AND happened_on < \${interval.end}\`)`
    files[`datasets/silver/${name(i)}.ts`] = `import { byInterval, model, ref, same, sql, whole } from 'limn'
export const ${name(i)} = model('silver.${name(i)}', {
  doc: 'A small model.', owner: 'bench', grain: ['id'], keys: ['id'],
  columns: { ${columns} },
  build: ${build},${
    kind === 'whole'
      ? ''
      : `
  edges: { '${read}': { reads: same, touches: 'happened_on' } },`
  }
})
`
  }
  writeFiles(to, files)
}

function limnSide(kind: 'whole' | 'by day'): Side {
  const at = join(folder, kind === 'whole' ? 'limn' : 'limn-days')
  limnLake(at, kind)
  return {
    folder: at,
    first: async () => {
      fresh(at, ['.limn', 'warehouse'])
      await command(process.execPath, [limn, 'run', '--json'], at)
    },
    again: () => command(process.execPath, [limn, 'run', '--full', '--json'], at),
  }
}

function dbtSide(): Side | null {
  const dbt = join(peers, 'dbt', 'bin', 'dbt')
  if (!existsSync(dbt)) return null
  const at = join(folder, 'dbt')
  const files: Record<string, string> = {
    'dbt_project.yml':
      "name: bench\nversion: '1.0'\nprofile: bench\nmodel-paths: [models]\nmodels:\n  bench:\n    +materialized: table\nflags:\n  send_anonymous_usage_stats: false\n",
    'profiles.yml':
      'bench:\n  target: dev\n  outputs:\n    dev:\n      type: duckdb\n      path: bench.duckdb\n      threads: 2\n',
    'input.csv': input,
  }
  for (let i = 0; i < models; i++) {
    const from = upstream(i)
    const read = from === null ? "read_csv('input.csv')" : `{{ ref('${from}') }}`
    files[`models/${name(i)}.sql`] = `SELECT id, happened_on, amount + 1 AS amount FROM ${read}\n`
  }
  writeFiles(at, files)
  const run = () => command(dbt, ['run', '--profiles-dir', '.', '--quiet'], at)
  return {
    folder: at,
    first: () => {
      fresh(at, ['bench.duckdb', 'target', 'logs'])
      return run()
    },
    again: run,
  }
}

function sqlmeshSide(): Side | null {
  const sqlmesh = join(peers, 'sqlmesh', 'bin', 'sqlmesh')
  if (!existsSync(sqlmesh)) return null
  const at = join(folder, 'sqlmesh')
  const files: Record<string, string> = {
    'config.yaml':
      'gateways:\n  local:\n    connection:\n      type: duckdb\n      database: bench.duckdb\n      concurrent_tasks: 2\ndefault_gateway: local\nmodel_defaults:\n  dialect: duckdb\n  start: 2026-01-01\n',
    'input.csv': input,
  }
  for (let i = 0; i < models; i++) {
    const from = upstream(i)
    const read = from === null ? "read_csv('input.csv')" : `bench.${from}`
    files[`models/${name(i)}.sql`] =
      `MODEL (name bench.${name(i)}, kind FULL);\nSELECT id::BIGINT, happened_on::DATE, (amount + 1)::BIGINT AS amount FROM ${read}\n`
  }
  writeFiles(at, files)
  const plan = ['plan', '--auto-apply', '--no-prompts', '--skip-tests']
  const quiet = { SQLMESH__DISABLE_ANONYMIZED_ANALYTICS: 'true' }
  return {
    folder: at,
    first: () => {
      fresh(at, ['bench.duckdb', '.cache', 'logs'])
      return command(sqlmesh, plan, at, quiet)
    },
    again: () => command(sqlmesh, [...plan, '--restate-model', 'bench.*'], at, quiet),
  }
}

const own = limnSide('whole')
const byDay = limnSide('by day')
const others = { dbt: dbtSide(), sqlmesh: sqlmeshSide() }
const times: Record<string, { readonly first: number[]; readonly again: number[] }> = {}
async function both(who: string, side: Side): Promise<void> {
  times[who] ??= { first: [], again: [] }
  times[who].first.push(await timed(side.first))
  times[who].again.push(await timed(side.again))
}
// In turn, so that what else the machine does meets all sides.
for (let i = 0; i < rounds; i++) {
  await both('limn', own)
  await both('days', byDay)
  for (const [who, side] of Object.entries(others)) if (side) await both(who, side)
}
const medianOf = (who: string, which: 'first' | 'again') => median(times[who]?.[which] ?? [])
const figures: Record<string, number> = {
  per_model_ms: round(medianOf('limn', 'first') / models, 1),
  per_model_again_ms: round(medianOf('limn', 'again') / models, 1),
  per_interval_ms: round(medianOf('days', 'first') / (abreast * days), 1),
  limn_s: round(medianOf('limn', 'first') / 1000),
}
for (const [who, side] of Object.entries(others)) {
  if (!side) {
    process.stderr.write(`${who} is not installed (scripts/install-peers.sh): left out\n`)
    continue
  }
  figures[`${who}_s`] = round(medianOf(who, 'first') / 1000)
  figures[`${who}_again_s`] = round(medianOf(who, 'again') / 1000)
  figures[`${who}_ratio`] = round(medianOf(who, 'first') / medianOf('limn', 'first'))
}
process.stdout.write(`${JSON.stringify(figures)}\n`)
