import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { LimnError, tableId } from '../../packages/limn/src/base/index.ts'
import {
  backupLake,
  createEnvironment,
  dropEnvironmentOf,
  type Lake,
  ledgerOf,
  rebuildLakeState,
  relocateLake,
  restoreLake,
  runSql,
  withWarehouse,
} from '../../packages/limn/src/lake/index.ts'
import { expireSnapshots, rewriteDataFiles } from '../../packages/limn/src/table/index.ts'
import { goldenLake, open, planIn, readAll, redefine, rowsIn, runIn } from '../support/golden-lake.ts'
import { SavedLake } from '../support/lake.ts'
import { deliver } from '../support/small-lake.ts'

const lake = goldenLake('care')
const { folder } = lake
const elsewhere = `${folder}-elsewhere`
const backups = `${folder}-backups`
let saved: SavedLake

async function inLake<T>(body: (lake: Lake) => Promise<T>, options = {}): Promise<T> {
  await using one = await open(folder, options)
  return await body(one)
}

/** Tables with deletes by position, in both kinds, a view, an environment that differs, and a few snapshots. */
async function fill(): Promise<void> {
  await runIn(folder)
  await inLake(async (one) => {
    for (const version of [2, 3]) {
      const name = `lab.v${version}`
      await runSql(
        one,
        `CREATE TABLE ${name} (id BIGINT, part STRING) PARTITIONED BY (part) TBLPROPERTIES ('format-version' = '${version}', 'write.delete.mode' = 'merge-on-read', 'write.delete.granularity' = 'partition')`,
      )
      await runSql(one, `INSERT INTO ${name} SELECT i, 'a' FROM range(10) t(i)`)
      await runSql(one, `INSERT INTO ${name} SELECT i, 'a' FROM range(10, 20) t(i)`)
      await runSql(one, `DELETE FROM ${name} WHERE id IN (3, 4, 15)`)
      await runSql(one, `ALTER TABLE ${name} CREATE TAG kept`)
      await runSql(one, `DELETE FROM ${name} WHERE id = 7`)
    }
    await runSql(one, 'CREATE VIEW lab.total AS SELECT sum(amount) AS total FROM gold.day')
    await createEnvironment(one, 'dev')
  })
  redefine(folder, 'sum(amount) * 2')
  await runIn(folder, { environment: 'dev' })
  redefine(folder, 'sum(amount)')
  deliver(folder, 'b', [['3', '2026-01-03 08:00:00', '5']])
  await runIn(folder)
}

async function contents(at: string): Promise<readonly string[]> {
  const out = [...(await readAll(at)), ...(await readAll(at, { environment: 'dev' }))]
  for (const sql of [
    "SELECT 'v2', * FROM lab.v2 ORDER BY ALL",
    "SELECT 'v3', * FROM lab.v3 ORDER BY ALL",
    "SELECT 'kept', count(*) FROM lab.v2.tag_kept",
    "SELECT 'kept', count(*) FROM lab.v3.tag_kept",
    'SELECT * FROM lab.total',
    "SELECT 'history', count(*) FROM silver.event.snapshots",
  ])
    out.push(...(await rowsIn(at, sql)))
  return out
}

function allText(path: string): string {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n')
}

