/**
 * The first `limn run` of the flights lake against a bare DuckDB process that runs the compiled SELECT of every dataset,
 * key expressions included, with the same COPY options. Both are started as processes, in turn, in one run; medians of 5.
 *
 *   npm run bench:flights [-- --json]
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Lake } from 'limn'
import { airportPath, flightPath, landAll, months } from '../examples/flights/land.ts'
import { fieldIds, fileColumns, projection } from '../packages/limn/dist/engine/duckdb/write/write-columns.js'
import { partitionColumns } from '../packages/limn/dist/engine/duckdb/write/write-partitions.js'
import { fileFormat, layoutOf } from '../packages/limn/dist/table/index.js'
import { copyFlights, forgetLake } from '../test/support/lake.ts'

const runs = 5
const root = fileURLToPath(new URL('..', import.meta.url))
const json = process.argv.includes('--json')

interface Measured {
  readonly seconds: number
  /** Peak of the process and its children, bytes. */
  readonly rss: number
}

/** One command as a process of its own; memory is sampled over the process and its children. */
function measure(args: readonly string[], cwd: string): Promise<Measured> {
  return new Promise((done, failed) => {
    const began = performance.now()
    const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
    let rss = 0
    const timer = setInterval(() => {
      rss = Math.max(rss, peakOf(child.pid ?? 0))
    }, 100)
    child.on('error', failed)
    child.on('close', (code) => {
      clearInterval(timer)
      if (code === 0) done({ seconds: (performance.now() - began) / 1000, rss })
      else failed(new Error(`${args.join(' ')} ended with ${code}`))
    })
  })
}

