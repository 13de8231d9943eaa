import { LimnError } from '../../base/index.ts'
import type { Value } from '../../schema/index.ts'
import { referencedFile } from '../scan/deletes.ts'
import type { DataFile, ManifestEntry, SortOrder, TableMetadata } from '../spec/types.ts'
import { deleteKindOf, deleteScope, knownDeletedRows, partitionIdentity } from './delete-scope.ts'
import type { Inventory } from './inventory.ts'

/** How rows are ordered when data files are rewritten. */
export type RewriteStrategy =
  | { readonly kind: 'bin-pack' }
  | { readonly kind: 'sort'; readonly order: SortOrder }
  /** Interleaves the bits of several columns, so that a filter on any of them prunes. */
  | { readonly kind: 'z-order'; readonly columns: readonly string[] }

/** Which groups come first. `as-found` is the order of the table's manifests. */
export type GroupOrder = 'as-found' | 'bytes-asc' | 'bytes-desc' | 'files-asc' | 'files-desc'

export interface RewriteFilesOptions {
  /** Default: bin-pack. */
  readonly strategy?: RewriteStrategy
  /** Default: `write.target-file-size-bytes`, else 512 MiB. */
  readonly targetFileBytes?: number
  /** Files below are candidates. Default: 75 % of the target. */
  readonly minFileBytes?: number
  /** Files above are candidates. Default: 180 % of the target. */
  readonly maxFileBytes?: number
  /** A group of fewer files is left alone, unless its content fills a file or its files are candidates for another reason. Default 5. */
  readonly minInputFiles?: number
  /** A group reads at most this much at once. Default: eight times the target. */
  readonly maxGroupBytes?: number
  /** A file with this many delete files or more is a candidate. Default: none is for that reason. */
  readonly deletesPerFileMin?: number
  /** A file with this share of rows known to be deleted, or more, is a candidate. 0…1; default 0.1. */
  readonly deleteRatioMin?: number
  /** Rewrites every file that `keep` lets in. Default: for z-order, as files do not say how they are interleaved. */
  readonly all?: boolean
  /** Rewrites files of other partition specs into the table's own. Default false: they stay unless a size or their deletes ask. */
  readonly otherSpecs?: boolean
  /** Files to look at. Default: all. */
  readonly keep?: (file: DataFile) => boolean
  /** Default `as-found`. */
  readonly order?: GroupOrder
  /** Commits as it goes, in at most this many commits. Default 1: all or nothing. */
  readonly commitsMax?: number
}

/** Why a file is rewritten. */
export type RewriteReason = 'small' | 'large' | 'deletes' | 'delete-ratio' | 'spec' | 'order' | 'asked'

export interface RewriteCandidate {
  readonly entry: ManifestEntry
  /** The delete files that apply to it. */
  readonly deletes: readonly ManifestEntry[]
  readonly reasons: readonly RewriteReason[]
}

/** Files that one query reads and rewrites; all of one partition, or all of other specs than the table's. */
export interface RewriteGroup {
  readonly index: number
  /** Null where the files are of other specs and their rows may go to several partitions. */
  readonly partition: readonly (Value | null)[] | null
  readonly files: readonly RewriteCandidate[]
  readonly inputBytes: number
  readonly inputRows: number
  /** Rows of the files that are known to be deleted. Errs low. */
  readonly deletedRows: number
  /** Files expected; the writer cuts by size, so it is an estimate. */
  readonly outputFiles: number
  /** Size the writer aims for: the input cut evenly. */
  readonly outputFileBytes: number
}

export interface RewritePlan {
  readonly strategy: RewriteStrategy
  /** The snapshot planned from, and the sequence number that rewritten rows keep. */
  readonly snapshotId: bigint | null
  readonly sequenceNumber: bigint
  /** Groups in the order in which they are worked, cut into commits. */
  readonly commits: readonly (readonly RewriteGroup[])[]
  readonly files: number
  readonly bytes: number
  /** Live files looked at and left alone. */
  readonly leftAlone: number
}

const mebibyte = 1_048_576

