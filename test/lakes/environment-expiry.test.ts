import { readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { environmentName, nameIn } from '../../packages/limn/src/catalog/index.ts'
import {
  backupLake,
  createEnvironment,
  diffEnvironment,
  dropEnvironmentOf,
  type Lake,
  promoteEnvironment,
  relocateLake,
  restoreLake,
} from '../../packages/limn/src/lake/index.ts'
import { expireSnapshots, removeOrphans, rewriteDataFiles } from '../../packages/limn/src/table/index.ts'
import { days, goldenLake, open, planIn, readAll, redefine, rowsIn, runIn } from '../support/golden-lake.ts'
import { SavedLake } from '../support/lake.ts'
import { deliver } from '../support/small-lake.ts'

const lake = goldenLake('expiry')
const { folder } = lake
const [elsewhere, backups] = [`${folder}-elsewhere`, `${folder}-backups`]
const dev = { environment: 'dev' }
let saved: SavedLake

async function inProd<T>(body: (lake: Lake) => Promise<T>): Promise<T> {
  await using one = await open(folder)
  return await body(one)
}

/** As another engine does that knows nothing of limn: nothing but heads of refs stays, and what refs ask for themselves. */
async function expireToTheBone({ compact = true } = {}): Promise<number> {
  let expired = 0
  await inProd(async (one) => {
    const context = await one.context()
    const nowMs = context.clock.nowMs() + 7 * 86_400_000
    const later = { ...context, clock: { ...context.clock, nowMs: () => nowMs } }
    for (const table of await one.catalog.listTables()) {
      if (compact && !table.startsWith('limn.')) await rewriteDataFiles(context, table, { all: true })
      const { plan } = await expireSnapshots(context, table, {
        maxSnapshotAgeMs: 0,
        minSnapshotsToKeep: 1,
        maxRefAgeMs: 0,
      })
      expired += plan.expired.length
      await removeOrphans(later, table, {})
    }
  })
  return expired
}

const parquet = () =>
  readdirSync(join(folder, 'warehouse'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.parquet'))
    .map((entry) => join(entry.parentPath, entry.name))

/**
 * An environment whose gold is built from a state of silver that is not its last, so that it tells changes from one before the
 * state it stands on; then production goes on, and what it had is expired.
 */
beforeAll(async () => {
  await runIn(folder)
  deliver(folder, 'b', [['3', '2026-01-02 09:00:00', '5']])
  await inProd((one) => one.run({ select: ['bronze.event', 'silver.event'] }))
  await inProd((one) => createEnvironment(one, 'dev'))
  deliver(folder, 'c', [['4', '2026-01-01 09:00:00', '7']])
  await runIn(folder)
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

describe('an environment whose production expires all it may', () => {
  it('is read, planned from the change it has not built yet, run, compared and promoted', async () => {
    // What is planned there without any expiry.
    const planned = await planIn(folder, dev)
    const before = await readAll(folder, dev)
    expect(planned).toContain('gold.day 2026-01-02 input-changed')
    expect(planned).not.toContain('gold.day 2026-01-01 definition-changed')
    expect(await expireToTheBone()).toBeGreaterThan(0)
    expect(await readAll(folder, dev)).toEqual(before)
    expect(await planIn(folder, dev)).toEqual(planned)
    await runIn(folder, { ...dev })
    expect(await rowsIn(folder, days, dev)).toEqual(['01-01 17', '01-02 25'])
    const diff = await inProd((one) => diffEnvironment(one, 'dev'))
    expect(diff.map((one) => [one.table, one.change])).toEqual([
      ['bronze.event', 'changed'],
      ['gold.day', 'changed'],
      ['silver.event', 'changed'],
    ])
    // Production landed the same file by itself.
    await expect(inProd((one) => promoteEnvironment(one, 'dev'))).rejects.toMatchObject({
      kind: 'environment/conflict',
    })
  })

  it('promotes what production did not touch', async () => {
    await expireToTheBone()
    redefine(folder, 'sum(amount) * 2')
    await inProd(async (one) => {
      await dropEnvironmentOf(one, 'dev')
      await createEnvironment(one, 'dev')
    })
    // A compaction moves production, where the environment changed the same intervals.
    await expireToTheBone({ compact: false })
    await runIn(folder, dev)
    await expireToTheBone({ compact: false })
    const report = await inProd((one) => promoteEnvironment(one, 'dev'))
    expect([report.outcome, report.tables.map((one) => one.table)]).toEqual(['published', ['gold.day']])
    expect(await rowsIn(folder, days)).toEqual(['01-01 34', '01-02 50'])
    await expireToTheBone()
    expect(await readAll(folder, dev)).toEqual(await readAll(folder))
    redefine(folder, 'sum(amount)')
  })

  it('is backed up, restored and relocated with the lake', async () => {
    await expireToTheBone()
    const both = async (at: string) => [await readAll(at), await readAll(at, dev), await planIn(at, dev)]
    const before = await both(folder)
    const { record } = await inProd((one) => backupLake(one, backups))
    expect([record.gone, record.outside]).toEqual([[], []])
    renameSync(folder, `${folder}-gone`)
    try {
      await restoreLake(backups, elsewhere)
      expect(await both(elsewhere)).toEqual(before)
      rmSync(elsewhere, { recursive: true })
    } finally {
      renameSync(`${folder}-gone`, folder)
    }
    const moved = await inProd((one) => relocateLake(one, elsewhere))
    expect(moved.gone).toBe(0)
    renameSync(join(folder, 'warehouse'), join(folder, 'warehouse-gone'))
    expect([await readAll(folder), await readAll(folder, dev)]).toEqual(before.slice(0, 2))
  })

  it('keeps what it needs and no more, and lets go of it when it is dropped', async () => {
    await inProd((one) => dropEnvironmentOf(one, 'dev'))
    await expireToTheBone()
    const least = parquet().length
    saved.restore()
    await expireToTheBone()
    const held = parquet().length
    expect(held).toBeGreaterThan(least)
    await inProd((one) => dropEnvironmentOf(one, 'dev'))
    await expireToTheBone()
    expect(parquet().length).toBe(least)
  })

  it('is not broken by expiring a snapshot by its number', async () => {
    await inProd(async (one) => {
      const silver = tableId('silver.event')
      const [there] = (await one.base.loadTables([nameIn(environmentName('dev'), silver)])).values()
      const former = there?.metadata.snapshots.map((each) => each.snapshotId) ?? []
      expect(former.length).toBe(2)
      for (const snapshotId of former)
        await expect(expireSnapshots(await one.context(), silver, { snapshotIds: [snapshotId] })).rejects.toMatchObject(
          {
            kind: 'usage/argument',
          },
        )
    })
  })
})

describe('an environment whose branches somebody took away', () => {
  /** Nothing keeps its states any more: what it says of them is an error, never other rows. */
  async function takeAway(): Promise<void> {
    await inProd(async (one) => {
      const context = await one.context()
      const ref = 'env/dev'
      const tables = await one.catalog.loadTables(await one.catalog.listTables())
      const changes = [...tables].flatMap(([table, loaded]) =>
        loaded?.metadata.refs[ref]
          ? [{ table, requirements: [], updates: [{ action: 'remove-snapshot-ref', ref } as const] }]
          : [],
      )
      await one.catalog.commit(changes, { timestampMs: context.clock.nowMs() })
    })
    await expireToTheBone()
  }

  it('says which file is gone, and neither shows other rows nor compares with none', async () => {
    await takeAway()
    await expect(readAll(folder, dev)).rejects.toMatchObject({ kind: 'storage/missing' })
    await expect(runIn(folder, dev)).rejects.toMatchObject({ kind: 'storage/missing' })
    expect(await rowsIn(folder, days)).toEqual(['01-01 17', '01-02 25'])
  })

  it('keeps the lake from being backed up only while its rows of now are gone; dropping it frees', async () => {
    await takeAway()
    await expect(inProd((one) => backupLake(one, backups))).rejects.toMatchObject({
      kind: 'storage/missing',
      remedy: expect.stringContaining('limn env drop dev'),
    })
    await expect(inProd((one) => relocateLake(one, elsewhere))).rejects.toMatchObject({ kind: 'storage/missing' })
    await inProd((one) => dropEnvironmentOf(one, 'dev'))
    await inProd((one) => backupLake(one, backups))
    await restoreLake(backups, elsewhere)
    expect(await rowsIn(elsewhere, days)).toEqual(['01-01 17', '01-02 25'])
  })

  it('is backed up and moved where only states before the present one are gone, and that is said', async () => {
    // Compacted there, so that it has files of its own for all its rows, and production's for former states alone.
    {
      await using there = await open(folder, dev)
      const context = await there.context()
      for (const table of await there.catalog.listTables()) await rewriteDataFiles(context, table, { all: true })
    }
    const before = await readAll(folder, dev)
    await takeAway()
    expect(await readAll(folder, dev)).toEqual(before)
    const { record } = await inProd((one) => backupLake(one, backups))
    expect(record.gone?.length).toBeGreaterThan(0)
    await restoreLake(backups, elsewhere)
    expect(await readAll(elsewhere, dev)).toEqual(before)
  })
})
