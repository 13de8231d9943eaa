import type { TableId } from '../../base/index.ts'
import type { Schema, Value } from '../../schema/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { ViewCatalog } from '../view/types.ts'

/**
 * The Iceberg metadata model: camelCase here, the specification's spelling on the wire. Ids are bigint; an absent or
 * `-1` current snapshot is `null`. (Iceberg specification, "Table Metadata", "Snapshots", "Manifests".)
 */

export type Transform =
  | { readonly kind: 'identity' }
  | { readonly kind: 'void' }
  | { readonly kind: 'bucket'; readonly count: number }
  | { readonly kind: 'truncate'; readonly width: number }
  | { readonly kind: 'year' }
  | { readonly kind: 'month' }
  | { readonly kind: 'day' }
  | { readonly kind: 'hour' }
  /** One of a later version or another writer: read around, never pruned by, never written. */
  | { readonly kind: 'unknown'; readonly text: string }

export interface PartitionField {
  readonly sourceId: number
  readonly fieldId: number
  readonly name: string
  readonly transform: Transform
}
export interface PartitionSpec {
  readonly specId: number
  readonly fields: readonly PartitionField[]
}

export interface SortField {
  readonly sourceId: number
  readonly transform: Transform
  readonly direction: 'asc' | 'desc'
  readonly nullOrder: 'nulls-first' | 'nulls-last'
}
export interface SortOrder {
  readonly orderId: number
  readonly fields: readonly SortField[]
}

export type SnapshotOperation = 'append' | 'replace' | 'overwrite' | 'delete'

export interface Snapshot {
  readonly snapshotId: bigint
  readonly parentSnapshotId: bigint | null
  readonly sequenceNumber: bigint
  readonly timestampMs: number
  /** Null where a table of version 1 lists its manifests inline. */
  readonly manifestList: StorePath | null
  /** The manifests of a snapshot without a list (version 1 only). */
  readonly manifests?: readonly StorePath[]
  readonly operation: SnapshotOperation
  /** Everything in the wire summary except `operation`. */
  readonly summary: Readonly<Record<string, string>>
  readonly schemaId: number | null
  /** The row id of the first row added, and how many ids the snapshot took (version 3). */
  readonly firstRowId?: bigint
  readonly addedRows?: bigint
  /** The key its manifest list is encrypted with; limn only passes it on. */
  readonly keyId?: string
}

export interface SnapshotRef {
  readonly snapshotId: bigint
  readonly type: 'branch' | 'tag'
  readonly minSnapshotsToKeep?: number
  readonly maxSnapshotAgeMs?: number
  readonly maxRefAgeMs?: number
}

export type FormatVersion = 1 | 2 | 3

/** A blob of a Puffin file as table metadata names it. */
export interface BlobMetadata {
  readonly type: string
  readonly snapshotId: bigint
  readonly sequenceNumber: bigint
  readonly fields: readonly number[]
  readonly properties?: Readonly<Record<string, string>>
}

/** A Puffin file with statistics of one snapshot (specification, "Table Statistics"). */
export interface StatisticsFile {
  readonly snapshotId: bigint
  readonly statisticsPath: StorePath
  readonly fileSizeInBytes: bigint
  readonly fileFooterSizeInBytes: bigint
  readonly keyMetadata?: string
  readonly blobMetadata: readonly BlobMetadata[]
}

/** A file with one row of statistics per partition of a snapshot (specification, "Partition Statistics"). */
export interface PartitionStatisticsFile {
  readonly snapshotId: bigint
  readonly statisticsPath: StorePath
  readonly fileSizeInBytes: bigint
}

export interface TableMetadata {
  readonly formatVersion: FormatVersion
  readonly tableUuid: string
  readonly location: string
  readonly lastSequenceNumber: bigint
  readonly lastUpdatedMs: number
  readonly lastColumnId: number
  readonly schemas: readonly Schema[]
  readonly currentSchemaId: number
  readonly partitionSpecs: readonly PartitionSpec[]
  readonly defaultSpecId: number
  readonly lastPartitionId: number
  readonly sortOrders: readonly SortOrder[]
  readonly defaultSortOrderId: number
  readonly properties: Readonly<Record<string, string>>
  /** What `main` points at; null when the table has no rows yet. */
  readonly currentSnapshotId: bigint | null
  readonly snapshots: readonly Snapshot[]
  readonly snapshotLog: readonly { readonly timestampMs: number; readonly snapshotId: bigint }[]
  readonly metadataLog: readonly { readonly timestampMs: number; readonly metadataFile: string }[]
  readonly refs: Readonly<Record<string, SnapshotRef>>
  /** The row id the next added row gets; 0 before version 3. */
  readonly nextRowId: bigint
  readonly statistics: readonly StatisticsFile[]
  readonly partitionStatistics: readonly PartitionStatisticsFile[]
  /**
   * What else stands at the top of the file, in its spelling there: `encryption-keys`, whatever a writer added. limn
   * neither reads nor loses it. Absent when there is nothing.
   */
  readonly others?: Readonly<Record<string, unknown>>
}

