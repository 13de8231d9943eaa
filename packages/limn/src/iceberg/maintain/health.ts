import { locateAll, type Value } from '../../schema/index.ts'
import { schemaById, snapshotById } from '../spec/lookup.ts'
import type { TableMetadata } from '../spec/types.ts'
import { distinctCounts, statisticsFor } from '../stats/table-statistics.ts'
import { danglingDeletes } from './dangling.ts'
import { deleteKindOf, deleteScope, knownDeletedRows, partitionIdentity } from './delete-scope.ts'
import { type ExpireOptions, planExpiry } from './expire.ts'
import { bytesOf, type Inventory } from './inventory.ts'
import { planDeleteRewrite } from './rewrite-deletes.ts'
import { planRewrite, type RewriteFilesOptions, rewriteSizes } from './rewrite-files.ts'
import { planManifestRewrite } from './rewrite-manifests.ts'

/** What maintenance a finding asks for. */
export type Remedy = 'compact' | 'rewrite-deletes' | 'rewrite-manifests' | 'expire' | 'repartition' | 'trim-metadata'

export interface Finding {
  /** `warn`: reads or commits suffer. `note`: worth doing. */
  readonly severity: 'warn' | 'note'
  readonly remedy: Remedy
  /** What was measured, against which threshold. */
  readonly message: string
}

export interface TableHealth {
  readonly snapshotId: bigint | null
  readonly files: {
    readonly count: number
    readonly bytes: number
    readonly rows: number
    readonly medianBytes: number
    /** Files below 75 % of the target size, and their share, 0…1. */
    readonly small: number
    readonly smallShare: number
    readonly targetBytes: number
    /** Files of other specs than the table's own. */
    readonly otherSpecs: number
  }
  readonly deletes: {
    readonly vectors: number
    readonly positionFiles: number
    readonly equalityFiles: number
    readonly bytes: number
    /** Rows known to be deleted, and their share of all rows; errs low (see `knownDeletedRows`). */
    readonly knownRows: number
    readonly knownRatio: number
    readonly dangling: number
    /** Most delete files that apply to one data file. */
    readonly perFileMax: number
  }
  readonly partitions: {
    readonly count: number
    /** The largest partition's bytes over the mean; 1 when all are alike. */
    readonly skew: number
    readonly largest: {
      readonly specId: number
      readonly values: readonly (Value | null)[]
      readonly bytes: number
    } | null
  }
  readonly manifests: { readonly count: number; readonly bytes: number; readonly filesPerManifest: number }
  readonly snapshots: {
    readonly count: number
    readonly refs: number
    readonly oldestMs: number | null
    readonly latestMs: number | null
    readonly expirable: number
  }
  readonly metadata: { readonly bytes: number | null; readonly schemas: number; readonly specs: number }
  /** Distinct values as they were last counted at the snapshot or an ancestor of it, of columns still there; null: never. */
  readonly statistics: {
    readonly snapshotId: bigint
    /** Of the snapshot itself. */
    readonly isCurrent: boolean
    readonly distinct: readonly { readonly column: string; readonly count: bigint }[]
  } | null
  readonly findings: readonly Finding[]
}

export interface HealthThresholds {
  /** Share of small files. Default 0.3, of at least `smallFilesMin` (default 5) small files. */
  readonly smallShareMax: number
  readonly smallFilesMin: number
  /** Share of rows known deleted. Default 0.05. */
  readonly deleteRatioMax: number
  /** Delete files on one data file. Default 10. */
  readonly deletesPerFileMax: number
  /** Default 100. */
  readonly manifestsMax: number
  /** Snapshots that retention would let go. Default 10. */
  readonly expirableMax: number
  /** Largest partition over the mean, of at least four. Default 10. */
  readonly skewMax: number
  /** The metadata file. Default 8 MiB. */
  readonly metadataBytesMax: number
}

export const healthThresholds: HealthThresholds = {
  smallShareMax: 0.3,
  smallFilesMin: 5,
  deleteRatioMax: 0.05,
  deletesPerFileMax: 10,
  manifestsMax: 100,
  expirableMax: 10,
  skewMax: 10,
  metadataBytesMax: 8 * 1_048_576,
}

