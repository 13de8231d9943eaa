/**
 * `limn prove` of one month of the flights lake against the run that builds the same month, both as processes: prove builds
 * it twice and compares, and may take 2.2 times as long.
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
const rounds = 3
const limn = fileURLToPath(new URL('../../packages/limn/bin/limn.js', import.meta.url))
const lake = join(fileURLToPath(new URL('../../test/.lakes', import.meta.url)), `bench-prove-${process.pid}`)

function command(...args: readonly string[]): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, [limn, ...args, '--json'], {
    cwd: lake,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  return new Promise((done, failed) => {
    child.on('close', (code) => {
      if (code === 0) done((performance.now() - began) / 1000)
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
  for (let i = 0; i < rounds; i++) {
    builds.push(await command('run', 'silver.flight', '--date', '2001-06', '--full'))
    proofs.push(await command('prove', 'silver.flight', '--interval', '2001-06'))
  }
  const [build, proof] = [median(builds), median(proofs)]
  process.stdout.write(
    `${JSON.stringify({ build_s: round(build), prove_s: round(proof), prove_ratio: round(proof / build) })}\n`,
  )
} finally {
  rmSync(lake, { recursive: true, force: true })
}
