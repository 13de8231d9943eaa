import { invariant, LimnError, type Randomness, randomUuid, type Steps, step } from '../../base/index.ts'
import { type ObjectStore, type StorePath, storePath } from '../../storage/index.ts'
import type { ManifestReader } from '../scan/manifests.ts'
import { metadataFolder } from '../spec/locations.ts'
import { schemaById, snapshotById, snapshotOfRef } from '../spec/lookup.ts'
import { encodeManifestList } from '../spec/manifest-list.ts'
import type {
  DataFile,
  ManifestFile,
  Requirement,
  Snapshot,
  SnapshotOperation,
  SnapshotRef,
  TableMetadata,
  Update,
} from '../spec/types.ts'
import { filterManifests } from './snapshot-filter.ts'
import { type AddedFile, draftsOfAdded, fileKey, type Listed, type ManifestSetting } from './snapshot-manifests.ts'
import { manifestTargetSize, mergeManifests, mergeOptions } from './snapshot-merge.ts'
import { assignRowIds } from './snapshot-row-ids.ts'
import { summaryOf, totalsBefore } from './snapshot-summary.ts'

export interface StageSnapshotInput {
  readonly store: ObjectStore
  readonly manifests: ManifestReader
  readonly steps: Steps
  readonly randomness: Randomness
  readonly base: TableMetadata
  /** The snapshot whose files the new one starts from; null for none. */
  readonly parentSnapshotId: bigint | null
  /** The branch to move; made when the table has none of that name. */
  readonly ref: string
  readonly operation: SnapshotOperation
  /** Files of any content and spec: data, position deletes, equality deletes, deletion vectors. */
  readonly added: readonly AddedFile[]
  /** Live files of the parent, of any content, that the snapshot no longer has. */
  readonly removed: readonly DataFile[]
  readonly snapshotId: bigint
  readonly timestampMs: number
  /** Default: the table's current schema. */
  readonly schemaId?: number
  readonly summary?: Readonly<Record<string, string>>
  /**
   * `fast` never opens or joins earlier manifests. Default `merge`: joins them as `commit.manifest-merge.enabled`,
   * `commit.manifest.target-size-bytes` and `commit.manifest.min-count-to-merge` say.
   */
  readonly manifestMerging?: 'fast' | 'merge'
  readonly signal?: AbortSignal
}

export interface StagedSnapshot {
  readonly requirements: readonly Requirement[]
  readonly updates: readonly Update[]
  readonly written: readonly StorePath[]
  readonly snapshot: Snapshot
  /** All files the snapshot removes: those asked for, and deletes that apply to nothing without them. */
  readonly removed: readonly DataFile[]
}

/** Manifests are put into the store this many at a time. */
const putsAtOnce = 8

/**
 * Writes the manifests and the manifest list of a new snapshot and returns what a catalog has to check and apply. The
 * snapshot becomes visible with that commit only; on a conflict the written files are debris. A table of version 1 is
 * upgraded to 2 by the commit. Earlier manifests are opened only where a removed file may stand in them, where they are
 * joined, and to count a table whose parent states no totals.
 */
