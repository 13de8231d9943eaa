import { readFile } from 'node:fs/promises'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import {
  type DataFile,
  decodeDeletionVector,
  type ManifestEntry,
  snapshotById,
} from '../../packages/limn/src/iceberg/index.ts'
import { localFile } from '../../packages/limn/src/storage/index.ts'
import {
  alterTable,
  deleteRows,
  type TableContext,
  updateRows,
  upsertRows,
} from '../../packages/limn/src/table/index.ts'
import { rowsSql } from '../support/histories.ts'
import { bagOf, type NaiveTable } from '../support/naive-table.ts'
import { makeFull, type RowShape, row, rowColumns, rowsOf, select, rowTable as table } from '../support/row-tables.ts'
import { temporaryTables } from '../support/tables.ts'

const v2: RowShape = { formatVersion: 2, mode: 'merge-on-read', layout: 'evolved spec' }
const v3: RowShape = { ...v2, formatVersion: 3 }

/** Entries of the current snapshot: as another reader would find them. */
async function entries(context: TableContext): Promise<readonly ManifestEntry[]> {
  const metadata = (await context.catalog.loadTables([table])).get(table)?.metadata
  const snapshot = metadata && snapshotById(metadata, metadata.currentSnapshotId ?? 0n)
  if (!snapshot) throw new Error('no snapshot')
  const out: ManifestEntry[] = []
  for (const manifest of await context.manifests.manifestsOf(snapshot))
    out.push(...(await context.manifests.entriesOf(manifest)))
  return out
}

const live = (all: readonly ManifestEntry[], content: DataFile['content']) =>
  all.filter((one) => one.status !== 2 && one.file.content === content)

/** Entries that the current snapshot itself brought. */
async function addedDeletes(context: TableContext, content: 1 | 2): Promise<readonly DataFile[]> {
  const metadata = (await context.catalog.loadTables([table])).get(table)?.metadata
  const own = (await entries(context)).filter((one) => one.snapshotId === metadata?.currentSnapshotId)
  return live(own, content).map((one) => one.file)
}

/** What a Parquet file holds, and the field ids of its columns. */
async function parquet(file: DataFile) {
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  const path = localFile(file.path).replaceAll("'", "''")
  const rows = (
    await connection.runAndReadAll(`SELECT * FROM read_parquet('${path}', file_row_number = false)`)
  ).getRowsJson()
  const schema = (
    await connection.runAndReadAll(`SELECT name, field_id FROM parquet_schema('${path}') WHERE field_id IS NOT NULL`)
  ).getRowsJson()
  connection.closeSync()
  instance.closeSync()
  return { rows, schema: schema.map(([name, id]) => [name, Number(id)]) }
}

async function withoutOnes(context: TableContext, naive: NaiveTable): Promise<void> {
  naive.remove({ is: 'compare', column: 'n', operator: '=', value: 1 })
  expect(bagOf(await rowsOf(context))).toEqual(bagOf(naive.rows))
}

describe('position delete files of version 2', () => {
  it('are one for each data file, of its spec and partition, with the reserved ids, in order', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, v2)
    const hit = new Map<string, string[]>()
    for (const one of await select(context, ['_file', '_pos', 'n']))
      if (one.n === 1) hit.set(String(one._file), [...(hit.get(String(one._file)) ?? []), String(one._pos)])
    await deleteRows(context, table, { filter: 'n = 1' })
    const all = await entries(context)
    const files = await addedDeletes(context, 1)
    // A file all of whose rows match goes whole, and needs no deletes.
    const removed = all.filter((one) => one.status === 2 && one.file.content === 0).map((one) => one.file.path)
    expect(files.length + removed.length).toBe(hit.size)
    expect(files.length).toBeGreaterThan(1)
    for (const file of files) {
      const about = live(all, 0).find((one) => one.file.path === file.referencedDataFile)?.file
      expect(about).toMatchObject({ specId: file.specId, partition: file.partition })
      const { rows, schema } = await parquet(file)
      expect(schema).toEqual([
        ['file_path', 2147483546],
        ['pos', 2147483545],
      ])
      const positions = (hit.get(about?.path ?? '') ?? []).sort((a, b) => Number(a) - Number(b))
      expect(rows).toEqual(positions.map((one) => [about?.path, one]))
      expect(file).toMatchObject({ format: 'parquet', recordCount: BigInt(positions.length), equalityIds: [] })
    }
    await withoutOnes(context, naive)
  })

  it('are one for each partition where the table says so, sorted by file and position', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, { ...v2, layout: 'unpartitioned' })
    await alterTable(context, table, [
      { kind: 'set-properties', properties: { 'write.delete.granularity': 'partition' } },
    ])
    await deleteRows(context, table, { filter: 'n = 1' })
    const [file, ...others] = await addedDeletes(context, 1)
    expect([others, file?.referencedDataFile]).toEqual([[], undefined])
    if (!file) throw new Error('no delete file')
    const { rows } = await parquet(file)
    expect(rows.length).toBeGreaterThan(2)
    expect(new Set(rows.map(([path]) => path)).size).toBeGreaterThan(1)
    const keys = rows.map(([path, at]) => `${String(path)} ${String(at).padStart(12, '0')}`)
    expect(keys).toEqual(keys.toSorted())
    await withoutOnes(context, naive)
  })
})

