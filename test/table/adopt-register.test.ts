import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tableId } from '../../packages/limn/src/base/index.ts'
import { localFile, storePath } from '../../packages/limn/src/storage/index.ts'
import {
  append,
  createTable,
  deleteRows,
  expireSnapshots,
  openExternal,
  registerTable,
  snapshotTable,
  type TableContext,
  transaction,
} from '../../packages/limn/src/table/index.ts'
import { ask, bytesIn } from '../support/hive-folder.ts'
import { temporaryTables } from '../support/tables.ts'

const theirs = tableId('their.t')
const ours = tableId('lab.t')

/** A table with three rows, one of them deleted by a delete file. */
async function make(context: TableContext, table = theirs, formatVersion: 2 | 3 = 2) {
  await createTable(context, table, {
    location: `${context.store.root}/${table.replace('.', '/')}`,
    schema: { schemaId: 0, fields: [{ id: 1, name: 'id', required: false, type: 'long' }], identifierFieldIds: [] },
    spec: { specId: 0, fields: [] },
    formatVersion,
    properties: { 'write.delete.mode': 'merge-on-read' },
  })
  await append(context, table, { sql: 'SELECT range AS id FROM range(3)' })
  await deleteRows(context, table, { filter: 'id = 1' })
  const loaded = (await context.catalog.loadTables([table])).get(table)
  if (!loaded) throw new Error('it was not made')
  return loaded
}

const ids = async (context: TableContext, table = ours) =>
  (await ask(context, table, 'SELECT id FROM t ORDER BY id')).map(([id]) => Number(id))

describe('registerTable', () => {
  it('makes a table of a metadata file, whose history goes on under its new name', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const loaded = await make(context)
    await using other = await temporaryTables({ seed: 'other catalog' })
    // Another catalog over the same warehouse, as when a catalog was lost.
    const again: TableContext = { ...context, catalog: other.context.catalog }
    const done = await registerTable(again, ours, loaded.metadataLocation)
    expect(done).toMatchObject({ files: 1, rows: 3n, snapshotId: loaded.metadata.currentSnapshotId, writable: true })
    expect(await ids(again)).toEqual([0, 2])
    expect((await again.catalog.loadTables([ours])).get(ours)?.metadata.snapshots).toHaveLength(2)
  })

  it('refuses a name that is taken, a table that the catalog has, and one whose files are gone', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const loaded = await make(context)
    const location = loaded.metadataLocation
    await expect(registerTable(context, theirs, location)).rejects.toMatchObject({ kind: 'usage/table-exists' })
    await expect(registerTable(context, ours, location)).rejects.toThrow(/is the table their\.t of this catalog/)
    await using other = await temporaryTables({ seed: 'other catalog' })
    const read = { ...context, catalog: other.context.catalog }
    await registerTable(read, ours, location, { dryRun: true })
    expect(await read.catalog.listTables()).toEqual([])
    const data = join(made.folder, 'warehouse/their/t/data')
    for (const name of readdirSync(data)) rmSync(join(data, name))
    await expect(registerTable(read, ours, location)).rejects.toThrow(/2 of 4 files of the table are not there/)
    await registerTable(read, ours, location, { files: false })
    expect(await read.catalog.listTables()).toEqual([ours])
    await expect(
      transaction(context, (inner) => registerTable(inner, tableId('lab.u'), location, { files: false })),
    ).rejects.toMatchObject({ kind: 'table/unsafe-change' })
  })

  it('loses no race: of two that register one name, one is told that it is taken', async () => {
    await using made = await temporaryTables()
    const loaded = await make(made.context)
    await using other = await temporaryTables({ seed: 'other catalog' })
    const { catalog } = other.context
    const both = await Promise.all([1, 2].map(() => catalog.registerTable(ours, loaded.metadataLocation)))
    expect(both.filter((one) => one === null)).toHaveLength(1)
  })
})

