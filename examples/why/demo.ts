/**
 * Two numbers that should be one: the month's revenue as finance and as sales read it. The customers come again with three
 * of them twice, and `limn why` finds the three rows. Run it with `npm run demo:why`.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { landAll, landMovedCustomers } from './land.ts'

const here = dirname(fileURLToPath(import.meta.url))
const limn = join(here, '..', '..', 'packages', 'limn', 'bin', 'limn.js')
const folder = mkdtempSync(join(here, '.lake-'))

function run(...args: readonly string[]): void {
  process.stdout.write(`\n$ limn ${args.map((one) => (/[ ()]/.test(one) ? `'${one}'` : one)).join(' ')}\n`)
  const { status } = spawnSync(process.execPath, [limn, ...args], { cwd: folder, stdio: 'inherit' })
  if (status !== 0) throw new Error(`limn ended with ${status}.`)
}

try {
  for (const part of ['limn.config.ts', 'datasets']) cpSync(join(here, part), join(folder, part), { recursive: true })
  landAll(folder)
  run('run')
  run('why', 'gold.revenue_by_region', '--against', 'gold.revenue', '--measure', 'sum(revenue)')
  landMovedCustomers(folder)
  run('run')
  run('why', 'gold.revenue_by_region', '--against', 'gold.revenue', '--measure', 'sum(revenue)')
} finally {
  rmSync(folder, { recursive: true, force: true })
}
