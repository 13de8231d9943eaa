import { LimnError, mapConcurrently } from '../../base/index.ts'
import { always, type Predicate } from '../../expr/index.ts'
import { compareUtf8, type Schema } from '../../schema/index.ts'
import { currentSchema, snapshotById, specById } from '../spec/lookup.ts'
import type { DataFile, ManifestEntry, ManifestFile, Snapshot, TableMetadata } from '../spec/types.ts'
import { type DeleteEntry, DeleteIndex } from './deletes.ts'
import type { ManifestReader } from './manifests.ts'
import { manifestMightMatch, mightMatch } from './prune.ts'

/** Manifests decoded at the same time. */
const openManifestsMax = 8

export interface ScanCounts {
  readonly manifests: number
  readonly files: number
  readonly bytes: number
}

/** One data file to read, and the delete files that apply to it. */
export interface ScanTask {
  readonly file: DataFile
  readonly dataSequenceNumber: bigint
  readonly fileSequenceNumber: bigint
  /** A deletion vector or position deletes first, then equality deletes. Usually none. */
  readonly deletes: readonly DeleteEntry[]
}

/**
 * The files a scan has to read, and what pruning left out. Manifests that their partition summaries rule out are not
 * opened: their files count as the list states, their bytes are not known and count nowhere.
 */
