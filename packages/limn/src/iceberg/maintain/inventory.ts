import { LimnError } from '../../base/index.ts'
import type { EntryScan } from '../scan/manifests.ts'
import { snapshotById } from '../spec/lookup.ts'
import { withoutStatistics } from '../spec/manifest.ts'
import type { DataFile, ManifestEntry, ManifestFile, Snapshot, TableMetadata } from '../spec/types.ts'

/** What reading manifests takes; `ManifestReader` is one. */
export interface MetadataReader {
  manifestsOf(snapshot: Snapshot, signal?: AbortSignal): Promise<readonly ManifestFile[]>
  /** Entries as they are taken; each call of what is returned begins anew. */
  scan(manifest: ManifestFile, signal?: AbortSignal): Promise<EntryScan>
}

/** Everything that is live in one snapshot: the facts every plan of maintenance starts from. */
export interface Inventory {
  readonly snapshotId: bigint | null
  /** The snapshot's sequence number; 0 for a table without rows. */
  readonly sequenceNumber: bigint
  readonly manifests: readonly ManifestFile[]
  /** Live data files, in the manifests' order. */
  readonly data: readonly ManifestEntry[]
  /** Live delete files of every kind, in the manifests' order. */
  readonly deletes: readonly ManifestEntry[]
}

export const emptyInventory: Inventory = { snapshotId: null, sequenceNumber: 0n, manifests: [], data: [], deletes: [] }

/**
 * Reads all manifests of a snapshot. The statistics of data files, most of what they weigh, are left out on request; those of
 * delete files tell what they are about. Throws `usage/unknown-snapshot` for one that the table does not have.
 */
export async function readInventory(input: {
  readonly manifests: MetadataReader
  readonly metadata: TableMetadata
  readonly snapshotId: bigint | null
  /** Whether data files keep theirs. Files that are to be listed again need them. */
  readonly statistics: boolean
  /** Is shown every live data file as the manifests have it. */
  readonly each?: (file: DataFile) => void
  readonly signal?: AbortSignal
}): Promise<Inventory> {
  const { statistics, each } = input
  if (input.snapshotId === null) return emptyInventory
  const snapshot = snapshotById(input.metadata, input.snapshotId)
  if (!snapshot) {
    throw new LimnError('usage/unknown-snapshot', {
      message: `The table has no snapshot ${input.snapshotId}.`,
      notDone: 'Nothing was read.',
      remedy: 'List its snapshots with: limn table history NAME',
    })
  }
  const manifests = await input.manifests.manifestsOf(snapshot, input.signal)
  const data: ManifestEntry[] = []
  const deletes: ManifestEntry[] = []
  for (const manifest of manifests) {
    const entries = await input.manifests.scan(manifest, input.signal)
    const isLean = !statistics && !each && manifest.content === 'data'
    for (const entry of entries({ statistics: !isLean })) {
      if (entry.status === 2) continue
      if (entry.file.content !== 0) deletes.push(entry)
      else {
        each?.(entry.file)
        data.push(statistics ? entry : { ...entry, file: withoutStatistics(entry.file) })
      }
    }
  }
  return { snapshotId: snapshot.snapshotId, sequenceNumber: snapshot.sequenceNumber, manifests, data, deletes }
}

/** Bytes of files; a deletion vector counts as its blob, not as the Puffin file it shares. */
export function bytesOf(files: readonly DataFile[]): number {
  return files.reduce((sum, file) => sum + Number(file.contentSizeInBytes ?? file.fileSizeInBytes), 0)
}
