import type {
  DataFile,
  ManifestEntry,
  ManifestFile,
  Snapshot,
  TableMetadata,
} from '../../packages/limn/src/iceberg/index.ts'
import { storePath } from '../../packages/limn/src/storage/index.ts'

/** Small builders for facts about tables, so that a test states only what matters to it. */

const location = 'file:///lake/silver/t'

export function dataFile(path: string, over: Partial<DataFile> = {}): DataFile {
  return {
    content: 0,
    path: storePath(`${location}/data/${path}`),
    format: 'parquet',
    specId: 0,
    partition: [],
    recordCount: 100n,
    fileSizeInBytes: 1000n,
    columnSizes: new Map(),
    valueCounts: new Map(),
    nullValueCounts: new Map(),
    nanValueCounts: new Map(),
    lowerBounds: new Map(),
    upperBounds: new Map(),
    splitOffsets: [],
    equalityIds: [],
    sortOrderId: null,
    ...over,
  }
}

export function entry(
  file: DataFile,
  sequence: bigint | number = 1n,
  over: Partial<ManifestEntry> = {},
): ManifestEntry {
  const dataSequenceNumber = BigInt(sequence)
  return { status: 1, snapshotId: 1n, dataSequenceNumber, fileSequenceNumber: dataSequenceNumber, file, ...over }
}

/** Deletes of positions, about one file when named. */
export function positionDeletes(path: string, about: DataFile | null, over: Partial<DataFile> = {}): DataFile {
  return dataFile(path, {
    content: 1,
    recordCount: 10n,
    ...(about ? { referencedDataFile: about.path, specId: about.specId, partition: about.partition } : {}),
    ...over,
  })
}

export function vector(puffin: string, about: DataFile, over: Partial<DataFile> = {}): DataFile {
  return positionDeletes(puffin, about, {
    format: 'puffin',
    contentOffset: 4n,
    contentSizeInBytes: 40n,
    fileSizeInBytes: 600n,
    ...over,
  })
}

export function equalityDeletes(path: string, over: Partial<DataFile> = {}): DataFile {
  return dataFile(path, { content: 2, equalityIds: [1], recordCount: 10n, ...over })
}

export function manifestOf(path: string, over: Partial<ManifestFile> = {}): ManifestFile {
  return {
    path: storePath(`${location}/metadata/${path}`),
    length: 6000n,
    specId: 0,
    content: 'data',
    sequenceNumber: 1n,
    minSequenceNumber: 1n,
    addedSnapshotId: 1n,
    addedFilesCount: 1,
    existingFilesCount: 0,
    deletedFilesCount: 0,
    addedRowsCount: 100n,
    existingRowsCount: 0n,
    deletedRowsCount: 0n,
    partitions: [],
    ...over,
  }
}

export function snapshot(id: number | bigint, parent: number | bigint | null, over: Partial<Snapshot> = {}): Snapshot {
  return {
    snapshotId: BigInt(id),
    parentSnapshotId: parent === null ? null : BigInt(parent),
    sequenceNumber: BigInt(id),
    timestampMs: Number(id) * 1000,
    manifestList: storePath(`${location}/metadata/snap-${id}.avro`),
    operation: 'append',
    summary: {},
    schemaId: 0,
    ...over,
  }
}

export function metadataOf(over: Partial<TableMetadata> = {}): TableMetadata {
  const last = over.snapshots?.at(-1)?.snapshotId ?? null
  return {
    formatVersion: 2,
    tableUuid: 'b2c1a2d4-0000-4000-8000-000000000001',
    location,
    lastSequenceNumber: 100n,
    lastUpdatedMs: 0,
    lastColumnId: 2,
    schemas: [
      {
        schemaId: 0,
        identifierFieldIds: [],
        fields: [
          { id: 1, name: 'id', required: false, type: 'long' },
          { id: 2, name: 'name', required: false, type: 'string' },
        ],
      },
    ],
    currentSchemaId: 0,
    partitionSpecs: [{ specId: 0, fields: [] }],
    defaultSpecId: 0,
    lastPartitionId: 999,
    sortOrders: [{ orderId: 0, fields: [] }],
    defaultSortOrderId: 0,
    properties: {},
    currentSnapshotId: last,
    snapshots: [],
    snapshotLog: [],
    metadataLog: [],
    refs: last === null ? {} : { main: { snapshotId: last, type: 'branch' } },
    nextRowId: 0n,
    statistics: [],
    partitionStatistics: [],
    ...over,
  }
}

export const byId = {
  specId: 1,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'id', transform: { kind: 'identity' } }],
} as const

export function inventoryOf(data: readonly ManifestEntry[], deletes: readonly ManifestEntry[] = []) {
  return { snapshotId: 9n, sequenceNumber: 9n, manifests: [], data, deletes }
}
