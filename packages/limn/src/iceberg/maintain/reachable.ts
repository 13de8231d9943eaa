import type { StorePath } from '../../storage/index.ts'
import type { ManifestFile, Snapshot, TableMetadata } from '../spec/types.ts'
import type { MetadataReader } from './inventory.ts'
import { locationKey } from './location.ts'

/** Files that table metadata leads to, each under a key that is equal for two spellings of one file. */
export interface Reachable {
  /** Key (`locationKey`) to the path as the table spells it. */
  readonly files: ReadonlyMap<string, StorePath>
}

/** What a file is to a table. */
export type FileKind = 'data' | 'deletes' | 'manifest' | 'manifest-list' | 'statistics' | 'metadata'

interface Sink {
  add(path: StorePath, kind: FileKind): void
}

/**
 * All files that table metadata leads to: its own former metadata files, statistics, and of each snapshot the manifest
 * list, manifests and live files. Throws when a manifest cannot be read, since then nothing is known to be unreachable.
 */
export async function reachableFiles(
  metadata: TableMetadata,
  reader: MetadataReader,
  options: { readonly metadataLocation?: StorePath; readonly signal?: AbortSignal } = {},
): Promise<Reachable> {
  const files = new Map<string, StorePath>()
  const sink: Sink = { add: (path) => files.set(locationKey(path), path) }
  if (options.metadataLocation) sink.add(options.metadataLocation, 'metadata')
  for (const entry of metadata.metadataLog) sink.add(entry.metadataFile as StorePath, 'metadata')
  addStatistics(metadata, sink)
  const seen = new Set<string>()
  for (const snapshot of metadata.snapshots) {
    if (snapshot.manifestList !== null) sink.add(snapshot.manifestList, 'manifest-list')
    for (const manifest of await reader.manifestsOf(snapshot, options.signal)) {
      if (seen.has(manifest.path)) continue
      seen.add(manifest.path)
      await addManifest(manifest, reader, sink, options.signal)
    }
  }
  return { files }
}

function addStatistics(metadata: TableMetadata, sink: Sink): void {
  for (const one of metadata.statistics) sink.add(one.statisticsPath, 'statistics')
  for (const one of metadata.partitionStatistics) sink.add(one.statisticsPath, 'statistics')
}

async function addManifest(
  manifest: ManifestFile,
  reader: MetadataReader,
  sink: Sink,
  signal: AbortSignal | undefined,
): Promise<void> {
  sink.add(manifest.path, 'manifest')
  const entries = await reader.scan(manifest, signal)
  // Whole before any of it counts: of a damaged manifest nothing is known.
  const live: (readonly [StorePath, FileKind])[] = []
  for (const { status, file } of entries({ statistics: false }))
    if (status !== 2) live.push([file.path, file.content === 0 ? 'data' : 'deletes'])
  for (const [path, kind] of live) sink.add(path, kind)
}

export interface Unreachable {
  readonly files: readonly { readonly path: StorePath; readonly kind: FileKind }[]
  /** Lists and manifests of expired snapshots that cannot be read: what they lead to is left for orphan removal. */
  readonly unreadable: readonly StorePath[]
}

/**
 * Files that `before` led to and `after` no longer does: of snapshots and statistics that went. A file stays when
 * anything left leads to it under any name, so a Puffin file goes only when none of its vectors is live. Throws when
 * a manifest of a snapshot that stays cannot be read.
 */
export async function filesNoLongerReachable(
  before: TableMetadata,
  after: TableMetadata,
  reader: MetadataReader,
  signal?: AbortSignal,
): Promise<Unreachable> {
  const candidates = new Map<string, { readonly path: StorePath; readonly kind: FileKind }>()
  const unreadable: StorePath[] = []
  const collect: Sink = { add: (path, kind) => candidates.set(locationKey(path), { path, kind }) }
  const stays = new Set(after.snapshots.map((one) => one.snapshotId))
  const retained = new Map<string, ManifestFile>()
  const keep: Sink = { add: (path) => candidates.delete(locationKey(path)) }
  for (const snapshot of after.snapshots)
    for (const manifest of await reader.manifestsOf(snapshot, signal)) retained.set(manifest.path, manifest)
  addStatistics(before, collect)
  const seen = new Set<string>()
  for (const snapshot of before.snapshots) {
    if (stays.has(snapshot.snapshotId)) continue
    const manifests = await orUnreadable(unreadable, snapshot.manifestList, () => reader.manifestsOf(snapshot, signal))
    if (snapshot.manifestList !== null) collect.add(snapshot.manifestList, 'manifest-list')
    for (const manifest of manifests ?? []) {
      if (retained.has(manifest.path) || seen.has(manifest.path)) continue
      seen.add(manifest.path)
      await orUnreadable(unreadable, manifest.path, () => addManifest(manifest, reader, collect, signal))
    }
  }
  addStatistics(after, keep)
  for (const snapshot of after.snapshots) if (snapshot.manifestList) keep.add(snapshot.manifestList, 'manifest-list')
  for (const manifest of retained.values()) {
    if (candidates.size === 0) break
    await addManifest(manifest, reader, keep, signal)
  }
  return { files: [...candidates.values()], unreadable }
}

async function orUnreadable<T>(
  unreadable: StorePath[],
  path: StorePath | null,
  read: () => Promise<T>,
): Promise<T | null> {
  try {
    return await read()
  } catch (error) {
    if (path === null || (error instanceof Error && error.name === 'AbortError')) throw error
    unreadable.push(path)
    return null
  }
}

/** The snapshots a table would be left with. */
export function withoutSnapshots(metadata: TableMetadata, gone: readonly Snapshot[]): TableMetadata {
  const ids = new Set(gone.map((one) => one.snapshotId))
  const kept = <T extends { readonly snapshotId: bigint }>(list: readonly T[]) =>
    list.filter((one) => !ids.has(one.snapshotId))
  return {
    ...metadata,
    snapshots: kept(metadata.snapshots),
    statistics: kept(metadata.statistics),
    partitionStatistics: kept(metadata.partitionStatistics),
  }
}
