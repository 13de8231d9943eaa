import type { Datum } from '../../engine/index.ts'
import type { DataFile, Snapshot, TableMetadata } from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { entriesOfAll } from './files.ts'
import { column, microsOf, type Rows, type Source, schemaOf } from './source.ts'
import { partitionPlacer, unifiedPartition } from './unified-partition.ts'

export function partitionSchema(metadata: TableMetadata): Schema {
  const unified = unifiedPartition(metadata)
  return schemaOf([
    ...(unified.fields.length > 0 ? [column(1, 'partition', unified, true), column(4, 'spec_id', 'int', true)] : []),
    column(2, 'record_count', 'long', true),
    column(3, 'file_count', 'int', true),
    column(11, 'total_data_file_size_in_bytes', 'long', true),
    column(5, 'position_delete_record_count', 'long', true),
    column(6, 'position_delete_file_count', 'int', true),
    column(7, 'equality_delete_record_count', 'long', true),
    column(8, 'equality_delete_file_count', 'int', true),
    column(9, 'last_updated_at', 'timestamptz'),
    column(10, 'last_updated_snapshot_id', 'long'),
  ])
}

interface Tally {
  readonly partition: readonly Datum[]
  specId: number
  records: bigint
  files: number
  bytes: bigint
  positionRecords: bigint
  positionFiles: number
  equalityRecords: bigint
  equalityFiles: number
  updated: Snapshot | null
}

/**
 * One row per partition value that has live files, whichever specs wrote them; `spec_id` is that of the snapshot that
 * touched it last. A table that no spec partitions has one row as long as it has live files. Vectors count as files of
 * position deletes.
 */
export async function* partitionRows(source: Source, snapshots: readonly Snapshot[]): Rows {
  const { metadata } = source
  const partitioned = unifiedPartition(metadata).fields.length > 0
  const place = partitionPlacer(metadata)
  const bySnapshot = new Map(metadata.snapshots.map((one) => [one.snapshotId, one]))
  const tallies = new Map<string, Tally>()
  for await (const entries of entriesOfAll(source, snapshots)) {
    for (const { status, file, snapshotId } of entries) {
      if (status === 2) continue
      const partition = place(file)
      const key = JSON.stringify(partition.map(keyText))
      const tally = tallies.get(key) ?? emptyTally(partition, file.specId)
      tallies.set(key, tally)
      count(tally, file)
      const snapshot = bySnapshot.get(snapshotId)
      if (!snapshot || (tally.updated !== null && snapshot.timestampMs <= tally.updated.timestampMs)) continue
      tally.updated = snapshot
      tally.specId = file.specId
    }
  }
  yield Array.from(tallies.values(), (one) => [
    ...(partitioned ? [one.partition, one.specId] : []),
    one.records,
    one.files,
    one.bytes,
    one.positionRecords,
    one.positionFiles,
    one.equalityRecords,
    one.equalityFiles,
    one.updated === null ? null : microsOf(one.updated.timestampMs),
    one.updated?.snapshotId ?? null,
  ])
}

function count(tally: Tally, { content, recordCount, fileSizeInBytes }: DataFile): void {
  switch (content) {
    case 0:
      tally.records += recordCount
      tally.files += 1
      tally.bytes += fileSizeInBytes
      return
    case 1:
      tally.positionRecords += recordCount
      tally.positionFiles += 1
      return
    case 2:
      tally.equalityRecords += recordCount
      tally.equalityFiles += 1
  }
}

function keyText(value: Datum): string | null {
  if (value === null) return null
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)
}

function emptyTally(partition: readonly Datum[], specId: number): Tally {
  return {
    partition,
    specId,
    records: 0n,
    files: 0,
    bytes: 0n,
    positionRecords: 0n,
    positionFiles: 0,
    equalityRecords: 0n,
    equalityFiles: 0,
    updated: null,
  }
}