describe('openExternal', () => {
  it('finds the newest metadata of a folder: by version, and by the hint where two share one', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const loaded = await make(context)
    const folder = join(made.folder, 'warehouse/their/t')
    const at = storePath(`file://${folder}/`)
    expect((await openExternal(context, at)).metadataLocation).toBe(loaded.metadataLocation)
    const metadata = join(folder, 'metadata')
    const files = readdirSync(metadata)
      .filter((name) => name.endsWith('.metadata.json'))
      .sort()
    const hadoop = join(made.folder, 'hadoop/metadata')
    mkdirSync(hadoop, { recursive: true })
    for (const [i, name] of files.entries()) copyFileSync(join(metadata, name), join(hadoop, `v${i + 9}.metadata.json`))
    writeFileSync(join(hadoop, 'version-hint.text'), '9')
    const found = await openExternal(context, storePath(`file://${made.folder}/hadoop`))
    expect(found.metadataLocation).toMatch(/\/v11\.metadata\.json$/)
    copyFileSync(localFile(loaded.metadataLocation), join(metadata, '00002-zzz.metadata.json'))
    await expect(openExternal(context, at)).rejects.toThrow(/2 metadata files of version 2/)
    writeFileSync(join(metadata, 'version-hint.text'), '00002-zzz.metadata.json')
    expect((await openExternal(context, at)).metadataLocation).toMatch(/00002-zzz/)
  })

  it('says what is missing or damaged', async () => {
    await using made = await temporaryTables()
    const at = (path: string) => openExternal(made.context, storePath(`file://${made.folder}/${path}`))
    await expect(at('nowhere')).rejects.toMatchObject({ kind: 'source/missing' })
    await expect(at('nowhere/v1.metadata.json')).rejects.toMatchObject({ kind: 'source/missing' })
    writeFileSync(join(made.folder, 'v1.metadata.json'), '{"format-version": 2')
    await expect(at('v1.metadata.json')).rejects.toMatchObject({ kind: 'iceberg/invalid-metadata' })
  })
})

describe('snapshotTable', () => {
  it.each([2, 3] as const)('makes an independent table of version %i over the files of another', async (version) => {
    await using made = await temporaryTables()
    const { context } = made
    const source = await make(context, theirs, version)
    const before = bytesIn(join(made.folder, 'warehouse/their'))
    const copy = await snapshotTable(context, source, ours)
    expect(copy.metadata).toMatchObject({
      currentSnapshotId: source.metadata.currentSnapshotId,
      properties: { 'gc.enabled': 'false', snapshot: 'true' },
    })
    expect(copy.metadata.tableUuid).not.toBe(source.metadata.tableUuid)
    expect(await ids(context)).toEqual([0, 2])
    await append(context, ours, { sql: 'SELECT 7::BIGINT AS id' })
    await deleteRows(context, ours, { filter: 'id = 0' })
    await expireSnapshots(context, ours, { maxSnapshotAgeMs: 0, minSnapshotsToKeep: 1 })
    expect(await ids(context)).toEqual([2, 7])
    expect(await ids(context, theirs)).toEqual([0, 2])
    expect(bytesIn(join(made.folder, 'warehouse/their'))).toEqual(before)
    await append(context, theirs, { sql: 'SELECT 8::BIGINT AS id' })
    expect(await ids(context)).toEqual([2, 7])
  })

  it('takes an earlier snapshot when asked, and none that is not there', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const source = await make(context)
    const [first] = source.metadata.snapshots
    await snapshotTable(context, source, ours, { snapshotId: first?.snapshotId ?? 0n })
    expect(await ids(context)).toEqual([0, 1, 2])
    await expect(snapshotTable(context, source, ours)).rejects.toMatchObject({ kind: 'usage/table-exists' })
    const name = tableId('lab.u')
    await expect(snapshotTable(context, source, name, { snapshotId: 1n })).rejects.toMatchObject({
      kind: 'usage/unknown-snapshot',
    })
    await snapshotTable(context, source, name, { dryRun: true })
    expect(await context.catalog.listTables()).toEqual([ours, theirs])
  })
})
