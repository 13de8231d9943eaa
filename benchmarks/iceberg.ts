/**
 * Iceberg tables against DuckDB on the same files, each case in processes of its own, both sides in one run, medians.
 *
 * delta-rs and PyIceberg, where `scripts/install-peers.sh` put them, do the upsert beside.
 *
 *   npm run bench:iceberg [-- --json] [--only scan,plan,append,merge,upsert_peers,compact] [--quick] [--keep FOLDER]
 *
 * `--quick` makes tables a tenth as large. Peak memory is the kernel's high-water mark of a process in which only limn works;
 * `growth` is that of a case against the same at a tenth of its size.
 */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values: asked } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    keep: { type: 'string' },
  },
})

interface Case {
  readonly name: string
  readonly script: string
  readonly args: readonly string[]
  /** What is to be reached, by figure. */
  readonly targets: Readonly<Record<string, number>>
  /** The same case at a tenth of the size, which stands before: peak memory may grow by a fifth. */
  readonly tenth?: string
}

const scale = asked.quick ? 0.1 : 1
const of = (full: number) => String(full * scale)
const growth = 1.2
const cases: readonly Case[] = [
  { name: 'scan of a tenth', script: 'scan', args: ['none', of(5)], targets: {} },
  { name: 'scan', script: 'scan', args: ['none', of(50)], targets: { ratio: 1.1, growth }, tenth: 'scan of a tenth' },
  ...['positions', 'vectors', 'equality'].flatMap((kind): readonly Case[] => [
    { name: `scan, ${kind}, of a tenth`, script: 'scan', args: [kind, of(5)], targets: {} },
    {
      name: `scan, ${kind}`,
      script: 'scan',
      args: [kind, of(50)],
      targets: { ratio: 1.5, growth },
      tenth: `scan, ${kind}, of a tenth`,
    },
  ]),
  { name: 'plan of a tenth', script: 'plan', args: [of(10_000)], targets: {} },
  {
    name: 'plan',
    script: 'plan',
    args: [of(100_000)],
    targets: { partition_filter_ms: 200, every_manifest_ms: 2000, peak_mib: 400 },
    tenth: 'plan of a tenth',
  },
  { name: 'append, 100 snapshots', script: 'append', args: ['100'], targets: { warm_p50_ms: 25 } },
  { name: 'append, 10,000 snapshots', script: 'append', args: ['10000'], targets: { warm_p50_ms: 100, cold_ms: 300 } },
  { name: 'merge on read, v2', script: 'merge', args: ['m', of(10), '2'], targets: { own_ms: 3000 } },
  { name: 'merge on read, v3, of a tenth', script: 'merge', args: ['m', of(1), '3'], targets: {} },
  {
    name: 'merge on read, v3',
    script: 'merge',
    args: ['m', of(10), '3'],
    targets: { own_ms: 3000, growth },
    tenth: 'merge on read, v3, of a tenth',
  },
  { name: 'copy on write of a tenth', script: 'merge', args: ['c', of(1), '2'], targets: {} },
  {
    name: 'copy on write',
    script: 'merge',
    args: ['c', of(10), '2'],
    targets: { ratio: 2, growth },
    tenth: 'copy on write of a tenth',
  },
  { name: 'the upsert by others', script: 'upsert_peers', args: [of(10)], targets: {} },
  { name: 'bin-pack of a tenth of the files', script: 'compact', args: [of(1000), '1000'], targets: {} },
  { name: 'bin-pack of a tenth of the rows', script: 'compact', args: [of(10_000), '100'], targets: {} },
  {
    name: 'bin-pack',
    script: 'compact',
    args: [of(10_000), '1000'],
    targets: { ratio: 1.5, growth },
    tenth: 'bin-pack of a tenth of the rows',
  },
]

const only = asked.only?.split(',')
const folder = asked.keep ?? mkdtempSync(join(tmpdir(), 'limn-bench-'))
mkdirSync(folder, { recursive: true })

const python = fileURLToPath(new URL('../.peers/python/bin/python', import.meta.url))

function run(script: string, args: readonly string[], program = process.execPath): Promise<string> {
  const ending = program === python ? 'py' : 'ts'
  const file = fileURLToPath(new URL(`iceberg/${script}.${ending}`, import.meta.url))
  const child = spawn(program, [file, folder, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  return new Promise((done, failed) => {
    child.on('error', failed)
    child.on('close', (code) => (code === 0 ? done(out) : failed(new Error(`${script} ${args.join(' ')}: ${code}`))))
  })
}

/** Null: others that are not installed. */
async function figuresOf({ script, args }: Case): Promise<Record<string, number | string> | null> {
  if (script === 'upsert_peers') return existsSync(python) ? JSON.parse(await run(script, args, python)) : null
  await run(script, [...args, 'make'])
  const figures = JSON.parse(await run(script, args))
  return { ...figures, ...JSON.parse(await run(script, [...args, 'alone'])) }
}

const results: { readonly name: string; readonly figures: Record<string, number | string>; readonly met: boolean }[] =
  []
for (const one of cases) {
  if (only && !only.includes(one.script)) continue
  process.stderr.write(`${one.name} …\n`)
  try {
    const figures = await figuresOf(one)
    if (figures === null) {
      process.stderr.write(`${one.name}: skipped, scripts/install-peers.sh did not run\n`)
      continue
    }
    const small = results.find((result) => result.name === one.tenth)?.figures.peak_mib
    if (small !== undefined) figures.growth = Number((Number(figures.peak_mib) / Number(small)).toFixed(2))
    const met = Object.entries(one.targets).every(([name, target]) => Number(figures[name]) <= target)
    results.push({ name: one.name, figures, met })
    const targets = Object.entries(one.targets).map(([name, target]) => `${name} ≤ ${target}`)
    if (!asked.json)
      process.stdout.write(
        `${one.name}: ${Object.entries(figures)
          .map(([name, value]) => `${name} ${value}`)
          .join(', ')}${targets.length > 0 ? ` (${targets.join(', ')}: ${met ? 'met' : 'MISSED'})` : ''}\n`,
      )
  } finally {
    if (asked.keep === undefined) {
      rmSync(folder, { recursive: true, force: true })
      mkdirSync(folder, { recursive: true })
    }
  }
}
if (asked.keep === undefined) rmSync(folder, { recursive: true, force: true })
if (asked.json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
