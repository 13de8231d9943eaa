/**
 * `limn prove` of one month of the flights lake against the build alone: the time from the first row read to the last file
 * written, once, without start-up, gate and publishing. Prove builds twice and compares, and may take 2.2 times as long. Both
 * as processes are told beside it: a run that builds and publishes the same month, and all of prove.
 *
 *   node benchmarks/operate/prove.ts FOLDER [EVERY_NTH]
 */
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { landAirports, landMonth } from '../../examples/flights/land.ts'
import { copyFlights } from '../../test/support/lake.ts'
import { median, round } from '../iceberg/bench.ts'

const everyNth = process.argv[3] ?? '1'
const rounds = 5
const limn = fileURLToPath(new URL('../../packages/limn/bin/limn.js', import.meta.url))
const lake = join(fileURLToPath(new URL('../../test/.lakes', import.meta.url)), `bench-prove-${process.pid}`)

interface ProofJson {
  readonly verdict: string
  readonly seconds: { readonly first: number; readonly second: number; readonly compare: number }
}

interface Ended {
  readonly seconds: number
  readonly text: string
}

function command(...args: readonly string[]): Promise<Ended> {
  const began = performance.now()
  const child = spawn(process.execPath, [limn, ...args, '--json'], {
    cwd: lake,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  return new Promise((done, failed) => {
    child.on('close', (code) => {
      if (code === 0) done({ seconds: (performance.now() - began) / 1000, text })
      else failed(new Error(`limn ${args.join(' ')} ended with ${code}`))
    })
  })
}

mkdirSync(lake, { recursive: true })
try {
  copyFlights(lake)
  for (const month of ['2001-05', '2001-06']) await landMonth(lake, month, Number(everyNth))
  landAirports(lake)
  await command('run')
  const [builds, proofs]: [number[], number[]] = [[], []]
  const [runs, processes]: [number[], number[]] = [[], []]
  for (let i = 0; i < rounds; i++) {
    runs.push((await command('run', 'silver.flight', '--date', '2001-06', '--full')).seconds)
    const ended = await command('prove', 'silver.flight', '--interval', '2001-06')
    const [proof] = (JSON.parse(ended.text) as { readonly proofs: readonly ProofJson[] }).proofs
    if (proof?.verdict !== 'same') throw new Error(`silver.flight: ${proof?.verdict}`)
    const { first, second, compare } = proof.seconds
    processes.push(ended.seconds)
    builds.push(first)
    proofs.push(first + second + compare)
  }
  const [build, proof] = [median(builds), median(proofs)]
  const [run, whole] = [median(runs), median(processes)]
  process.stdout.write(
    `${JSON.stringify({ build_s: round(build), prove_s: round(proof), prove_ratio: round(proof / build), run_process_s: round(run), prove_process_s: round(whole) })}\n`,
  )
} finally {
  rmSync(lake, { recursive: true, force: true })
}
