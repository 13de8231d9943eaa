import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { days, definition, goldenLake, redefine, rowsIn, runIn } from '../support/golden-lake.ts'
import { limn, root } from '../support/lake.ts'
import { start } from '../support/process.ts'

it('checks a change, builds a sample of what it changes, shows the difference and leaves nothing', async () => {
  using lake = goldenLake('dev')
  const { folder } = lake
  await runIn(folder)
  const calm = await limn(folder, 'dev', '--once')
  expect([calm.code, calm.stdout]).toEqual([0, expect.stringContaining('No definition differs')])
  redefine(folder, 'sum(amount) * 2')
  const changed = await limn(folder, 'dev', '--once', '--sample', '100%')
  expect(changed.stdout).toContain('Changed: gold.day')
  expect(changed.stdout).toContain('30 → 60')
  expect(changed.code).toBe(0)
  expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 20'])
  expect(await rowsIn(folder, "SELECT name FROM gold.day.refs WHERE name LIKE 'backfill%'")).toEqual([])
  redefine(folder, 'sum(no_such_column)')
  const broken = await limn(folder, 'dev', '--once')
  expect([broken.code, broken.stderr]).toEqual([2, expect.stringContaining('no_such_column')])
  expect((await limn(folder, 'check')).code).toBe(broken.code)
  for (const { stderr } of [calm, changed, broken]) expect(stderr).not.toMatch(/^\n|Backfill/)
})

it('leaves nothing of a sample that failed, and ends as it did', async () => {
  using lake = goldenLake('dev-failed')
  const { folder } = lake
  await runIn(folder)
  redefine(folder, "sum(error('not today'))")
  const failed = await limn(folder, 'dev', '--once', '--sample', '100%')
  expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining('not today')])
  expect(failed.stdout + failed.stderr).not.toMatch(/resume|stand on the branches|Backfill/)
  expect((await limn(folder, 'backfill', 'ls')).stdout).not.toMatch(/stopped|failed|waiting/)
})

it('prints one value on request', async () => {
  using lake = goldenLake('dev-json')
  const { folder } = lake
  await runIn(folder)
  const once = async () => {
    const { code, stdout } = await limn(folder, 'dev', '--once', '--sample', '100%', '--json')
    return [code, JSON.parse(stdout)]
  }
  expect(await once()).toMatchObject([0, { ok: true, changed: [], sample: null }])
  redefine(folder, 'sum(amount) * 2')
  expect(await once()).toMatchObject([
    0,
    { ok: true, changed: ['gold.day'], sample: { outcome: 'sampled', changes: [{ dataset: 'gold.day' }] } },
  ])
  expect(await rowsIn(folder, "SELECT name FROM gold.day.refs WHERE name LIKE 'backfill%'")).toEqual([])
  redefine(folder, "sum(error('not today'))")
  expect(await once()).toMatchObject([1, { ok: false, changed: ['gold.day'] }])
  expect((await limn(folder, 'backfill', 'ls')).stdout).not.toMatch(/stopped|failed|waiting/)
  redefine(folder, 'sum(no_such_column)')
  expect(await once()).toMatchObject([2, { ok: false, changed: [], sample: null }])
  expect((await limn(folder, 'dev', '--json')).code).toBe(2)
})

it('looks again when a file changes, and ends when it is interrupted', async () => {
  using lake = goldenLake('dev-watch')
  const { folder } = lake
  await runIn(folder)
  const bin = join(root, 'packages/limn/bin/limn.js')
  const { child, ended } = start(process.execPath, [bin, 'dev', '--sample', '100%'], { cwd: folder })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()))
  const until = async (words: string) => {
    for (let i = 0; i < 600 && !text.includes(words); i++) await sleep(100)
    expect(text).toContain(words)
  }
  await until('Watching')
  const before = definition(folder)
  writeFileSync(join(folder, 'datasets/gold/day.sql'), before.replace('sum(amount)', 'sum(amount) + 1'))
  await until('30 → 32')
  child.kill('SIGINT')
  expect((await ended).code).toBe(0)
})
