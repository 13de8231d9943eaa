import type { Clock, Randomness, Steps, TableId } from '../base/index.ts'
import type { FileEngine } from '../engine/index.ts'
import {
  type Catalog,
  type LoadedTable,
  type ManifestReader,
  type Snapshot,
  schemaById,
  snapshotById,
  type TableMetadata,
} from '../iceberg/index.ts'
import type { Schema } from '../schema/index.ts'
import { type ObjectStore, type StorePath, storePath } from '../storage/index.ts'
import type { Gathering } from './commit/commit-pending.ts'

/** What rows need: a format (catalog, store, manifests) and an engine. */
export interface TableContext {
  readonly catalog: Catalog
  readonly store: ObjectStore
  readonly engine: FileEngine
  readonly manifests: ManifestReader
  readonly clock: Clock
  readonly randomness: Randomness
  readonly steps: Steps
  readonly signal: AbortSignal
  /**
   * Holds a table's write lease for one direct write. A run that main was moved under again and again takes the leases of
   * its tables; direct writers then wait. Absent where nobody else writes.
   */
  readonly holdForWrite?: (table: TableId) => Promise<AsyncDisposable>
  /** The folder of a new table. Default: its namespace and name under the store's root. */
  readonly locate?: (table: TableId) => StorePath
  /** Waits before a commit is tried again. Default: real time. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
  /** Inside `transaction`: where changes are gathered, to be committed together. */
  readonly gathering?: Gathering
}

/** Where a table's folder goes that has its name alone for itself. */
export function folderOf({ store, locate }: TableContext, table: TableId): StorePath {
  return locate?.(table) ?? storePath(`${store.root}/${table.replace('.', '/')}`)
}

/** One table at one snapshot: a value that any number of readers share. `snapshotId` null: a table without rows. */
export interface PinnedTable {
  readonly id: TableId
  readonly metadata: TableMetadata
  readonly snapshotId: bigint | null
  /** The schema to read with. */
  readonly schemaId: number
}

/**
 * Pins a table where a ref points: a branch is read with the table's current schema, as it goes on being written, a tag
 * with the schema its snapshot was written with. A ref other than `main` that does not exist gives null.
 */
export function pinRef(loaded: LoadedTable, ref = 'main'): PinnedTable | null {
  const { metadata } = loaded
  if (ref === 'main') {
    return { id: loaded.table, metadata, snapshotId: metadata.currentSnapshotId, schemaId: metadata.currentSchemaId }
  }
  const target = metadata.refs[ref]
  if (!target) return null
  const pin = pinSnapshot(loaded, target.snapshotId)
  return target.type === 'branch' ? { ...pin, schemaId: metadata.currentSchemaId } : pin
}

/**
 * Pins a branch that a run stages on, read with the schema it was staged with, which need not be the table's yet. Null
 * when there is no such branch.
 */
export function pinStaged(loaded: LoadedTable, branch: string): PinnedTable | null {
  const target = loaded.metadata.refs[branch]
  return target ? pinSnapshot(loaded, target.snapshotId) : null
}

/** Pins a table at a snapshot, read with the schema that snapshot was written with. */
export function pinSnapshot(loaded: LoadedTable, snapshotId: bigint): PinnedTable {
  const snapshot = snapshotById(loaded.metadata, snapshotId)
  return {
    id: loaded.table,
    metadata: loaded.metadata,
    snapshotId,
    schemaId: snapshot?.schemaId ?? loaded.metadata.currentSchemaId,
  }
}

export function schemaOfPin(pin: PinnedTable): Schema {
  return schemaById(pin.metadata, pin.schemaId)
}

export function snapshotOfPin(pin: PinnedTable): Snapshot | null {
  return pin.snapshotId === null ? null : (snapshotById(pin.metadata, pin.snapshotId) ?? null)
}
