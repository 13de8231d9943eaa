import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { limn, root } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { smallLake } from '../support/small-lake.ts'

/** What is met on the way of somebody who uses limn for the first time. */

const lake = smallLake('corners')
const { folder } = lake

beforeAll(async () => {
  expect((await limn(folder, 'run')).code).toBe(0)
})
afterAll(() => lake[Symbol.dispose]())

/** Where Linux has folders in which nothing can be made; another way to be without one is a file. */
const nowhere = existsSync('/proc/self')
  ? ['/proc/limn/x', `${folder}/limn.config.ts/x`]
  : [`${folder}/limn.config.ts/x`]

describe('a folder that cannot be made', () => {
  it.each(nowhere)('%s: each command that is told to write there ends, saying so', async (place) => {
    for (const args of [
      ['lake', 'relocate', place],
      ['lake', 'backup', place],
      ['init', place, '--no-install'],
    ]) {
      const { code, stderr } = await limn(folder, ...args)
      expect([args[0], code, stderr]).toEqual([args[0], 1, expect.stringContaining('error[storage/not-writable]')])
      expect(stderr).toContain('cannot be made')
      expect(stderr).toContain('To do: ')
    }
  })

  it.each(nowhere)('%s: so does a lake whose configuration names it', async (place) => {
    const config = readFileSync(join(folder, 'limn.config.ts'), 'utf8')
    using fresh = smallLake('corners-fresh')
    for (const where of [`warehouse: '${place}'`, `state: '${place}/s.db'`, `engine: { tempDir: '${place}' }`]) {
      writeFileSync(join(fresh.folder, 'limn.config.ts'), config.replace("name: 'small'", `name: 'small', ${where}`))
      const { code, stderr } = await limn(fresh.folder, 'run')
      expect([where, code, stderr]).toEqual([where, 1, expect.stringContaining('error[storage/not-writable]')])
    }
  })
})

describe('what an environment says of itself', () => {
  it('is the same number of tables made as listed, under headings', async () => {
    expect((await limn(folder, 'env', 'create', 'dev')).stdout).toBe(
      'Made dev: 3 tables, no file copied. Work there: --env dev\n',
    )
    const { stdout } = await limn(folder, 'env', 'ls')
    expect(stdout.split('\n')[0]).toMatch(/^environment +made \(UTC\) +tables +changed +doc$/)
    expect(stdout.split('\n')[2]).toMatch(/^dev +\S+ \S+ +3 +0$/)
  })

  it('names no inner table when it is promoted or dropped', async () => {
    const gold = join(folder, 'datasets/gold/day.ts')
    const before = readFileSync(gold, 'utf8')
    writeFileSync(gold, before.replace('sum(amount)::BIGINT', '(sum(amount) + 0)::BIGINT'))
    expect((await limn(folder, 'run', '--env', 'dev')).code).toBe(0)
    const promoted = await limn(folder, 'env', 'promote', 'dev')
    expect(promoted.stderr).not.toContain('delete files')
    const dropped = await limn(folder, 'env', 'drop', 'dev')
    for (const { code, stdout, stderr } of [promoted, dropped]) {
      expect(code).toBe(0)
      expect(stdout + stderr).not.toContain('limn.run')
    }
  })

  it('is, of one that is not there, that nothing has to be made to drop it', async () => {
    for (const verb of ['drop', 'diff', 'promote']) {
      const { code, stderr } = await limn(folder, 'env', verb, 'nope')
      expect([code, stderr]).toEqual([2, expect.stringContaining('There is none yet.')])
      expect(stderr).not.toContain('Make it')
    }
    expect((await limn(folder, 'run', '--env', 'nope')).stderr).toContain('Make it: limn env create nope')
  })
})

