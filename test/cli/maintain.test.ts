import { readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pointersOf } from '../support/contents.ts'
import { limn, type temporaryFolder } from '../support/lake.ts'
import { deliver, smallLake } from '../support/small-lake.ts'

let lake: ReturnType<typeof temporaryFolder>
const run = (...args: readonly string[]) => limn(lake.folder, ...args)

const silver = 'datasets/silver/event.ts'

function replaceInSilver(from: string, to: string): void {
  const file = join(lake.folder, silver)
  const text = readFileSync(file, 'utf8')
  expect(text).toContain(from)
  writeFileSync(file, text.replace(from, to))
}

interface Told {
  readonly dryRun: boolean
  readonly tables: readonly (Record<string, unknown> & { readonly table: string })[]
}

async function maintain(...args: readonly string[]): Promise<Told> {
  const ended = await run('maintain', ...args, '--json')
  expect([ended.code, ended.stderr]).toEqual([0, ''])
  return JSON.parse(ended.stdout) as Told
}

const of = (told: Told, table: string) => told.tables.find((one) => one.table === table)

async function rows(statement: string): Promise<unknown> {
  return (JSON.parse((await run('sql', '--json', statement)).stdout) as { rows: unknown }).rows
}

beforeAll(async () => {
  lake = smallLake('maintain')
  replaceInSilver(
    "keys: ['id'],",
    "keys: ['id'], maintain: { compact: { smallFilesMin: 2, smallShareMax: 0 }, expireAfterDays: 0, orphansAfterDays: 1 },",
  )
  // Days with several files, from deliveries one after the other.
  for (let i = 0; i < 3; i++) {
    deliver(lake.folder, `more-${i}`, [[String(10 + i), `2026-01-0${i + 1} 09:00:00`, '5']])
    expect((await run('run')).code).toBe(0)
  }
  expect((await run('sql', 'CREATE TABLE lab.note (id BIGINT)')).code).toBe(0)
  for (let i = 0; i < 6; i++) expect((await run('sql', `INSERT INTO lab.note VALUES (${i})`)).code).toBe(0)
})
afterAll(() => lake[Symbol.dispose]())

describe('limn maintain', () => {
  it('says with --dry-run what it would do to each table, and does nothing', async () => {
    const before = pointersOf(lake.folder)
    const told = await maintain('--dry-run')
    expect(told.dryRun).toBe(true)
    expect(told.tables.map((one) => one.table)).toEqual(
      expect.arrayContaining(['bronze.event', 'gold.day', 'lab.note', 'limn.run', 'silver.event']),
    )
    expect(of(told, 'lab.note')).toMatchObject({
      compacted: { files: 6, into: 1, rows: 6 },
      expired: null,
      failed: null,
    })
    expect(pointersOf(lake.folder)).toEqual(before)
  })

  it('keeps rows, what runs tell changes from, and the plan idle', async () => {
    const contents = async () => [
      await rows('SELECT * FROM silver.event ORDER BY ALL'),
      await rows('SELECT * FROM gold.day ORDER BY ALL'),
      await rows('SELECT * FROM lab.note ORDER BY ALL'),
      await rows('SELECT count(*) FROM limn.run'),
    ]
    const before = await contents()
    const { location } = JSON.parse((await run('table', 'show', 'silver.event', '--json')).stdout) as {
      location: string
    }
    const lost = join(fileURLToPath(location), 'data', 'lost.parquet')
    writeFileSync(lost, 'x')
    utimesSync(lost, 1, 1)
    const told = await maintain()
    expect(of(told, 'lab.note')).toMatchObject({ compacted: { files: 6, into: 1, rows: 6 } })
    expect(of(told, 'silver.event')).toMatchObject({
      orphans: { files: 1, bytes: 1 },
      expired: { snapshots: expect.any(Number) },
    })
    expect(await contents()).toEqual(before)
    expect((await run('plan', '--exit-code')).code).toBe(0)
    // Again, with snapshots that the first time made: still nothing is stale, and a new delivery reaches what it touches.
    await maintain()
    expect((await run('plan', '--exit-code')).code).toBe(0)
    deliver(lake.folder, 'late', [['99', '2026-01-02 10:00:00', '7']])
    expect((await run('run')).code).toBe(0)
    expect(await rows("SELECT events FROM gold.day WHERE day = TIMESTAMP '2026-01-02'")).toEqual([[3]])
  })

  it('takes a selection of datasets, or tables of none', async () => {
    expect((await maintain('lab.note', '--dry-run')).tables.map((one) => one.table)).toEqual(['lab.note'])
    expect((await maintain('silver.event', '--dry-run')).tables.map((one) => one.table)).toEqual(['silver.event'])
    const ended = await run('maintain', 'silver.evnet')
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('error[usage/unknown-dataset]')])
    expect((await run('maintain', 'lab.note')).stdout).toMatch(
      /^table +data files +deletes +manifests +snapshots +orphans\n/,
    )
  })

  it('refuses a policy that means nothing', async () => {
    const policy = 'maintain: { compact'
    replaceInSilver(policy, 'maintain: { keepSnapshots: 0, compact')
    const ended = await run('maintain')
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('maintain.keepSnapshots')])
  })
})
