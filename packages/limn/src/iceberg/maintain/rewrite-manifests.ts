import { LimnError } from '../../base/index.ts'
import { compareUtf8, compareValues, fieldById, type PrimitiveType, type Value } from '../../schema/index.ts'
import { specById } from '../spec/lookup.ts'
import { decodeSingleValue } from '../spec/single-value.ts'
import { transformResultType } from '../spec/transforms.ts'
import type { ManifestEntry, ManifestFile, PartitionSpec, TableMetadata } from '../spec/types.ts'

export interface RewriteManifestsOptions {
  /** Default: `commit.manifest.target-size-bytes`, else 8 MiB. */
  readonly targetBytes?: number
  /** Only manifests of this spec. Default: each spec apart. */
  readonly specId?: number
  /** Partition fields, by name, that entries are put in order of. Default: all of the spec, in its order. */
  readonly clusterBy?: readonly string[]
  /** Which manifests to look at. Default: all. */
  readonly keep?: (manifest: ManifestFile) => boolean
  /** Rewrites what `keep` lets in even where it would not get better. Default false. */
  readonly all?: boolean
}

/** Manifests of one spec and content whose live entries are written anew. */
export interface ManifestGroup {
  readonly specId: number
  readonly content: 'data' | 'deletes'
  readonly manifests: readonly ManifestFile[]
  readonly entries: number
  readonly bytes: number
  readonly outputManifests: number
  readonly reasons: readonly ManifestReason[]
}
export type ManifestReason = 'small' | 'large' | 'scattered' | 'dead-entries' | 'asked'

export interface RewriteManifestsPlan {
  readonly groups: readonly ManifestGroup[]
  readonly kept: readonly ManifestFile[]
}

const targetDefault = 8 * 1_048_576

/** Manifests are put in order when more than this share of a spec's overlap an earlier one in their leading field. */
const overlapShareMax = 0.5

/**
 * Plans which manifests of a snapshot are rewritten: those much smaller or larger than the target where that makes fewer
 * or smaller ones, those with deleted entries, and those whose ranges of the leading partition field overlap so much that
 * pruning by manifest finds little. Rows and files stay as they are.
 */
export function planManifestRewrite(
  metadata: TableMetadata,
  manifests: readonly ManifestFile[],
  options: RewriteManifestsOptions = {},
): RewriteManifestsPlan {
  const stated = Number(metadata.properties['commit.manifest.target-size-bytes'])
  const target = options.targetBytes ?? (Number.isFinite(stated) && stated > 0 ? stated : targetDefault)
  const looked = manifests.filter(
    (one) => (options.specId === undefined || one.specId === options.specId) && (options.keep?.(one) ?? true),
  )
  const groups: ManifestGroup[] = []
  for (const list of Map.groupBy(looked, (one) => `${one.specId} ${one.content}`).values()) {
    const first = list[0]
    if (!first) continue
    const group = groupOf(metadata, first.specId, first.content, list, target, options.all === true)
    if (group) groups.push(group)
  }
  const rewritten = new Set(groups.flatMap((group) => group.manifests.map((one) => one.path)))
  return { groups, kept: manifests.filter((one) => !rewritten.has(one.path)) }
}

function groupOf(
  metadata: TableMetadata,
  specId: number,
  content: ManifestFile['content'],
  list: readonly ManifestFile[],
  target: number,
  all: boolean,
): ManifestGroup | null {
  const scattered = isScattered(metadata, specId, list, target)
  const wrong = (one: ManifestFile): ManifestReason | null => {
    if (all) return 'asked'
    if (scattered) return 'scattered'
    if (one.deletedFilesCount > 0 && one.addedFilesCount + one.existingFilesCount === 0) return 'dead-entries'
    if (Number(one.length) < target * 0.5) return 'small'
    if (Number(one.length) > target * 2 && liveCount(one) > 1) return 'large'
    return null
  }
  const chosen = list.flatMap((manifest) => {
    const reason = wrong(manifest)
    return reason === null ? [] : [{ manifest, reason }]
  })
  const bytes = chosen.reduce((sum, { manifest }) => sum + Number(manifest.length), 0)
  const entries = chosen.reduce((sum, { manifest }) => sum + liveCount(manifest), 0)
  const outputManifests = entries === 0 ? 0 : Math.min(entries, Math.max(1, Math.ceil(bytes / target)))
  const reasons = [...new Set(chosen.map((one) => one.reason))]
  const better =
    outputManifests < chosen.length || reasons.some((reason) => reason === 'large' || reason === 'scattered' || all)
  if (chosen.length === 0 || !better) return null
  return { specId, content, manifests: chosen.map((one) => one.manifest), entries, bytes, outputManifests, reasons }
}

