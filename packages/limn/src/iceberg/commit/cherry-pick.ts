import { LimnError } from '../../base/index.ts'
import type { Value } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { ManifestReader } from '../scan/manifests.ts'
import { ancestorsOf, isAncestorOf, snapshotById, snapshotOfRef } from '../spec/lookup.ts'
import type { DataFile, Snapshot } from '../spec/types.ts'
import type { Evolution } from './evolve.ts'
import { changeRefs, refused } from './refs.ts'
import { type StageSnapshotInput, stageSnapshot } from './stage-snapshot.ts'

export interface CherryPickInput
  extends Pick<StageSnapshotInput, 'store' | 'manifests' | 'steps' | 'randomness' | 'base' | 'timestampMs' | 'signal'> {
  /** The snapshot whose changes are wanted. */
  readonly picked: bigint
  /** The branch that gets them; it exists. */
  readonly branch: string
  /** The id of the snapshot that is made when the branch cannot simply move. */
  readonly snapshotId: bigint
}

export interface CherryPicked extends Evolution {
  /** `moved`: the branch now is at the picked snapshot. `re-applied`: a new snapshot repeats its changes. */
  readonly kind: 'moved' | 're-applied'
  /** Where the branch will be. */
  readonly snapshotId: bigint
  readonly written: readonly StorePath[]
}

/**
 * Repeats on a branch what another snapshot did. When its parent is the branch's head, the branch moves to it. Else the
 * files of an append are added once more, and a dynamic overwrite of partitions is repeated if no partition it touched has
 * changed on the branch since; anything else is refused. A snapshot, or a write-audit-publish id, is picked once.
 */
export async function cherryPick(input: CherryPickInput): Promise<CherryPicked> {
  const { base, branch } = input
  const picked = snapshotById(base, input.picked)
  if (!picked)
    throw new LimnError('usage/unknown-snapshot', {
      message: `The table has no snapshot ${input.picked}.`,
      notDone: 'The table is unchanged.',
      remedy: 'List its snapshots with: limn table history NAME',
    })
  const head = snapshotOfRef(base, branch)
  const line = head === null ? [] : [...ancestorsOf(base, head)]
  requireNotPicked(picked, line)
  if (picked.parentSnapshotId === head) {
    const moved = changeRefs(base, [{ kind: 'set-current-snapshot', snapshotId: picked.snapshotId, branch }])
    return { ...moved, kind: 'moved', snapshotId: picked.snapshotId, written: [] }
  }
  const dynamic = picked.operation === 'overwrite' && picked.summary['replace-partitions'] === 'true'
  if (picked.operation !== 'append' && !dynamic)
    throw refused(
      `Snapshot ${picked.snapshotId} cannot be picked: it is neither an append nor a dynamic overwrite, and its parent is not the head of "${branch}"`,
      'Repeat the change on the branch.',
    )
  const changes = await changesOf(input.manifests, picked, input.signal)
  if (changes.deletes)
    throw refused(
      `Snapshot ${picked.snapshotId} cannot be picked: it deletes rows by their place in files`,
      'Repeat the change on the branch.',
    )
  if (dynamic) await requireUntouched(input, picked, head, line, [...changes.added, ...changes.removed])
  const wapId = picked.summary['wap.id']
  const staged = await stageSnapshot({
    ...input,
    parentSnapshotId: head,
    ref: branch,
    operation: picked.operation,
    added: changes.added.map(withoutRowIds),
    removed: changes.removed,
    summary: {
      'source-snapshot-id': String(picked.snapshotId),
      ...(wapId ? { 'published-wap-id': wapId } : {}),
      ...(dynamic ? { 'replace-partitions': 'true' } : {}),
    },
  })
  return { ...staged, kind: 're-applied', snapshotId: staged.snapshot.snapshotId }
}

/** Added anew, rows get ids of their own. */
function withoutRowIds({ firstRowId: _inherited, ...file }: DataFile): DataFile {
  return file
}

function requireNotPicked(picked: Snapshot, line: readonly Snapshot[]): void {
  const id = String(picked.snapshotId)
  const wapId = picked.summary['wap.id']
  for (const one of line) {
    if (one.snapshotId === picked.snapshotId)
      throw refused(`Snapshot ${id} cannot be picked: the branch has it already`, 'There is nothing to do.')
    if (one.summary['source-snapshot-id'] === id)
      throw refused(`Snapshot ${id} cannot be picked again: ${one.snapshotId} came from it`, 'There is nothing to do.')
    if (wapId && (one.summary['wap.id'] === wapId || one.summary['published-wap-id'] === wapId))
      throw refused(
        `Snapshot ${id} cannot be picked: its write-audit-publish id ${wapId} was published by ${one.snapshotId}`,
        'There is nothing to do.',
      )
  }
}

/** Throws when a partition of the files has changed on the branch since it left the picked snapshot's parent. */
async function requireUntouched(
  input: CherryPickInput,
  picked: Snapshot,
  head: bigint | null,
  line: readonly Snapshot[],
  files: readonly DataFile[],
): Promise<void> {
  const { base } = input
  const from = picked.parentSnapshotId
  if (from !== null && (head === null || !isAncestorOf(base, from, head)))
    throw refused(
      `Snapshot ${picked.snapshotId} cannot be picked: it overwrites a state the branch never had`,
      'Repeat the overwrite on the branch.',
    )
  const touched = new Set(files.map(partitionText))
  const since = line.slice(0, from === null ? line.length : line.findIndex((one) => one.snapshotId === from))
  for (const snapshot of since) {
    const changes = await changesOf(input.manifests, snapshot, input.signal)
    const clash = [...changes.added, ...changes.removed, ...changes.deleteFiles].find((one) =>
      touched.has(partitionText(one)),
    )
    if (clash)
      throw refused(
        `Snapshot ${picked.snapshotId} cannot be picked: snapshot ${snapshot.snapshotId} changed a partition it overwrites`,
        'Repeat the overwrite on the branch.',
      )
  }
}

function partitionText(file: DataFile): string {
  const text = (value: Value | null) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value === null ? null : String(value)
  return JSON.stringify([file.specId, ...file.partition.map(text)])
}

export interface SnapshotChanges {
  /** Data files. */
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  /** Delete files added. */
  readonly deleteFiles: readonly DataFile[]
  /** Whether delete files came or went. */
  readonly deletes: boolean
}

/** What one snapshot changed, by the entries that carry its id. */
export async function changesOf(
  manifests: ManifestReader,
  snapshot: Snapshot,
  signal?: AbortSignal,
): Promise<SnapshotChanges> {
  const added: DataFile[] = []
  const removed: DataFile[] = []
  const deleteFiles: DataFile[] = []
  let deletes = false
  for (const manifest of await manifests.manifestsOf(snapshot, signal)) {
    if (manifest.addedSnapshotId !== snapshot.snapshotId) continue
    for (const entry of await manifests.entriesOf(manifest, signal)) {
      if (entry.status === 0 || entry.snapshotId !== snapshot.snapshotId) continue
      if (manifest.content === 'deletes') {
        deletes = true
        if (entry.status === 1) deleteFiles.push(entry.file)
      } else if (entry.status === 1) added.push(entry.file)
      else removed.push(entry.file)
    }
  }
  return { added, removed, deleteFiles, deletes }
}
