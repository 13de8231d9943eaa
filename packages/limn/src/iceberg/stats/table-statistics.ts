import type { PuffinBlobInput } from '../../encoding/index.ts'
import type { PrimitiveType, Value } from '../../schema/index.ts'
import type { ThetaSketch } from '../../sketch/index.ts'
import { type BlobMetadata, encodeSingleValue, type StatisticsFile, type TableMetadata } from '../spec/index.ts'

/**
 * Numbers of distinct values as other engines' planners read them (Puffin specification, blob type
 * `apache-datasketches-theta-v1`; specification, "Table Statistics").
 */
export const thetaBlobType = 'apache-datasketches-theta-v1'

/** Adds a column's value to its sketch, in the bytes the specification hashes; nulls are no values. */
export function addToSketch(sketch: ThetaSketch, type: PrimitiveType, value: Value | null): void {
  if (value !== null) sketch.add(encodeSingleValue(type, value))
}

/** The blob of one column for a Puffin file. The sequence number is the snapshot's. */
export function thetaBlob(input: {
  readonly fieldId: number
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly sketch: ThetaSketch
}): PuffinBlobInput {
  return {
    type: thetaBlobType,
    fields: [input.fieldId],
    snapshotId: input.snapshotId,
    sequenceNumber: input.sequenceNumber,
    properties: { ndv: String(Math.round(input.sketch.estimate)) },
    codec: 'zstd',
    bytes: input.sketch.encode(),
  }
}

/** The statistics file nearest to a snapshot: its own, else that of its nearest ancestor that has one; null if none. */
export function statisticsFor(metadata: TableMetadata, snapshotId: bigint): StatisticsFile | null {
  const bySnapshot = new Map(metadata.statistics.map((file) => [file.snapshotId, file]))
  const parents = new Map(metadata.snapshots.map((one) => [one.snapshotId, one.parentSnapshotId]))
  const seen = new Set<bigint>()
  for (let at: bigint | null = snapshotId; at !== null && !seen.has(at); at = parents.get(at) ?? null) {
    const found = bySnapshot.get(at)
    if (found) return found
    seen.add(at)
  }
  return null
}

/** Distinct values per field id as the blobs state them (property `ndv`); what is not stated is left out. */
export function distinctCounts(
  blobs: readonly Pick<BlobMetadata, 'type' | 'fields' | 'properties'>[],
): ReadonlyMap<number, bigint> {
  const out = new Map<number, bigint>()
  for (const { type, fields, properties } of blobs) {
    const [field] = fields
    const ndv = properties?.ndv
    if (type === thetaBlobType && field !== undefined && ndv !== undefined && /^\d+$/.test(ndv))
      out.set(field, BigInt(ndv))
  }
  return out
}