/** The settled sizes of a rewrite: options, table properties, defaults. Throws `usage/argument` for sizes that contradict. */
export function rewriteSizes(properties: Readonly<Record<string, string>>, options: RewriteFilesOptions) {
  const stated = Number(properties['write.target-file-size-bytes'])
  const target = options.targetFileBytes ?? (Number.isFinite(stated) && stated > 0 ? stated : 512 * mebibyte)
  const sizes = {
    target,
    min: options.minFileBytes ?? Math.floor(target * 0.75),
    max: options.maxFileBytes ?? Math.floor(target * 1.8),
    group: options.maxGroupBytes ?? target * 8,
    inputFiles: options.minInputFiles ?? 5,
  }
  const wrong =
    sizes.target <= 0
      ? 'the target file size is not above 0'
      : sizes.min < 0 || sizes.min >= sizes.target
        ? `the smallest wanted file (${sizes.min} bytes) is not below the target (${sizes.target})`
        : sizes.max <= sizes.target
          ? `the largest wanted file (${sizes.max} bytes) is not above the target (${sizes.target})`
          : sizes.inputFiles < 1
            ? 'a group needs at least one file'
            : sizes.group <= 0
              ? 'a group has to hold something'
              : null
  if (wrong === null) return sizes
  throw new LimnError('usage/argument', {
    message: `The sizes contradict each other: ${wrong}.`,
    notDone: 'Nothing was rewritten.',
    remedy: 'State sizes with smallest < target < largest.',
  })
}

type Sizes = ReturnType<typeof rewriteSizes>

/**
 * Plans which data files of a snapshot are rewritten together. A file is a candidate when it is too small or too large,
 * has too many deletes, or is of another spec or order where that is asked for; candidates of a partition are packed, in
 * the manifests' order, into groups; a group that would not get better is left alone. Pure.
 */
export function planRewrite(
  metadata: TableMetadata,
  inventory: Inventory,
  options: RewriteFilesOptions = {},
): RewritePlan {
  const strategy = options.strategy ?? { kind: 'bin-pack' }
  const sizes = rewriteSizes(metadata.properties, options)
  const scope = deleteScope(metadata, inventory)
  const looked = inventory.data.filter((entry) => options.keep?.(entry.file) ?? true)
  const candidates: RewriteCandidate[] = []
  for (const entry of looked) {
    const deletes = scope.of(entry)
    const reasons = reasonsFor(metadata, entry, deletes, sizes, strategy, options)
    if (reasons.length > 0) candidates.push({ entry, deletes, reasons })
  }
  const own = metadata.defaultSpecId
  const partitions = Map.groupBy(candidates, ({ entry }) =>
    entry.file.specId === own ? partitionIdentity(entry.file) : 'other specs',
  )
  const groups: Omit<RewriteGroup, 'index'>[] = []
  for (const files of partitions.values()) {
    const first = files[0]?.entry.file
    const partition = first && first.specId === own ? first.partition : null
    for (const packed of pack(files, sizes.group))
      if (isWorthIt(packed, sizes)) groups.push(groupOf(packed, partition, sizes))
  }
  const ordered = inOrder(groups, options.order ?? 'as-found').map((group, index) => ({ ...group, index }))
  const files = ordered.reduce((sum, group) => sum + group.files.length, 0)
  return {
    strategy,
    snapshotId: inventory.snapshotId,
    sequenceNumber: inventory.sequenceNumber,
    commits: chunk(ordered, options.commitsMax ?? 1),
    files,
    bytes: ordered.reduce((sum, group) => sum + group.inputBytes, 0),
    leftAlone: looked.length - files,
  }
}

function reasonsFor(
  metadata: TableMetadata,
  entry: ManifestEntry,
  deletes: readonly ManifestEntry[],
  sizes: Sizes,
  strategy: RewriteStrategy,
  options: RewriteFilesOptions,
): readonly RewriteReason[] {
  const { file } = entry
  const bytes = Number(file.fileSizeInBytes)
  const rows = Number(file.recordCount)
  const reasons: RewriteReason[] = []
  if (bytes < sizes.min) reasons.push('small')
  if (bytes > sizes.max) reasons.push('large')
  if (options.deletesPerFileMin !== undefined && deletes.length >= options.deletesPerFileMin) reasons.push('deletes')
  const ratio = rows === 0 ? 0 : knownDeletedRows(entry, deletes) / rows
  if (ratio > 0 && ratio >= (options.deleteRatioMin ?? 0.1)) reasons.push('delete-ratio')
  if (options.otherSpecs === true && file.specId !== metadata.defaultSpecId) reasons.push('spec')
  if (strategy.kind === 'sort' && file.sortOrderId !== strategy.order.orderId) reasons.push('order')
  if (options.all ?? strategy.kind === 'z-order') reasons.push('asked')
  return reasons
}

