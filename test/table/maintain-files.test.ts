import { mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { readInventory } from '../../packages/limn/src/iceberg/index.ts'
import { localFile, type StorePath } from '../../packages/limn/src/storage/index.ts'
import {
  append,
  createTable,
  expireSnapshots,
  healthOf,
  overwrite,
  pinSnapshot,
  readPinned,
  removeOrphans,
  rewriteManifests,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { temporaryTables } from '../support/tables.ts'

const id = tableId('silver.t')
const schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' as const },
    { id: 2, name: 'ts', required: false, type: 'timestamp' as const },
  ],
}
const spec = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: 'ts_day', transform: { kind: 'day' as const } }],
}
const rows = (...ids: number[]) =>
  `SELECT * FROM (VALUES ${ids.map((one) => `(${one}::BIGINT, TIMESTAMP '2026-01-01' + INTERVAL (${one}) HOUR)`).join(', ')}) v(id, ts)`
const hour = 3_600_000

async function make(context: TableContext, properties: Readonly<Record<string, string>> = {}) {
  await createTable(context, id, { location: `${context.store.root}/silver/t`, schema, spec, properties })
}

async function load(context: TableContext) {
  const loaded = (await context.catalog.loadTables([id])).get(id)
  if (!loaded) throw new Error('the table is there')
  return loaded
}

async function idsAt(context: TableContext, snapshotId: bigint): Promise<readonly number[]> {
  await using reading = await readPinned(context, pinSnapshot(await load(context), snapshotId))
  await using session = await context.engine.session([reading.bound])
  return (await session.rows(`SELECT id FROM ${id} ORDER BY id`)).rows.map((row) => Number(row[0]))
}

/** Ids of every snapshot the table has. */
async function everySnapshot(context: TableContext): Promise<ReadonlyMap<bigint, readonly number[]>> {
  const out = new Map<bigint, readonly number[]>()
  for (const { snapshotId } of (await load(context)).metadata.snapshots)
    out.set(snapshotId, await idsAt(context, snapshotId))
  return out
}

async function filesOnDisk(context: TableContext, under = 'silver/t'): Promise<readonly StorePath[]> {
  const out: StorePath[] = []
  for await (const info of context.store.list(`${context.store.root}/${under}` as StorePath)) out.push(info.path)
  return out
}

const later = (context: TableContext, ms: number): TableContext => ({
  ...context,
  clock: { ...context.clock, nowMs: () => Date.now() + ms },
})

