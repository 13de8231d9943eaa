import type { Value } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { ManifestEntry, TableMetadata } from '../spec/types.ts'
import { type DanglingDelete, danglingDeletes } from './dangling.ts'
import { deleteKindOf, deleteScope, partitionIdentity } from './delete-scope.ts'
import { bytesOf, type Inventory } from './inventory.ts'

export interface RewriteDeletesOptions {
  /** Default: `write.delete.target-file-size-bytes`, else 64 MiB. */
  readonly targetFileBytes?: number
  /** Position-delete files of a partition, or Puffin files, below this count are left alone. Default 5. */
  readonly minInputFiles?: number
  /** A Puffin file whose live vectors are less than this share of it is rewritten. 0…1; default 0.5. */
  readonly liveShareMin?: number
  /** Rewrites all. Default false. */
  readonly all?: boolean
}

/** Delete files that are written anew, and the data files they are about. */
export type DeleteGroup =
  /** Small files of position deletes of one partition become few (version 2). */
  | {
      readonly kind: 'positions'
      readonly specId: number
      readonly partition: readonly (Value | null)[]
      readonly deletes: readonly ManifestEntry[]
      readonly data: readonly ManifestEntry[]
    }
  /** Position deletes become deletion vectors, one per data file (a table upgraded to version 3). */
  | {
      readonly kind: 'to-vectors'
      readonly deletes: readonly ManifestEntry[]
      readonly data: readonly ManifestEntry[]
    }
  /** Vectors of many or mostly dead Puffin files move into few. */
  | {
      readonly kind: 'vectors'
      readonly files: readonly StorePath[]
      readonly deletes: readonly ManifestEntry[]
      readonly data: readonly ManifestEntry[]
    }

export interface RewriteDeletesPlan {
  readonly groups: readonly DeleteGroup[]
  /** Delete files that reach no row: dropped along the way. */
  readonly dangling: readonly DanglingDelete[]
  /** Live delete files left as they are. */
  readonly leftAlone: number
}

/**
 * Plans how the position deletes and vectors of a snapshot are rewritten; equality deletes are never rewritten, only
 * dropped once nothing is old enough for them. Rows stay as they are.
 */
export function planDeleteRewrite(
  metadata: TableMetadata,
  inventory: Inventory,
  options: RewriteDeletesOptions = {},
): RewriteDeletesPlan {
  const dangling = danglingDeletes(metadata, inventory)
  const dead = new Set(dangling.map((one) => one.entry))
  const live = inventory.deletes.filter((entry) => !dead.has(entry))
  const positions = live.filter((entry) => deleteKindOf(entry.file) === 'position')
  const vectors = live.filter((entry) => deleteKindOf(entry.file) === 'vector')
  const groups: DeleteGroup[] = []
  if (metadata.formatVersion >= 3) {
    if (positions.length > 0) groups.push(toVectors(metadata, inventory, positions))
    const compacted = vectorGroup(metadata, inventory, vectors, options)
    if (compacted) groups.push(compacted)
  } else {
    groups.push(...positionGroups(metadata, inventory, positions, options))
  }
  const rewritten = groups.reduce((sum, group) => sum + group.deletes.length, 0)
  return { groups, dangling, leftAlone: live.length - rewritten }
}

/** Data files that any of some delete files apply to, each once. */
function reachedBy(
  metadata: TableMetadata,
  inventory: Inventory,
  deletes: readonly ManifestEntry[],
): readonly ManifestEntry[] {
  const own = new Set(deletes)
  const scope = deleteScope(metadata, inventory)
  return inventory.data.filter((data) => scope.of(data).some((entry) => own.has(entry)))
}

/**
 * A file of position deletes may be about several data files: all deletes that reach one of them turn into vectors at
 * once, since a vector makes readers ignore every position delete of its file.
 */
function toVectors(metadata: TableMetadata, inventory: Inventory, positions: readonly ManifestEntry[]): DeleteGroup {
  return { kind: 'to-vectors', deletes: positions, data: reachedBy(metadata, inventory, positions) }
}

function targetOf(metadata: TableMetadata, options: RewriteDeletesOptions): number {
  const stated = Number(metadata.properties['write.delete.target-file-size-bytes'])
  return options.targetFileBytes ?? (Number.isFinite(stated) && stated > 0 ? stated : 64 * 1_048_576)
}

function positionGroups(
  metadata: TableMetadata,
  inventory: Inventory,
  positions: readonly ManifestEntry[],
  options: RewriteDeletesOptions,
): readonly DeleteGroup[] {
  const target = targetOf(metadata, options)
  const all = options.all === true
  const out: DeleteGroup[] = []
  for (const entries of Map.groupBy(positions, (entry) => partitionIdentity(entry.file)).values()) {
    const small = all ? entries : entries.filter((entry) => Number(entry.file.fileSizeInBytes) < target * 0.75)
    const bytes = bytesOf(small.map((entry) => entry.file))
    const enough = small.length > 1 && (small.length >= (options.minInputFiles ?? 5) || bytes > target)
    const first = small[0]?.file
    if (!first || !(enough || all)) continue
    out.push({
      kind: 'positions',
      specId: first.specId,
      partition: first.partition,
      deletes: small,
      data: reachedBy(metadata, inventory, small),
    })
  }
  return out
}

function vectorGroup(
  metadata: TableMetadata,
  inventory: Inventory,
  vectors: readonly ManifestEntry[],
  options: RewriteDeletesOptions,
): DeleteGroup | null {
  const target = targetOf(metadata, options)
  const liveShareMin = options.liveShareMin ?? 0.5
  const small: StorePath[] = []
  const hollow: StorePath[] = []
  const byFile = Map.groupBy(vectors, (entry) => entry.file.path)
  for (const [path, entries] of byFile) {
    const size = Number(entries[0]?.file.fileSizeInBytes ?? 0)
    const share = size === 0 ? 1 : bytesOf(entries.map((entry) => entry.file)) / size
    // The footer alone outweighs the few blobs of a small file: only one that has room for others' blobs is hollow.
    if (share < liveShareMin && size > 4096) hollow.push(path)
    else if (size < target * 0.75) small.push(path)
  }
  const files = options.all
    ? [...byFile.keys()]
    : [...hollow, ...(small.length >= (options.minInputFiles ?? 5) ? small : [])]
  const chosen = new Set<string>(files)
  const deletes = vectors.filter((entry) => chosen.has(entry.file.path))
  if (deletes.length === 0) return null
  return { kind: 'vectors', files, deletes, data: reachedBy(metadata, inventory, deletes) }
}
