import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  Lake,
  query,
  rebuildLakeState,
  restoreLake,
  undoDropInLake,
  upgradeLake,
} from '../../packages/limn/src/lake/index.ts'
import { ownContracts } from '../../packages/limn/src/pipeline/index.ts'
import { alterTable } from '../../packages/limn/src/table/index.ts'
import { limn, root, temporaryFolder } from '../support/lake.ts'
import { unpack } from './golden/archive.ts'

const golden = join(root, 'test/lakes/golden')
const releases = readdirSync(golden).flatMap((name) => /^lake-(.+)\.br$/.exec(name)?.[1] ?? [])

async function rows(folder: string, sql: string, options = {}): Promise<readonly string[]> {
  await using lake = await Lake.open({ cwd: folder, ...options })
  return (await query(lake, sql, { kind: 'now' })).rows.map((row) => row.map(String).join(' '))
}

it('keeps a lake of an earlier release, or of this one', () => {
  expect(releases.length).toBeGreaterThan(0)
})

describe.each(releases)('a lake of limn %s', (release) => {
  const home = temporaryFolder(`golden-${release}`)
  const backup = join(home.folder, 'backup')
  const folder = join(home.folder, 'lake')

  beforeAll(async () => {
    unpack(readFileSync(join(golden, `lake-${release}.br`)), backup)
    await restoreLake(backup, folder)
    cpSync(join(backup, 'state.db'), join(folder, '.limn/state.db'))
    // What was delivered is not in a backup.
    mkdirSync(join(folder, 'inbox'), { recursive: true })
  })

  afterAll(() => home[Symbol.dispose]())

  it('is told what would change, without being changed', async () => {
    const path = join(folder, '.limn/state.db')
    const before = readFileSync(path)
    const report = await upgradeLake({ cwd: folder, dryRun: true })
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(report.catalog).toEqual({ layout: 'V1', pending: false })
    const [state] = report.state
    expect(state?.version).toBeGreaterThanOrEqual(1)
    expect((state?.version ?? 0) + (state?.pending.length ?? 0)).toBe(state?.newest)
    const shown = await limn(folder, 'upgrade', '--dry-run')
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringContaining('dry run')])
  })

  it('is upgraded, and read as it was', async () => {
    const report = await upgradeLake({ cwd: folder })
    expect(report.done).toBe(true)
    expect((await upgradeLake({ cwd: folder, dryRun: true })).state[0]?.pending).toEqual([])
    expect(report.rebuilt).toEqual([])
    expect(await rows(folder, "SELECT strftime(day, '%d'), amount FROM gold.day ORDER BY 1")).toEqual([
      '01 10',
      '02 20',
      '03 31',
    ])
    expect(await rows(folder, 'SELECT id FROM lab.v2 ORDER BY id')).toEqual(['0', '1', '3', '4'])
    expect(await rows(folder, 'SELECT id FROM lab.v3 ORDER BY id')).toEqual(['0', '1', '3', '4'])
    expect(await rows(folder, 'SELECT id FROM lab.v2 ORDER BY id', { environment: 'dev' })).toEqual([
      '0',
      '1',
      '3',
      '4',
      '9',
    ])
    expect(await rows(folder, 'SELECT total FROM lab.total')).toEqual(['61'])
    expect(await rows(folder, "SELECT count(*) FROM limn.run WHERE outcome = 'edited'")).toEqual(['1'])
  })

  it('goes on from where it stood', async () => {
    await using lake = await Lake.open({ cwd: folder })
    const models = await lake.plan({ select: ['silver.event', 'gold.day'] })
    expect(models.plan.items).toEqual([])
    expect(models.plan.items.length).toBe(0)
    const [back] = await undoDropInLake(lake, 'gold.gone')
    expect(back?.from).toBe('gold.gone')
    expect(await rows(folder, 'SELECT count(*) FROM gold.gone')).toEqual(['3'])
  })

  it('is told of every column that a table of limn’s own lacks, and the next run adds them', async () => {
    // What was delivered is not there any more: a model alone is built.
    const build = async () => {
      const ended = await limn(folder, 'run', 'gold.day', '--restate', 'gold.day', '--json')
      expect(JSON.parse(ended.stdout)).toMatchObject({ outcome: 'published' })
      await using lake = await Lake.open({ cwd: folder })
      const own = (await lake.catalog.listTables()).filter((table) => table.startsWith('limn.'))
      expect(own).toEqual(ownContracts.map((one) => one.id).sort())
    }
    await build()
    expect((await upgradeLake({ cwd: folder, dryRun: true })).tables).toEqual([])
    // As an earlier release wrote them: each without the last of its columns that it is not partitioned by.
    const lacking = ownContracts.map(({ id, columns, partition = [] }) => {
      const names = Object.keys(columns).filter((name) => !partition.some((by) => by.includes(`(${name})`)))
      return { table: id, columns: names.slice(-1) }
    })
    {
      await using lake = await Lake.open({ cwd: folder })
      for (const { table, columns } of lacking)
        await alterTable(await lake.context(), table, [{ kind: 'drop-column', column: columns }])
    }
    expect((await upgradeLake({ cwd: folder, dryRun: true })).tables).toEqual(lacking)
    const shown = await limn(folder, 'upgrade', '--dry-run')
    for (const { table, columns } of lacking)
      expect(shown.stdout).toContain(`${table}: the next run adds ${columns.join(', ')}`)
    const runs = await rows(folder, 'SELECT count(*) FROM limn.run')
    const file = join(folder, 'datasets/gold/day.ts')
    const text = readFileSync(file, 'utf8')
    expect(text).toContain('count(*) AS events')
    writeFileSync(file, text.replace('count(*) AS events', 'count(*) + 1 AS events'))
    await build()
    expect((await upgradeLake({ cwd: folder, dryRun: true })).tables).toEqual([])
    expect(await rows(folder, 'SELECT count(*) FROM limn.run WHERE message IS NULL')).toEqual(runs)
    expect(
      await rows(folder, 'SELECT count(limn_version) > 0, count(*) > count(limn_version) FROM limn.definition'),
    ).toEqual(['true true'])
  })

  it('has its state made anew, and a catalog of the older layout brought to this one', async () => {
    for (const end of ['', '-wal', '-shm']) rmSync(join(folder, `.limn/state.db${end}`), { force: true })
    const done = await rebuildLakeState({ cwd: folder })
    expect(done.recorded).toBeGreaterThan(3)
    {
      using database = new DatabaseSync(join(folder, '.limn/catalog.db'))
      database.exec(
        "DELETE FROM iceberg_tables WHERE iceberg_type = 'VIEW'; ALTER TABLE iceberg_tables DROP COLUMN iceberg_type",
      )
    }
    const report = await upgradeLake({ cwd: folder, dryRun: true })
    expect(report.catalog).toEqual({ layout: 'V0', pending: true })
    await upgradeLake({ cwd: folder })
    expect(await rows(folder, 'SELECT count(*) FROM gold.day')).toEqual(['3'])
  })
})
