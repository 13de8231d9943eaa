import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LimnError, tableId } from '../../packages/limn/src/base/index.ts'
import type { Update } from '../../packages/limn/src/iceberg/index.ts'
import {
  createEnvironment,
  diffEnvironment,
  dropEnvironmentOf,
  type Lake,
  listEnvironments,
  liveRunsOf,
  promoteEnvironment,
  runSql,
} from '../../packages/limn/src/lake/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'
import {
  append,
  dropTable,
  expireSnapshots,
  removeOrphans,
  rewriteDataFiles,
} from '../../packages/limn/src/table/index.ts'
import { days, gold, goldenLake, open, planIn, readAll, redefine, rowsIn, runIn } from '../support/golden-lake.ts'
import { root, SavedLake } from '../support/lake.ts'
import { start } from '../support/process.ts'
import { deliver } from '../support/small-lake.ts'

const lake = goldenLake('environments')
const { folder } = lake
let saved: SavedLake
const dev = { environment: 'dev' }

/** The lake as it was after its first run. */
function fresh(): string {
  saved.restore()
  return folder
}

async function inProd<T>(body: (lake: Lake) => Promise<T>): Promise<T> {
  await using one = await open(folder)
  return await body(one)
}

function filesUnder(path: string): readonly string[] {
  if (!existsSync(path)) return []
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

const dataFiles = () => filesUnder(join(folder, 'warehouse')).filter((path) => path.endsWith('.parquet'))

beforeAll(async () => {
  await runIn(folder)
  saved = new SavedLake(folder)
})

afterAll(() => {
  saved[Symbol.dispose]()
  lake[Symbol.dispose]()
})

describe('an environment', () => {
  it('copies no file, starts from the standing of production, and builds only what changed', async () => {
    fresh()
    const before = dataFiles()
    await inProd((one) => createEnvironment(one, 'dev'))
    expect(dataFiles()).toEqual(before)
    expect(await planIn(folder, dev)).toEqual([])
    expect(await readAll(folder, dev)).toEqual(await readAll(folder))
    redefine(folder, 'sum(amount) * 2')
    const report = await runIn(folder, dev)
    expect(report.datasets.map((one) => one.dataset)).toEqual(['gold.day'])
    expect(await rowsIn(folder, days, dev)).toEqual(['01-01 20', '01-02 40'])
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 20'])
    expect((await planIn(folder)).every((item) => item.endsWith('definition-changed'))).toBe(true)
    expect(await planIn(folder)).not.toEqual([])
    const own = dataFiles().filter((path) => !before.includes(path))
    expect(own.length).toBeGreaterThan(0)
    expect(own.every((path) => path.includes('/env.dev/'))).toBe(true)
    await inProd(async (one) => {
      expect(await one.catalog.listTables()).not.toContain('dev__gold.day')
      expect((await listEnvironments(one)).map((each) => [each.name, each.changed])).toEqual([['dev', 1]])
      const [only, ...more] = await diffEnvironment(one, 'dev')
      expect(more).toEqual([])
      expect(only).toMatchObject({ table: 'gold.day', change: 'changed', productionMoved: false, obstacle: null })
      expect(only?.diff?.total).toMatchObject({ before: 2, after: 2, added: 0, removed: 0, changed: 2 })
      expect(only?.diff?.intervals.length).toBe(2)
    })
  })

  it('publishes what it changed in one commit, with its ledger, and production has nothing left to do', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    redefine(folder, 'sum(amount) * 3')
    deliver(folder, 'b', [['3', '2026-01-03 08:00:00', '5']])
    await runIn(folder, dev)
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 20'])
    const report = await inProd((one) => promoteEnvironment(one, 'dev'))
    expect(report.outcome).toBe('published')
    expect(report.tables.map((one) => one.table)).toEqual(['bronze.event', 'gold.day', 'silver.event'])
    expect(await rowsIn(folder, days)).toEqual(['01-01 30', '01-02 60', '01-03 15'])
    expect(await planIn(folder)).toEqual([])
    expect(await planIn(folder, dev)).toEqual([])
    await inProd(async (one) => {
      expect(await diffEnvironment(one, 'dev')).toEqual([])
      await dropEnvironmentOf(one, 'dev')
    })
    expect(await rowsIn(folder, days)).toEqual(['01-01 30', '01-02 60', '01-03 15'])
    expect(filesUnder(join(folder, 'warehouse', 'env.dev'))).toEqual([])
    // A delivery after it goes on where the environment's left off.
    deliver(folder, 'c', [['4', '2026-01-03 09:00:00', '1']])
    expect((await runIn(folder)).datasets.map((one) => one.dataset)).toEqual([
      'bronze.event',
      'silver.event',
      'gold.day',
    ])
    expect(await rowsIn(folder, days)).toEqual(['01-01 30', '01-02 60', '01-03 18'])
  })

  it('is published onto a production that moved in other intervals, which then builds those by the new definition', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    const before = 'sum(amount)'
    redefine(folder, 'sum(amount) * 2')
    await runIn(folder, dev)
    redefine(folder, before)
    deliver(folder, 'b', [['3', '2026-01-03 08:00:00', '5']])
    await runIn(folder)
    redefine(folder, 'sum(amount) * 2')
    const report = await inProd((one) => promoteEnvironment(one, 'dev'))
    expect(report.tables.map((one) => [one.table, one.rebased])).toEqual([['gold.day', true]])
    expect(await rowsIn(folder, days)).toEqual(['01-01 20', '01-02 40', '01-03 5'])
    expect(await planIn(folder)).toEqual(['gold.day 2026-01-03 definition-changed'])
    await runIn(folder)
    expect(await rowsIn(folder, days)).toEqual(['01-01 20', '01-02 40', '01-03 10'])
  })

  it('leaves to the next run what production moved in an input, although the environment read its own state of it', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    const row = (id: number, day: string, amount: number) =>
      `SELECT ${id}::BIGINT AS id, TIMESTAMP '${day} 12:00:00' AS happened_at, ${amount}::INTEGER AS amount`
    const silver = tableId('silver.event')
    {
      await using there = await open(folder, dev)
      await append(await there.context(), silver, { sql: row(90, '2026-01-01', 3) })
    }
    await runIn(folder, dev)
    expect(await rowsIn(folder, days, dev)).toEqual(['01-01 13', '01-02 20'])
    await inProd(async (one) => append(await one.context(), silver, { sql: row(91, '2026-01-02', 4) }))
    const report = await inProd((one) => promoteEnvironment(one, 'dev'))
    expect(report.tables.map((one) => [one.table, one.rebased])).toEqual([
      ['gold.day', false],
      ['silver.event', true],
    ])
    expect(await rowsIn(folder, days)).toEqual(['01-01 13', '01-02 20'])
    await runIn(folder)
    expect(await rowsIn(folder, days)).toEqual(['01-01 13', '01-02 24'])
  })

  it('is not published where production moved in the same intervals, nor by other code than it was built by', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    redefine(folder, 'sum(amount) * 2')
    await runIn(folder, dev)
    redefine(folder, 'sum(amount)')
    await expect(inProd((one) => promoteEnvironment(one, 'dev'))).rejects.toMatchObject({ kind: 'environment/stale' })
    deliver(folder, 'b', [['3', '2026-01-02 09:00:00', '5']])
    await runIn(folder)
    redefine(folder, 'sum(amount) * 2')
    await expect(inProd((one) => promoteEnvironment(one, 'dev'))).rejects.toMatchObject({
      kind: 'environment/conflict',
    })
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 25'])
  })

  it('is judged again on the tables of production, and refused', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    await using there = await open(folder, dev)
    const context = await there.context()
    await append(context, gold, { sql: "SELECT TIMESTAMP '2026-01-09' AS day, 5000::BIGINT AS amount" })
    const report = await inProd((one) => promoteEnvironment(one, 'dev'))
    expect(report.outcome).toBe('refused')
    expect(await rowsIn(folder, days)).toEqual(['01-01 10', '01-02 20'])
  })

  for (const claimed of [false, true])
    it(`never deletes a file of production, whatever maintenance is asked for in it${claimed ? ', not even where its tables claim all files' : ''}`, async () => {
      fresh()
      await inProd((one) => createEnvironment(one, 'dev'))
      redefine(folder, 'sum(amount) * 2')
      await runIn(folder, dev)
      const before = await readAll(folder)
      const files = () => filesUnder(join(folder, 'warehouse')).filter((path) => !path.includes('/env.dev/'))
      const had = files()
      await using there = await open(folder, dev)
      const context = await there.context()
      const tables = await there.catalog.listTables()
      const claim: readonly Update[] = [
        { action: 'set-properties', updates: { 'gc.enabled': 'true' } },
        { action: 'remove-properties', removals: ['limn.environment'] },
      ]
      if (claimed)
        for (const table of tables)
          await there.catalog.commit([{ table, requirements: [], updates: claim }], { timestampMs: Date.now() })
      refusals.clear()
      for (const table of tables) {
        await expireSnapshots(context, table, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 1 }).catch(refused)
        await rewriteDataFiles(context, table, { all: true }).catch(refused)
        await expireSnapshots(context, table, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 1 }).catch(refused)
        await removeOrphans(context, table, { ageMs: 3_600_000 }).catch(refused)
        await dropTable(context, table, { purge: true }).catch(refused)
      }
      expect([...refusals.keys()].sort()).toEqual(
        claimed ? ['storage/not-yours'] : ['table/unsafe-change', 'usage/argument'],
      )
      for (const path of had.slice(0, 5))
        await expect(context.store.delete([storePath(`file://${path}`)])).rejects.toMatchObject({
          kind: 'storage/not-yours',
        })
      expect(files()).toEqual(had)
      expect(await readAll(folder)).toEqual(before)
    })

  it('goes on reading what production has expired for itself', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    const before = await readAll(folder, dev)
    redefine(folder, 'sum(amount) * 2')
    deliver(folder, 'b', [['3', '2026-01-01 09:00:00', '5']])
    await runIn(folder)
    await inProd(async (one) => {
      const context = await one.context()
      for (const table of await one.catalog.listTables()) {
        if (!table.startsWith('limn.')) await rewriteDataFiles(context, table, { all: true })
        const live = await liveRunsOf(one, table)
        await expireSnapshots(context, table, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 1, maxRefAgeMs: 0, live })
      }
    })
    expect(await readAll(folder, dev)).toEqual(before)
  })

  it('is made by the first run in one that is configured, and not by a name that is not known', async () => {
    fresh()
    expect(await planIn(folder, { environment: 'test' })).toEqual([])
    await inProd(async (one) => expect(await listEnvironments(one)).toEqual([]))
    await runIn(folder, { environment: 'test', makeEnvironment: true })
    await inProd(async (one) => expect((await listEnvironments(one)).map((each) => each.name)).toEqual(['test']))
    await expect(open(folder, { environment: 'tset', makeEnvironment: true })).rejects.toMatchObject({
      kind: 'usage/unknown-environment',
    })
    await expect(open(folder, { environment: 'a_b' })).rejects.toMatchObject({ kind: 'usage/argument' })
  })

  it('is not made over tables whose names only look like its own', async () => {
    fresh()
    await inProd(async (one) => {
      await runSql(one, 'CREATE TABLE dev__scratch.result AS SELECT 1 AS x')
      await expect(createEnvironment(one, 'dev')).rejects.toMatchObject({ kind: 'usage/environment-exists' })
      expect((await listEnvironments(one)).map((each) => each.name)).toEqual([])
    })
    expect(await rowsIn(folder, 'SELECT x FROM dev__scratch.result')).toEqual(['1'])
  })

  it('is not promoted while somebody works in it: what they publish would go with it', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    redefine(folder, 'sum(amount) + 1')
    await runIn(folder, dev)
    await using there = await open(folder, dev)
    const held = await there.hold('somebody')
    await inProd((one) => expect(promoteEnvironment(one, 'dev')).rejects.toMatchObject({ kind: 'lease/held' }))
    await held[Symbol.asyncDispose]()
    expect((await inProd((one) => promoteEnvironment(one, 'dev'))).outcome).toBe('published')
  })

  it('is worked in by --env, by LIMN_ENV or by the configuration, and production is then written by its name', async () => {
    fresh()
    const said = async (args: readonly string[], environment?: string) => {
      const bin = join(root, 'packages/limn/bin/limn.js')
      const env = { ...process.env, LIMN_ENV: environment ?? '' }
      const ended = await start(process.execPath, [bin, ...args], { cwd: folder, env }).ended
      expect([ended.code, ended.stderr.includes('error')]).toEqual([0, false])
      return ended.stdout
    }
    const sum = ['sql', '--format', 'csv', 'SELECT sum(amount) AS s FROM gold.day']
    await said(['env', 'create', 'dev'])
    redefine(folder, 'sum(amount) * 2')
    await said(['run'], 'dev')
    expect(await said(sum)).toContain('30')
    expect(await said(sum, 'dev')).toContain('60')
    expect(await said([...sum, '--env', 'dev'])).toContain('60')
    expect(await said([...sum, '--env', 'prod'], 'dev')).toContain('30')
    const config = join(folder, 'limn.config.ts')
    writeFileSync(config, readFileSync(config, 'utf8').replace("name: 'small',", "name: 'small', environment: 'test',"))
    await said(['run'])
    expect(await said(sum)).toContain('60')
    expect(await said([...sum, '--env', 'prod'])).toContain('30')
    await said(['run', '--env', 'prod'])
    expect(await said([...sum, '--env', 'prod'])).toContain('60')
  })

  it('is changed from within it alone, and shares its views with production', async () => {
    fresh()
    await inProd(async (one) => {
      await runSql(one, 'CREATE VIEW lab.total AS SELECT sum(amount) AS total FROM gold.day')
      await createEnvironment(one, 'dev')
      await expect(runSql(one, 'DELETE FROM dev__gold.day')).rejects.toMatchObject({ kind: 'usage/owned-table' })
      await expect(runSql(one, 'DROP TABLE dev__gold.day')).rejects.toMatchObject({ kind: 'usage/owned-table' })
    })
    redefine(folder, 'sum(amount) * 2')
    await runIn(folder, dev)
    expect(await rowsIn(folder, 'SELECT * FROM lab.total', dev)).toEqual(['60'])
    expect(await rowsIn(folder, 'SELECT * FROM lab.total')).toEqual(['30'])
    expect(await rowsIn(folder, 'SELECT sum(amount) FROM dev__gold.day')).toEqual(['60'])
  })

  it('promotes tables that no dataset owns, and those made in it', async () => {
    fresh()
    await inProd(async (one) => {
      await runSql(one, 'CREATE TABLE lab.note (id BIGINT)')
      await runSql(one, 'INSERT INTO lab.note VALUES (1)')
      await createEnvironment(one, 'dev')
    })
    await using there = await open(folder, dev)
    await runSql(there, 'INSERT INTO lab.note VALUES (2)')
    await runSql(there, 'CREATE TABLE lab.more (id BIGINT, t STRING)')
    await runSql(there, 'ALTER TABLE lab.more DROP COLUMN t')
    await runSql(there, 'ALTER TABLE lab.more ADD COLUMN u STRING')
    await runSql(there, "INSERT INTO lab.more VALUES (1, 'x')")
    expect(await rowsIn(folder, 'SELECT count(*) FROM lab.note')).toEqual(['1'])
    await inProd((one) => promoteEnvironment(one, 'dev'))
    expect(await rowsIn(folder, 'SELECT id FROM lab.note ORDER BY id')).toEqual(['1', '2'])
    expect(await rowsIn(folder, 'SELECT id, u FROM lab.more')).toEqual(['1 x'])
    // Its place is production's own: the environment goes, the rows stay.
    await inProd((one) => dropEnvironmentOf(one, 'dev'))
    expect(await rowsIn(folder, 'SELECT id, u FROM lab.more')).toEqual(['1 x'])
    const row = await rowsIn(
      folder,
      "SELECT dataset, outcome, output_snapshot IS NULL FROM limn.run WHERE dataset LIKE 'lab.%' ORDER BY 1",
    )
    expect(row).toEqual(['lab.more checked true', 'lab.note checked true'])
    expect(await planIn(folder)).toEqual([])
  })

  it('is not dropped while a table that stays reads a file of it', async () => {
    fresh()
    await inProd((one) => createEnvironment(one, 'dev'))
    redefine(folder, 'sum(amount) * 2')
    await runIn(folder, dev)
    await inProd(async (one) => {
      const { snapshotTable } = await import('../../packages/limn/src/table/index.ts')
      const name = tableId('dev__gold.day')
      const loaded = (await one.base.loadTables([name])).get(name)
      if (!loaded) throw new Error('it is there')
      await snapshotTable(await one.context(), loaded, tableId('lab.copy'))
      await expect(dropEnvironmentOf(one, 'dev')).rejects.toMatchObject({ kind: 'table/unsafe-change' })
    })
    expect(await rowsIn(folder, 'SELECT sum(amount) FROM lab.copy')).toEqual(['60'])
  })
})

const refusals = new Map<string, number>()

function refused(error: unknown): void {
  if (!(error instanceof LimnError)) throw error
  refusals.set(error.kind, (refusals.get(error.kind) ?? 0) + 1)
}
