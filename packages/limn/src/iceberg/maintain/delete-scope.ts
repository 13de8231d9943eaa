import type { Value } from '../../schema/index.ts'
import { mightName, referencedFile } from '../scan/deletes.ts'
import { PathMap } from '../scan/paths.ts'
import { specById } from '../spec/lookup.ts'
import type { DataFile, ManifestEntry, TableMetadata } from '../spec/types.ts'
import type { Inventory } from './inventory.ts'

/** Which rows a delete file can reach (specification, "Scan Planning"). */

export type DeleteKind = 'vector' | 'position' | 'equality'

export function deleteKindOf(file: DataFile): DeleteKind {
  if (file.content === 2) return 'equality'
  return file.format === 'puffin' ? 'vector' : 'position'
}

/** A text that two files share exactly when they have one spec and one partition. */
export function partitionIdentity(file: Pick<DataFile, 'specId' | 'partition'>): string {
  return JSON.stringify([file.specId, ...file.partition.map(valueText)])
}

function valueText(value: Value | null): string | null {
  if (value === null || value === undefined) return null
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  return `${typeof value} ${Object.is(value, -0) ? '0' : String(value)}`
}

/** Specs without a field that parts rows: their equality deletes reach every partition. */
export function unpartitionedSpecs(metadata: TableMetadata): ReadonlySet<number> {
  return new Set(
    metadata.partitionSpecs
      .filter((spec) => specById(metadata, spec.specId).fields.every((field) => field.transform.kind === 'void'))
      .map((spec) => spec.specId),
  )
}

/** Finds the delete files that apply to a data file of the same snapshot. */
export interface DeleteScope {
  of(data: ManifestEntry): readonly ManifestEntry[]
}

const noDeletes: readonly never[] = []

/**
 * Indexes a snapshot's delete files. A vector applies to the file it names, by any spelling, from its own sequence number
 * back; position deletes likewise, by name or partition, unless a vector applies; equality deletes to strictly older
 * files of their partition, or of every partition when their spec parts nothing. What a scan applies is among them.
 */
export function deleteScope(metadata: TableMetadata, inventory: Pick<Inventory, 'deletes'>): DeleteScope {
  const everywhere = unpartitionedSpecs(metadata)
  const vectors = new PathMap<ManifestEntry>()
  const named = new PathMap<ManifestEntry>()
  const byPartition = new Map<string, ManifestEntry[]>()
  const equality = new Map<string, ManifestEntry[]>()
  const global: ManifestEntry[] = []
  const push = (map: Map<string, ManifestEntry[]>, key: string, entry: ManifestEntry) => {
    const list = map.get(key)
    if (list) list.push(entry)
    else map.set(key, [entry])
  }
  if (inventory.deletes.length === 0) return { of: () => noDeletes }
  for (const entry of inventory.deletes) {
    const kind = deleteKindOf(entry.file)
    if (kind === 'equality') {
      if (everywhere.has(entry.file.specId)) global.push(entry)
      else push(equality, partitionIdentity(entry.file), entry)
      continue
    }
    const path = referencedFile(entry.file)
    if (path !== null) (kind === 'vector' ? vectors : named).add(path, entry)
    else push(byPartition, partitionIdentity(entry.file), entry)
  }
  return {
    of(data) {
      const partition = partitionIdentity(data.file)
      const since = (entry: ManifestEntry) => entry.dataSequenceNumber >= data.dataSequenceNumber
      const found = vectors.get(data.file.path).filter(since)
      if (found.length === 0) {
        found.push(...named.get(data.file.path).filter(since))
        for (const entry of byPartition.get(partition) ?? [])
          if (since(entry) && mightName(entry.file, data.file.path)) found.push(entry)
      }
      for (const list of [global, equality.get(partition) ?? []])
        for (const entry of list) if (entry.dataSequenceNumber > data.dataSequenceNumber) found.push(entry)
      return found
    },
  }
}

/**
 * Rows of a data file that are known to be deleted: those of vectors and of position deletes about this file alone.
 * Deletes that share a file with others, and equality deletes, are not counted, so that it errs low.
 */
export function knownDeletedRows(data: ManifestEntry, deletes: readonly ManifestEntry[]): number {
  let rows = 0
  for (const { file } of deletes) if (referencedFile(file) !== null) rows += Number(file.recordCount)
  return Math.min(rows, Number(data.file.recordCount))
}
