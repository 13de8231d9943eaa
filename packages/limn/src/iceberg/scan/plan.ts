import { LimnError } from '../../base/index.ts'
import { always, type Predicate } from '../../expr/index.ts'
import { compareUtf8, type Schema } from '../../schema/index.ts'
import { currentSchema, snapshotById, specById } from '../spec/lookup.ts'
import type { DataFile, ManifestFile, Snapshot, TableMetadata } from '../spec/types.ts'
import type { ManifestReader } from './manifests.ts'
import { manifestMightMatch, mightMatch } from './prune.ts'

export interface ScanCounts {
  readonly manifests: number
  readonly files: number
  readonly bytes: number
}

/** The files a scan has to read, and what pruning left out. Files of pruned manifests count as pruned. */
export interface ScanPlan {
  /** In byte order of paths. */
  readonly files: readonly DataFile[]
  readonly considered: ScanCounts
  readonly pruned: ScanCounts
  readonly read: { readonly files: number; readonly bytes: number }
}

interface ScanInput {
  readonly manifests: ManifestReader
  readonly metadata: TableMetadata
  readonly snapshotId: bigint
  readonly signal?: AbortSignal
}

/**
 * Plans a scan: manifests are pruned by partition summaries, files by partition values and column bounds. Row-level
 * deletes are not supported yet: a snapshot that has any is refused (`iceberg/unsupported`), and so is one that lists a
 * file to be read twice (`iceberg/invalid-metadata`).
 */
export async function planScan(
  input: ScanInput & { readonly predicate?: Predicate; readonly schema?: Schema },
): Promise<ScanPlan> {
  const { metadata, manifests, signal } = input
  const predicate = input.predicate ?? always
  const schema = input.schema ?? currentSchema(metadata)
  const files: DataFile[] = []
  let prunedManifests = 0
  let allManifests = 0
  let allFiles = 0
  let allBytes = 0
  for (const manifest of await liveManifests(input)) {
    allManifests++
    const spec = specById(metadata, manifest.specId)
    const open = manifestMightMatch(manifest.partitions, predicate, schema, spec)
    if (!open) prunedManifests++
    for (const file of await liveIn(manifests, manifest, signal)) {
      allFiles++
      allBytes += Number(file.fileSizeInBytes)
      if (open && mightMatch(file, predicate, schema, spec)) files.push(file)
    }
  }
  sortUnique(files)
  const bytes = files.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0)
  return {
    files,
    considered: { manifests: allManifests, files: allFiles, bytes: allBytes },
    pruned: { manifests: prunedManifests, files: allFiles - files.length, bytes: allBytes - bytes },
    read: { files: files.length, bytes },
  }
}

/** All live data files of a snapshot, in byte order of paths. Refuses as `planScan` does. */
export async function liveFiles(input: ScanInput): Promise<readonly DataFile[]> {
  const files: DataFile[] = []
  for (const manifest of await liveManifests(input))
    files.push(...(await liveIn(input.manifests, manifest, input.signal)))
  return sortUnique(files)
}

/** Sorts by path. A file listed twice would count its rows twice, so it is refused. */
function sortUnique(files: DataFile[]): DataFile[] {
  files.sort((a, b) => compareUtf8(a.path, b.path))
  const twice = files.find((file, i) => i > 0 && files[i - 1]?.path === file.path)
  if (!twice) return files
  throw new LimnError('iceberg/invalid-metadata', {
    message: `The table lists the data file ${twice.path} twice.`,
    notDone: 'The table was not read: the rows of that file would count twice.',
    remedy: 'Go back to an earlier snapshot, or remove one of the two entries with the engine that wrote them.',
  })
}

/** Data files that came and went from one snapshot to another (null: from an empty table). Shared manifests are skipped. */
export async function diffFiles(input: {
  readonly manifests: ManifestReader
  readonly metadata: TableMetadata
  readonly from: bigint | null
  readonly to: bigint
  readonly signal?: AbortSignal
}): Promise<{ readonly added: readonly DataFile[]; readonly removed: readonly DataFile[] }> {
  const { metadata, manifests, signal } = input
  const scan = (snapshotId: bigint): ScanInput => ({ manifests, metadata, snapshotId, ...(signal ? { signal } : {}) })
  const before = input.from === null ? [] : await liveManifests(scan(input.from))
  const after = await liveManifests(scan(input.to))
  const shared = new Set(before.map((one) => one.path).filter((path) => after.some((one) => one.path === path)))
  const gather = async (list: readonly ManifestFile[]) => {
    const files = new Map<string, DataFile>()
    for (const manifest of list) {
      if (shared.has(manifest.path)) continue
      for (const file of await liveIn(manifests, manifest, signal)) files.set(file.path, file)
    }
    return files
  }
  const old = await gather(before)
  const next = await gather(after)
  const sorted = (files: DataFile[]) => files.sort((a, b) => compareUtf8(a.path, b.path))
  return {
    added: sorted([...next.values()].filter((file) => !old.has(file.path))),
    removed: sorted([...old.values()].filter((file) => !next.has(file.path))),
  }
}

async function liveManifests(input: ScanInput): Promise<readonly ManifestFile[]> {
  const snapshot: Snapshot | undefined = snapshotById(input.metadata, input.snapshotId)
  if (!snapshot) {
    throw new LimnError('usage/unknown-snapshot', {
      message: `The table has no snapshot ${input.snapshotId}.`,
      remedy: 'List its snapshots with: limn table history NAME',
    })
  }
  const manifests = await input.manifests.manifestsOf(snapshot, input.signal)
  const deletes = manifests.find((one) => one.content === 'deletes' && one.addedFilesCount + one.existingFilesCount > 0)
  if (deletes) {
    throw new LimnError('iceberg/unsupported', {
      message: 'The table has row-level deletes, which limn does not read yet.',
      notDone: 'The table was not read: its rows would be wrong.',
      remedy: 'Compact the table with the engine that wrote it.',
    })
  }
  return manifests.filter((one) => one.content === 'data')
}

async function liveIn(
  manifests: ManifestReader,
  manifest: ManifestFile,
  signal?: AbortSignal,
): Promise<readonly DataFile[]> {
  return (await manifests.entriesOf(manifest, signal)).filter((entry) => entry.status !== 2).map((entry) => entry.file)
}
