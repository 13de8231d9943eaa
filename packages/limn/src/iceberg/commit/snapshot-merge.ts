import { storePath } from '../../storage/index.ts'
import type { ManifestReader } from '../scan/manifests.ts'
import { scanManifest } from '../spec/manifest.ts'
import type { ManifestEntry } from '../spec/types.ts'
import { draftsOf, type Listed, type ManifestSetting } from './snapshot-manifests.ts'

/** How a table keeps its manifests few (table properties `commit.manifest.*`). */
export interface MergeOptions {
  readonly enabled: boolean
  readonly minCountToMerge: number
}

/** Defaults of the properties, as other Iceberg writers have them. */
const defaults = { targetSizeBytes: 8 * 1024 * 1024, minCountToMerge: 100 }

export function manifestTargetSize(properties: Readonly<Record<string, string>>): number {
  return positive(properties['commit.manifest.target-size-bytes']) ?? defaults.targetSizeBytes
}

export function mergeOptions(properties: Readonly<Record<string, string>>): MergeOptions {
  return {
    enabled: properties['commit.manifest-merge.enabled']?.toLowerCase() !== 'false',
    minCountToMerge: positive(properties['commit.manifest.min-count-to-merge']) ?? defaults.minCountToMerge,
  }
}

function positive(text: string | undefined): number | undefined {
  const value = text === undefined ? Number.NaN : Number(text)
  return Number.isFinite(value) && value >= 1 ? Math.floor(value) : undefined
}

/**
 * Joins manifests of one content and spec into ones of about the target size. Full bins are always joined; the bin with
 * the newest manifest waits until it holds `minCountToMerge`, so that small appends rewrite old entries rarely.
 */
export async function mergeManifests(input: {
  readonly setting: ManifestSetting
  readonly manifests: ManifestReader
  readonly listed: readonly Listed[]
  readonly options: MergeOptions
  readonly signal?: AbortSignal
}): Promise<readonly Listed[]> {
  const { setting, options } = input
  if (!options.enabled) return input.listed
  const out: Listed[] = []
  const groups = Map.groupBy(input.listed, (one) => `${one.manifest.content} ${one.manifest.specId}`)
  for (const group of groups.values()) {
    const [newest] = group
    for (const bin of binsOf(group, setting.targetSizeBytes)) {
      const [only] = bin
      const waits = newest !== undefined && bin.includes(newest) && bin.length < options.minCountToMerge
      if (!only || bin.length === 1 || waits) {
        out.push(...bin)
        continue
      }
      const parts: (() => Iterable<ManifestEntry>)[] = []
      for (const one of bin) parts.push(await entriesOf(input, one))
      const { content, specId } = only.manifest
      out.push(
        ...draftsOf(setting, content, specId, function* () {
          for (const part of parts) yield* part()
        }),
      )
    }
  }
  return out
}

/** Entries as the snapshot lists them: its own as they are, others' existing; what others deleted is dropped. */
async function entriesOf(
  input: { readonly manifests: ManifestReader; readonly signal?: AbortSignal },
  one: Listed,
): Promise<() => Iterable<ManifestEntry>> {
  if (one.kind === 'draft') {
    const { bytes, manifest } = one
    return () => scanManifest(bytes, { ...manifest, path: storePath('not written yet') }).entries
  }
  const entries = await input.manifests.scan(one.manifest, input.signal)
  return function* () {
    for (const entry of entries()) if (entry.status !== 2) yield { ...entry, status: 0 }
  }
}

/** Neighbours in bins up to the target size, filled from the oldest, so that the newest bin is the one not full. */
function binsOf(group: readonly Listed[], targetSizeBytes: number): readonly (readonly Listed[])[] {
  const bins: Listed[][] = []
  let bin: Listed[] = []
  let size = 0
  for (const one of group.toReversed()) {
    const length = Number(one.manifest.length)
    if (bin.length > 0 && size + length > targetSizeBytes) {
      bins.push(bin.reverse())
      bin = []
      size = 0
    }
    bin.push(one)
    size += length
  }
  if (bin.length > 0) bins.push(bin.reverse())
  return bins.reverse()
}
