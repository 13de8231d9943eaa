import { invariant, type Randomness, randomUuid, type Steps, step } from '../../base/index.ts'
import { type ObjectStore, type StorePath, storePath } from '../../storage/index.ts'
import {
  type Draft,
  draftsOf,
  entriesOfDraft,
  type Listed,
  type ManifestSetting,
} from '../commit/snapshot-manifests.ts'
import { manifestTargetSize } from '../commit/snapshot-merge.ts'
import { assignRowIds } from '../commit/snapshot-row-ids.ts'
import { summaryOf, totalsBefore } from '../commit/snapshot-summary.ts'
import type { StagedSnapshot } from '../commit/stage-snapshot.ts'
import type { ManifestReader } from '../scan/manifests.ts'
import { metadataFolder } from '../spec/locations.ts'
import { schemaById, snapshotById } from '../spec/lookup.ts'
import { encodeManifestList } from '../spec/manifest-list.ts'
import type { ManifestEntry, ManifestFile, Snapshot, TableMetadata } from '../spec/types.ts'
import { clusterEntries, type RewriteManifestsPlan } from './rewrite-manifests.ts'

export interface StageManifestsInput {
  readonly store: ObjectStore
  readonly manifests: ManifestReader
  readonly steps: Steps
  readonly randomness: Randomness
  readonly base: TableMetadata
  /** The snapshot the plan is of; the branch must stand there. */
  readonly parentSnapshotId: bigint
  readonly ref: string
  readonly plan: RewriteManifestsPlan
  readonly clusterBy?: readonly string[]
  readonly targetBytes?: number
  readonly snapshotId: bigint
  readonly timestampMs: number
  readonly summary?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/**
 * Writes planned manifests anew and a snapshot (`replace`) that lists them beside those kept. Every live entry is listed
 * as existing, with the snapshot, sequence numbers and row ids it had; deleted entries are dropped.
 */
export async function stageManifests(
  input: StageManifestsInput,
): Promise<StagedSnapshot & { readonly manifestsWritten: number }> {
  const { base, plan, snapshotId, randomness } = input
  const parent = snapshotById(base, input.parentSnapshotId)
  invariant(parent, 'the parent snapshot is in the metadata')
  const setting: ManifestSetting = {
    base,
    schema: schemaById(base, base.currentSchemaId),
    snapshotId,
    sequenceNumber: base.lastSequenceNumber + 1n,
    formatVersion: base.formatVersion >= 3 ? 3 : 2,
    targetSizeBytes: input.targetBytes ?? manifestTargetSize(base.properties),
  }
  const drafts: Draft[] = []
  for (const group of plan.groups) {
    const entries: ManifestEntry[] = []
    for (const manifest of group.manifests)
      for (const entry of await input.manifests.entriesOf(manifest, input.signal))
        if (entry.status !== 2) entries.push({ ...entry, status: 0 })
    for (const part of clusterEntries(base, group, entries, input.clusterBy))
      drafts.push(...draftsOf(setting, group.content, group.specId, () => part))
  }
  const uuid = randomUuid(randomness)
  const folder = metadataFolder(base)
  const written: StorePath[] = []
  const listed: Listed[] = [...drafts, ...plan.kept.map((manifest) => ({ kind: 'carried' as const, manifest }))]
  const rows: ManifestFile[] = []
  for (const one of listed) {
    if (one.kind === 'carried') {
      rows.push(one.manifest)
      continue
    }
    const path = storePath(`${folder}/${snapshotId}-m${written.length}-${uuid}.avro`)
    await put(input, path, one.bytes)
    written.push(path)
    rows.push({ ...one.manifest, path })
  }
  const signal = input.signal ? { signal: input.signal } : {}
  const { manifests, rowIds } = await assignRowIds({
    ...signal,
    reader: input.manifests,
    base,
    setting,
    manifests: rows,
    listed,
  })
  const manifestList = storePath(`${folder}/snap-${snapshotId}-1-${uuid}.avro`)
  const list = encodeManifestList({
    snapshotId,
    parentSnapshotId: input.parentSnapshotId,
    sequenceNumber: setting.sequenceNumber,
    manifests,
    formatVersion: setting.formatVersion,
    ...(rowIds ? { firstRowId: rowIds.firstRowId } : {}),
  })
  await put(input, manifestList, list)
  const before = await input.manifests.manifestsOf(parent, input.signal)
  const snapshot: Snapshot = {
    snapshotId,
    parentSnapshotId: input.parentSnapshotId,
    sequenceNumber: setting.sequenceNumber,
    timestampMs: Math.max(input.timestampMs, base.lastUpdatedMs),
    manifestList,
    operation: 'replace',
    summary: summaryOf({
      base,
      schemaId: setting.schema.schemaId,
      added: [],
      removed: [],
      own: {
        ...input.summary,
        'entries-processed': String(drafts.reduce((sum, { manifest }) => sum + entriesOfDraft(manifest), 0)),
      },
      before: await totalsBefore({ ...signal, manifests: input.manifests, parent, listed: before, removed: [] }),
      manifests: {
        created: drafts.length,
        kept: plan.kept.length,
        replaced: before.length - plan.kept.length,
      },
    }),
    schemaId: setting.schema.schemaId,
    ...rowIds,
  }
  const ref = base.refs[input.ref]
  return {
    snapshot,
    removed: [],
    written: [...written, manifestList],
    manifestsWritten: drafts.length,
    requirements: [
      { type: 'assert-table-uuid', uuid: base.tableUuid },
      { type: 'assert-ref-snapshot-id', ref: input.ref, snapshotId: input.parentSnapshotId },
    ],
    updates: [
      ...(base.formatVersion === 1 ? [{ action: 'upgrade-format-version', formatVersion: 2 } as const] : []),
      { action: 'add-snapshot', snapshot },
      { action: 'set-snapshot-ref', ref: input.ref, to: { ...ref, type: 'branch', snapshotId } },
    ],
  }
}

function put(input: StageManifestsInput, path: StorePath, bytes: Uint8Array): Promise<unknown> {
  const options = { later: true, ...(input.signal ? { signal: input.signal } : {}) }
  return step(input.steps, 'manifest.write', path, () => input.store.write(path, bytes, options))
}
