import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { type DataFile, readInventory } from '../../packages/limn/src/iceberg/index.ts'
import {
  alterTable,
  append,
  createTable,
  pinSnapshot,
  readPinned,
  removeDanglingDeletes,
  rewriteDataFiles,
  rewritePositionDeletes,
  type TableContext,
} from '../../packages/limn/src/table/index.ts'
import { commitDeletes, deletionVector, equalityDeletes, positionDeletes } from '../support/delete-files.ts'
import { MeddlingCatalog } from '../support/racing.ts'
import { temporaryTables } from '../support/tables.ts'

const id = tableId('silver.t')
const schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'id', required: false, type: 'long' as const },
    { id: 2, name: 'part', required: false, type: 'int' as const },
  ],
}
const spec = {
  specId: 0,
  fields: [{ sourceId: 2, fieldId: 1000, name: 'part', transform: { kind: 'identity' as const } }],
}
const at = (context: TableContext) => `${context.store.root}/silver/t`

async function make(context: TableContext, formatVersion: 2 | 3, files: number) {
  await createTable(context, id, { location: at(context), schema, spec, formatVersion })
  for (let i = 0; i < files; i++)
    await append(context, id, {
      sql: `SELECT range AS id, ${i % 2}::INTEGER AS part FROM range(${i * 100}, ${i * 100 + 100})`,
    })
}

async function now(context: TableContext) {
  const loaded = (await context.catalog.loadTables([id])).get(id)
  if (!loaded) throw new Error('the table is there')
  return loaded
}

async function inventoryNow(context: TableContext) {
  const { metadata } = await now(context)
  return readInventory({
    manifests: context.manifests,
    metadata,
    snapshotId: metadata.currentSnapshotId,
    statistics: true,
  })
}

/** Data files in the order they were added. */
async function filesNow(context: TableContext): Promise<readonly DataFile[]> {
  const { data } = await inventoryNow(context)
  return data.toSorted((a, b) => Number(a.dataSequenceNumber - b.dataSequenceNumber)).map((entry) => entry.file)
}

async function idsOfAll(context: TableContext): Promise<Readonly<Record<string, readonly number[]>>> {
  const out: Record<string, readonly number[]> = {}
  const loaded = await now(context)
  for (const { snapshotId } of loaded.metadata.snapshots) {
    await using reading = await readPinned(context, pinSnapshot(loaded, snapshotId))
    await using session = await context.engine.session([reading.bound])
    const ids = (await session.rows(`SELECT id FROM ${id} ORDER BY id`)).rows.map((row) => Number(row[0]))
    out[String(snapshotId)] = ids
    if (snapshotId === loaded.metadata.currentSnapshotId) out.main = ids
  }
  return out
}