export interface HealthInput {
  readonly metadata: TableMetadata
  readonly inventory: Inventory
  /** Size of the metadata file; null when unknown. */
  readonly metadataBytes: number | null
  readonly expire: ExpireOptions
  readonly rewrite?: RewriteFilesOptions
  readonly thresholds?: Partial<HealthThresholds>
}

/** Measures a table and says what to run and why. Pure: what is found is what the plans of maintenance would act on. */
export function tableHealth(input: HealthInput): TableHealth {
  const { metadata, inventory } = input
  const facts = measure(input)
  return {
    ...facts,
    statistics: statisticsOf(metadata, inventory.snapshotId),
    findings: findingsOf(input, facts, { ...healthThresholds, ...input.thresholds }),
    snapshotId: inventory.snapshotId,
    metadata: {
      bytes: input.metadataBytes,
      schemas: metadata.schemas.length,
      specs: metadata.partitionSpecs.length,
    },
  }
}

function statisticsOf(metadata: TableMetadata, snapshotId: bigint | null): TableHealth['statistics'] {
  const file = snapshotId === null ? null : statisticsFor(metadata, snapshotId)
  if (!file) return null
  const counts = distinctCounts(file.blobMetadata)
  if (counts.size === 0) return null
  return {
    snapshotId: file.snapshotId,
    isCurrent: file.snapshotId === snapshotId,
    distinct: locateAll(schemaById(metadata, metadata.currentSchemaId).fields).flatMap(({ field, path }) => {
      const count = counts.get(field.id)
      return count === undefined ? [] : [{ column: path.join('.'), count }]
    }),
  }
}

type Measured = Omit<TableHealth, 'findings' | 'snapshotId' | 'metadata' | 'statistics'>

function measure(input: HealthInput): Measured {
  const { metadata, inventory } = input
  const sizes = rewriteSizes(metadata.properties, input.rewrite ?? {})
  const files = inventory.data.map((entry) => entry.file)
  const each = files.map((file) => Number(file.fileSizeInBytes)).sort((a, b) => a - b)
  const rows = files.reduce((sum, file) => sum + Number(file.recordCount), 0)
  const scope = deleteScope(metadata, inventory)
  let knownRows = 0
  let perFileMax = 0
  for (const entry of inventory.data) {
    const deletes = scope.of(entry)
    knownRows += knownDeletedRows(entry, deletes)
    perFileMax = Math.max(perFileMax, deletes.length)
  }
  const kinds = inventory.deletes.map((entry) => deleteKindOf(entry.file))
  const small = each.filter((bytes) => bytes < sizes.min).length
  const times = metadata.snapshots.map((one) => one.timestampMs)
  const latest = inventory.snapshotId === null ? undefined : snapshotById(metadata, inventory.snapshotId)
  return {
    files: {
      count: files.length,
      bytes: bytesOf(files),
      rows,
      medianBytes: each[Math.floor(each.length / 2)] ?? 0,
      small,
      smallShare: files.length === 0 ? 0 : small / files.length,
      targetBytes: sizes.target,
      otherSpecs: files.filter((file) => file.specId !== metadata.defaultSpecId).length,
    },
    deletes: {
      vectors: kinds.filter((kind) => kind === 'vector').length,
      positionFiles: kinds.filter((kind) => kind === 'position').length,
      equalityFiles: kinds.filter((kind) => kind === 'equality').length,
      bytes: bytesOf(inventory.deletes.map((entry) => entry.file)),
      knownRows,
      knownRatio: rows === 0 ? 0 : knownRows / rows,
      dangling: danglingDeletes(metadata, inventory).length,
      perFileMax,
    },
    partitions: partitionsOf(inventory),
    manifests: {
      count: inventory.manifests.length,
      bytes: inventory.manifests.reduce((sum, one) => sum + Number(one.length), 0),
      filesPerManifest:
        inventory.manifests.length === 0
          ? 0
          : (inventory.data.length + inventory.deletes.length) / inventory.manifests.length,
    },
    snapshots: {
      count: metadata.snapshots.length,
      refs: Object.keys(metadata.refs).length,
      oldestMs: times.length === 0 ? null : times.reduce((a, b) => Math.min(a, b)),
      latestMs: latest?.timestampMs ?? null,
      expirable: planExpiry(metadata, input.expire).expired.length,
    },
  }
}