/** What a query knows of a file that it reads weighs some 6 KB. */
const groupFilesMax = 1_000

/**
 * First fit in order, so that neighbours stay together: a group is closed when the next file would overfill it, or make
 * it more files than are held at once.
 */
function pack(files: readonly RewriteCandidate[], bytesMax: number): readonly (readonly RewriteCandidate[])[] {
  const out: RewriteCandidate[][] = []
  let open: RewriteCandidate[] = []
  let bytes = 0
  for (const file of files) {
    const size = Number(file.entry.file.fileSizeInBytes)
    if (open.length > 0 && (bytes + size > bytesMax || open.length >= groupFilesMax)) {
      out.push(open)
      open = []
      bytes = 0
    }
    open.push(file)
    bytes += size
  }
  if (open.length > 0) out.push(open)
  return out
}

/** Whether a group gets better: by being fewer files, by being cut, or because its files are wanted otherwise. */
function isWorthIt(files: readonly RewriteCandidate[], sizes: Sizes): boolean {
  if (files.some(({ reasons }) => reasons.some((reason) => reason !== 'small' && reason !== 'large'))) return true
  const bytes = files.reduce((sum, { entry }) => sum + Number(entry.file.fileSizeInBytes), 0)
  if (files.length > 1 && (files.length >= sizes.inputFiles || bytes > sizes.target)) return true
  return bytes > sizes.max
}

function groupOf(
  files: readonly RewriteCandidate[],
  partition: readonly (Value | null)[] | null,
  sizes: Sizes,
): Omit<RewriteGroup, 'index'> {
  const inputBytes = files.reduce((sum, { entry }) => sum + Number(entry.file.fileSizeInBytes), 0)
  const outputFiles = outputFileCount(inputBytes, sizes)
  return {
    partition,
    files,
    inputBytes,
    inputRows: files.reduce((sum, { entry }) => sum + Number(entry.file.recordCount), 0),
    deletedRows: files.reduce((sum, { entry, deletes }) => sum + knownDeletedRows(entry, deletes), 0),
    outputFiles,
    outputFileBytes: Math.ceil(inputBytes / outputFiles),
  }
}

/**
 * How many files some bytes become: rounded down when the rest spread over the others stays within the largest wanted
 * size (a tenth over the target at most), rounded up otherwise.
 */
function outputFileCount(bytes: number, sizes: Sizes): number {
  const whole = Math.floor(bytes / sizes.target)
  if (whole === 0) return 1
  const rest = bytes - whole * sizes.target
  if (rest === 0 || bytes / whole <= Math.min(sizes.max, sizes.target * 1.1)) return whole
  return whole + 1
}

function inOrder<T extends Pick<RewriteGroup, 'inputBytes' | 'files'>>(groups: readonly T[], order: GroupOrder) {
  switch (order) {
    case 'as-found':
      return groups
    case 'bytes-asc':
      return groups.toSorted((a, b) => a.inputBytes - b.inputBytes)
    case 'bytes-desc':
      return groups.toSorted((a, b) => b.inputBytes - a.inputBytes)
    case 'files-asc':
      return groups.toSorted((a, b) => a.files.length - b.files.length)
    case 'files-desc':
      return groups.toSorted((a, b) => b.files.length - a.files.length)
  }
}

function chunk<T>(items: readonly T[], chunksMax: number): readonly (readonly T[])[] {
  const size = Math.max(1, Math.ceil(items.length / Math.max(1, chunksMax)))
  return Array.from({ length: Math.ceil(items.length / size) }, (_none, i) => items.slice(i * size, (i + 1) * size))
}

/**
 * The delete files that go together with rewritten data files: vectors and position deletes about exactly one of them.
 * Others may still reach files that stay, and fall to `danglingDeletes`.
 */
export function deletesOfRewritten(groups: readonly RewriteGroup[], inventory: Inventory): readonly ManifestEntry[] {
  const gone = new Set(groups.flatMap((group) => group.files.map(({ entry }) => entry.file.path)))
  return inventory.deletes.filter((entry) => {
    if (deleteKindOf(entry.file) === 'equality') return false
    const about = referencedFile(entry.file)
    return about !== null && gone.has(about)
  })
}