function filesOf(path: string): readonly string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${join(entry.parentPath, entry.name)} ${statSync(join(entry.parentPath, entry.name)).size}`)
    .sort()
}

let before: readonly string[] = []

beforeAll(async () => {
  await fill()
  before = await contents(folder)
  saved = new SavedLake(folder)
})

beforeEach(() => {
  saved.restore()
  for (const path of [elsewhere, backups]) rmSync(path, { recursive: true, force: true })
})

afterAll(() => {
  for (const path of [elsewhere, backups]) rmSync(path, { recursive: true, force: true })
  saved[Symbol.dispose]()
  lake[Symbol.dispose]()
})

describe('a warehouse that is relocated', () => {
  it('has every row, deleted ones aside, every snapshot and every environment, and nothing names the old folder', async () => {
    const old = join(folder, 'warehouse')
    const files = filesOf(old)
    const done = await inLake((one) => relocateLake(one, elsewhere))
    expect(done.config).toMatchObject({ changed: true })
    expect(filesOf(old)).toEqual(files)
    renameSync(old, `${old}-gone`)
    // The configuration was loaded before it was changed: it is read anew by another process only.
    const text = readFileSync(join(folder, 'limn.config.ts'), 'utf8')
    expect(text).toContain(`warehouse: '${elsewhere}'`)
    expect(allText(elsewhere)).not.toContain(old)
    expect(await contents(folder)).toEqual(before)
    rmSync(`${old}-gone`, { recursive: true })
  })

  it('is not touched by a dry run, and not moved to a place that has files or lies within it', async () => {
    const files = filesOf(folder)
    const done = await inLake((one) => relocateLake(one, elsewhere, { dryRun: true }))
    expect(done.tables).toBeGreaterThan(10)
    expect(existsSync(elsewhere)).toBe(false)
    await inLake(async (one) => {
      await expect(relocateLake(one, join(folder, 'warehouse', 'x'))).rejects.toMatchObject({ kind: 'usage/argument' })
      await expect(relocateLake(one, join(folder, 'datasets'))).rejects.toMatchObject({
        kind: 'usage/folder-not-empty',
      })
    })
    expect(filesOf(folder).filter((path) => !path.includes('/.limn/'))).toEqual(
      files.filter((path) => !path.includes('/.limn/')),
    )
  })

  it('takes along what is committed while it is moved', async () => {
    let written = false
    const steps = {
      reach: async (name: string, edge: string) => {
        if (written || name !== 'metadata.write' || edge !== 'before') return
        written = true
        await inLake((one) => runSql(one, "INSERT INTO lab.v2 VALUES (100, 'b')"))
      },
    }
    await inLake((one) => relocateLake(one, elsewhere), { steps })
    expect(written).toBe(true)
    renameSync(join(folder, 'warehouse'), join(folder, 'gone'))
    expect(await rowsIn(folder, 'SELECT count(*), max(id) FROM lab.v2')).toEqual(['17 100'])
    rmSync(join(folder, 'gone'), { recursive: true })
  })

  it('stays where it was when a copied file is not whole', async () => {
    const steps = {
      reach: (name: string, edge: string, detail: string) => {
        if (name !== 'metadata.write' || edge !== 'after' || !detail.includes('gold/day')) return
        const path = detail.replace('file://', '')
        if (existsSync(path)) writeFileSync(path, 'x')
      },
    }
    await expect(inLake((one) => relocateLake(one, elsewhere), { steps })).rejects.toBeInstanceOf(LimnError)
    expect(await contents(folder)).toEqual(before)
    rmSync(elsewhere, { recursive: true, force: true })
    expect(await contents(folder)).toEqual(before)
  })
})

describe('a backup', () => {
  it('restores into another folder, by itself, and copies only what is new the next time', async () => {
    const first = await inLake((one) => backupLake(one, backups))
    expect(first.copied.files).toBe(first.record.files.length + (first.record.project?.length ?? 0))
    deliver(folder, 'c', [['4', '2026-01-04 08:00:00', '6']])
    await runIn(folder)
    const later = await contents(folder)
    const second = await inLake((one) => backupLake(one, backups))
    expect(second.copied.files).toBeLessThan(second.record.files.length / 3)
    renameSync(folder, `${folder}-gone`)
    try {
      const done = await restoreLake(backups, elsewhere)
      expect(done.files).toBe(second.record.files.length)
      expect(allText(join(elsewhere, 'warehouse'))).not.toContain(join(folder, 'warehouse'))
      expect(await contents(elsewhere)).toEqual(later)
      expect(await planIn(elsewhere)).toEqual([])
      rmSync(elsewhere, { recursive: true })
      await restoreLake(backups, elsewhere, { id: first.record.id })
      expect(await contents(elsewhere)).toEqual(before)
      await expect(restoreLake(backups, elsewhere)).rejects.toMatchObject({ kind: 'usage/folder-not-empty' })
      await expect(restoreLake(backups, `${elsewhere}-2`, { id: 'no' })).rejects.toMatchObject({
        kind: 'usage/unknown-backup',
      })
    } finally {
      renameSync(`${folder}-gone`, folder)
    }
  })

  it('is refused in a folder with those of a lake that was elsewhere: they would share files that are not the same', async () => {
    await inLake((one) => backupLake(one, backups))
    const there = filesOf(backups)
    await restoreLake(backups, elsewhere)
    await using restored = await open(elsewhere)
    await expect(backupLake(restored, backups)).rejects.toMatchObject({ kind: 'usage/folder-not-empty' })
    expect(filesOf(backups)).toEqual(there)
  })

  it('restored leaves the lake it is of alone, wherever that has its catalog, warehouse and state', async () => {
    using own = goldenLake('care-places')
    const outside = `${own.folder}-outside`
    const name = basename(outside)
    writeFileSync(
      join(own.folder, 'limn.config.ts'),
      `import { defineLake } from 'limn'\nexport default defineLake({ name: 'small', warehouse: '../${name}/warehouse', catalog: '../${name}/catalog.db', state: '../${name}/state.db' })\n`,
    )
    const [kept, restored] = [`${own.folder}-kept`, `${own.folder}-restored`]
    try {
      await runIn(own.folder)
      const rows = await readAll(own.folder)
      {
        await using one = await open(own.folder)
        await backupLake(one, kept)
      }
      await restoreLake(kept, restored)
      const there = filesOf(outside)
      expect(await readAll(restored)).toEqual(rows)
      deliver(restored, 'c', [['4', '2026-01-04 08:00:00', '6']])
      cpSync(join(own.folder, 'inbox'), join(restored, 'inbox'), { recursive: true })
      await runIn(restored)
      expect(filesOf(outside)).toEqual(there)
    } finally {
      for (const path of [outside, kept, restored]) rmSync(path, { recursive: true, force: true })
    }
  })

  it('restored keeps its name, also where that was the name of its folder', async () => {
    using own = goldenLake('care-nameless')
    writeFileSync(
      join(own.folder, 'limn.config.ts'),
      "import { defineLake } from 'limn'\nexport default defineLake({})\n",
    )
    const [kept, restored] = [`${own.folder}-kept`, `${own.folder}-restored`]
    try {
      await runIn(own.folder)
      const rows = await readAll(own.folder)
      {
        await using one = await open(own.folder)
        await backupLake(one, kept)
      }
      await restoreLake(kept, restored)
      expect(await readAll(restored)).toEqual(rows)
    } finally {
      for (const path of [kept, restored]) rmSync(path, { recursive: true, force: true })
    }
  })

  it('is of one instant, also when files that it needs are expired meanwhile', async () => {
    let expired = false
    const steps = {
      reach: async (name: string, edge: string) => {
        if (expired || name !== 'file.put' || edge !== 'before') return
        expired = true
        await inLake(async (one) => {
          const context = await one.context()
          const table = tableId('lab.v2')
          // What an environment stands on does not expire.
          await dropEnvironmentOf(one, 'dev')
          await runSql(one, 'ALTER TABLE lab.v2 DROP TAG kept')
          await rewriteDataFiles(context, table, { all: true })
          const { deleted } = await expireSnapshots(context, table, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 1 })
          expect(deleted.length).toBeGreaterThan(5)
        })
      },
    }
    await inLake((one) => backupLake(one, backups), { steps })
    expect(expired).toBe(true)
    await restoreLake(backups, elsewhere)
    expect(await rowsIn(elsewhere, 'SELECT count(*) FROM lab.v2')).toEqual(['16'])
    expect(await rowsIn(elsewhere, 'SELECT count(*) FROM lab.v2.snapshots')).toEqual(['1'])
    expect(await readAll(elsewhere)).toEqual(await readAll(folder))
  })

  it('is refused when a file of it is cut off, and mended by the next', async () => {
    const { record } = await inLake((one) => backupLake(one, backups))
    const [path] = record.files.find(([one]) => one.endsWith('.parquet')) ?? ['']
    writeFileSync(join(backups, 'warehouse', path), 'cut off')
    await expect(restoreLake(backups, elsewhere)).rejects.toMatchObject({ kind: 'storage/corrupt' })
    expect(existsSync(join(elsewhere, '.limn/catalog.db'))).toBe(false)
    await inLake((one) => backupLake(one, backups))
    await restoreLake(backups, elsewhere)
    expect(await contents(elsewhere)).toEqual(before)
  })
})

describe('a state database that is lost', () => {
  it('is made anew from the lake: runs, and what those left that died', async () => {
    const runs = await inLake((one) => ledgerOf(one))
    deliver(folder, 'd', [['5', '2026-01-05 08:00:00', '7']])
    const dies = {
      reach: (name: string, edge: string, detail: string) => {
        if (name === 'state.change' && edge === 'before' && detail.endsWith('publishing')) throw new Error('dies')
        if (name === 'state.change' && detail.includes('failed')) throw new Error('dies')
      },
    }
    await expect(runIn(folder, { steps: dies })).rejects.toThrow()
    for (const end of ['', '-wal', '-shm']) rmSync(join(folder, '.limn', `state.db${end}`), { force: true })
    const done = await rebuildLakeState({ cwd: folder })
    expect(done.recorded).toBe(new Set(runs.map((row) => row.run)).size)
    expect(done.inDoubt.length).toBe(1)
    const report = await runIn(folder)
    expect(report.recovery.abandoned).toEqual(done.inDoubt)
    expect(await rowsIn(folder, 'SELECT count(*) FROM gold.day')).toEqual(['4'])
    const refs = await rowsIn(folder, "SELECT name FROM silver.event.refs WHERE name LIKE 'limn-pin/%'")
    expect(refs).toEqual([])
  })

  it('is not filled while a run or a backfill is at work', async () => {
    await using lake = await open(folder)
    const { state, signal } = await lake.context()
    for (const name of ['run gold.day', 'backfill silver.event']) {
      const lease = await state.acquire(name, 'another', { waitMs: 0, signal })
      await expect(rebuildLakeState({ cwd: folder })).rejects.toMatchObject({ kind: 'lease/held' })
      await lease.release()
    }
    expect((await rebuildLakeState({ cwd: folder })).recorded).toBeGreaterThan(0)
  })

  it('is put aside when it is damaged', async () => {
    writeFileSync(join(folder, '.limn/state.db'), 'this is no database, and it is long enough to be told from one')
    await expect(planIn(folder)).rejects.toMatchObject({ kind: 'storage/corrupt' })
    const done = await rebuildLakeState({ cwd: folder })
    expect(done.aside).toContain('state.db.damaged-1')
    expect(await planIn(folder)).toEqual([])
  })
})

describe('a configuration', () => {
  it('is changed where it says one place, and left to a person where it says it otherwise', () => {
    expect(withWarehouse("export default defineLake({ warehouse: 'a', name: 'x' })", 'b/c')).toBe(
      "export default defineLake({ warehouse: 'b/c', name: 'x' })",
    )
    expect(withWarehouse("export default defineLake({ name: 'x' })", '/b')).toBe(
      "export default defineLake({ warehouse: '/b', name: 'x' })",
    )
    expect(withWarehouse('export default defineLake({})', '/b')).toBe("export default defineLake({ warehouse: '/b' })")
    expect(withWarehouse('const warehouse = x\nexport default defineLake({ warehouse })', 'b')).toBeNull()
  })
})
