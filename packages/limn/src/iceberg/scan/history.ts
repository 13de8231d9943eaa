import { LimnError } from '../../base/index.ts'
import { ancestorsOf } from '../spec/lookup.ts'
import type { DataFile, Snapshot, TableMetadata } from '../spec/types.ts'
import type { ManifestReader } from './manifests.ts'

/** Snapshots of one line of history: after `from` (null: from the very first on) up to `to`, which is included. */
export interface SnapshotRange {
  readonly from: bigint | null
  readonly to: bigint
}

/**
 * The snapshots of a range, oldest first. Throws `usage/unknown-snapshot` when `from` is no ancestor of `to`, or when what
 * lies between was expired.
 */
export function snapshotsBetween(metadata: TableMetadata, { from, to }: SnapshotRange): readonly Snapshot[] {
  const found: Snapshot[] = []
  for (const snapshot of ancestorsOf(metadata, to)) {
    if (snapshot.snapshotId === from) return found.reverse()
    found.push(snapshot)
    if (from === null && snapshot.parentSnapshotId === null) return found.reverse()
    // The parent itself need not be kept: its id ends the range as well.
    if (from !== null && snapshot.parentSnapshotId === from) return found.reverse()
  }
  throw new LimnError('usage/unknown-snapshot', {
    message:
      from === null
        ? `The history of snapshot ${to} does not reach back to the table's first snapshot: older ones were expired.`
        : `Snapshot ${from} is no ancestor of snapshot ${to} that the table still knows.`,
    notDone: 'No changes were read.',
    remedy: 'List the snapshots with: limn table history NAME',
  })
}

/** The data files that one snapshot added, in the order of its manifests, whether or not later ones removed them. */
export async function filesAddedBy(
  manifests: ManifestReader,
  snapshot: Snapshot,
  signal?: AbortSignal,
): Promise<readonly DataFile[]> {
  const added: DataFile[] = []
  for (const manifest of await manifests.manifestsOf(snapshot, signal)) {
    if (manifest.content !== 'data' || manifest.addedSnapshotId !== snapshot.snapshotId) continue
    for (const entry of await manifests.entriesOf(manifest, signal))
      if (entry.status === 1 && entry.snapshotId === snapshot.snapshotId) added.push(entry.file)
  }
  return added
}