export interface ScanPlan {
  /** In byte order of paths. */
  readonly tasks: readonly ScanTask[]
  /** The data files of the tasks, in the same order. */
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
 * Plans a scan: manifests are pruned by partition summaries, files by partition values and column bounds. `predicate` says
 * which rows matter, it filters none. `schema` names its columns; default: the table's current. Throws
 * `iceberg/invalid-metadata` for a snapshot that lists a file to be read twice.
 */
export async function planScan(
  input: ScanInput & { readonly predicate?: Predicate; readonly schema?: Schema },
): Promise<ScanPlan> {
  const { metadata, signal } = input
  const predicate = input.predicate ?? always
  const schema = input.schema ?? currentSchema(metadata)
  const all = await manifestsOf(input)
  const open: ManifestFile[] = []
  const considered = { manifests: 0, files: 0, bytes: 0 }
  for (const manifest of all) {
    const matches = manifestMightMatch(manifest.partitions, predicate, schema, specById(metadata, manifest.specId))
    if (matches) open.push(manifest)
    if (manifest.content === 'deletes') continue
    considered.manifests++
    if (!matches) considered.files += manifest.addedFilesCount + manifest.existingFilesCount
  }
  const opened = open.filter((one) => one.content === 'data').length
  const [data, deletes] = await Promise.all([
    entriesOf(input.manifests, open, 'data', signal, (entry, spec) => {
      considered.files++
      considered.bytes += Number(entry.file.fileSizeInBytes)
      return mightMatch(entry.file, predicate, schema, specById(metadata, spec))
    }),
    entriesOf(input.manifests, open, 'deletes', signal, () => true),
  ])
  const index = new DeleteIndex(deletes, schema, (specId) => specById(metadata, specId))
  return planOf(tasksOf(data, index), considered, considered.manifests - opened)
}

/** A plan of chosen tasks; what was considered and is not among them counts as pruned. */
export function planOf(tasks: readonly ScanTask[], considered: ScanCounts, prunedManifests: number): ScanPlan {
  const files = tasks.map((task) => task.file)
  const bytes = files.reduce((sum, file) => sum + Number(file.fileSizeInBytes), 0)
  return {
    tasks,
    files,
    considered,
    pruned: { manifests: prunedManifests, files: considered.files - files.length, bytes: considered.bytes - bytes },
    read: { files: files.length, bytes },
  }
}

/** All live data files of a snapshot with their deletes, in byte order of paths. Refuses as `planScan` does. */
export async function liveTasks(input: ScanInput): Promise<readonly ScanTask[]> {
  return (await planScan(input)).tasks
}

/** All live data files of a snapshot, in byte order of paths, whatever deletes apply. Refuses as `planScan` does. */
export async function liveFiles(input: ScanInput): Promise<readonly DataFile[]> {
  const entries = await entriesOf(input.manifests, await manifestsOf(input), 'data', input.signal, () => true)
  return sortUnique(entries).map((entry) => entry.file)
}

function tasksOf(entries: ManifestEntry[], index: DeleteIndex): readonly ScanTask[] {
  return sortUnique(entries).map(({ file, dataSequenceNumber, fileSequenceNumber }) => ({
    file,
    dataSequenceNumber,
    fileSequenceNumber,
    deletes: index.of(file, dataSequenceNumber),
  }))
}

/** Sorts by path. A file listed twice would count its rows twice, so it is refused. */
function sortUnique(entries: ManifestEntry[]): readonly ManifestEntry[] {
  entries.sort((a, b) => compareUtf8(a.file.path, b.file.path))
  const twice = entries.find((entry, i) => i > 0 && entries[i - 1]?.file.path === entry.file.path)
  if (!twice) return entries
  throw new LimnError('iceberg/invalid-metadata', {
    message: `The table lists the data file ${twice.file.path} twice.`,
    notDone: 'The table was not read: the rows of that file would count twice.',
    remedy: 'Go back to an earlier snapshot, or remove one of the two entries with the engine that wrote them.',
  })
}

/**
 * Data files whose rows may differ between two snapshots (`from` null: from an empty table): those that came or went, and
 * on both sides those to which other delete files apply.
 */
export async function diffTasks(input: {
  readonly manifests: ManifestReader
  readonly metadata: TableMetadata
  readonly from: bigint | null
  readonly to: bigint
  readonly signal?: AbortSignal
}): Promise<{ readonly added: readonly ScanTask[]; readonly removed: readonly ScanTask[] }> {
  const { metadata, manifests, signal } = input
  const scan = (snapshotId: bigint): ScanInput => ({ manifests, metadata, snapshotId, ...(signal ? { signal } : {}) })
  const before = input.from === null ? [] : await manifestsOf(scan(input.from))
  const after = await manifestsOf(scan(input.to))
  const deleteLists = [before, after].map((list) =>
    list
      .filter((one) => one.content === 'deletes')
      .map((one) => one.path)
      .sort()
      .join('\n'),
  )
  // With the same delete manifests, files of shared data manifests cannot differ.
  const sameDeletes = deleteLists[0] === deleteLists[1]
  const shared = new Set(before.map((one) => one.path).filter((path) => after.some((one) => one.path === path)))
  const skipped = (one: ManifestFile) => sameDeletes && one.content === 'data' && shared.has(one.path)
  const gather = async (list: readonly ManifestFile[]) => {
    const open = list.filter((one) => !skipped(one))
    const data = await entriesOf(manifests, open, 'data', signal, () => true)
    const deletes = await entriesOf(manifests, open, 'deletes', signal, () => true)
    const index = new DeleteIndex(deletes, currentSchema(metadata), (specId) => specById(metadata, specId))
    return new Map(tasksOf(data, index).map((task) => [task.file.path, task]))
  }
  const old = await gather(before)
  const next = await gather(after)
  return {
    added: [...next.values()].filter((task) => differ(task, old.get(task.file.path))),
    removed: [...old.values()].filter((task) => differ(task, next.get(task.file.path))),
  }
}

/** Whether the rows two tasks over one path yield may differ. */
export function differ(one: ScanTask, other: ScanTask | undefined): boolean {
  return other === undefined || deletesKey(one) !== deletesKey(other)
}

function deletesKey(task: ScanTask): string {
  return task.deletes
    .map((one) => `${one.file.path}#${one.file.contentOffset ?? ''}`)
    .sort()
    .join('\n')
}

/** The files of `diffTasks`. */
export async function diffFiles(
  input: Parameters<typeof diffTasks>[0],
): Promise<{ readonly added: readonly DataFile[]; readonly removed: readonly DataFile[] }> {
  const { added, removed } = await diffTasks(input)
  const filesOf = (tasks: readonly ScanTask[]) => tasks.map((task) => task.file)
  return { added: filesOf(added), removed: filesOf(removed) }
}

/** The manifests of a snapshot that may list live files. */
async function manifestsOf(input: ScanInput): Promise<readonly ManifestFile[]> {
  const snapshot: Snapshot | undefined = snapshotById(input.metadata, input.snapshotId)
  if (!snapshot) {
    throw new LimnError('usage/unknown-snapshot', {
      message: `The table has no snapshot ${input.snapshotId}.`,
      remedy: 'List its snapshots with: limn table history NAME',
    })
  }
  return input.manifests.manifestsOf(snapshot, input.signal)
}

/** Live entries of the manifests of one kind that satisfy a condition, in the manifests' order. */
async function entriesOf(
  manifests: ManifestReader,
  list: readonly ManifestFile[],
  content: ManifestFile['content'],
  signal: AbortSignal | undefined,
  keep: (entry: ManifestEntry, specId: number) => boolean,
): Promise<ManifestEntry[]> {
  const wanted = list.filter((one) => one.content === content && one.addedFilesCount + one.existingFilesCount > 0)
  const canKeep = manifests.canKeep(wanted)
  const kept = await mapConcurrently(wanted, openManifestsMax, async (manifest) =>
    (await manifests.entriesOf(manifest, signal, { keep: canKeep })).filter(
      (entry) => entry.status !== 2 && keep(entry, manifest.specId),
    ),
  )
  return kept.flat()
}