export async function stageSnapshot(input: StageSnapshotInput): Promise<StagedSnapshot> {
  const { base, snapshotId, randomness, added } = input
  const ref = branchOf(base, input.ref)
  invariant(new Set(added.map(fileKey)).size === added.length, 'an added file is named once')
  const setting: ManifestSetting = {
    base,
    schema: schemaById(base, input.schemaId ?? base.currentSchemaId),
    snapshotId,
    sequenceNumber: base.lastSequenceNumber + 1n,
    formatVersion: base.formatVersion >= 3 ? 3 : 2,
    targetSizeBytes: manifestTargetSize(base.properties),
  }
  const parent = input.parentSnapshotId === null ? undefined : snapshotById(base, input.parentSnapshotId)
  invariant(input.parentSnapshotId === null || parent, 'the parent snapshot is in the metadata')
  const signal = input.signal ? { signal: input.signal } : {}
  const reading = { manifests: input.manifests, ...signal }
  const before = parent ? await input.manifests.manifestsOf(parent, input.signal) : []
  const filtered = await filterManifests({
    ...reading,
    setting,
    before,
    added,
    removed: input.removed,
    // A replacement changes no rows, and readers of changes leave it out.
    statistics: input.operation !== 'replace',
  })
  const options = mergeOptions(base.properties)
  const listed = await mergeManifests({
    ...reading,
    setting,
    listed: [...draftsOfAdded(setting, added), ...filtered.listed],
    options: { ...options, enabled: options.enabled && input.manifestMerging !== 'fast' },
  })
  const uuid = randomUuid(randomness)
  const folder = metadataFolder(base)
  const placed = placeDrafts(listed, (i) => `${folder}/${snapshotId}-m${i}-${uuid}.avro`)
  // The list goes beside the manifests, whose lengths are known: the file system answers their syncs together.
  const putting = putAll(input, placed.puts)
  putting.catch(() => undefined)
  const { manifests, rowIds } = await assignRowIds({
    ...signal,
    reader: input.manifests,
    base,
    setting,
    manifests: placed.manifests,
    listed,
  })
  const manifestList = storePath(`${folder}/snap-${snapshotId}-1-${uuid}.avro`)
  const list = put(
    input,
    manifestList,
    encodeManifestList({
      snapshotId,
      parentSnapshotId: input.parentSnapshotId,
      sequenceNumber: setting.sequenceNumber,
      manifests,
      formatVersion: setting.formatVersion,
      ...(rowIds ? { firstRowId: rowIds.firstRowId } : {}),
    }),
  )
  for (const one of await Promise.allSettled([putting, list])) if (one.status === 'rejected') throw one.reason
  const kept = listed.filter((one) => one.kind === 'carried').length
  const removed = filtered.removed
  const snapshot: Snapshot = {
    snapshotId,
    parentSnapshotId: input.parentSnapshotId,
    sequenceNumber: setting.sequenceNumber,
    timestampMs: Math.max(input.timestampMs, base.lastUpdatedMs),
    manifestList,
    operation: input.operation,
    summary: summaryOf({
      base,
      schemaId: setting.schema.schemaId,
      added,
      removed,
      own: input.summary ?? {},
      before: await totalsBefore({ ...reading, parent, listed: before, removed }),
      manifests: { created: listed.length - kept, kept, replaced: before.length - kept },
    }),
    schemaId: setting.schema.schemaId,
    ...rowIds,
  }
  return {
    snapshot,
    removed,
    written: [...placed.written, manifestList],
    requirements: [
      { type: 'assert-table-uuid', uuid: base.tableUuid },
      { type: 'assert-ref-snapshot-id', ref: input.ref, snapshotId: snapshotOfRef(base, input.ref) },
    ],
    updates: [
      // The manifests above are of version 2, and so are sequence numbers.
      ...(base.formatVersion === 1 ? [{ action: 'upgrade-format-version', formatVersion: 2 } as const] : []),
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', ref: input.ref, to: { ...ref, type: 'branch', snapshotId } },
    ],
  }
}

/** The branch as it is, with how long it keeps snapshots; nothing for a new one. A tag never moves. */
function branchOf(base: TableMetadata, name: string): Partial<SnapshotRef> {
  const known = base.refs[name]
  if (known?.type !== 'tag') return known ?? {}
  throw new LimnError('usage/argument', {
    message: `"${name}" is a tag of the table, and a tag never moves.`,
    notDone: 'Nothing was written.',
    remedy: 'Name a branch.',
  })
}

async function put(input: StageSnapshotInput, path: StorePath, bytes: Uint8Array): Promise<void> {
  const options = { later: true, ...(input.signal ? { signal: input.signal } : {}) }
  await step(input.steps, 'manifest.write', path, () => input.store.write(path, bytes, options))
  input.manifests.remember(path, bytes)
}

/** Names the drafts' places; the list's rows in the order given. */
function placeDrafts(listed: readonly Listed[], nameOf: (position: number) => string) {
  const puts: { readonly path: StorePath; readonly bytes: Uint8Array }[] = []
  const manifests = listed.map((one): ManifestFile => {
    if (one.kind === 'carried') return one.manifest
    const path = storePath(nameOf(puts.length))
    puts.push({ path, bytes: one.bytes })
    return { ...one.manifest, path }
  })
  return { manifests, puts, written: puts.map((one) => one.path) }
}

async function putAll(
  input: StageSnapshotInput,
  puts: readonly { readonly path: StorePath; readonly bytes: Uint8Array }[],
): Promise<void> {
  for (let at = 0; at < puts.length; at += putsAtOnce)
    await Promise.all(puts.slice(at, at + putsAtOnce).map(({ path, bytes }) => put(input, path, bytes)))
}
