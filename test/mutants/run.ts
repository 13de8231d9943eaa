import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../support/lake.ts'
import { type Mutant, mutants } from './mutants.ts'

/**
 * Injects every bug of the list, one at a time, and runs the suite that has to catch it. A bug is caught when a test of
 * the suite fails; a suite that cannot even be loaded has caught nothing. Ends with 1 when a bug survives.
 *
 *   npm run test:mutants [-- NAME…]
 */
const asked = process.argv.slice(2)
const chosen = mutants.filter((one) => asked.length === 0 || asked.some((name) => one.name.includes(name)))
const folder = mkdtempSync(join(tmpdir(), 'limn-mutants-'))
const began = performance.now()
const survivors: string[] = []
const queue = [...chosen]

interface Report {
  readonly numFailedTests: number
  readonly numTotalTests: number
}

function runSuite(mutant: Mutant | null, suite: string, name: string): Promise<Report | null> {
  const file = join(folder, `${name.replaceAll(' ', '-')}.json`)
  const config = /^test\/(lakes|simulation\/crash)\//.test(suite) ? ['--config', 'vitest.long.config.ts'] : []
  const args = ['vitest', 'run', suite, ...config, '--bail', '1', '--reporter', 'json', '--outputFile', file]
  const env = mutant ? { ...process.env, LIMN_MUTANT: mutant.name } : process.env
  const child = spawn('npx', args, { cwd: root, env, stdio: 'ignore', timeout: 600_000 })
  return new Promise((resolve) => {
    child.on('close', () => {
      try {
        resolve(JSON.parse(readFileSync(file, 'utf8')) as Report)
      } catch {
        resolve(null)
      }
    })
  })
}

async function worker(): Promise<void> {
  for (let mutant = queue.shift(); mutant; mutant = queue.shift()) {
    const at = performance.now()
    const report = await runSuite(mutant, mutant.suite, mutant.name)
    const caught = (report?.numFailedTests ?? 0) > 0
    if (!caught) survivors.push(mutant.name)
    const seconds = ((performance.now() - at) / 1000).toFixed(1)
    process.stdout.write(`${caught ? 'caught  ' : 'SURVIVED'} ${mutant.name} (${mutant.suite}, ${seconds} s)\n`)
  }
}

// Without a bug every suite is green; else anything would be "caught".
for (const suite of new Set(chosen.map((one) => one.suite))) {
  const report = await runSuite(null, suite, 'clean')
  if (report && report.numFailedTests === 0 && report.numTotalTests > 0) continue
  process.stdout.write(`${suite} is not green without any bug; nothing was judged.\n`)
  process.exit(1)
}
await Promise.all([worker(), worker()])
rmSync(folder, { recursive: true, force: true })
const seconds = Math.round((performance.now() - began) / 1000)
process.stdout.write(`${chosen.length - survivors.length} of ${chosen.length} bugs caught in ${seconds} s\n`)
process.exit(survivors.length === 0 && chosen.length > 0 ? 0 : 1)