describe('rewriting position deletes', () => {
  it('joins those of a partition, without positions of files that are gone', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2, 4)
    const [a, b, c] = await filesNow(context)
    if (!a || !b || !c) throw new Error('there are files')
    for (let i = 0; i < 6; i++) {
      const rows = [
        { file: a, positions: [i] },
        { file: c, positions: [i, 50 + i] },
      ]
      await commitDeletes(context, id, [await positionDeletes(context, at(context), rows)])
    }
    await commitDeletes(context, id, [await positionDeletes(context, at(context), [{ file: b, positions: [9] }], true)])
    await rewriteDataFiles(context, id, { filter: 'id < 100', all: true, targetFileBytes: 1_000_000 })
    const before = await idsOfAll(context)
    expect(before.main).toHaveLength(400 - 6 - 12 - 1)
    const dry = await rewritePositionDeletes(context, id, { dryRun: true })
    expect(dry.plan.groups.map((group) => group.deletes.length)).toEqual([6])
    const result = await rewritePositionDeletes(context, id)
    expect(result).toMatchObject({ removed: { length: 6 }, added: { length: 1 } })
    expect(await idsOfAll(context)).toMatchObject(before)
    const { deletes } = await inventoryNow(context)
    expect(deletes.map((entry) => Number(entry.file.recordCount)).sort()).toEqual([1, 12])
    // All of them are about one file, and the new file says so.
    expect(result.added[0]).toMatchObject({ content: 1, referencedDataFile: c.path, partition: [0] })
    expect((await now(context)).metadata.snapshots.at(-1)).toMatchObject({ operation: 'replace' })
    expect((await rewritePositionDeletes(context, id)).snapshotId).toBeNull()
  })

  it('turns the position deletes of an upgraded table into vectors', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2, 3)
    const [a, b, c] = await filesNow(context)
    if (!a || !b || !c) throw new Error('there are files')
    await commitDeletes(context, id, [
      await positionDeletes(context, at(context), [
        { file: a, positions: [1, 2] },
        { file: c, positions: [3] },
      ]),
      await positionDeletes(context, at(context), [{ file: a, positions: [2, 99] }], true),
      await positionDeletes(context, at(context), [{ file: b, positions: [0] }]),
    ])
    await alterTable(context, id, [{ kind: 'upgrade-format', formatVersion: 3 }])
    const before = await idsOfAll(context)
    expect(before.main).toHaveLength(295)
    const result = await rewritePositionDeletes(context, id)
    expect(result.added.map((file) => [file.format, Number(file.recordCount)])).toEqual(
      expect.arrayContaining([
        ['puffin', 3],
        ['puffin', 1],
      ]),
    )
    expect(new Set(result.added.map((file) => file.path)).size).toBe(1)
    expect(await idsOfAll(context)).toMatchObject(before)
  })

  it('gathers vectors of many files in one, as they are', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 3, 6)
    for (const [i, file] of (await filesNow(context)).entries())
      await commitDeletes(context, id, [await deletionVector(context, at(context), file, [i, 10 + i, 99])])
    const before = await idsOfAll(context)
    const result = await rewritePositionDeletes(context, id)
    expect(result.added).toHaveLength(6)
    expect(new Set(result.added.map((file) => file.path)).size).toBe(1)
    expect(await idsOfAll(context)).toMatchObject(before)
    expect((await inventoryNow(context)).deletes.map((one) => one.dataSequenceNumber).sort()).toEqual(
      [7n, 8n, 9n, 10n, 11n, 12n].sort(),
    )
    expect((await rewritePositionDeletes(context, id)).snapshotId).toBeNull()
  })

  it('does it again when a vector is replaced meanwhile', async () => {
    await using made = await temporaryTables()
    await make(made.context, 3, 5)
    const files = await filesNow(made.context)
    const vectors: DataFile[] = []
    for (const file of files) vectors.push(await deletionVector(made.context, at(made.context), file, [0]))
    await commitDeletes(made.context, id, vectors)
    const catalog = new MeddlingCatalog(made.context.catalog)
    const [file] = files
    const [old] = vectors
    catalog.before = async (commit) => {
      if (commit !== 1 || !file || !old) return
      await commitDeletes(made.context, id, [await deletionVector(made.context, at(made.context), file, [0, 1])], [old])
    }
    await rewritePositionDeletes({ ...made.context, catalog, wait: async () => undefined }, id)
    expect(catalog.commits).toBe(2)
    expect((await idsOfAll(made.context)).main).toHaveLength(494)
  })
})

describe('removing dangling deletes', () => {
  it('drops deletes of every kind that reach nothing, and only those', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await make(context, 2, 2)
    const [a, b] = await filesNow(context)
    if (!a || !b) throw new Error('there are files')
    await commitDeletes(context, id, [
      await equalityDeletes(context, at(context), a, 'SELECT 5::BIGINT AS id', { id: 1 }),
      await equalityDeletes(context, at(context), { ...a, partition: [7] }, 'SELECT 6::BIGINT AS id', { id: 1 }),
      await positionDeletes(
        context,
        at(context),
        [{ file: { ...a, path: `${a.path}x` as typeof a.path }, positions: [0] }],
        true,
      ),
      await positionDeletes(context, at(context), [{ file: b, positions: [0] }]),
    ])
    const before = await idsOfAll(context)
    expect(before.main).toHaveLength(198)
    expect((await removeDanglingDeletes(context, id, { dryRun: true })).dangling).toHaveLength(2)
    const result = await removeDanglingDeletes(context, id)
    expect(result.dangling.map((one) => one.because).sort()).toEqual(['no-older-file', 'no-such-file'])
    expect(await idsOfAll(context)).toMatchObject(before)
    expect((await inventoryNow(context)).deletes).toHaveLength(2)
    expect((await removeDanglingDeletes(context, id)).snapshotId).toBeNull()
  })
})
