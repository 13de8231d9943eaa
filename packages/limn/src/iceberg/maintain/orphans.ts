import { LimnError } from '../../base/index.ts'
import type { ObjectInfo, StorePath } from '../../storage/index.ts'
import type { TableMetadata } from '../spec/types.ts'
import { isUnder, locationKey, locationParts } from './location.ts'

const hour = 3_600_000

/** An age below this could take files of a commit that is under way. */
export const orphanAgeMsMin = hour

/** Younger files are kept, unless another age is asked for. */
export const orphanAgeMsDefault = 3 * 24 * hour

export interface OrphanOptions {
  readonly nowMs: number
  /** Files younger than this stay. Default 3 days. */
  readonly ageMs?: number
  /**
   * How long ago the oldest writer that may still be at work began: its files are in no snapshot yet. 0 when there is
   * none. An age below it, or below an hour, is refused.
   */
  readonly longestPinMs: number
  /** Locations of other tables: what lies in them is theirs, also within this table's folder. */
  readonly others?: readonly string[]
  /**
   * A file that the table names under another scheme or authority: `refuse` (default) reports and deletes nothing at all,
   * `keep` takes it for the same file.
   */
  readonly mismatch?: 'refuse' | 'keep'
}

export interface OrphanPlan {
  readonly orphans: readonly ObjectInfo[]
  readonly bytes: number
  readonly listed: number
  /** Not reachable, but younger than the age. */
  readonly young: number
  readonly ageMs: number
}

/** The settled age. Throws `usage/argument` below the longest pin or an hour. */
export function orphanAge(options: Pick<OrphanOptions, 'ageMs' | 'longestPinMs'>): number {
  const least = Math.max(orphanAgeMsMin, options.longestPinMs)
  const ageMs = options.ageMs ?? Math.max(orphanAgeMsDefault, least)
  if (Number.isFinite(ageMs) && ageMs >= least) return ageMs
  throw new LimnError('usage/argument', {
    message:
      options.longestPinMs > orphanAgeMsMin
        ? `An age of ${minutes(ageMs)} could take files of a run that is under way since ${minutes(options.longestPinMs)}.`
        : `An age of ${minutes(ageMs)} could take files of a commit that is under way.`,
    notDone: 'Nothing was deleted.',
    remedy: `Use ${minutes(least)} or more.`,
  })
}

function minutes(ms: number): string {
  const whole = Math.ceil(ms / 60_000)
  return whole % 60 === 0 ? `${whole / 60} h` : `${whole} min`
}

/**
 * Plans which of the listed files belong to nothing: not reachable from the table's metadata, not in another table's
 * folder, and old enough. Errs towards keeping: a file of the same path under another scheme or authority is no orphan.
 */
export async function planOrphans(
  listed: AsyncIterable<ObjectInfo> | Iterable<ObjectInfo>,
  reachable: ReadonlyMap<string, StorePath>,
  options: OrphanOptions,
): Promise<OrphanPlan> {
  const ageMs = orphanAge(options)
  const oldest = options.nowMs - ageMs
  const byPath = new Map([...reachable.values()].map((path) => [locationParts(path).path, path]))
  const orphans: ObjectInfo[] = []
  const mismatched: (readonly [StorePath, StorePath])[] = []
  let count = 0
  let young = 0
  for await (const info of listed) {
    count++
    if (reachable.has(locationKey(info.path))) continue
    if (options.others?.some((other) => isUnder(info.path, other))) continue
    const named = byPath.get(locationParts(info.path).path)
    if (named !== undefined) {
      mismatched.push([info.path, named])
      continue
    }
    // The hint of file-system tables is named by no metadata.
    if (info.path.endsWith('/metadata/version-hint.text')) continue
    if (info.modifiedMs > oldest) young++
    else orphans.push(info)
  }
  const [first] = mismatched
  if (first && options.mismatch !== 'keep') {
    throw new LimnError('iceberg/invalid-metadata', {
      message: `${mismatched.length} files are named by the table under another scheme or host: ${first[1]} is listed as ${first[0]}.`,
      notDone: 'Nothing was deleted.',
      remedy: 'When both name one store, repeat with the files kept (mismatch: keep); else correct the location.',
    })
  }
  return { orphans, bytes: orphans.reduce((sum, one) => sum + one.bytes, 0), listed: count, young, ageMs }
}

/** The folders a table's files are looked for in: its location, and its data and metadata folders where stated elsewhere. */
export function foldersOf(metadata: TableMetadata): readonly string[] {
  const stated = ['write.data.path', 'write.metadata.path', 'write.object-storage.path', 'write.folder-storage.path']
  const folders = [metadata.location]
  for (const name of stated) {
    const folder = metadata.properties[name]
    if (folder !== undefined && !folders.some((known) => isUnder(folder, known))) folders.push(folder)
  }
  return folders
}

/**
 * Locations of other tables that must not be touched: those at or below a folder of this table. Throws
 * `iceberg/unsupported` where another table's folder is this one's or holds it: neither could tell its files from the other's.
 */
export function nestedLocations(metadata: TableMetadata, others: readonly TableMetadata[]): readonly string[] {
  const own = foldersOf(metadata)
  const nested: string[] = []
  for (const other of others) {
    if (other.tableUuid === metadata.tableUuid && other.location === metadata.location) throw shared(other.location)
    for (const folder of foldersOf(other)) {
      if (own.some((mine) => locationKey(mine) === locationKey(folder))) throw shared(folder)
      if (own.some((mine) => isUnder(folder, mine))) nested.push(folder)
    }
  }
  return nested
}

function shared(folder: string): LimnError {
  return new LimnError('iceberg/unsupported', {
    message: `Another table of the catalog lives in the same folder, ${folder}.`,
    notDone: 'Nothing was deleted: its files would look like orphans.',
    remedy: 'Give the tables folders of their own, or drop one of them from the catalog.',
  })
}