function liveCount(manifest: ManifestFile): number {
  return manifest.addedFilesCount + manifest.existingFilesCount
}

/**
 * Whether manifests overlap in the leading partition field: sorted by their least value, a manifest overlaps when it
 * begins before all earlier ones have ended. Matters only where there is more than one manifest's worth of entries.
 */
function isScattered(metadata: TableMetadata, specId: number, list: readonly ManifestFile[], target: number): boolean {
  const bytes = list.reduce((sum, one) => sum + Number(one.length), 0)
  if (list.length < 4 || bytes <= 2 * target) return false
  if (specById(metadata, specId).fields.length === 0) return false
  const ranges = list.flatMap(({ partitions }) => {
    const [first] = partitions
    return first?.lowerBound && first.upperBound ? [{ low: first.lowerBound, high: first.upperBound }] : []
  })
  const order = comparatorOf(metadata, specId)
  if (!order || ranges.length < 4) return false
  const sorted = ranges.toSorted((a, b) => order(a.low, b.low))
  let end = sorted[0]?.high
  let overlapping = 0
  for (const range of sorted.slice(1)) {
    if (end && order(range.low, end) < 0) overlapping++
    if (!end || order(range.high, end) > 0) end = range.high
  }
  return overlapping / (sorted.length - 1) > overlapShareMax
}

/** The types of a spec's partition values, by any schema that has their sources; null where none has. */
function resultTypes(metadata: TableMetadata, spec: PartitionSpec): readonly (PrimitiveType | null)[] {
  return spec.fields.map((field) => {
    for (const schema of metadata.schemas.toReversed()) {
      const source = fieldById(schema, field.sourceId)
      if (source) return transformResultType(field.transform, source.type)
    }
    return null
  })
}

function comparatorOf(metadata: TableMetadata, specId: number): ((a: Uint8Array, b: Uint8Array) => number) | null {
  const type = resultTypes(metadata, specById(metadata, specId))[0]
  if (!type) return null
  return (a, b) => compareValues(type, decodeSingleValue(type, a), decodeSingleValue(type, b))
}

/**
 * Live entries of a group, put in order of their partitions (then paths) and cut into as many manifests as planned, so
 * that each manifest covers a narrow range. Throws `usage/argument` for a field the spec does not have.
 */
export function clusterEntries(
  metadata: TableMetadata,
  group: Pick<ManifestGroup, 'specId' | 'outputManifests'>,
  entries: readonly ManifestEntry[],
  clusterBy?: readonly string[],
): readonly (readonly ManifestEntry[])[] {
  const spec = specById(metadata, group.specId)
  const types = resultTypes(metadata, spec)
  const names = clusterBy ?? spec.fields.map((field) => field.name)
  const positions = names.map((name) => {
    const position = spec.fields.findIndex((field) => field.name === name)
    if (position >= 0) return position
    throw new LimnError('usage/argument', {
      message: `Partition spec ${spec.specId} has no field ${name}.`,
      notDone: 'No manifest was rewritten.',
      remedy: `Its fields are ${spec.fields.map((field) => field.name).join(', ') || 'none'}.`,
    })
  })
  const compare = (a: ManifestEntry, b: ManifestEntry) => {
    for (const position of positions) {
      const by = compareNullable(types[position] ?? null, a.file.partition[position], b.file.partition[position])
      if (by !== 0) return by
    }
    return compareUtf8(a.file.path, b.file.path)
  }
  const sorted = entries.filter((entry) => entry.status !== 2).toSorted(compare)
  const count = Math.max(1, Math.min(group.outputManifests, sorted.length))
  const size = Math.ceil(sorted.length / count)
  if (sorted.length === 0) return []
  return Array.from({ length: Math.ceil(sorted.length / size) }, (_none, i) => sorted.slice(i * size, (i + 1) * size))
}

function compareNullable(type: PrimitiveType | null, a: Value | null | undefined, b: Value | null | undefined): number {
  const [left, right] = [a ?? null, b ?? null]
  if (left === null || right === null) return Number(left !== null) - Number(right !== null)
  return type === null ? compareUtf8(String(left), String(right)) : compareValues(type, left, right)
}