it('what limn keeps for itself is not dropped, and what is dropped goes by the name it had', async () => {
  for (const table of ['limn.run', 'limn_dropped.x']) {
    const { code, stderr } = await limn(folder, 'drop', table)
    expect([code, stderr]).toEqual([2, expect.stringContaining(`${table} belongs to limn itself.`)])
  }
  const changed = await limn(folder, 'sql', 'DELETE FROM limn.run')
  expect([changed.code, changed.stderr]).toEqual([2, expect.stringContaining('is not changed by hand')])
  const gold = join(folder, 'datasets/gold/day.ts')
  const before = readFileSync(gold, 'utf8')
  rmSync(gold)
  const purged = await limn(folder, 'drop', 'gold.day', '--purge')
  writeFileSync(gold, before)
  expect([purged.code, purged.stderr]).toEqual([0, expect.stringContaining('delete files of gold.day')])
  expect(purged.stdout + purged.stderr).not.toContain('limn_dropped')
})

it('a backfill that is none is looked for among backfills', async () => {
  for (const args of [
    ['show', 'nope'],
    ['approve', 'nope'],
    ['discard', 'nope'],
    ['show', '20260101T000000-00abcd'],
  ]) {
    const { code, stderr } = await limn(folder, 'backfill', ...args)
    expect([code, stderr]).toEqual([2, expect.stringContaining('error[usage/unknown-backfill]')])
    expect(stderr).toContain('limn backfill ls')
  }
  const queried = await limn(folder, 'sql', '--at', 'backfill/nope', 'SELECT 1 FROM gold.day')
  expect([queried.code, queried.stderr]).toEqual([2, expect.stringContaining('limn backfill ls')])
})

it('a lake that a clone makes elsewhere has that clone, and runs without a registry', async () => {
  const home = mkdtempSync(join(tmpdir(), 'limn-init-'))
  try {
    const made = await limn(home, 'init', 'my-lake', '--no-install')
    expect([made.code, made.stdout]).toEqual([0, expect.stringContaining('npm install')])
    const there = join(home, 'my-lake')
    const json = JSON.parse(readFileSync(join(there, 'package.json'), 'utf8')) as Record<string, unknown>
    expect(json.dependencies).toEqual({ limn: `file:${join(root, 'packages/limn')}` })
    // What else it asks for is of the registry; limn needs none of it.
    const { devDependencies: _dev, optionalDependencies: _optional, ...rest } = json
    writeFileSync(join(there, 'package.json'), JSON.stringify(rest))
    const install = ['install', '--offline', '--no-audit', '--no-fund', '--registry', 'http://127.0.0.1:9']
    const installed = await start('npm', install, { cwd: there }).ended
    expect([installed.code, installed.stderr]).toEqual([0, ''])
    const bin = join(there, 'node_modules/.bin/limn')
    const run = await start(bin, ['run'], { cwd: there }).ended
    expect([run.code, run.stdout]).toEqual([0, expect.stringContaining('Published')])
    const sql = await start(bin, ['sql', '--format', 'csv', 'SELECT count(*) AS n FROM gold.customer_month'], {
      cwd: there,
    }).ended
    expect(sql.stdout.split(/\r?\n/)).toEqual(['n', '8', ''])
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})

describe('a lake without datasets', () => {
  it('takes SQL and has tables, and is told so where datasets are asked for', async () => {
    using bare = smallLake('corners-bare')
    rmSync(join(bare.folder, 'datasets'), { recursive: true })
    expect((await limn(bare.folder, 'sql', 'CREATE TABLE lab.one AS SELECT 1 AS a')).code).toBe(0)
    expect((await limn(bare.folder, 'sql', 'UPDATE lab.one SET a = 2')).code).toBe(0)
    expect((await limn(bare.folder, 'sql', 'SELECT a FROM lab.one', '--json')).stdout).toContain('2')
    const { code, stderr } = await limn(bare.folder, 'run')
    expect([code, stderr]).toEqual([2, expect.stringContaining('The lake has no datasets.')])
  })

  it('drops the table of its last one', async () => {
    using left = smallLake('corners-left')
    expect((await limn(left.folder, 'run')).code).toBe(0)
    rmSync(join(left.folder, 'datasets'), { recursive: true })
    const tables = JSON.parse((await limn(left.folder, 'table', 'ls', '--json')).stdout) as readonly { table: string }[]
    const name = tables.find((one) => !one.table.startsWith('limn.'))?.table ?? ''
    expect((await limn(left.folder, 'drop', name)).code).toBe(0)
  })
})