/** 0 data, 1 position deletes, 2 equality deletes. */
export type FileContent = 0 | 1 | 2

export interface DataFile {
  readonly content: FileContent
  readonly path: StorePath
  readonly format: 'parquet' | 'avro' | 'orc' | 'puffin'
  readonly specId: number
  /** One value per partition field of the spec, in order; null for a null partition value. */
  readonly partition: readonly (Value | null)[]
  readonly recordCount: bigint
  readonly fileSizeInBytes: bigint
  /** Per field id. Absent map or key: unknown. */
  readonly columnSizes: ReadonlyMap<number, bigint>
  readonly valueCounts: ReadonlyMap<number, bigint>
  readonly nullValueCounts: ReadonlyMap<number, bigint>
  readonly nanValueCounts: ReadonlyMap<number, bigint>
  /** Single-value serialised (specification, appendix D); may be truncated, always a bound. */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
  readonly splitOffsets: readonly bigint[]
  readonly equalityIds: readonly number[]
  readonly sortOrderId: number | null
  readonly keyMetadata?: Uint8Array
  /** The row id of the file's first row (version 3), inheritance applied. Absent: rows have no ids. */
  readonly firstRowId?: bigint
  /** The one data file that a file of position deletes, or a deletion vector, is about. */
  readonly referencedDataFile?: StorePath
  /** Where in the Puffin file the blob of a deletion vector stands. */
  readonly contentOffset?: bigint
  readonly contentSizeInBytes?: bigint
}

/** 0 existing, 1 added, 2 deleted. */
export type EntryStatus = 0 | 1 | 2

/** A manifest's entry with inheritance already applied (snapshot id and sequence numbers are never null after reading). */
export interface ManifestEntry {
  readonly status: EntryStatus
  readonly snapshotId: bigint
  readonly dataSequenceNumber: bigint
  readonly fileSequenceNumber: bigint
  readonly file: DataFile
}

export interface FieldSummary {
  readonly containsNull: boolean
  readonly containsNan: boolean | null
  readonly lowerBound: Uint8Array | null
  readonly upperBound: Uint8Array | null
}

/** A row of a manifest list. */
export interface ManifestFile {
  readonly path: StorePath
  readonly length: bigint
  readonly specId: number
  readonly content: 'data' | 'deletes'
  readonly sequenceNumber: bigint
  readonly minSequenceNumber: bigint
  readonly addedSnapshotId: bigint
  readonly addedFilesCount: number
  readonly existingFilesCount: number
  readonly deletedFilesCount: number
  readonly addedRowsCount: bigint
  readonly existingRowsCount: bigint
  readonly deletedRowsCount: bigint
  readonly partitions: readonly FieldSummary[]
  /** The row id from which files without one count up, in order of entries (version 3). */
  readonly firstRowId?: bigint
  /** How an encrypted manifest is opened; limn only passes it on. */
  readonly keyMetadata?: Uint8Array
}

/** What must hold of the table for a commit to be applied (REST specification, TableRequirement). */
export type Requirement =
  | { readonly type: 'assert-create' }
  | { readonly type: 'assert-table-uuid'; readonly uuid: string }
  /** `snapshotId` null: the ref must not exist. */
  | { readonly type: 'assert-ref-snapshot-id'; readonly ref: string; readonly snapshotId: bigint | null }
  | { readonly type: 'assert-last-assigned-field-id'; readonly lastAssignedFieldId: number }
  | { readonly type: 'assert-current-schema-id'; readonly currentSchemaId: number }
  | { readonly type: 'assert-last-assigned-partition-id'; readonly lastAssignedPartitionId: number }
  | { readonly type: 'assert-default-spec-id'; readonly defaultSpecId: number }
  | { readonly type: 'assert-default-sort-order-id'; readonly defaultSortOrderId: number }

