import { LimnError } from '../../base/index.ts'
import type { Schema } from '../../schema/index.ts'
import type { PartitionSpec, Snapshot, TableMetadata } from './types.ts'

/** Throws `iceberg/invalid-metadata` when the metadata names a schema it does not hold. */
export function schemaById(metadata: TableMetadata, schemaId: number): Schema {
  const schema = metadata.schemas.find((one) => one.schemaId === schemaId)
  if (!schema) throw missing('schema', schemaId)
  return schema
}

export function currentSchema(metadata: TableMetadata): Schema {
  return schemaById(metadata, metadata.currentSchemaId)
}

export function specById(metadata: TableMetadata, specId: number): PartitionSpec {
  const spec = metadata.partitionSpecs.find((one) => one.specId === specId)
  if (!spec) throw missing('partition spec', specId)
  return spec
}

function missing(what: string, id: number): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `The table's metadata names ${what} ${id}, which it does not hold.`,
  })
}

export function snapshotById(metadata: TableMetadata, snapshotId: bigint): Snapshot | undefined {
  return metadata.snapshots.find((one) => one.snapshotId === snapshotId)
}

/** The snapshot a ref points at; `main` falls back to the current snapshot. */
export function snapshotOfRef(metadata: TableMetadata, ref: string): bigint | null {
  const target = metadata.refs[ref]
  if (target) return target.snapshotId
  return ref === 'main' ? metadata.currentSnapshotId : null
}

/** The snapshot that was current at a time, by the snapshot log; null before the first. */
export function snapshotAsOf(metadata: TableMetadata, timestampMs: number): bigint | null {
  let found: bigint | null = null
  for (const entry of metadata.snapshotLog) if (entry.timestampMs <= timestampMs) found = entry.snapshotId
  return found
}

/** A snapshot and its ancestors, nearest first, as far as the metadata still holds them. */
export function* ancestorsOf(metadata: TableMetadata, snapshotId: bigint): Generator<Snapshot> {
  const byId = new Map(metadata.snapshots.map((one) => [one.snapshotId, one]))
  for (
    let at = byId.get(snapshotId);
    at;
    at = at.parentSnapshotId === null ? undefined : byId.get(at.parentSnapshotId)
  ) {
    yield at
  }
}

/** Whether `ancestor` is `snapshotId` or one of its ancestors. */
export function isAncestorOf(metadata: TableMetadata, ancestor: bigint, snapshotId: bigint): boolean {
  for (const snapshot of ancestorsOf(metadata, snapshotId)) if (snapshot.snapshotId === ancestor) return true
  return false
}
