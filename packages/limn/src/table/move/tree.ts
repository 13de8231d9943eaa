import { mapConcurrently, type Progress } from '../../base/index.ts'
import {
  type DataFile,
  decodeMetadata,
  isUnder,
  type ManifestFile,
  ManifestReader,
  type TableMetadata,
} from '../../iceberg/index.ts'
import type { ObjectStore, StorePath } from '../../storage/index.ts'

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
}

const readsAtOnce = 16

/** Walks down from metadata files. Throws `storage/missing` for one that is named and not there. */
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
  const task = options.progress.begin('files of the lake')
  for (const path of roots.tables) {
    signal.throwIfAborted()
    const metadata = decodeMetadata(await reader.read(path, undefined, { signal }))
    tables.set(path, metadata)
    for (const entry of metadata.metadataLog) former.add(entry.metadataFile as StorePath)
    for (const one of [...metadata.statistics, ...metadata.partitionStatistics]) statistics.add(one.statisticsPath)
    for (const snapshot of metadata.snapshots) {
      if (snapshot.manifestList !== null) lists.add(snapshot.manifestList)
      const fresh = (await manifestReader.manifestsOf(snapshot, signal)).filter((one) => !manifests.has(one.path))
      for (const one of fresh) manifests.set(one.path, one)
      const entries = await mapConcurrently(fresh, readsAtOnce, (one) => manifestReader.entriesOf(one, signal))
      for (const entry of entries.flat()) if (entry.status !== 2) files.set(entry.file.path, entry.file)
    }
    task.update(`${files.size}`)
  }
  const known = [...former].filter((path) => !tables.has(path))
  const there = await mapConcurrently(known, readsAtOnce, (path) => reader.stat(path, { signal }))
  task.end(`${files.size} data and delete files of ${tables.size} tables`)
  return {
    tables,
    views: roots.views,
    former: known.filter((_path, i) => there[i] !== null),
    lists: [...lists],
    manifests,
    files,
    statistics: [...statistics],
  }
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
