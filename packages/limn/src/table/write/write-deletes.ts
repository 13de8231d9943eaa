import { join } from 'node:path'
import { randomUuid, step } from '../../base/index.ts'
import { RoaringPositions, writePuffin } from '../../encoding/index.ts'
import type { Session } from '../../engine/index.ts'
import {
  type DataFile,
  dataFolder,
  decodeDeletionVector,
  deleteFilePathId,
  deletePositionId,
  deletionVectorBlobType,
  encodeDeletionVector,
  isDeletionVector,
  partitionKey,
  referencedFile,
  type ScanTask,
  specById,
  type TableMetadata,
} from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { quoteText } from '../../sql/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import type { PinnedTable, TableContext } from '../context.ts'
import { openTarget, targetName, targetTable } from '../rows/target-rows.ts'
import { type Layout, putFiles } from './write.ts'

/** Delete files that came and went, and what was put into the store for them. */
export interface WrittenDeletes {
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  readonly written: readonly StorePath[]
}

/** The field id of a row's position, as a deletion vector's blob names it. */
const rowPositionId = 2_147_483_645

/**
 * Writes that rows of data files are deleted: a table of session `session` named `from`, with the columns `_file` (as
 * manifests spell it) and `_pos`, holds them, each once. Version 2 gets position delete files, one per data file or, with
 * `write.delete.granularity` = `partition`, per partition; version 3 gets a deletion vector per data file, all in one
 * Puffin file, each with what was deleted of the file before. `tasks` are the data files named in the table.
 */
export async function writePositionDeletes(
  context: TableContext,
  input: {
    readonly metadata: TableMetadata
    readonly layout: Layout
    readonly session: Session
    readonly from: string
    readonly tasks: readonly ScanTask[]
    readonly folder: string
  },
): Promise<WrittenDeletes> {
  if (input.tasks.length === 0) return { added: [], removed: [], written: [] }
  return input.metadata.formatVersion >= 3 ? await writeVectors(context, input) : await writePositions(context, input)
}

type Input = Parameters<typeof writePositionDeletes>[1]

async function writeVectors(context: TableContext, input: Input): Promise<WrittenDeletes> {
  const { session, from, tasks } = input
  const { rows } = await session.rows(
    `SELECT _file, string_agg(_pos::VARCHAR, ',' ORDER BY _pos) FROM ${from} GROUP BY _file`,
  )
  const positions = new Map(rows.map(([file, list]) => [String(file), positionsOf(String(list))]))
  const before = await deletedBefore(context, input)
  const removed: DataFile[] = []
  const vectors: { readonly task: ScanTask; readonly vector: RoaringPositions }[] = []
  for (const task of tasks) {
    const own = positions.get(task.file.path)
    if (!own) continue
    // Of files for several data files only the vector goes on counting; one that is about this file alone is spent.
    for (const { file } of task.deletes)
      if (isDeletionVector(file) || (file.content === 1 && referencedFile(file) === task.file.path)) removed.push(file)
    vectors.push({ task, vector: own.union(before.get(task.file.path) ?? RoaringPositions.empty) })
  }
  const path = storePath(`${dataFolder(input.metadata)}/${randomUuid(context.randomness)}-deletes.puffin`)
  const puffin = writePuffin(
    vectors.map(({ task, vector }) => ({
      type: deletionVectorBlobType,
      fields: [rowPositionId],
      snapshotId: -1n,
      sequenceNumber: -1n,
      properties: { 'referenced-data-file': task.file.path, cardinality: String(vector.size) },
      bytes: encodeDeletionVector(vector),
    })),
    { 'created-by': 'limn' },
  )
  await step(context.steps, 'file.put', path, () => context.store.write(path, puffin.bytes, { signal: context.signal }))
  const added = vectors.map(({ task, vector }, i): DataFile => {
    const blob = puffin.blobs[i]
    return {
      content: 1,
      path,
      format: 'puffin',
      specId: task.file.specId,
      partition: task.file.partition,
      recordCount: BigInt(vector.size),
      fileSizeInBytes: BigInt(puffin.bytes.length),
      columnSizes: new Map(),
      valueCounts: new Map(),
      nullValueCounts: new Map(),
      nanValueCounts: new Map(),
      lowerBounds: new Map(),
      upperBounds: new Map(),
      splitOffsets: [],
      equalityIds: [],
      sortOrderId: null,
      referencedDataFile: task.file.path,
      contentOffset: BigInt(blob?.offset ?? 0),
      contentSizeInBytes: BigInt(blob?.length ?? 0),
    }
  })
  return { added, removed: uniqueFiles(removed), written: [path] }
}

function positionsOf(list: string): RoaringPositions {
  return RoaringPositions.from(list.split(',').map(Number))
}

