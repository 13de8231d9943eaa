import { invariant } from '../../base/index.ts'
import { compareValues, fieldById } from '../../schema/index.ts'
import type { ManifestReader } from '../scan/manifests.ts'
import { specById } from '../spec/lookup.ts'
import { withoutStatistics } from '../spec/manifest.ts'
import { decodeSingleValue } from '../spec/single-value.ts'
import { transformResultType } from '../spec/transforms.ts'
import type { DataFile, FieldSummary, ManifestEntry, ManifestFile } from '../spec/types.ts'
import {
  type AddedFile,
  draftsOf,
  fileKey,
  type Listed,
  type ManifestSetting,
  schemaFor,
} from './snapshot-manifests.ts'

/** The parent's manifests without what the snapshot removes. */
export interface Filtered {
  readonly listed: readonly Listed[]
  /** What was removed: what was asked for, and the deletes that apply to nothing any more. Without statistics. */
  readonly removed: readonly DataFile[]
}

interface FilterInput {
  readonly setting: ManifestSetting
  readonly manifests: ManifestReader
  readonly before: readonly ManifestFile[]
  readonly added: readonly AddedFile[]
  readonly removed: readonly DataFile[]
  /** Whether what is removed keeps the statistics of its columns, by which readers of changes pass over files. */
  readonly statistics: boolean
  readonly signal?: AbortSignal
}

/**
 * Lists the parent's manifests again. Only those that can hold a removed file, by content, spec, counts and partition
 * summaries, are opened; the ones that do hold one are written anew, their earlier deleted entries dropped. Without a
 * removed file nothing is opened. Deletes go with the data file that they alone are about (specification, "Deletion
 * Vectors"), and, where files are removed, so do deletes older than every row. Throws when a file to remove is not live.
 */
export async function filterManifests(input: FilterInput): Promise<Filtered> {
  const { before, removed } = input
  const kept = before.filter((manifest) => manifest.addedFilesCount + manifest.existingFilesCount > 0)
  if (removed.length === 0) return { listed: kept.map((manifest) => ({ kind: 'carried', manifest })), removed: [] }
  const data = kept.filter((manifest) => manifest.content === 'data')
  const deletes = kept.filter((manifest) => manifest.content === 'deletes')
  const goneData = removed.filter((file) => file.content === 0)
  const goneDeletes = removed.filter((file) => file.content !== 0)
  const ofData = await filterContent(input, data, goneData, () => false)
  const dataPaths = new Set<string>(goneData.map((file) => file.path))
  const oldest = oldestRow(input, ofData.listed)
  const ofDeletes = await filterContent(
    input,
    deletes,
    goneDeletes,
    (entry) =>
      (entry.file.referencedDataFile !== undefined && dataPaths.has(entry.file.referencedDataFile)) ||
      entry.dataSequenceNumber < oldest,
    (manifest) =>
      (manifest.minSequenceNumber > 0n && manifest.minSequenceNumber < oldest) ||
      mightHoldOne(input.setting, manifest, goneData),
  )
  return { listed: [...ofData.listed, ...ofDeletes.listed], removed: [...ofData.removed, ...ofDeletes.removed] }
}

/** The lowest data sequence number that a row of these manifests, or of the snapshot, can have. */
function oldestRow(input: FilterInput, listed: readonly Listed[]): bigint {
  let oldest = input.setting.sequenceNumber
  for (const file of input.added)
    if (file.content === 0 && (file.dataSequenceNumber ?? oldest) < oldest) oldest = file.dataSequenceNumber ?? oldest
  for (const one of listed) {
    const { minSequenceNumber } = one.manifest
    if (minSequenceNumber < oldest) oldest = minSequenceNumber
  }
  return oldest
}

async function filterContent(
  input: FilterInput,
  manifests: readonly ManifestFile[],
  gone: readonly DataFile[],
  alsoGone: (entry: ManifestEntry) => boolean,
  alsoOpen: (manifest: ManifestFile) => boolean = () => false,
): Promise<Filtered> {
  const keys = new Set(gone.map(fileKey))
  const missing = new Set(keys)
  const removed: DataFile[] = []
  const results = new Map<ManifestFile, readonly Listed[]>()
  const open = async (manifest: ManifestFile): Promise<void> => {
    const entries = await input.manifests.scan(manifest, input.signal)
    const isHit = (entry: ManifestEntry) => keys.has(fileKey(entry.file)) || alsoGone(entry)
    let live = 0
    let hits = 0
    for (const entry of entries({ statistics: false })) {
      if (entry.status === 2) continue
      live++
      if (!isHit(entry)) continue
      hits++
      missing.delete(fileKey(entry.file))
      removed.push(withoutStatistics(entry.file))
    }
    if (hits === 0) {
      results.set(manifest, live > 0 ? [{ kind: 'carried', manifest }] : [])
      return
    }
    const { setting } = input
    const { snapshotId } = setting
    const fileOf = input.statistics ? (file: DataFile) => file : withoutStatistics
    const anew = function* (): Generator<ManifestEntry, void> {
      for (const entry of entries({ statistics: input.statistics || hits < live }))
        if (entry.status !== 2) {
          yield isHit(entry) ? { ...entry, status: 2, snapshotId, file: fileOf(entry.file) } : { ...entry, status: 0 }
        }
    }
    results.set(manifest, draftsOf(setting, manifest.content, manifest.specId, anew))
  }
  for (const manifest of manifests)
    if (alsoOpen(manifest) || mightHoldOne(input.setting, manifest, gone)) await open(manifest)
  // Summaries another writer got wrong must not make a live file unremovable.
  for (const manifest of manifests) if (missing.size > 0 && !results.has(manifest)) await open(manifest)
  invariant(missing.size === 0, `removed file ${[...missing][0]} is live in the parent snapshot`)
  const listed = manifests.flatMap((manifest) => results.get(manifest) ?? [{ kind: 'carried' as const, manifest }])
  return { listed, removed }
}

/** Whether the partition summaries of a manifest allow one of the files; true where they do not say. */
function mightHoldOne(setting: ManifestSetting, manifest: ManifestFile, files: readonly DataFile[]): boolean {
  const candidates = files.filter((file) => file.specId === manifest.specId)
  if (candidates.length === 0) return false
  const spec = specById(setting.base, manifest.specId)
  const schema = schemaFor(setting.base, spec, setting.schema)
  const ranges = spec.fields.map((field, i) => {
    const source = fieldById(schema, field.sourceId)
    const summary = manifest.partitions[i]
    if (!source || !summary || field.transform.kind === 'unknown') return null
    return rangeOf(transformResultType(field.transform, source.type), summary)
  })
  return candidates.some((file) => ranges.every((mightHold, i) => mightHold?.(file.partition[i] ?? null) ?? true))
}

function rangeOf(
  type: ReturnType<typeof transformResultType>,
  summary: FieldSummary,
): (value: DataFile['partition'][number]) => boolean {
  const low = summary.lowerBound === null ? null : decodeSingleValue(type, summary.lowerBound)
  const high = summary.upperBound === null ? null : decodeSingleValue(type, summary.upperBound)
  return (value) => {
    if (value === null) return summary.containsNull
    if (typeof value === 'number' && Number.isNaN(value)) return summary.containsNan !== false
    // Without bounds there is no value but null and NaN.
    if (low === null || high === null) return false
    return compareValues(type, low, value) <= 0 && compareValues(type, value, high) <= 0
  }
}