describe('expiring the snapshots of a table', () => {
  it('deletes what no snapshot left needs, and every row left stays readable', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await append(made.context, id, { sql: rows(1, 2) })
    const tagged = await append(made.context, id, { sql: rows(30) })
    await overwrite(made.context, id, 'id = 1', { sql: rows(7) })
    await overwrite(made.context, id, 'id = 30', { sql: rows(31) })
    await overwrite(made.context, id, 'id = 31', { sql: rows(32) })
    const { metadata } = await load(made.context)
    await made.context.catalog.commit(
      [
        {
          table: id,
          requirements: [],
          updates: [{ action: 'set-snapshot-ref', ref: 'audit', to: { snapshotId: tagged.snapshotId, type: 'tag' } }],
        },
      ],
      { timestampMs: metadata.lastUpdatedMs + 1 },
    )
    const before = await everySnapshot(made.context)
    const context = later(made.context, 10 * 24 * hour)
    const dry = await expireSnapshots(context, id, { dryRun: true })
    expect(dry.committed).toBe(false)
    expect(await everySnapshot(context)).toEqual(before)
    const disk = await filesOnDisk(context)
    const result = await expireSnapshots(context, id)
    expect(result.files).toEqual(dry.files)
    expect(result.plan.expired).toHaveLength(3)
    // The file of row 31 alone: the others are the tag's, or main's still.
    expect(result.files).toMatchObject({ 'manifest-list': 3, data: 1 })
    const left = await everySnapshot(context)
    expect(left.size).toBe(2)
    for (const [snapshotId, ids] of left) expect(ids).toEqual(before.get(snapshotId))
    const now = new Set<string>(await filesOnDisk(context))
    const gone = new Set<string>(result.deleted)
    // Exactly the reported files went; the commit added one metadata file.
    expect(disk.filter((path) => !now.has(path)).sort()).toEqual([...gone].sort())
    expect((await expireSnapshots(context, id)).committed).toBe(false)
  })

  it('spares snapshots that a live run has pinned, and files that are not the table’s own', async () => {
    await using made = await temporaryTables()
    await make(made.context, { 'gc.enabled': 'false' })
    const first = await append(made.context, id, { sql: rows(1) })
    await append(made.context, id, { sql: rows(2) })
    const pin = 'limn-pin/20260101T000000-000001'
    await made.context.catalog.commit(
      [
        {
          table: id,
          requirements: [],
          updates: [
            { action: 'set-snapshot-ref', ref: pin, to: { snapshotId: first.snapshotId, type: 'tag', maxRefAgeMs: 1 } },
          ],
        },
      ],
      { timestampMs: 1 },
    )
    const context = later(made.context, 10 * 24 * hour)
    const spared = await expireSnapshots(context, id, { live: { refs: new Set([pin]) } })
    expect(spared.committed).toBe(false)
    const disk = await filesOnDisk(context)
    const result = await expireSnapshots(context, id)
    expect(result).toMatchObject({ committed: true, deleted: [] })
    expect(result.left.length).toBeGreaterThan(0)
    expect(await filesOnDisk(context)).toEqual(expect.arrayContaining([...disk]))
  })

  it('holds when a writer appends in between', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await append(made.context, id, { sql: rows(1) })
    await append(made.context, id, { sql: rows(2) })
    let raced = false
    const catalog = made.context.catalog
    const context = later(
      {
        ...made.context,
        catalog: {
          capabilities: catalog.capabilities,
          listTables: (options) => catalog.listTables(options),
          registerTable: (table, location) => catalog.registerTable(table, location),
          loadTables: (ids, options) => catalog.loadTables(ids, options),
          commit: async (changes, options) => {
            if (!raced) {
              raced = true
              await append(made.context, id, { sql: rows(3) })
            }
            return catalog.commit(changes, options)
          },
        },
      },
      10 * 24 * hour,
    )
    const result = await expireSnapshots(context, id)
    expect(result.committed).toBe(true)
    const { metadata } = await load(made.context)
    expect(await idsAt(made.context, metadata.currentSnapshotId ?? 0n)).toEqual([1, 2, 3])
  })

  it('drops specs and schemas that nothing names any more, when asked', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await append(made.context, id, { sql: rows(1) })
    const wider = {
      ...schema,
      schemaId: 1,
      fields: [...schema.fields, { id: 3, name: 'x', required: false, type: 'int' as const }],
    }
    await made.context.catalog.commit(
      [
        {
          table: id,
          requirements: [],
          updates: [
            { action: 'add-schema', schema: wider },
            { action: 'add-spec', spec: { specId: 1, fields: [] } },
          ],
        },
      ],
      { timestampMs: Date.now() },
    )
    expect((await expireSnapshots(made.context, id)).droppedShapes).toBe(0)
    const live = { refs: new Set(['run/20260101T000000-000001']) }
    expect((await expireSnapshots(made.context, id, { dropUnusedShapes: true, live })).droppedShapes).toBe(0)
    expect((await expireSnapshots(made.context, id, { dropUnusedShapes: true })).droppedShapes).toBe(2)
    const { metadata } = await load(made.context)
    expect([metadata.schemas.length, metadata.partitionSpecs.length]).toEqual([1, 1])
  })
})

describe('removing orphans of a table', () => {
  const plant = (context: TableContext, path: string, hoursOld: number) => {
    const local = localFile(`${context.store.root}/${path}` as StorePath)
    mkdirSync(local.slice(0, local.lastIndexOf('/')), { recursive: true })
    writeFileSync(local, 'x')
    const at = (Date.now() - hoursOld * hour) / 1000
    utimesSync(local, at, at)
  }

  it('takes old files that nothing names, in its own folders alone', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await append(made.context, id, { sql: rows(1) })
    await overwrite(made.context, id, 'id = 1', { sql: rows(2) })
    const before = await everySnapshot(made.context)
    const disk = await filesOnDisk(made.context)
    for (const path of disk) utimesSync(localFile(path), 1, 1)
    plant(made.context, 'silver/t/data/lost.parquet', 100)
    plant(made.context, 'silver/t/metadata/lost.avro', 100)
    plant(made.context, 'silver/t/data/new.parquet', 2)
    plant(made.context, 'silver/t2/data/other.parquet', 100)
    const dry = await removeOrphans(made.context, id, { dryRun: true })
    expect(dry.plan.orphans).toHaveLength(2)
    expect(dry.plan.young).toBe(1)
    const result = await removeOrphans(made.context, id)
    expect(result.deleted.map((path) => path.split('/').slice(-2).join('/'))).toEqual([
      'data/lost.parquet',
      'metadata/lost.avro',
    ])
    expect((await filesOnDisk(made.context)).length).toBe(disk.length + 1)
    expect(await filesOnDisk(made.context, 'silver/t2')).toHaveLength(1)
    expect(await everySnapshot(made.context)).toEqual(before)
    expect((await removeOrphans(made.context, id, { ageMs: hour })).deleted).toHaveLength(1)
  })

  it('refuses an age below an hour or below the oldest live run, and a table that does not own its files', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    await expect(removeOrphans(made.context, id, { ageMs: 60_000 })).rejects.toMatchObject({ kind: 'usage/argument' })
    await expect(
      removeOrphans(made.context, id, { ageMs: 2 * hour, live: { longestMs: 3 * hour } }),
    ).rejects.toMatchObject({ kind: 'usage/argument' })
    const other = tableId('silver.u')
    await createTable(made.context, other, {
      location: `${made.context.store.root}/silver/u`,
      schema,
      spec,
      properties: { 'gc.enabled': 'false' },
    })
    await expect(removeOrphans(made.context, other)).rejects.toThrow(/not its own/)
  })

  it('keeps the files of a table in a folder of its folder, and of a state that a run has staged', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    const inner = tableId('silver.inner')
    await createTable(made.context, inner, { location: `${made.context.store.root}/silver/t/inner`, schema, spec })
    await append(made.context, inner, { sql: rows(1) })
    for (const path of await filesOnDisk(made.context)) utimesSync(localFile(path), 1, 1)
    expect((await removeOrphans(made.context, id)).deleted).toEqual([])
  })

  it('never takes a file that was committed while the folder was listed', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    const store = made.context.store
    const listing = Object.create(store) as typeof store
    listing.list = async function* (prefix, options) {
      // Staged long ago, committed only now.
      await append(made.context, id, { sql: rows(1) })
      for await (const info of store.list(prefix, options)) yield { ...info, modifiedMs: 1 }
    }
    expect((await removeOrphans({ ...made.context, store: listing }, id)).deleted).toEqual([])
    const { metadata } = await load(made.context)
    expect(await idsAt(made.context, metadata.currentSnapshotId ?? 0n)).toEqual([1])
  })
})

