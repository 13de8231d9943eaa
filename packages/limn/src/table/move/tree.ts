import { counted, LimnError, mapConcurrently, type Progress } from '../../base/index.ts'
import {
  type DataFile,
  decodeMetadata,
  isUnder,
  type ManifestFile,
  ManifestReader,
  type Snapshot,
  type TableMetadata,
} from '../../iceberg/index.ts'
import type { ObjectStore, StorePath } from '../../storage/index.ts'
import { environmentProperty } from '../maintain/removal.ts'

/** Reads files by the names that metadata gives them, wherever they are. */
export type TreeReader = Pick<ObjectStore, 'read' | 'stat'>

/** Every file that some tables and views lead to, each once, in the order in which it was come upon. */
export interface Tree {
  /** Present metadata of tables, by file. */
  readonly tables: ReadonlyMap<StorePath, TableMetadata>
  readonly views: readonly StorePath[]
  /** Metadata that tables and views had before, as far as it is there. */
  readonly former: readonly StorePath[]
  readonly lists: readonly StorePath[]
  readonly manifests: ReadonlyMap<StorePath, ManifestFile>
  /** Data and delete files; of a Puffin file with several vectors, one of its entries. */
  readonly files: ReadonlyMap<StorePath, DataFile>
  readonly statistics: readonly StorePath[]
  /**
   * Former states of environments' tables whose metadata is not there any more: somebody expired them by hand where they were
   * kept for the environment. Nothing of them is in the tree.
   */
  readonly gone: readonly { readonly environment: string; readonly location: string; readonly snapshotId: bigint }[]
}

const readsAtOnce = 16

/**
 * Walks down from metadata files. Throws `storage/missing` for one that is named and not there, unless it is of a former state of
 * an environment's table: an environment must not keep the rest of the lake from being backed up or moved.
 */
export async function treeOf(
  reader: TreeReader,
  roots: { readonly tables: readonly StorePath[]; readonly views: readonly StorePath[] },
  options: { readonly signal: AbortSignal; readonly progress: Progress },
): Promise<Tree> {
  const { signal } = options
  const manifestReader = new ManifestReader(reader)
  const tables = new Map<StorePath, TableMetadata>()
  const former = new Set<StorePath>()
  const lists = new Set<StorePath>()
  const manifests = new Map<StorePath, ManifestFile>()
  const files = new Map<StorePath, DataFile>()
  const statistics = new Set<StorePath>()
  const gone: Tree['gone'][number][] = []
  const walk = async (snapshot: Snapshot) => {
    if (snapshot.manifestList !== null) lists.add(snapshot.manifestList)
    const fresh = (await manifestReader.manifestsOf(snapshot, signal)).filter((one) => !manifests.has(one.path))
    for (const one of fresh) manifests.set(one.path, one)
    const entries = await mapConcurrently(fresh, readsAtOnce, (one) => manifestReader.entriesOf(one, signal))
    for (const entry of entries.flat()) if (entry.status !== 2) files.set(entry.file.path, entry.file)
  }
  const task = options.progress.begin('files of the lake')
  for (const path of roots.tables) {
    signal.throwIfAborted()
    const metadata = decodeMetadata(await reader.read(path, undefined, { signal }))
    tables.set(path, metadata)
    for (const entry of metadata.metadataLog) former.add(entry.metadataFile as StorePath)
    const absent = await formerStatesGone(reader, metadata, signal)
    gone.push(...absent)
    const isAbsent = (snapshotId: bigint) => absent.some((one) => one.snapshotId === snapshotId)
    for (const one of [...metadata.statistics, ...metadata.partitionStatistics])
      if (!isAbsent(one.snapshotId)) statistics.add(one.statisticsPath)
    try {
      for (const snapshot of metadata.snapshots) if (!isAbsent(snapshot.snapshotId)) await walk(snapshot)
    } catch (error) {
      throw ofEnvironment(metadata, error)
    }
    task.update(`${files.size}`)
  }
  const known = [...former].filter((path) => !tables.has(path))
  const there = await mapConcurrently(known, readsAtOnce, (path) => reader.stat(path, { signal }))
  task.end(`${counted(files.size, 'data and delete file')} of ${counted(tables.size, 'table')}`)
  return {
    tables,
    views: roots.views,
    former: known.filter((_path, i) => there[i] !== null),
    lists: [...lists],
    manifests,
    files,
    statistics: [...statistics],
    gone,
  }
}

/** What is missing of an environment's rows of now is production's to keep, and was let go of by hand. */
function ofEnvironment({ properties, location }: TableMetadata, error: unknown): unknown {
  const environment = properties[environmentProperty]
  if (environment === undefined || !(error instanceof LimnError) || error.kind !== 'storage/missing') return error
  return new LimnError('storage/missing', {
    message: `${error.message} The environment ${environment} reads it as part of ${location}.`,
    notDone: 'Nothing was copied or moved that was not before.',
    remedy: `Restore the file, or drop the environment: limn env drop ${environment}`,
    cause: error,
  })
}

/** Of an environment's table, snapshots that no ref names and whose manifest list is not there. */
async function formerStatesGone(
  reader: TreeReader,
  { properties, refs, snapshots, location }: TableMetadata,
  signal: AbortSignal,
): Promise<Tree['gone']> {
  const environment = properties[environmentProperty]
  if (environment === undefined) return []
  const named = new Set(Object.values(refs).map((ref) => ref.snapshotId))
  const former = snapshots.filter((one) => !named.has(one.snapshotId))
  const there = await mapConcurrently(former, readsAtOnce, async ({ manifestList }) =>
    manifestList === null ? true : (await reader.stat(manifestList, { signal })) !== null,
  )
  return former.filter((_one, i) => !there[i]).map(({ snapshotId }) => ({ environment, location, snapshotId }))
}

/** All files of a tree, metadata last, so that what it names is there before it. */
export function filesOfTree(tree: Tree): readonly StorePath[] {
  return [
    ...tree.files.keys(),
    ...tree.statistics,
    ...tree.manifests.keys(),
    ...tree.lists,
    ...tree.former,
    ...tree.views,
    ...tree.tables.keys(),
  ]
}

/** Files of a tree that do not lie under a folder. */
export function outside(tree: Tree, folder: string): readonly StorePath[] {
  return filesOfTree(tree).filter((path) => !isUnder(path, folder))
}