describe('deletion vectors of version 3', () => {
  it('are blobs of one Puffin file for a commit, one for each data file, as the manifest says', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, v3)
    await updateRows(context, table, { filter: 'n = 1', set: { s: "'x'" } })
    const files = await addedDeletes(context, 1)
    expect(files.length).toBeGreaterThan(1)
    expect(new Set(files.map((file) => file.path)).size).toBe(1)
    expect(new Set(files.map((file) => file.referencedDataFile)).size).toBe(files.length)
    const bytes = await readFile(localFile(files[0]?.path ?? made.store.root))
    const all = live(await entries(context), 0)
    for (const file of files) {
      expect(file.format).toBe('puffin')
      expect(file.fileSizeInBytes).toBe(BigInt(bytes.length))
      const about = all.find((one) => one.file.path === file.referencedDataFile)?.file
      if (about) expect(about).toMatchObject({ specId: file.specId, partition: file.partition })
      const start = Number(file.contentOffset)
      const blob = bytes.subarray(start, start + Number(file.contentSizeInBytes))
      expect(decodeDeletionVector(blob, { cardinality: file.recordCount }).size).toBe(Number(file.recordCount))
    }
    naive.update({ is: 'compare', column: 'n', operator: '=', value: 1 }, { s: { to: 'value', value: 'x' } })
    expect(bagOf(await rowsOf(context))).toEqual(bagOf(naive.rows))
  })

  it('take over what was deleted before: a data file has one at any time', async () => {
    await using made = await temporaryTables()
    const { context } = made
    const naive = await makeFull(context, { ...v3, layout: 'unpartitioned' })
    for (const id of [1n, 3n, 4n, 11n]) {
      await deleteRows(context, table, { filter: `id = ${id}` })
      naive.remove({ is: 'compare', column: 'id', operator: '=', value: id })
      expect(bagOf(await rowsOf(context))).toEqual(bagOf(naive.rows))
      const vectors = live(await entries(context), 1).map((one) => one.file.referencedDataFile)
      expect(new Set(vectors).size).toBe(vectors.length)
    }
    const counts = live(await entries(context), 1).map((one) => Number(one.file.recordCount))
    // Id 2 was deleted before, of the same file as 1, 3 and 4.
    expect(counts.sort()).toEqual([1, 4])
  })

  it.each(['file', 'partition'])(
    'take over position deletes of a table that was upgraded: by %s',
    async (granularity) => {
      await using made = await temporaryTables()
      const { context } = made
      const naive = await makeFull(context, { ...v2, layout: 'unpartitioned' })
      await alterTable(context, table, [
        { kind: 'set-properties', properties: { 'write.delete.granularity': granularity } },
      ])
      await deleteRows(context, table, { filter: "s = 'a'" })
      naive.remove({ is: 'compare', column: 's', operator: '=', value: 'a' })
      const before = live(await entries(context), 1).length
      await alterTable(context, table, [{ kind: 'upgrade-format', formatVersion: 3 }])
      await deleteRows(context, table, { filter: 'n = 4 OR n = 2' })
      naive.remove({ is: 'compare', column: 'n', operator: '=', value: 4 })
      naive.remove({ is: 'compare', column: 'n', operator: '=', value: 2 })
      expect(bagOf(await rowsOf(context))).toEqual(bagOf(naive.rows))
      const deletes = live(await entries(context), 1)
      const vectors = deletes.filter((one) => one.file.format === 'puffin')
      expect(vectors).toHaveLength(2)
      // Position deletes of one data file are spent; those of several stay for the others.
      const left = deletes.filter((one) => one.file.format === 'parquet')
      expect(left.length).toBeLessThan(before)
      expect(
        left.every((one) => !vectors.some(({ file }) => file.referencedDataFile === one.file.referencedDataFile)),
      ).toBe(true)
      await updateRows(context, table, { filter: 'TRUE', set: { n: '0' } })
      naive.update(
        {
          is: 'not',
          of: {
            is: 'and',
            of: [
              { is: 'null', column: 'n' },
              { is: 'not', of: { is: 'null', column: 'n' } },
            ],
          },
        },
        { n: { to: 'value', value: 0 } },
      )
      expect(bagOf(await rowsOf(context))).toEqual(bagOf(naive.rows))
    },
  )

  it('go with the data file that they are about', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, { ...v3, layout: 'unpartitioned' })
    await deleteRows(context, table, { filter: 'n = 1' })
    await alterTable(context, table, [{ kind: 'set-properties', properties: { 'write.update.mode': 'copy-on-write' } }])
    await updateRows(context, table, { filter: 'TRUE', set: { n: '7' } })
    expect(live(await entries(context), 1)).toEqual([])
  })
})

describe('equality delete files', () => {
  it('hold keys alone, under the ids of their columns, for every spec there are files of', async () => {
    await using made = await temporaryTables()
    const { context } = made
    await makeFull(context, v2)
    const rows = [row(1, 0, 'x'), row(null, 0, 'y')]
    await upsertRows(context, table, { source: { sql: rowsSql(rowColumns, rows) }, keys: ['id'] })
    const files = await addedDeletes(context, 2)
    expect([...new Set(files.map((file) => file.specId))].sort()).toEqual([0, 1])
    const found: unknown[] = []
    for (const file of files) {
      expect(file.equalityIds).toEqual([1])
      const { rows, schema } = await parquet(file)
      expect(schema).toEqual([['id', 1]])
      found.push(...rows.map(([id]) => id))
    }
    expect(found.map(String).sort()).toEqual(['1', '1', 'null', 'null'])
  })
})