function partitionsOf(inventory: Inventory): TableHealth['partitions'] {
  const groups = [...Map.groupBy(inventory.data, (entry) => partitionIdentity(entry.file)).values()].map((entries) => ({
    file: entries[0]?.file,
    bytes: bytesOf(entries.map((entry) => entry.file)),
  }))
  const largest = groups.reduce<(typeof groups)[number] | null>((a, b) => (a && a.bytes >= b.bytes ? a : b), null)
  const mean = groups.reduce((sum, group) => sum + group.bytes, 0) / Math.max(1, groups.length)
  return {
    count: groups.length,
    skew: largest && mean > 0 ? largest.bytes / mean : 1,
    largest: largest?.file
      ? { specId: largest.file.specId, values: largest.file.partition, bytes: largest.bytes }
      : null,
  }
}

function findingsOf(input: HealthInput, facts: Measured, limits: HealthThresholds): readonly Finding[] {
  const { metadata, inventory } = input
  const out: Finding[] = []
  const add = (severity: Finding['severity'], remedy: Remedy, message: string) =>
    out.push({ severity, remedy, message })
  const percent = (share: number) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`
  const plan = planRewrite(metadata, inventory, input.rewrite)
  const joinable = plan.commits
    .flat()
    .reduce((sum, group) => sum + group.files.filter((one) => one.reasons.includes('small')).length, 0)
  const { files, deletes, partitions, manifests, snapshots } = facts
  if (joinable > 0 && files.small >= limits.smallFilesMin && files.smallShare > limits.smallShareMax)
    add(
      'warn',
      'compact',
      `${files.small} of ${files.count} files (${percent(files.smallShare)}) are small; at most ${percent(limits.smallShareMax)} should be. ${joinable} can be joined.`,
    )
  if (deletes.knownRatio > limits.deleteRatioMax)
    add(
      'warn',
      'compact',
      `${percent(deletes.knownRatio)} of the rows are deleted and read around; at most ${percent(limits.deleteRatioMax)} should be.`,
    )
  if (deletes.perFileMax > limits.deletesPerFileMax)
    add(
      'warn',
      'compact',
      `One data file has ${deletes.perFileMax} delete files to apply; at most ${limits.deletesPerFileMax} should be.`,
    )
  const rewrite = planDeleteRewrite(metadata, inventory)
  if (deletes.dangling > 0) add('note', 'rewrite-deletes', `${deletes.dangling} delete files reach no row any more.`)
  for (const group of rewrite.groups) {
    const what =
      group.kind === 'to-vectors'
        ? `${group.deletes.length} files of position deletes can become deletion vectors.`
        : group.kind === 'vectors'
          ? `Deletion vectors in ${group.files.length} Puffin files can be joined.`
          : `${group.deletes.length} small files of position deletes of one partition can be joined.`
    add('note', 'rewrite-deletes', what)
  }
  const manifestPlan = planManifestRewrite(metadata, inventory.manifests)
  if (manifests.count > limits.manifestsMax && manifestPlan.groups.length > 0)
    add(
      'warn',
      'rewrite-manifests',
      `The snapshot has ${manifests.count} manifests; at most ${limits.manifestsMax} should be.`,
    )
  else if (manifestPlan.groups.some((group) => group.reasons.includes('scattered')))
    add('note', 'rewrite-manifests', 'Manifests overlap in their partitions, so that planning reads most of them.')
  if (snapshots.expirable > limits.expirableMax)
    add(
      'note',
      'expire',
      `${snapshots.expirable} of ${snapshots.count} snapshots are past their retention; at most ${limits.expirableMax} should be.`,
    )
  if (partitions.count >= 4 && partitions.skew > limits.skewMax)
    add(
      'note',
      'repartition',
      `The largest partition is ${partitions.skew.toFixed(1)} times the mean; at most ${limits.skewMax} should be.`,
    )
  if (input.metadataBytes !== null && input.metadataBytes > limits.metadataBytesMax)
    add(
      'warn',
      snapshots.expirable > 0 ? 'expire' : 'trim-metadata',
      `The metadata file has ${input.metadataBytes} bytes, rewritten at every commit; at most ${limits.metadataBytesMax} should be.`,
    )
  return out
}