/** Two vectors may share a Puffin file, so that a path alone does not tell them apart. */
function uniqueFiles(files: readonly DataFile[]): readonly DataFile[] {
  return [...new Map(files.map((file) => [`${file.path}@${file.contentOffset ?? ''}`, file])).values()]
}

/** Positions that were deleted of data files before, by a vector or by position delete files, whoever wrote them. */
async function deletedBefore(context: TableContext, input: Input): Promise<ReadonlyMap<string, RoaringPositions>> {
  const out = new Map<string, RoaringPositions>()
  const byFiles: ScanTask[] = []
  for (const task of input.tasks) {
    const deletes = task.deletes.filter((entry) => entry.file.content === 1)
    const vector = deletes.find((entry) => isDeletionVector(entry.file))?.file
    if (vector) out.set(task.file.path, await readVector(context, vector))
    else if (deletes.length > 0) byFiles.push({ ...task, deletes })
  }
  if (byFiles.length === 0) return out
  const { metadata } = input
  const pin: PinnedTable = { id: targetTable, metadata, snapshotId: null, schemaId: metadata.currentSchemaId }
  await using target = await openTarget(context, pin, byFiles, [])
  const counts = byFiles.map(({ file }) => `(${quoteText(file.path)}, ${file.recordCount}::BIGINT)`)
  const every = `SELECT path, unnest(range(count)) AS p FROM (VALUES ${counts.join(', ')}) AS counts(path, count)`
  const { rows } = await target.session.rows(
    `SELECT path, string_agg(p::VARCHAR, ',') FROM (${every}) AS every ANTI JOIN ${targetName} AS live ON live._file = every.path AND live._pos = every.p GROUP BY path`,
  )
  for (const [path, list] of rows) out.set(String(path), positionsOf(String(list)))
  return out
}

async function readVector(context: TableContext, file: DataFile): Promise<RoaringPositions> {
  const start = Number(file.contentOffset ?? 0n)
  const end = start + Number(file.contentSizeInBytes ?? 0n)
  const bytes = await context.store.read(file.path, { start, end }, { signal: context.signal })
  return decodeDeletionVector(bytes, { cardinality: file.recordCount })
}

const positionSchema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: deleteFilePathId, name: 'file_path', required: true, type: 'string' },
    { id: deletePositionId, name: 'pos', required: true, type: 'long' },
  ],
}

async function writePositions(context: TableContext, input: Input): Promise<WrittenDeletes> {
  const { metadata, layout, session, from, tasks } = input
  const byPartition = metadata.properties['write.delete.granularity'] === 'partition'
  const groups = Map.groupBy(tasks, (task) => (byPartition ? partitionKey(task.file) : task.file.path))
  const added: DataFile[] = []
  for (const [i, group] of [...groups.values()].entries()) {
    const [first] = group
    if (!first) continue
    const paths = group.map((task) => quoteText(task.file.path)).join(', ')
    const written = await session.write(
      `SELECT _file AS file_path, _pos AS pos FROM ${from} WHERE _file IN (${paths}) ORDER BY _file, _pos`,
      {
        schema: positionSchema,
        spec: { specId: 0, fields: [] },
        folder: join(input.folder, `positions-${i}`),
        compression: 'zstd',
        rowGroupSize: 122_880,
        metrics: () => ({ kind: 'full' }),
        // Position deletes are ordered by file and position.
        sortOrder: {
          orderId: 0,
          fields: [deleteFilePathId, deletePositionId].map((sourceId) => ({
            sourceId,
            transform: { kind: 'identity' },
            direction: 'asc',
            nullOrder: 'nulls-first',
          })),
        },
      },
    )
    const spec = specById(metadata, first.file.specId)
    const placed = await putFiles(
      context,
      { ...layout, spec },
      written.map((file) => ({ ...file, partition: first.file.partition })),
    )
    for (const file of placed)
      added.push({
        ...file,
        content: 1,
        sortOrderId: null,
        ...(group.length === 1 ? { referencedDataFile: first.file.path } : {}),
      })
  }
  return { added, removed: [], written: added.map((file) => file.path) }
}

/**
 * Writes the keys of a query as equality delete files: `equalityIds` are the columns it yields, by field id, and the spec's
 * source columns are among them. The rows they delete are those of earlier snapshots.
 */
export async function writeEqualityDeletes(
  context: TableContext,
  session: Session,
  sql: string,
  equalityIds: readonly number[],
  layout: Layout,
  folder: string,
): Promise<readonly DataFile[]> {
  const fields = layout.schema.fields.filter((field) => equalityIds.includes(field.id))
  const written = await session.write(sql, {
    schema: { ...layout.schema, fields: fields.map((field) => ({ ...field, required: false })) },
    spec: layout.spec,
    folder,
    compression: 'zstd',
    rowGroupSize: 122_880,
  })
  const placed = await putFiles(context, layout, written)
  return placed.map((file) => ({ ...file, content: 2, equalityIds: [...equalityIds] }))
}
