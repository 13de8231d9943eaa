import { partitionKey } from '../scan/deletes.ts'
import type { ManifestReader } from '../scan/manifests.ts'
import { schemaById, specById } from '../spec/lookup.ts'
import { partitionPath } from '../spec/transforms.ts'
import type { DataFile, ManifestFile, Snapshot, TableMetadata } from '../spec/types.ts'
import { schemaFor } from './snapshot-manifests.ts'

/** What the summary is made of (specification, appendix F, "Optional Snapshot Summary Fields"). */
export interface SummaryInput {
  readonly base: TableMetadata
  readonly schemaId: number
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
  /** The caller's entries; a counted name among them is dropped. */
  readonly own: Readonly<Record<string, string>>
  readonly before: Totals
  readonly manifests: { readonly created: number; readonly kept: number; readonly replaced: number }
}

const totalNames = [
  'total-data-files',
  'total-records',
  'total-files-size',
  'total-delete-files',
  'total-position-deletes',
  'total-equality-deletes',
] as const

export type Totals = Readonly<Record<(typeof totalNames)[number], bigint>>

/** What files come to. Delete files are in the size, not among the data files and records. */
export function totalsOf(files: readonly DataFile[]): Totals {
  const of = (...contents: readonly number[]) => files.filter((file) => contents.includes(file.content))
  return {
    'total-data-files': BigInt(of(0).length),
    'total-records': rowsOf(of(0)),
    'total-files-size': sizeOf(files),
    'total-delete-files': BigInt(of(1, 2).length),
    'total-position-deletes': rowsOf(of(1)),
    'total-equality-deletes': rowsOf(of(2)),
  }
}

function rowsOf(files: readonly DataFile[]): bigint {
  return files.reduce((sum, file) => sum + file.recordCount, 0n)
}

/** Bytes; of a deletion vector its blob, for the Puffin file around it is shared. */
function sizeOf(files: readonly DataFile[]): bigint {
  return files.reduce((sum, file) => sum + (file.contentSizeInBytes ?? file.fileSizeInBytes), 0n)
}

/**
 * Totals before the change, as the parent states them; counted from its manifests when its writer stated none, or fewer
 * than are removed now. Totals of deletes that it leaves out are zero where it lists no delete files.
 */
export async function totalsBefore(input: {
  readonly manifests: ManifestReader
  readonly parent: Snapshot | undefined
  readonly listed: readonly ManifestFile[]
  readonly removed: readonly DataFile[]
  readonly signal?: AbortSignal
}): Promise<Totals> {
  const { parent, listed } = input
  if (!parent) return totalsOf([])
  const least = totalsOf(input.removed)
  const noDeletes = listed.every((manifest) => manifest.content === 'data')
  const stated = (name: keyof Totals): bigint | null => {
    const text = parent.summary[name]
    if (text === undefined && noDeletes && name.endsWith('-deletes')) return 0n
    if (text === undefined && noDeletes && name === 'total-delete-files') return 0n
    return text !== undefined && /^\d+$/.test(text) && BigInt(text) >= least[name] ? BigInt(text) : null
  }
  const known = totalNames.flatMap((name) => {
    const count = stated(name)
    return count === null ? [] : [[name, count] as const]
  })
  if (known.length === totalNames.length) return { ...totalsOf([]), ...Object.fromEntries(known) }
  const files: DataFile[] = []
  for (const manifest of listed) {
    const entries = await input.manifests.scan(manifest, input.signal)
    for (const entry of entries({ statistics: false })) if (entry.status !== 2) files.push(entry.file)
  }
  return totalsOf(files)
}

