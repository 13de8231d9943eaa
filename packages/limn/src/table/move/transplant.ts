import { counted, LimnError, mapConcurrently, type Progress, type Steps, step } from '../../base/index.ts'
import type { FileEngine } from '../../engine/index.ts'
import {
  type DataFile,
  deleteFilePathId,
  deletePositionId,
  type Move,
  moved,
  movedManifest,
  movedManifestList,
  movedMetadata,
  movedPositionRows,
  movedPuffin,
  type RewrittenDelete,
} from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { quoteFile, quoteText } from '../../sql/index.ts'
import { localFile, type ObjectStore, type StorePath, storePath } from '../../storage/index.ts'
import type { Tree, TreeReader } from './tree.ts'

export interface TransplantInput {
  readonly tree: Tree
  readonly move: Move
  /** Reads the old files by the names that metadata gives them. */
  readonly source: TreeReader
  /** Where an old file is to be had now. */
  readonly placeOf: (path: StorePath) => StorePath
  readonly target: ObjectStore
  readonly engine: FileEngine
  readonly steps: Steps
  readonly signal: AbortSignal
  readonly progress: Progress
  /** Two sets of bytes, also where the store could name them twice. */
  readonly copy: boolean
}

/** What was written, by where it is now, with its length. */
export interface Transplanted {
  readonly files: ReadonlyMap<StorePath, number>
  /** Metadata files of tables and views, old to new. */
  readonly metadata: ReadonlyMap<StorePath, StorePath>
}

const placesAtOnce = 200

/**
 * Puts every file of a tree under another folder, and what names files there names them where they are now: metadata,
 * manifest lists, manifests, deletes by position and deletion vectors. The old files are not touched. A file of rows that
 * is there already with the right length is not copied again, so that what was interrupted goes on. Throws
 * `iceberg/unsupported` for deletes in a format that limn cannot write.
 */
export async function transplant(input: TransplantInput): Promise<Transplanted> {
  const files = new Map<StorePath, number>()
  await placeFiles(input, files)
  const deletes = await rewriteDeletes(input, files)
  await rewriteManifests(input, files, deletes)
  const metadata = new Map<StorePath, StorePath>()
  const { tree } = input
  for (const path of [...tree.former, ...tree.views, ...tree.tables.keys()]) {
    const to = nowAt(input, path)
    await rewrite(input, files, path, (bytes) => movedMetadata(bytes, input.move))
    metadata.set(path, to)
  }
  return { files, metadata }
}

function nowAt({ move }: TransplantInput, path: StorePath): StorePath {
  return storePath(moved(path, move))
}

/** Whether a file has to be written anew: it names others, and they have moved. */
function namesFiles({ move }: TransplantInput, file: DataFile): boolean {
  return file.content === 1 && move.from !== move.to
}

async function placeFiles(input: TransplantInput, files: Map<StorePath, number>): Promise<void> {
  const { tree, move, source, target, signal, progress } = input
  const plain = [...tree.files.values()].filter((file) => !namesFiles(input, file)).map((file) => file.path)
  const wanted = [...plain, ...tree.statistics].filter((path) => moved(path, move) !== path || move.from === move.to)
  const task = progress.begin('rows and statistics')
  let done = 0
  for (let at = 0; at < wanted.length; at += placesAtOnce) {
    signal.throwIfAborted()
    const some = wanted.slice(at, at + placesAtOnce)
    const sizes = await mapConcurrently(some, 16, async (path) => {
      const info = await source.stat(path, { signal })
      if (!info) throw missing(path)
      return info.bytes
    })
    const there = await mapConcurrently(some, 16, (path) => target.stat(nowAt(input, path), { signal }))
    const torn = some.filter((_path, i) => there[i] && there[i]?.bytes !== sizes[i]).map((path) => nowAt(input, path))
    await target.delete(torn, { signal })
    const links = some
      .map((path) => ({ from: input.placeOf(path), to: nowAt(input, path) }))
      .filter((_one, i) => there[i]?.bytes !== sizes[i])
    await step(input.steps, 'file.put', `${links.length} files`, () =>
      target.linkFiles(links, { signal, copy: input.copy }),
    )
    for (const [i, path] of some.entries()) files.set(nowAt(input, path), sizes[i] ?? 0)
    done += some.length
    task.update(`${done} of ${wanted.length}`)
  }
  task.end(counted(wanted.length, 'file'))
}

async function rewriteDeletes(
  input: TransplantInput,
  files: Map<StorePath, number>,
): Promise<ReadonlyMap<string, RewrittenDelete>> {
  const out = new Map<string, RewrittenDelete>()
  const wanted = [...input.tree.files.values()].filter((file) => namesFiles(input, file))
  if (wanted.length === 0) return out
  const task = input.progress.begin('deletes')
  for (const file of wanted) {
    input.signal.throwIfAborted()
    const to = nowAt(input, file.path)
    if (to === file.path) throw deletesOutside(file.path)
    const anew = await rewriteDelete(input, file, to)
    out.set(to, anew)
    files.set(to, anew.bytes)
  }
  task.end(counted(wanted.length, 'file'))
  return out
}

