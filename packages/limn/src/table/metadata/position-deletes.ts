import { LimnError, tableId } from '../../base/index.ts'
import type { BoundFile, Datum } from '../../engine/index.ts'
import {
  type DataFile,
  decodeDeletionVector,
  deleteFilePathId,
  deletePositionId,
  isDeletionVector,
  type Snapshot,
  type TableMetadata,
} from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { entriesOfAll } from './files.ts'
import { batchRowsMax, column, type Rows, type Source, schemaOf } from './source.ts'
import { partitionPlacer, unifiedPartition } from './unified-partition.ts'

/**
 * Which row of which data file a snapshot's position deletes and deletion vectors name. Java's column `row`, a copy of the
 * deleted row that delete files of version 2 might hold, is left out: it says nothing about what is deleted.
 */
export function positionDeleteSchema(metadata: TableMetadata): Schema {
  const unified = unifiedPartition(metadata)
  return schemaOf([
    column(deleteFilePathId, 'file_path', 'string', true),
    column(deletePositionId, 'pos', 'long', true),
    ...(unified.fields.length > 0 ? [column(2147483643, 'partition', unified, true)] : []),
    column(2147483646, 'spec_id', 'int', true),
    column(2147483645, 'delete_file_path', 'string', true),
    ...(metadata.formatVersion >= 3
      ? [column(2147483640, 'content_offset', 'long'), column(2147483639, 'content_size_in_bytes', 'long')]
      : []),
  ])
}

/** Rows of delete files read at once. */
const pageRowsMax = 100_000

/** The columns of a file of position deletes (specification, "Position Delete Files"). */
const storedSchema: Schema = schemaOf([
  column(deleteFilePathId, 'file_path', 'string', true),
  column(deletePositionId, 'pos', 'long', true),
])

const stored = tableId('limn_metadata.position_deletes')

/** Positions file by file: a vector is held whole, of a file of position deletes one page at a time. */
export async function* positionDeleteRows(source: Source, snapshots: readonly Snapshot[]): Rows {
  const partitioned = unifiedPartition(source.metadata).fields.length > 0
  const place = partitionPlacer(source.metadata)
  const later = source.metadata.formatVersion >= 3
  for await (const entries of entriesOfAll(source, snapshots, (manifest) => manifest.content === 'deletes')) {
    for (const { status, file } of entries) {
      if (status === 2 || file.content !== 1) continue
      const about: readonly Datum[] = [
        ...(partitioned ? [place(file)] : []),
        file.specId,
        file.path,
        ...(later ? [file.contentOffset ?? null, file.contentSizeInBytes ?? null] : []),
      ]
      const pages = isDeletionVector(file) ? vectorPositions(source, file) : storedPositions(source, file)
      for await (const page of pages) yield page.map((position) => [...position, ...about])
    }
  }
}

type Positions = AsyncGenerator<readonly (readonly [path: string, position: bigint])[]>

async function* vectorPositions({ store, signal }: Source, file: DataFile): Positions {
  const { path, referencedDataFile: about, contentOffset, contentSizeInBytes } = file
  if (about === undefined || contentOffset === undefined || contentSizeInBytes === undefined)
    throw new LimnError('iceberg/invalid-metadata', {
      message: `A deletion vector in ${path} does not say which file it is about, or where it stands.`,
      notDone: 'The metadata table was not read.',
    })
  const start = Number(contentOffset)
  const bytes = await store.read(path, { start, end: start + Number(contentSizeInBytes) }, { signal })
  let page: [string, bigint][] = []
  for (const position of decodeDeletionVector(bytes, { cardinality: file.recordCount })) {
    page.push([about, position])
    if (page.length < batchRowsMax) continue
    yield page
    page = []
  }
  yield page
}

async function* storedPositions({ store, engine, signal }: Source, file: DataFile): Positions {
  const { format, path } = file
  if (format !== 'parquet' && format !== 'avro')
    throw new LimnError('iceberg/unsupported', {
      message: `${path} is a delete file in ${format}.`,
      notDone: 'The metadata table was not read.',
      remedy: 'limn reads Parquet and Avro files. Rewrite the table with the engine that wrote it.',
    })
  await using lease = await store.lease([path], { signal })
  const bound: BoundFile = { local: lease.localOf(path), path, format }
  const table = { id: stored, schema: storedSchema, files: [bound], metadataColumns: true }
  await using session = await engine.session([table], { signal })
  for (let from = 0; ; from += pageRowsMax) {
    const page = `_pos >= ${from} AND _pos < ${from + pageRowsMax}`
    const { rows } = await session.rows(`SELECT file_path, pos FROM ${stored} WHERE ${page} ORDER BY _pos`)
    if (rows.length === 0) return
    yield rows.map(([about, position]) => [String(about), BigInt(String(position))] as const)
  }
}
