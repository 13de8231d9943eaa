import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** One row of a benchmark's table: a script, run as processes of its own, and what its figures are to reach. */
export interface Case {
  readonly name: string
  /** The file's name without ending, in the benchmark's folder. */
  readonly script: string
  readonly args: readonly string[]
  /** Upper limits, by figure. */
  readonly targets: Readonly<Record<string, number>>
  /** Lower limits, by figure. One that the run has no figure for (a peer that is not installed) is said, not missed. */
  readonly atLeast?: Readonly<Record<string, number>>
  /** The same case at a tenth of the size, which stands before: the figure `growth` is peak memory against it. */
  readonly tenth?: string
  /**
   * `phases` (default): three processes, one that makes the data (`make`), one that measures, one in which limn works alone
   * (`alone`), for its peak memory. `once`: one process that does it all. `peer`: one process of a peer's Python.
   */
  readonly how?: 'phases' | 'once' | 'peer'
}

export interface CaseOptions {
  readonly json: boolean
  /** Scripts to run; none: all. */
  readonly only: readonly string[] | undefined
  /** Where data is made and left; none: a temporary folder, emptied after each case. */
  readonly keep: string | undefined
}

interface Result {
  readonly name: string
  readonly figures: Record<string, number | string>
  readonly met: boolean
}

const python = fileURLToPath(new URL('../.peers/python/bin/python', import.meta.url))

/** Runs the table of a benchmark whose scripts stand in `benchmarks/<folder>`, and prints a line per case, or all as JSON. */
export async function runCases(benchmark: string, cases: readonly Case[], options: CaseOptions): Promise<void> {
  const { json, only, keep } = options
  const folder = keep ?? mkdtempSync(join(tmpdir(), 'limn-bench-'))
  mkdirSync(folder, { recursive: true })
  const results: Result[] = []
  try {
    for (const one of cases) {
      if (only && !only.includes(one.script)) continue
      process.stderr.write(`${one.name} …\n`)
      const figures = await figuresOf(benchmark, folder, one)
      if (figures === null) {
        process.stderr.write(`${one.name}: skipped, scripts/install-peers.sh did not run\n`)
        continue
      }
      const small = results.find((result) => result.name === one.tenth)?.figures.peak_mib
      if (small !== undefined) figures.growth = Number((Number(figures.peak_mib) / Number(small)).toFixed(2))
      const met = isMet(one, figures)
      results.push({ name: one.name, figures, met })
      if (!json) process.stdout.write(`${describe(one, figures, met)}\n`)
      if (keep === undefined) {
        rmSync(folder, { recursive: true, force: true })
        mkdirSync(folder, { recursive: true })
      }
    }
  } finally {
    if (keep === undefined) rmSync(folder, { recursive: true, force: true })
  }
  if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`)
}

function isMet(one: Case, figures: Readonly<Record<string, number | string>>): boolean {
  const above = Object.entries(one.atLeast ?? {}).every(
    ([name, target]) => figures[name] === undefined || Number(figures[name]) >= target,
  )
  return above && Object.entries(one.targets).every(([name, target]) => Number(figures[name]) <= target)
}

function describe(one: Case, figures: Readonly<Record<string, number | string>>, met: boolean): string {
  const targets = [
    ...Object.entries(one.targets).map(([name, target]) => `${name} ≤ ${target}`),
    ...Object.entries(one.atLeast ?? {}).map(
      ([name, target]) => `${name} ≥ ${target}${figures[name] === undefined ? ' (not installed)' : ''}`,
    ),
  ]
  const told = Object.entries(figures).map(([name, value]) => `${name} ${value}`)
  const verdict = targets.length > 0 ? ` (${targets.join(', ')}: ${met ? 'met' : 'MISSED'})` : ''
  return `${one.name}: ${told.join(', ')}${verdict}`
}

/** Null: others that are not installed. */
async function figuresOf(
  benchmark: string,
  folder: string,
  { script, args, how }: Case,
): Promise<Record<string, number | string> | null> {
  const run = (more: readonly string[], program = process.execPath) =>
    output(program, [scriptFile(benchmark, script, program), folder, ...args, ...more])
  switch (how ?? 'phases') {
    case 'peer':
      return existsSync(python) ? JSON.parse(await run([], python)) : null
    case 'once':
      return JSON.parse(await run([]))
    default: {
      await run(['make'])
      const figures = JSON.parse(await run([]))
      return { ...figures, ...JSON.parse(await run(['alone'])) }
    }
  }
}

function scriptFile(benchmark: string, script: string, program: string): string {
  return fileURLToPath(new URL(`${benchmark}/${script}.${program === python ? 'py' : 'ts'}`, import.meta.url))
}

function output(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString()
  })
  return new Promise((done, failed) => {
    child.on('error', failed)
    child.on('close', (code) => (code === 0 ? done(out) : failed(new Error(`${args.join(' ')} ended with ${code}`))))
  })
}
