/**
 * `limn plan` over `datasets` datasets of 5,000 days each, in layers of 25 that each read two of the layer before, with years
 * of ledger: as a process of its own, when nothing has changed, when the ledger has to be read anew, and when a definition at
 * the top of the graph and a delivery have changed.
 *
 *   node benchmarks/operate/plan.ts FOLDER [500] [60]
 *
 * The folder is not used: a lake must lie where the package is found. The last argument is how many daily runs the ledger tells of.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Lake } from 'limn'
import { newRunId, type TableId } from '../../packages/limn/dist/base/index.js'
import { ledgerOf } from '../../packages/limn/dist/lake/index.js'
import { commitRecord } from '../../packages/limn/dist/pipeline/ledger/ledger-store.js'
import { runRow } from '../../packages/limn/dist/pipeline/run/recover.js'
import { root, temporaryFolder } from '../../test/support/lake.ts'
import { writeLake } from '../../test/support/small-lake.ts'

const [, count = '500', days = '60'] = process.argv.slice(2)
const datasets = Number(count)
const runs = Number(days)
const perLayer = 25
const dayMicros = 86_400_000_000
const last = Date.UTC(2023, 8, 10) * 1000
const first = last - 5000 * dayMicros
/** Days that were never built, in each dataset. */
const gaps = Array.from({ length: 20 }, (_, i) => first + (i + 1) * 240 * dayMicros)

const source = `import { files, ingest } from 'limn'
export const reading = ingest('bronze.reading', {
  doc: 'One row per reading.', owner: 'bench', from: files('inbox/*.csv', { format: 'csv' }),
  columns: {
    sensor: { type: 'long', doc: 'Sensor.' }, taken_at: { type: 'timestamp', doc: 'When.' }, value: { type: 'long', doc: 'Value.' },
  },
})
`

function nameOf(i: number): string {
  return `layer${Math.floor(i / perLayer)}.d${i}`
}

function model(i: number, start: number, expression = 'sum(value)'): string {
  const layer = Math.floor(i / perLayer)
  const parents =
    layer === 0
      ? ['bronze.reading']
      : [...new Set([0, 7].map((step) => nameOf((layer - 1) * perLayer + ((i + step) % perLayer))))]
  const inputs = parents
    .map(
      (id, at) =>
        `i${at} AS (SELECT sensor, taken_at, value FROM ${id} WHERE taken_at >= \${interval.start} AND taken_at < \${interval.end})`,
    )
    .join(', ')
  const all = parents.map((_, at) => `SELECT * FROM i${at}`).join(' UNION ALL ')
  const edges = parents.map((id) => `'${id}': { reads: same${layer === 0 ? ", touches: 'taken_at'" : ''} }`).join(', ')
  return `import { byInterval, model, same, sql } from 'limn'
export const d${i} = model('${nameOf(i)}', {
  doc: 'Values per sensor and day.', owner: 'bench', grain: ['sensor', 'taken_at'], keys: ['sensor', 'taken_at'],
  columns: {
    sensor: { type: 'long', doc: 'Sensor.' }, taken_at: { type: 'timestamp', doc: 'Day.' },
    value: { type: 'long', doc: 'Sum.' }, readings: { type: 'long', doc: 'How many.' },
  },
  build: byInterval('taken_at', 'day', { batch: 'year', start: '${new Date(start / 1000).toISOString().slice(0, 10)}', end: '2023-09-10' }, ({ interval }) => sql\`
    WITH ${inputs}, together AS (${all})
    SELECT sensor, date_trunc('day', taken_at)::TIMESTAMP AS taken_at, (${expression})::BIGINT AS value, count(*) AS readings
    FROM together GROUP BY ALL\`),
  edges: { ${edges} },
})
`
}

interface Measured {
  readonly ms: number
  /** Time of all its threads: on a machine that does nothing else, no less than what passes on the clock with one core. */
  readonly cpuMs: number
  readonly peakMib: number
  readonly items: number
}

/** One `limn plan`, its peak the kernel's high-water mark of the process. */
function planned(folder: string): Promise<Measured> {
  return new Promise((done, failed) => {
    const began = performance.now()
    const child = spawn(process.execPath, [join(root, 'packages/limn/bin/limn.js'), 'plan', '--json'], { cwd: folder })
    const out: Buffer[] = []
    let peak = 0
    let cpuMs = 0
    const timer = setInterval(() => {
      try {
        const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
        peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0))
        const times = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
        cpuMs = Math.max(cpuMs, 10 * (Number(times[11] ?? 0) + Number(times[12] ?? 0)))
      } catch {
        // It has ended, or this system does not tell.
      }
    }, 10)
    child.stdout.on('data', (part: Buffer) => out.push(part))
    child.stderr.pipe(process.stderr)
    child.on('error', failed)
    child.on('close', (code) => {
      clearInterval(timer)
      const ms = performance.now() - began
      if (code !== 0) failed(new Error(`limn plan ended with ${code}: ${Buffer.concat(out).toString()}`))
      else {
        const { items } = JSON.parse(Buffer.concat(out).toString()) as { readonly items: readonly unknown[] }
        done({ ms, cpuMs, peakMib: peak / 1024, items: items.length })
      }
    })
  })
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}