describe('rewriting the manifests of a table', () => {
  it('makes few of many, in order of partitions, and keeps every entry as it was', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    for (const day of [50, 1, 75, 25]) await append(made.context, id, { sql: rows(day, day + 1) })
    const inventoryNow = async () => {
      const { metadata } = await load(made.context)
      return readInventory({
        manifests: made.context.manifests,
        metadata,
        snapshotId: metadata.currentSnapshotId,
        statistics: true,
      })
    }
    const facts = (entries: Awaited<ReturnType<typeof inventoryNow>>['data']) =>
      entries
        .map((one) => `${one.file.path} ${one.snapshotId} ${one.dataSequenceNumber} ${one.fileSequenceNumber}`)
        .sort()
    const before = await inventoryNow()
    const dry = await rewriteManifests(made.context, id, { dryRun: true })
    expect(dry).toMatchObject({ snapshotId: null, manifestsBefore: 4, manifestsAfter: 1 })
    const result = await rewriteManifests(made.context, id)
    expect(result).toMatchObject({ manifestsBefore: 4, manifestsAfter: 1 })
    const after = await inventoryNow()
    expect(after.manifests).toHaveLength(1)
    expect(facts(after.data)).toEqual(facts(before.data))
    expect(after.data.map((one) => one.file.partition[0])).toEqual([20454, 20455, 20456, 20457])
    const { metadata } = await load(made.context)
    expect(metadata.snapshots.at(-1)).toMatchObject({ operation: 'replace' })
    expect(metadata.snapshots.at(-1)?.summary).toMatchObject({ 'entries-processed': '4', 'total-records': '8' })
    expect(await idsAt(made.context, metadata.currentSnapshotId ?? 0n)).toEqual([1, 2, 25, 26, 50, 51, 75, 76])
    expect((await rewriteManifests(made.context, id)).snapshotId).toBeNull()
  })

  it('plans anew when a writer appends in between', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    for (const day of [1, 2]) await append(made.context, id, { sql: rows(day) })
    const catalog = made.context.catalog
    let raced = false
    const result = await rewriteManifests(
      {
        ...made.context,
        catalog: {
          capabilities: catalog.capabilities,
          listTables: (options) => catalog.listTables(options),
          registerTable: (table, location) => catalog.registerTable(table, location),
          loadTables: (ids, options) => catalog.loadTables(ids, options),
          commit: async (changes, options) => {
            if (!raced) {
              raced = true
              await append(made.context, id, { sql: rows(3) })
            }
            return catalog.commit(changes, options)
          },
        },
      },
      id,
    )
    expect(result).toMatchObject({ manifestsBefore: 3, manifestsAfter: 1 })
    const { metadata } = await load(made.context)
    expect(await idsAt(made.context, metadata.currentSnapshotId ?? 0n)).toEqual([1, 2, 3])
  })
})

describe('the health of a table on disk', () => {
  it('is measured from metadata alone', async () => {
    await using made = await temporaryTables()
    await make(made.context)
    for (const n of [1, 2, 3, 4, 5, 6]) await append(made.context, id, { sql: rows(n) })
    const health = await healthOf(made.context, id)
    expect(health.files).toMatchObject({ count: 6, small: 6, rows: 6 })
    expect(health.metadata.bytes).toBeGreaterThan(1000)
    expect(health.findings.map((one) => one.remedy)).toEqual(['compact'])
  })
})
