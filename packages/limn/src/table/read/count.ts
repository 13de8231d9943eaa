import { isDeletionVector, type ManifestFile } from '../../iceberg/index.ts'
import { type PinnedTable, snapshotOfPin, type TableContext } from '../context.ts'
import { liveTableTasks } from './read.ts'

/**
 * How many rows a pinned table has, from its metadata alone: no data file is opened. Null where metadata do not say:
 * position delete files may name a row twice, and equality deletes say nothing of how many rows they match.
 */
export async function countRows(context: TableContext, pin: PinnedTable): Promise<bigint | null> {
  const snapshot = snapshotOfPin(pin)
  if (!snapshot) return 0n
  const manifests = await context.manifests.manifestsOf(snapshot, context.signal)
  if (manifests.some((one) => one.content === 'deletes' && mayBeLive(one))) return countTasks(context, pin)
  let rows = 0n
  for (const manifest of manifests) rows += await liveRows(context, manifest)
  return rows
}

function mayBeLive(manifest: ManifestFile): boolean {
  return manifest.addedFilesCount + manifest.existingFilesCount > 0
}

/** A list of version 1 may leave the rows out; then its manifest is opened. */
async function liveRows(context: TableContext, manifest: ManifestFile): Promise<bigint> {
  const stated = manifest.addedRowsCount + manifest.existingRowsCount
  if (stated > 0n || !mayBeLive(manifest)) return stated
  const entries = await context.manifests.entriesOf(manifest, context.signal)
  return entries.reduce((sum, { status, file }) => (status === 2 ? sum : sum + file.recordCount), 0n)
}

async function countTasks(context: TableContext, pin: PinnedTable): Promise<bigint | null> {
  let rows = 0n
  for (const { file, deletes } of await liveTableTasks(context, pin)) {
    rows += file.recordCount
    for (const entry of deletes) {
      if (!isDeletionVector(entry.file)) return null
      rows -= entry.file.recordCount
    }
  }
  return rows
}