async function rewriteDelete(input: TransplantInput, file: DataFile, to: StorePath): Promise<RewrittenDelete> {
  const { source, target, signal, move, steps } = input
  const put = async (bytes: Uint8Array): Promise<RewrittenDelete> => {
    await step(steps, 'file.write', to, () => target.write(to, bytes, { signal }))
    return { bytes: bytes.length, paths: null }
  }
  switch (file.format) {
    case 'puffin': {
      const bytes = await source.read(file.path, undefined, { signal })
      return await put(movedPuffin(bytes, move) ?? bytes)
    }
    case 'parquet':
      return await rewritePositions(input, file, to)
    case 'avro':
      return await put(movedPositionRows(await source.read(file.path, undefined, { signal }), move))
    case 'orc':
      throw new LimnError('iceberg/unsupported', {
        message: `${file.path} holds deletes in ORC, which limn cannot write.`,
        notDone: 'Nothing was moved.',
        remedy: 'Have the engine that wrote them compact the table first.',
      })
  }
}

const positionSchema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: deleteFilePathId, name: 'file_path', required: true, type: 'string' },
    { id: deletePositionId, name: 'pos', required: true, type: 'long' },
  ],
}

/** Positions of rows with the paths of their files changed; order stays, as all change alike. */
async function rewritePositions(input: TransplantInput, file: DataFile, to: StorePath): Promise<RewrittenDelete> {
  const { engine, target, signal, steps } = input
  await using scratch = await target.scratch({ signal })
  await using session = await engine.session([], { signal })
  const from = quoteFile(localFile(input.placeOf(file.path)))
  const { rows: paths } = await session.rows(`SELECT DISTINCT file_path FROM read_parquet(${from}) ORDER BY 1`)
  const names = paths.map(([path]) => String(path))
  const pairs = names.map((path) => `(${quoteText(path)}, ${quoteText(moved(path, input.move))})`)
  const sql =
    `SELECT names.b AS file_path, one.pos AS pos FROM read_parquet(${from}) AS one ` +
    `JOIN (VALUES ${pairs.join(', ')}) AS names(a, b) ON one.file_path = names.a ORDER BY file_path, pos`
  const all = await session.write(sql, {
    schema: positionSchema,
    spec: { specId: 0, fields: [] },
    folder: `${scratch.folder}/positions`,
    compression: 'zstd',
    rowGroupSize: 122_880,
    metrics: () => ({ kind: 'full' }),
  })
  const [written] = all
  if (!written || all.length !== 1) throw missing(file.path)
  await step(steps, 'file.put', to, () => target.putFile(written.local, to, { signal }))
  const sorted = names.map((path) => moved(path, input.move)).sort(byBytes)
  return {
    bytes: Number(written.fileSizeInBytes),
    paths: { first: sorted[0] ?? '', last: sorted.at(-1) ?? '' },
  }
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

async function rewriteManifests(
  input: TransplantInput,
  files: Map<StorePath, number>,
  deletes: ReadonlyMap<string, RewrittenDelete>,
): Promise<void> {
  const { tree, move, progress } = input
  const task = progress.begin('manifests')
  const lengths = new Map<string, number>()
  for (const path of tree.manifests.keys())
    lengths.set(
      nowAt(input, path),
      await rewrite(input, files, path, (bytes) => movedManifest(bytes, move, (file) => deletes.get(file))),
    )
  for (const path of tree.lists)
    await rewrite(input, files, path, (bytes) => movedManifestList(bytes, move, (one) => lengths.get(one)))
  task.end(`${counted(tree.manifests.size, 'manifest')}, ${counted(tree.lists.length, 'list')}`)
}

/** Reads a file, changes what it names and writes it where it is to be; the same bytes where nothing moves. */
async function rewrite(
  input: TransplantInput,
  files: Map<StorePath, number>,
  path: StorePath,
  change: (bytes: Uint8Array) => Uint8Array,
): Promise<number> {
  const { source, target, signal, move, steps } = input
  signal.throwIfAborted()
  const to = nowAt(input, path)
  if (to === path && move.from !== move.to) throw metadataOutside(path)
  const before = await source.read(path, undefined, { signal })
  const bytes = move.from === move.to ? before : change(before)
  await step(steps, 'metadata.write', to, () => target.write(to, bytes, { signal }))
  files.set(to, bytes.length)
  return bytes.length
}

function missing(path: StorePath): LimnError {
  return new LimnError('storage/missing', {
    message: `${path}, which a table names, is not there.`,
    notDone: 'Nothing was changed.',
    remedy: 'Restore the file, or drop or repair the table: limn table health',
  })
}

function metadataOutside(path: StorePath): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `${path} is metadata outside the warehouse.`,
    notDone: 'Nothing was changed.',
    remedy:
      'Such a table is not the lake’s to move: take its name away first (DROP TABLE), and register it again after.',
  })
}

function deletesOutside(path: StorePath): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `${path} holds deletes outside the warehouse, of files that may be in it.`,
    notDone: 'Nothing was changed.',
    remedy: 'Compact the table that has them first: limn table compact NAME --all',
  })
}
