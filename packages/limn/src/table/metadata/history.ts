import type { Datum } from '../../engine/index.ts'
import { ancestorsOf, type LoadedTable, snapshotAsOf, snapshotById, type TableMetadata } from '../../iceberg/index.ts'
import type { Type } from '../../schema/index.ts'
import { column, microsOf, schemaOf } from './source.ts'

/** Tables that table metadata alone answer: no manifest is opened. */

const textMap: Type = {
  type: 'map',
  keyId: 7,
  key: 'string',
  valueId: 8,
  valueRequired: true,
  value: 'string',
}

export const snapshotsSchema = schemaOf([
  column(1, 'committed_at', 'timestamptz', true),
  column(2, 'snapshot_id', 'long', true),
  column(3, 'parent_id', 'long'),
  column(4, 'operation', 'string'),
  column(5, 'manifest_list', 'string'),
  column(6, 'summary', textMap),
])

/** Every snapshot the table still has. */
export function snapshotRows(metadata: TableMetadata): readonly (readonly Datum[])[] {
  return metadata.snapshots.map((one) => [
    microsOf(one.timestampMs),
    one.snapshotId,
    one.parentSnapshotId,
    one.operation,
    one.manifestList,
    new Map(Object.entries(one.summary)),
  ])
}

export const historySchema = schemaOf([
  column(1, 'made_current_at', 'timestamptz', true),
  column(2, 'snapshot_id', 'long', true),
  column(3, 'parent_id', 'long'),
  column(4, 'is_current_ancestor', 'boolean', true),
])

/** What was current when: also snapshots that were rolled back or are gone, whose parents are then unknown. */
export function historyRows(metadata: TableMetadata): readonly (readonly Datum[])[] {
  const { currentSnapshotId } = metadata
  const line = currentSnapshotId === null ? [] : [...ancestorsOf(metadata, currentSnapshotId)]
  const ancestors = new Set(line.map((one) => one.snapshotId))
  return metadata.snapshotLog.map((entry) => [
    microsOf(entry.timestampMs),
    entry.snapshotId,
    snapshotById(metadata, entry.snapshotId)?.parentSnapshotId ?? null,
    ancestors.has(entry.snapshotId),
  ])
}

export const refsSchema = schemaOf([
  column(1, 'name', 'string', true),
  column(2, 'type', 'string', true),
  column(3, 'snapshot_id', 'long', true),
  column(4, 'max_reference_age_in_ms', 'long'),
  column(5, 'min_snapshots_to_keep', 'int'),
  column(6, 'max_snapshot_age_in_ms', 'long'),
])

export function refRows(metadata: TableMetadata): readonly (readonly Datum[])[] {
  const long = (value: number | undefined) => (value === undefined ? null : BigInt(value))
  return Object.entries(metadata.refs)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, ref]) => [
      name,
      ref.type.toUpperCase(),
      ref.snapshotId,
      long(ref.maxRefAgeMs),
      ref.minSnapshotsToKeep ?? null,
      long(ref.maxSnapshotAgeMs),
    ])
}

export const metadataLogSchema = schemaOf([
  column(1, 'timestamp', 'timestamptz', true),
  column(2, 'file', 'string', true),
  column(3, 'latest_snapshot_id', 'long'),
  column(4, 'latest_schema_id', 'int'),
  column(5, 'latest_sequence_number', 'long'),
])

/** Former metadata files and the current one, with what was current at each. */
export function metadataLogRows({ metadata, metadataLocation }: LoadedTable): readonly (readonly Datum[])[] {
  const current = { timestampMs: metadata.lastUpdatedMs, metadataFile: metadataLocation }
  return [...metadata.metadataLog, current].map((entry) => {
    const id = snapshotAsOf(metadata, entry.timestampMs)
    const snapshot = id === null ? undefined : snapshotById(metadata, id)
    return [
      microsOf(entry.timestampMs),
      entry.metadataFile,
      id,
      snapshot?.schemaId ?? null,
      snapshot?.sequenceNumber ?? null,
    ]
  })
}

export const propertiesSchema = schemaOf([column(1, 'key', 'string', true), column(2, 'value', 'string', true)])

export function propertyRows(metadata: TableMetadata): readonly (readonly Datum[])[] {
  return Object.entries(metadata.properties).sort(([a], [b]) => (a < b ? -1 : 1))
}
