import type { ManifestReader } from '../scan/manifests.ts'
import type { ManifestFile, Snapshot, TableMetadata } from '../spec/types.ts'
import type { Listed, ManifestSetting } from './snapshot-manifests.ts'

/** The manifests of a snapshot with their first row ids, and what the snapshot took of the table's counter. */
export interface RowIds {
  readonly manifests: readonly ManifestFile[]
  /** Null before version 3. */
  readonly rowIds: Required<Pick<Snapshot, 'firstRowId' | 'addedRows'>> | null
}

/**
 * Gives each data manifest without a first row id the next ones (specification, "Row Lineage", "First Row ID
 * Assignment"): new manifests, and those of a table written before version 3. Delete manifests have none. A manifest takes
 * as many ids as its live rows without one.
 */
export async function assignRowIds(input: {
  readonly manifests: readonly ManifestFile[]
  /** In the order of `manifests`: what each row stands for. */
  readonly listed: readonly Listed[]
  readonly base: TableMetadata
  readonly setting: ManifestSetting
  readonly signal?: AbortSignal
  readonly reader: ManifestReader
}): Promise<RowIds> {
  if (input.setting.formatVersion < 3) return { manifests: input.manifests, rowIds: null }
  const firstRowId = input.base.nextRowId
  let next = firstRowId
  const manifests: ManifestFile[] = []
  for (const [i, manifest] of input.manifests.entries()) {
    if (manifest.content === 'deletes' || manifest.firstRowId !== undefined) {
      manifests.push(manifest)
      continue
    }
    manifests.push({ ...manifest, firstRowId: next })
    const one = input.listed[i]
    next += one?.kind === 'draft' ? one.rowsWithoutId : await rowsOf(input.reader, manifest, input.signal)
  }
  return { manifests, rowIds: { firstRowId, addedRows: next - firstRowId } }
}

/** Rows of a manifest as its list row counts them; counted in it where a writer of version 1 left them out. */
async function rowsOf(
  reader: ManifestReader,
  manifest: ManifestFile,
  signal: AbortSignal | undefined,
): Promise<bigint> {
  const stated = manifest.addedRowsCount + manifest.existingRowsCount
  if (stated > 0n) return stated
  let rows = 0n
  const entries = await reader.scan(manifest, signal)
  for (const { status, file } of entries({ statistics: false }))
    if (status !== 2 && file.firstRowId === undefined) rows += file.recordCount
  return rows
}