/** The kernel's high-water mark of a process and its children; 0 where /proc is not there. */
function peakOf(pid: number): number {
  try {
    const own = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean)
    return children.reduce((sum, child) => sum + peakOf(Number(child)), own)
  } catch {
    return 0
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** The COPY that limn runs: cast, partitioned, with field ids and statistics. */
function copySql(sql: string, layout: ReturnType<typeof layoutOf>, folder: string): string {
  const { schema, spec } = layout
  const partitions = partitionColumns(spec, schema)
  const rows = `SELECT ${projection(fileColumns(schema))} FROM (${sql}\n)`
  const { compression, rowGroupSize } = fileFormat
  const options = `FORMAT parquet, COMPRESSION ${compression}, ROW_GROUP_SIZE ${rowGroupSize}, ${fieldIds(fileColumns(schema))}, RETURN_STATS`
  if (partitions.length === 0) return `COPY (${rows}) TO '${join(folder, 'data.parquet')}' (${options})`
  const keys = partitions.map((one) => `${one.sql} AS "${one.name}"`).join(', ')
  const names = partitions.map((one) => `"${one.name}"`).join(', ')
  return `COPY (SELECT *, ${keys} FROM (${rows})) TO '${folder}' (${options}, PARTITION_BY (${names}), WRITE_PARTITION_COLUMNS false, OVERWRITE_OR_IGNORE)`
}

/** The peer's script: the same rows to the same kind of files, without catalog, ledger, checks or syncs. */
async function peerScript(folder: string): Promise<string> {
  await using lake = await Lake.open({ cwd: folder })
  const project = await lake.loadProject()
  const tables = await lake.catalog.loadTables(project.order)
  const statements: string[] = []
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`
  for (const id of project.order) {
    const node = project.nodes.get(id)
    const loaded = tables.get(id)
    if (!node || !loaded) continue
    const layout = layoutOf(loaded.metadata)
    const out = join('OUT', id)
    const copy = (sql: string, target: string) => copySql(sql, layout, target)
    statements.push(`CREATE SCHEMA IF NOT EXISTS ${id.split('.')[0]}`)
    if (node.shape.kind === 'files') {
      const sources =
        id === 'bronze.airport'
          ? [`read_csv(${text(airportPath(folder))}, nullstr = ['NA', ''])`]
          : months.map((month) => `read_parquet(${text(flightPath(folder, month))})`)
      for (const [i, source] of sources.entries())
        statements.push(copy(`SELECT *, ${i + 1} AS _delivery, '' AS _path, '' AS _run FROM ${source}`, `${out}/${i}`))
    } else if (node.shape.kind === 'function') {
      statements.push(
        copy(
          `SELECT 'x' AS name, DATE '2001-01-01' AS date, DATE '2001-01-01' AS observed_date, 1 AS _delivery, '' AS _path, '' AS _run`,
          out,
        ),
      )
    } else if (node.shape.kind === 'whole') {
      statements.push(copy((await lake.compile(id, null)).select, out))
    } else if (node.shape.kind === 'interval') {
      const { unit } = node.shape
      const starts = unit === 'month' ? months : ['2000-12', ...months]
      for (const month of starts) {
        const start = Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)) - 1, 1) * 1000
        const end = Date.UTC(Number(month.slice(0, 4)), Number(month.slice(5)), 1) * 1000
        statements.push(copy((await lake.compile(id, { start, end })).select, `${out}/${month}`))
      }
    }
    statements.push(
      `CREATE OR REPLACE VIEW ${id} AS SELECT * FROM read_parquet(${text(`${out}/**/*.parquet`)}, hive_partitioning = false)`,
    )
  }
  return `import { DuckDBInstance } from '@duckdb/node-api'
import { mkdirSync } from 'node:fs'
const [out] = process.argv.slice(2)
const instance = await DuckDBInstance.create(':memory:', { threads: '2', memory_limit: '1GB', preserve_insertion_order: 'false' })
const connection = await instance.connect()
await connection.run("SET TimeZone = 'UTC'")
for (const statement of ${JSON.stringify(statements)}) {
  const sql = statement.replaceAll("'OUT/", "'" + out + '/')
  const folder = /TO '([^']*?)(\\/data\\.parquet)?' \\(FORMAT/.exec(sql)
  if (folder) mkdirSync(folder[1], { recursive: true })
  await connection.run(sql)
}
`
}

const work = join(root, 'test', '.lakes')
mkdirSync(work, { recursive: true })
const folder = mkdtempSync(join(work, 'bench-'))
try {
  copyFlights(folder)
  await landAll(folder)
  const limn = [join(root, 'packages', 'limn', 'bin', 'limn.js'), 'run']
  const quiet = (text: string) => (json ? undefined : process.stdout.write(`${text}\n`))
  await measure([...limn, '--json'], folder)
  const script = join(folder, 'peer.mjs')
  writeFileSync(script, await peerScript(folder))
  const ours: Measured[] = []
  const theirs: Measured[] = []
  for (let i = 0; i < runs; i++) {
    forgetLake(folder)
    ours.push(await measure([...limn, '--json'], folder))
    const out = join(folder, 'peer')
    rmSync(out, { recursive: true, force: true })
    theirs.push(await measure([script, out], folder))
    quiet(`run ${i + 1}: limn ${ours.at(-1)?.seconds.toFixed(2)} s, DuckDB ${theirs.at(-1)?.seconds.toFixed(2)} s`)
  }
  const help: Measured[] = []
  for (let i = 0; i < runs; i++) help.push(await measure([limn[0] ?? '', '--help'], folder))
  const idle: Measured[] = []
  for (let i = 0; i < runs; i++) idle.push(await measure([...limn, '--json'], folder))
  const seconds = (list: readonly Measured[]) => list.map((one) => one.seconds)
  const row = (
    name: string,
    unit: string,
    own: readonly number[],
    peer: readonly number[] | null,
    target: number,
    of: 'limn' | 'ratio',
  ) => {
    const limnMedian = median(own)
    const peerMedian = peer && median(peer)
    const ratio = peerMedian === null ? null : limnMedian / peerMedian
    return {
      name,
      unit,
      limn: limnMedian,
      peer: peerMedian,
      ratio,
      target,
      pass: (of === 'ratio' ? (ratio ?? Number.NaN) : limnMedian) <= target,
      runs,
    }
  }
  const results = [
    row('first run against bare DuckDB', 'ratio', seconds(ours), seconds(theirs), 1.6, 'ratio'),
    row('first run', 's', seconds(ours), seconds(theirs), 10, 'limn'),
    row(
      'first run, peak memory',
      'MB',
      ours.map((one) => one.rss / 1e6),
      theirs.map((one) => one.rss / 1e6),
      1500,
      'limn',
    ),
    row('idle run', 's', seconds(idle), null, 2, 'limn'),
    row(
      'limn --help',
      'ms',
      help.map((one) => one.seconds * 1000),
      null,
      150,
      'limn',
    ),
  ]
  if (json) process.stdout.write(`${JSON.stringify(results)}\n`)
  else
    for (const one of results)
      process.stdout.write(
        `${one.pass ? 'pass' : 'FAIL'}  ${one.name}: limn ${one.limn.toFixed(2)} ${one.unit === 'ratio' ? 's' : one.unit}${one.peer === null ? '' : `, peer ${one.peer.toFixed(2)}, ratio ${one.ratio?.toFixed(2)}`}, target ${one.target}\n`,
      )
  process.exitCode = results.every((one) => one.pass) ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
