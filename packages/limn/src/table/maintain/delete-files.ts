import { join } from 'node:path'
import { randomUuid, tableId } from '../../base/index.ts'
import { RoaringPositions, writePuffin } from '../../encoding/index.ts'
import type { BoundFile, Session } from '../../engine/index.ts'
import {
  type AddedFile,
  type DataFile,
  type DeleteGroup,
  dataFolder,
  decodeDeletionVector,
  deleteFilePathId,
  deletePositionId,
  deletionVectorBlobType,
  encodeDeletionVector,
  type ManifestEntry,
  PathMap,
  partitionKey,
  referencedFile,
} from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { type StorePath, storePath } from '../../storage/index.ts'
import type { Working } from '../commit/commit.ts'
import type { TableContext } from '../context.ts'
import { putFiles, writeLocal } from '../write/write.ts'

/** The columns of a file of position deletes (specification, "Position Delete Files"). */
const positionSchema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: deleteFilePathId, name: 'file_path', required: true, type: 'string' },
    { id: deletePositionId, name: 'pos', required: true, type: 'long' },
  ],
}

const source = tableId('limn_maintain.deletes')

type GroupOf<K extends DeleteGroup['kind']> = Extract<DeleteGroup, { readonly kind: K }>

/** Joins the position deletes of a partition: those of live data files, each once, in order of path and position. */
export async function rewritePositions(
  context: TableContext,
  working: Working,
  group: GroupOf<'positions'>,
): Promise<readonly AddedFile[]> {
  await using live = await livePositions(context, group.deletes, group.data)
  const { layout, folder } = working
  const target = {
    location: layout.location,
    schema: positionSchema,
    spec: { specId: group.specId, fields: [] },
    properties: {
      ...layout.properties,
      'write.target-file-size-bytes':
        layout.properties?.['write.delete.target-file-size-bytes'] ?? String(64 * 1_048_576),
      // A bound of a path is worth nothing when it is cut off.
      'write.metadata.metrics.default': 'full',
    },
    orderBy: 'file_path, pos',
  }
  const rows = 'SELECT DISTINCT file_path, pos FROM limn_live'
  const name = join(folder, `deletes-${randomUuid(context.randomness)}`)
  const put = await putFiles(context, target, await writeLocal(live.session, rows, target, name))
  const sequence = highest(group.deletes)
  return put.map((file): AddedFile => {
    const own: AddedFile = { ...file, content: 1, partition: group.partition, dataSequenceNumber: sequence }
    const about = referencedFile(own)
    return about === null ? own : { ...own, referencedDataFile: about }
  })
}

/** Positions read at once while vectors are made; each takes some dozen bytes. */
const positionsAtOnce = 1_000_000

/** Makes one deletion vector per data file of its position deletes. */
export async function toVectors(
  context: TableContext,
  working: Working,
  group: GroupOf<'to-vectors'>,
): Promise<readonly AddedFile[]> {
  await using live = await livePositions(context, group.deletes, group.data)
  const counts = await live.session.rows('SELECT file_index, count(*) FROM limn_live GROUP BY ALL ORDER BY ALL')
  const blobs: VectorBlob[] = []
  const sequence = highest(group.deletes)
  let from = 0
  while (from < counts.rows.length) {
    let to = from
    let positions = 0
    for (; to < counts.rows.length && (to === from || positions < positionsAtOnce); to++)
      positions += Number(counts.rows[to]?.[1])
    const [low, high] = [counts.rows[from]?.[0], counts.rows[to - 1]?.[0]]
    const { rows } = await live.session.rows(
      `SELECT file_index, pos FROM limn_live WHERE file_index BETWEEN ${low} AND ${high} ORDER BY ALL`,
    )
    for (const [index, list] of Map.groupBy(rows, (row) => Number(row[0]))) {
      const data = group.data[index]
      if (!data) continue
      const vector = RoaringPositions.from(list.map((row) => Number(row[1])))
      const bytes = encodeDeletionVector(vector)
      blobs.push({ about: data.file, bytes, cardinality: BigInt(vector.size), sequence })
    }
    from = to
  }
  return await putVectors(context, working, blobs)
}

/** Copies vectors, checked, into new files; each keeps its sequence number. */
export async function joinVectors(
  context: TableContext,
  working: Working,
  group: GroupOf<'vectors'>,
): Promise<readonly AddedFile[]> {
  const data = new PathMap<ManifestEntry>()
  for (const entry of group.data) data.add(entry.file.path, entry)
  const blobs: VectorBlob[] = []
  for (const { file, dataSequenceNumber } of group.deletes) {
    const about = file.referencedDataFile === undefined ? undefined : data.get(file.referencedDataFile)[0]?.file
    if (!about) continue
    const start = Number(file.contentOffset ?? 0n)
    const end = start + Number(file.contentSizeInBytes ?? 0n)
    const bytes = await context.store.read(file.path, { start, end }, { signal: context.signal })
    decodeDeletionVector(bytes, { cardinality: file.recordCount })
    blobs.push({ about, bytes, cardinality: file.recordCount, sequence: dataSequenceNumber })
  }
  return await putVectors(context, working, blobs)
}