/** Counts of a change under the specification's names; those of zero are left out by whoever writes them. */
function countsOf(added: readonly DataFile[], removed: readonly DataFile[]): Readonly<Record<string, bigint>> {
  const count = (files: readonly DataFile[], test: (file: DataFile) => boolean) => BigInt(files.filter(test).length)
  const isData = (file: DataFile) => file.content === 0
  const isVector = (file: DataFile) => file.content === 1 && file.format === 'puffin'
  const isPosition = (file: DataFile) => file.content === 1 && file.format !== 'puffin'
  const isEquality = (file: DataFile) => file.content === 2
  const came = totalsOf(added)
  const went = totalsOf(removed)
  return {
    'added-data-files': came['total-data-files'],
    'deleted-data-files': went['total-data-files'],
    'added-delete-files': came['total-delete-files'],
    'removed-delete-files': went['total-delete-files'],
    'added-position-delete-files': count(added, isPosition),
    'removed-position-delete-files': count(removed, isPosition),
    'added-dvs': count(added, isVector),
    'removed-dvs': count(removed, isVector),
    'added-equality-delete-files': count(added, isEquality),
    'removed-equality-delete-files': count(removed, isEquality),
    'added-records': rowsOf(added.filter(isData)),
    'deleted-records': rowsOf(removed.filter(isData)),
    'added-position-deletes': came['total-position-deletes'],
    'removed-position-deletes': went['total-position-deletes'],
    'added-equality-deletes': came['total-equality-deletes'],
    'removed-equality-deletes': went['total-equality-deletes'],
    'added-files-size': came['total-files-size'],
    'removed-files-size': went['total-files-size'],
  }
}

/**
 * The caller's entries, the change's counts and the totals after it. With `write.summary.partition-limit` (default 0:
 * never) at or above the number of changed partitions, each has an entry of its own, `partitions.<path>`.
 */
export function summaryOf(input: SummaryInput): Readonly<Record<string, string>> {
  const { added, removed, base } = input
  const partitions = partitionsOf(base, input.schemaId, added, removed)
  const counts = {
    ...countsOf(added, removed),
    'changed-partition-count': BigInt(partitions.size),
    'manifests-created': BigInt(input.manifests.created),
    'manifests-kept': BigInt(input.manifests.kept),
    'manifests-replaced': BigInt(input.manifests.replaced),
  }
  const out: Record<string, string> = {}
  for (const [name, text] of Object.entries(input.own)) if (!(name in counts)) out[name] = text
  for (const [name, count] of Object.entries(counts))
    if (count > 0n || name.startsWith('manifests-')) out[name] = String(count)
  const came = totalsOf(added)
  const went = totalsOf(removed)
  for (const name of totalNames) out[name] = String(input.before[name] + came[name] - went[name])
  const limit = Number(base.properties['write.summary.partition-limit'] ?? 0)
  if (partitions.size === 0 || !(partitions.size <= limit)) return out
  out['partition-summaries-included'] = 'true'
  for (const [path, files] of partitions) {
    const text = Object.entries(countsOf(files.added, files.removed))
      .filter(([, count]) => count > 0n)
      .map(([name, count]) => `${name}=${count}`)
    out[`partitions.${path}`] = text.join(',')
  }
  return out
}

type Changed = { readonly added: readonly DataFile[]; readonly removed: readonly DataFile[] }

/** Changed partitions by path, in order of first appearance; those of different specs apart. */
function partitionsOf(
  base: TableMetadata,
  schemaId: number,
  added: readonly DataFile[],
  removed: readonly DataFile[],
): ReadonlyMap<string, Changed> {
  const groups = Map.groupBy([...added, ...removed], partitionKey)
  const come = new Set(added)
  const out = new Map<string, Changed>()
  for (const [key, files] of groups) {
    const [first] = files
    if (!first) continue
    const spec = specById(base, first.specId)
    const path = partitionPath(spec, schemaFor(base, spec, schemaById(base, schemaId)), first.partition)
    const changed = {
      added: files.filter((file) => come.has(file)),
      removed: files.filter((file) => !come.has(file)),
    }
    out.set(out.has(path) ? `${path} ${key}` : path, changed)
  }
  return out
}
