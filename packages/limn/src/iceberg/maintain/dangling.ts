import { unreachable } from '../../base/index.ts'
import { mightName, referencedFile } from '../scan/deletes.ts'
import { PathMap } from '../scan/paths.ts'
import type { ManifestEntry, TableMetadata } from '../spec/types.ts'
import { deleteKindOf, partitionIdentity, unpartitionedSpecs } from './delete-scope.ts'
import type { Inventory } from './inventory.ts'

/** A delete file that no live row can be reached by, and why. */
export interface DanglingDelete {
  readonly entry: ManifestEntry
  readonly because: /** The data file it is about is not live, or is newer than it. */
    | 'no-such-file'
    /** A deletion vector speaks for the file (or for each file it could be about). */
    | 'superseded-by-vector'
    /** No data file of its partition is old enough for it. */
    | 'no-older-file'
}

/**
 * Delete files of a snapshot that apply to none of its data files, by sequence number, partition and named file, by any spelling
 * (specification, "Scan Planning"). Errs towards keeping: bounds of equality values are not looked at.
 */
export function danglingDeletes(metadata: TableMetadata, inventory: Inventory): readonly DanglingDelete[] {
  const everywhere = unpartitionedSpecs(metadata)
  const byPath = new PathMap<ManifestEntry>()
  for (const entry of inventory.data) byPath.add(entry.file.path, entry)
  const byPartition = Map.groupBy(inventory.data, (entry) => partitionIdentity(entry.file))
  const oldest = new Map([...byPartition].map(([key, entries]) => [key, oldestOf(entries)]))
  const oldestAnywhere = oldestOf(inventory.data)
  const underVector = new Set<string>()
  for (const entry of inventory.deletes) {
    const path = referencedFile(entry.file)
    if (path === null || deleteKindOf(entry.file) !== 'vector') continue
    for (const data of byPath.get(path)) if (reaches(entry, data)) underVector.add(data.file.path)
  }
  const judge = (entry: ManifestEntry): DanglingDelete['because'] | null => {
    const kind = deleteKindOf(entry.file)
    switch (kind) {
      case 'vector': {
        const path = referencedFile(entry.file)
        return path !== null && byPath.get(path).some((data) => reaches(entry, data)) ? null : 'no-such-file'
      }
      case 'position': {
        const path = referencedFile(entry.file)
        if (path !== null) {
          const about = byPath.get(path).filter((data) => reaches(entry, data))
          if (about.length === 0) return 'no-such-file'
          return about.every((data) => underVector.has(data.file.path)) ? 'superseded-by-vector' : null
        }
        const within = (byPartition.get(partitionIdentity(entry.file)) ?? []).filter(
          (data) => reaches(entry, data) && mightName(entry.file, data.file.path),
        )
        if (within.length === 0) return 'no-older-file'
        return within.every((data) => underVector.has(data.file.path)) ? 'superseded-by-vector' : null
      }
      case 'equality': {
        const least = everywhere.has(entry.file.specId) ? oldestAnywhere : oldest.get(partitionIdentity(entry.file))
        return least !== undefined && least < entry.dataSequenceNumber ? null : 'no-older-file'
      }
      default:
        return unreachable(kind)
    }
  }
  return inventory.deletes.flatMap((entry) => {
    const because = judge(entry)
    return because === null ? [] : [{ entry, because }]
  })
}

function reaches(entry: ManifestEntry, data: ManifestEntry): boolean {
  return data.dataSequenceNumber <= entry.dataSequenceNumber
}

function oldestOf(entries: readonly ManifestEntry[]): bigint | undefined {
  let least: bigint | undefined
  for (const entry of entries)
    if (least === undefined || entry.dataSequenceNumber < least) least = entry.dataSequenceNumber
  return least
}
