import { statSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import type { TableId } from '../../packages/limn/src/base/index.ts'
import { RoaringPositions, writePuffin } from '../../packages/limn/src/encoding/index.ts'
import { type DataFile, encodeDeletionVector } from '../../packages/limn/src/iceberg/index.ts'
import { type StorePath, storePath } from '../../packages/limn/src/storage/index.ts'
import { changeTable, type TableContext } from '../../packages/limn/src/table/index.ts'

/** Delete files as another engine would write them, committed to a table. */

let names = 0

async function putParquet(context: TableContext, location: string, sql: string, ids: string): Promise<StorePath> {
  await using scratch = await context.store.scratch()
  const local = join(scratch.folder, 'deletes.parquet')
  const instance = await DuckDBInstance.create(':memory:')
  const connection = await instance.connect()
  await connection.run(`COPY (${sql}) TO '${local}' (FORMAT parquet, FIELD_IDS {${ids}})`)
  connection.closeSync()
  instance.closeSync()
  const path = storePath(`${location}/data/deletes-${names++}.parquet`)
  await context.store.putFile(local, path)
  return path
}

function deleteFile(
  about: Pick<DataFile, 'specId' | 'partition'>,
  path: StorePath,
  over: Partial<DataFile>,
): Omit<DataFile, 'recordCount' | 'content'> & Pick<DataFile, 'content' | 'recordCount'> {
  return {
    content: 1,
    path,
    format: 'parquet',
    specId: about.specId,
    partition: about.partition,
    recordCount: 0n,
    fileSizeInBytes: BigInt(statSync(new URL(path)).size),
    columnSizes: new Map(),
    valueCounts: new Map(),
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds: new Map(),
    upperBounds: new Map(),
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
    ...over,
  }
}

/** Adds delete files, and takes others out, in one snapshot. */
export async function commitDeletes(
  context: TableContext,
  table: TableId,
  added: readonly DataFile[],
  removed: readonly DataFile[] = [],
): Promise<bigint> {
  const { snapshotId } = await changeTable(context, table, {}, async () => ({
    change: { operation: 'delete', added, removed, written: [] },
    result: {},
  }))
  return snapshotId ?? 0n
}

/** A file of position deletes; `named`: it says which single data file it is about. */
export async function positionDeletes(
  context: TableContext,
  location: string,
  rows: readonly { readonly file: DataFile; readonly positions: readonly number[] }[],
  named = false,
): Promise<DataFile> {
  const [first] = rows
  if (!first) throw new RangeError('no rows')
  const values = rows.flatMap(({ file, positions }) => positions.map((one) => `('${file.path}', ${one}::BIGINT)`))
  const path = await putParquet(
    context,
    location,
    `SELECT * FROM (VALUES ${values.join(', ')}) v(file_path, pos) ORDER BY ALL`,
    'file_path: 2147483546, pos: 2147483545',
  )
  return deleteFile(first.file, path, {
    recordCount: BigInt(values.length),
    ...(named ? { referencedDataFile: first.file.path } : {}),
  })
}

/** A file of equality deletes in the partition of a data file: `sql` gives columns, `ids` their field ids by name. */
export async function equalityDeletes(
  context: TableContext,
  location: string,
  about: Pick<DataFile, 'specId' | 'partition'>,
  sql: string,
  ids: Readonly<Record<string, number>>,
): Promise<DataFile> {
  const list = Object.entries(ids).map(([name, id]) => `${name}: ${id}`)
  const path = await putParquet(context, location, sql, list.join(', '))
  return deleteFile(about, path, { content: 2, recordCount: 1n, equalityIds: Object.values(ids) })
}

/** A deletion vector in a Puffin file of its own. */
export async function deletionVector(
  context: TableContext,
  location: string,
  file: DataFile,
  positions: readonly number[],
): Promise<DataFile> {
  const { bytes, blobs } = writePuffin(
    [
      {
        type: 'deletion-vector-v1',
        fields: [2147483645],
        snapshotId: -1n,
        sequenceNumber: -1n,
        properties: { 'referenced-data-file': file.path, cardinality: String(positions.length) },
        bytes: encodeDeletionVector(RoaringPositions.from(positions)),
      },
    ],
    {},
  )
  const path = storePath(`${location}/data/deletes-${names++}.puffin`)
  await context.store.write(path, bytes)
  const [blob] = blobs
  return deleteFile(file, path, {
    format: 'puffin',
    recordCount: BigInt(positions.length),
    referencedDataFile: file.path,
    contentOffset: BigInt(blob?.offset ?? 0),
    contentSizeInBytes: BigInt(blob?.length ?? 0),
  })
}