async function measured(folder: string, before: () => Promise<void> = async () => {}): Promise<Measured> {
  const all: Measured[] = []
  for (let i = 0; i < 3; i++) {
    await before()
    all.push(await planned(folder))
  }
  return {
    ms: Math.round(median(all.map((one) => one.ms))),
    cpuMs: Math.round(median(all.map((one) => one.cpuMs))),
    peakMib: Math.round(Math.max(...all.map((one) => one.peakMib))),
    items: all[0]?.items ?? 0,
  }
}

/** Years of ledger: built in yearly ranges with gaps, then a run a day that builds one day and carries the others. */
async function tellHistory(folder: string): Promise<number> {
  await using lake = await Lake.open({ cwd: folder })
  const project = await lake.loadProject()
  const context = await lake.context(project)
  const tables = await lake.catalog.loadTables(project.order)
  const head = (id: TableId) => tables.get(id)?.metadata.currentSnapshotId ?? null
  const startedAtMs = Date.UTC(2023, 8, 11)
  const models = project.order.filter((id) => project.nodes.get(id)?.query)
  const rowsOf = (
    run: ReturnType<typeof newRunId>,
    ranges: readonly { start: number; end: number; built: boolean }[],
  ) =>
    models.flatMap((id) => {
      const node = project.nodes.get(id)
      if (!node) return []
      const inputs = Object.fromEntries([...node.edges.keys()].map((input) => [input, head(input) ?? 0n]))
      return ranges.map(({ start, end, built }) => ({
        ...runRow(
          context,
          { id: run, startedAtMs, host: 'bench', message: '' },
          built ? ('built' as const) : ('carried' as const),
          startedAtMs,
        ),
        dataset: id,
        reason: 'input-changed: bench',
        interval: { start, end },
        fingerprint: node.fingerprint,
        checksHash: node.checksHash,
        inputs,
        outputSnapshot: head(id),
        rows: built ? Math.round((end - start) / dayMicros) * 100 : 0,
        bytes: built ? Math.round((end - start) / dayMicros) * 2000 : 0,
        seconds: built ? 0.05 : 0,
      }))
    })
  const years: { start: number; end: number; built: boolean }[] = []
  const bounds = [first, ...gaps.flatMap((gap) => [gap, gap + dayMicros]), last]
  for (let i = 0; i < bounds.length; i += 2)
    years.push({ start: bounds[i] ?? first, end: bounds[i + 1] ?? last, built: true })
  const commit = async (at: number, ranges: typeof years) => {
    const run = newRunId(startedAtMs, at)
    await commitRecord(context, { run, rows: rowsOf(run, ranges), verdicts: [], judgedAtMs: startedAtMs })
  }
  await commit(0, years)
  for (let i = 0; i < runs; i++) {
    const day = last - (runs - i) * dayMicros
    const carried = years.flatMap(({ start, end }) =>
      start < day ? [{ start, end: Math.min(end, day), built: false }] : [],
    )
    await commit(i + 1, [...carried.slice(-1), { start: day, end: day + dayMicros, built: true }])
  }
  return (await ledgerOf(lake)).length
}

async function forgetFacts(folder: string): Promise<void> {
  await using lake = await Lake.open({ cwd: folder })
  const { state } = await lake.context()
  state.transact((tx) => tx.run("DELETE FROM fact WHERE key LIKE 'standing%'", []))
}

using made = temporaryFolder('bench-plan')
const { folder } = made
const write = (start: number) =>
  writeLake(folder, {
    'limn.config.ts': "import { defineLake } from 'limn'\nexport default defineLake({ name: 'bench' })\n",
    'datasets/reading.ts': source,
    ...Object.fromEntries(Array.from({ length: datasets - 1 }, (_, i) => [`datasets/d${i}.ts`, model(i, start)])),
  })
write(first)
writeLake(folder, { 'inbox/a.csv': 'sensor,taken_at,value\n1,2023-09-09 08:00:00,5\n' })
process.stderr.write('building the tables …\n')
{
  await using lake = await Lake.open({ cwd: folder })
  await lake.run({ range: { start: last - dayMicros, end: last } })
}
process.stderr.write('telling years of ledger …\n')
const ledgerRows = await tellHistory(folder)
await planned(folder)
const idle = await measured(folder)
const cold = await measured(folder, () => forgetFacts(folder))
writeLake(folder, {
  'datasets/d3.ts': model(3, first, 'max(value)'),
  'inbox/b.csv': `sensor,taken_at,value\n${Array.from({ length: 10 }, (_, i) => `2,${new Date((first + i * 500 * dayMicros) / 1000).toISOString().slice(0, 19).replace('T', ' ')},${i}`).join('\n')}\n`,
})
const changed = await measured(folder)
const figures = {
  datasets,
  intervals: datasets * 5000,
  ledger_rows: ledgerRows,
  gaps_ms: idle.ms,
  gaps_cpu_ms: idle.cpuMs,
  gaps_items: idle.items,
  ledger_anew_ms: cold.ms,
  ledger_anew_cpu_ms: cold.cpuMs,
  changed_ms: changed.ms,
  changed_cpu_ms: changed.cpuMs,
  changed_items: changed.items,
  ledger_anew_peak_mib: cold.peakMib,
  peak_mib: Math.max(idle.peakMib, cold.peakMib, changed.peakMib),
}
process.stdout.write(`${JSON.stringify(figures)}\n`)