interface VectorBlob {
  readonly about: DataFile
  readonly bytes: Uint8Array
  readonly cardinality: bigint
  readonly sequence: bigint
}

/** A Puffin file is closed when it holds this much. */
const puffinBytes = 64 * 1_048_576

async function putVectors(
  context: TableContext,
  { layout }: Working,
  blobs: readonly VectorBlob[],
): Promise<readonly AddedFile[]> {
  const out: AddedFile[] = []
  const folder = dataFolder({ location: layout.location, properties: layout.properties ?? {} })
  for (let from = 0; from < blobs.length; ) {
    let to = from
    for (let bytes = 0; to < blobs.length && (to === from || bytes < puffinBytes); to++)
      bytes += blobs[to]?.bytes.length ?? 0
    const some = blobs.slice(from, to)
    const puffin = writePuffin(
      some.map(({ about, bytes, cardinality }) => ({
        type: deletionVectorBlobType,
        fields: [deletePositionId],
        snapshotId: -1n,
        sequenceNumber: -1n,
        properties: { 'referenced-data-file': about.path, cardinality: String(cardinality) },
        bytes,
      })),
      {},
    )
    const path = storePath(`${folder}/${randomUuid(context.randomness)}-deletes.puffin`)
    await context.store.write(path, puffin.bytes, { signal: context.signal })
    for (const [i, one] of some.entries()) out.push(vectorFile(one, path, puffin, i))
    from = to
  }
  return out
}

function vectorFile(
  { about, cardinality, sequence }: VectorBlob,
  path: StorePath,
  puffin: ReturnType<typeof writePuffin>,
  index: number,
): AddedFile {
  const blob = puffin.blobs[index]
  return {
    content: 1,
    path,
    format: 'puffin',
    specId: about.specId,
    partition: about.partition,
    recordCount: cardinality,
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
    referencedDataFile: about.path,
    contentOffset: BigInt(blob?.offset ?? 0),
    contentSizeInBytes: BigInt(blob?.length ?? 0),
    dataSequenceNumber: sequence,
  }
}

function highest(entries: readonly ManifestEntry[]): bigint {
  let found = 0n
  for (const { dataSequenceNumber } of entries) if (dataSequenceNumber > found) found = dataSequenceNumber
  return found
}

/**
 * Binds files of position deletes and makes `limn_live` of them: the positions that apply to live data files, with the
 * file's path as the manifest spells it and its place in `data`. What names another partition's or a newer file is left out.
 */
async function livePositions(
  context: TableContext,
  deletes: readonly ManifestEntry[],
  data: readonly ManifestEntry[],
): Promise<AsyncDisposable & { readonly session: Session }> {
  const { store, engine, signal } = context
  const stack = new AsyncDisposableStack()
  try {
    const lease = stack.use(
      await store.lease(
        deletes.map(({ file }) => file.path),
        { signal },
      ),
    )
    const files = deletes.map(({ file }): BoundFile => {
      const format = file.format === 'avro' ? 'avro' : 'parquet'
      return { local: lease.localOf(file.path), path: file.path, format, specId: file.specId }
    })
    const session = stack.use(
      await engine.session([{ id: source, schema: positionSchema, files, metadataColumns: true }], { signal }),
    )
    const known = new PathMap<number>()
    for (const [i, { file }] of data.entries()) known.add(file.path, i)
    const named = await session.rows(`SELECT DISTINCT _file, file_path FROM ${source}`)
    const byPath = new Map<string, ManifestEntry>(deletes.map((entry) => [entry.file.path, entry]))
    const pairs: (readonly unknown[])[] = []
    for (const [from, spelled] of named.rows) {
      const entry = byPath.get(String(from))
      for (const index of known.get(storePath(String(spelled)))) {
        const about = data[index]
        if (entry && about && applies(entry, about)) pairs.push([from, spelled, about.file.path, BigInt(index)])
      }
    }
    const columns = ['source', 'spelled', 'path'].map((name) => ({ name, type: 'string' as const }))
    await session.ingest('limn_pairs', [...columns, { name: 'file_index', type: 'long' }], pairs)
    await session.exec(
      `CREATE TEMP TABLE limn_live AS SELECT p.path AS file_path, d.pos, p.file_index FROM ${source} d
       JOIN limn_pairs p ON p.source = d._file AND p.spelled = d.file_path`,
    )
    return { session, [Symbol.asyncDispose]: () => stack.disposeAsync() }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

/** As a scan applies them: a file that says what it is about needs no partition. */
function applies(deletes: ManifestEntry, data: ManifestEntry): boolean {
  if (data.dataSequenceNumber > deletes.dataSequenceNumber) return false
  return referencedFile(deletes.file) !== null || partitionKey(deletes.file) === partitionKey(data.file)
}