/** A change to a table's metadata (REST specification, TableUpdate). Ids of `-1` mean "the one added last in this list". */
export type Update =
  | { readonly action: 'assign-uuid'; readonly uuid: string }
  | { readonly action: 'upgrade-format-version'; readonly formatVersion: FormatVersion }
  | { readonly action: 'add-schema'; readonly schema: Schema }
  | { readonly action: 'set-current-schema'; readonly schemaId: number }
  | { readonly action: 'add-spec'; readonly spec: PartitionSpec }
  | { readonly action: 'set-default-spec'; readonly specId: number }
  | { readonly action: 'add-sort-order'; readonly sortOrder: SortOrder }
  | { readonly action: 'set-default-sort-order'; readonly sortOrderId: number }
  | { readonly action: 'add-snapshot'; readonly snapshot: Snapshot }
  | { readonly action: 'set-snapshot-ref'; readonly ref: string; readonly to: SnapshotRef }
  | { readonly action: 'remove-snapshot-ref'; readonly ref: string }
  | { readonly action: 'remove-snapshots'; readonly snapshotIds: readonly bigint[] }
  | { readonly action: 'set-statistics'; readonly statistics: StatisticsFile }
  | { readonly action: 'remove-statistics'; readonly snapshotId: bigint }
  | { readonly action: 'set-partition-statistics'; readonly partitionStatistics: PartitionStatisticsFile }
  | { readonly action: 'remove-partition-statistics'; readonly snapshotId: bigint }
  | { readonly action: 'remove-partition-specs'; readonly specIds: readonly number[] }
  | { readonly action: 'remove-schemas'; readonly schemaIds: readonly number[] }
  | { readonly action: 'set-location'; readonly location: string }
  | { readonly action: 'set-properties'; readonly updates: Readonly<Record<string, string>> }
  | { readonly action: 'remove-properties'; readonly removals: readonly string[] }

export interface TableCommit {
  readonly table: TableId
  readonly requirements: readonly Requirement[]
  readonly updates: readonly Update[]
}

export type CommitOutcome =
  | { readonly kind: 'committed'; readonly metadata: ReadonlyMap<TableId, LoadedTable> }
  | {
      readonly kind: 'conflict'
      readonly table: TableId
      readonly requirement: Requirement | { readonly type: 'pointer-moved' }
    }
  /** The catalog may or may not have committed: look for the snapshot ids before anything is deleted. */
  | { readonly kind: 'unknown'; readonly cause: unknown }

export interface LoadedTable {
  readonly table: TableId
  readonly metadataLocation: StorePath
  readonly metadata: TableMetadata
}

export interface CatalogCapabilities {
  /** Several tables in one commit, all or nothing. */
  readonly atomicCommit: boolean
  /** Creating a table can be part of such a commit. */
  readonly atomicCreate: boolean
  /** `loadTables` returns pointers of one instant. */
  readonly snapshotRead: boolean
}

/** Names of tables in a catalog, taken away or changed; no file is touched. `catalog/` implements it. */
export interface TableNames {
  /** Takes a table's name away if it still stands for this metadata file. False: it does not, or there is no such table. */
  drop(table: TableId, metadataLocation: StorePath, options?: { readonly signal?: AbortSignal }): Promise<boolean>
  /**
   * Gives a table another name, whatever others commit to it meanwhile. False: there is no such table. Throws
   * `usage/table-exists` when a table or view has the new name.
   */
  rename(from: TableId, to: TableId, options?: { readonly signal?: AbortSignal }): Promise<boolean>
}

export interface TableRename {
  readonly from: TableId
  readonly to: TableId
}

/** The catalog port. `catalog/` implements it. */
export interface Catalog {
  readonly capabilities: CatalogCapabilities
  /** Absent: the catalog holds no views. */
  readonly views?: ViewCatalog
  /** Absent: names of tables stay as they are, as within a run or a transaction. */
  readonly names?: TableNames
  /** Every table, in byte order of ids. */
  listTables(options?: { readonly signal?: AbortSignal }): Promise<readonly TableId[]>
  /** Null for a table that does not exist. */
  loadTables(
    ids: readonly TableId[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<ReadonlyMap<TableId, LoadedTable | null>>
  /**
   * All or nothing across tables. Each table of one commit gets the same `timestampMs` in its snapshot log.
   * Every table's requirements are checked against its current metadata, under the same transaction that moves it.
   */
  commit(
    changes: readonly TableCommit[],
    options: {
      readonly timestampMs: number
      /**
       * Names that change in the same transaction, after the changes, which go by the old ones. A table that is not there
       * is a conflict. Throws `usage/table-exists` where a table or view has the new name. Without `names`, refused.
       */
      readonly renames?: readonly TableRename[]
      readonly signal?: AbortSignal
    },
  ): Promise<CommitOutcome>
  /**
   * Gives a name to a metadata file that is there already: the table goes on from it, and nothing is written. Null: the
   * name is taken, and nothing has changed.
   */
  registerTable(
    table: TableId,
    metadataLocation: StorePath,
    options?: { readonly signal?: AbortSignal },
  ): Promise<LoadedTable | null>
}
