import type { ManifestReader } from '../scan/manifests.ts'
import { ancestorsOf } from '../spec/lookup.ts'
import type { ManifestEntry, TableMetadata } from '../spec/types.ts'
import type { HistoryStep } from './validate.ts'

/**
 * What each snapshot after `from` (exclusive; null: the empty table) up to `to` (inclusive) added and removed, oldest
 * first. Null when `to` does not descend from `from` as far as the metadata goes. Reads only manifests these snapshots wrote.
 */
export async function changesSince(input: {
  readonly manifests: ManifestReader
  readonly metadata: TableMetadata
  readonly from: bigint | null
  readonly to: bigint | null
  readonly signal?: AbortSignal
}): Promise<readonly HistoryStep[] | null> {
  const { metadata, from, to } = input
  if (from === to) return []
  if (to === null) return null
  const steps: HistoryStep[] = []
  let reached = false
  for (const snapshot of ancestorsOf(metadata, to)) {
    if (snapshot.snapshotId === from) {
      reached = true
      break
    }
    const { snapshotId } = snapshot
    const added: ManifestEntry[] = []
    const removed: ManifestEntry[] = []
    for (const manifest of await input.manifests.manifestsOf(snapshot, input.signal)) {
      if (manifest.addedSnapshotId !== snapshotId) continue
      for (const entry of await input.manifests.entriesOf(manifest, input.signal)) {
        if (entry.snapshotId !== snapshotId) continue
        if (entry.status === 1) added.push(entry)
        if (entry.status === 2) removed.push(entry)
      }
    }
    steps.push({ snapshot, added, removed })
    if (from === null && snapshot.parentSnapshotId === null) reached = true
  }
  return reached ? steps.reverse() : null
}
