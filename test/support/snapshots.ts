import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect } from 'vitest'
import { noSteps, seededRandomness } from '../../packages/limn/src/base/index.ts'
import {
  type AddedFile,
  applyUpdates,
  checkRequirements,
  createTableUpdates,
  type DataFile,
  type ManifestEntry,
  type ManifestFile,
  ManifestReader,
  type PartitionSpec,
  type SnapshotOperation,
  type StagedSnapshot,
  snapshotById,
  stageSnapshot,
  type TableMetadata,
  type Update,
} from '../../packages/limn/src/iceberg/index.ts'
import type { Schema, Value } from '../../packages/limn/src/schema/index.ts'
import { LocalStore, type StorePath, storePath } from '../../packages/limn/src/storage/index.ts'

/** Tables of metadata alone, changed by staged snapshots: no catalog, no rows. */

const folder = mkdtempSync(join(tmpdir(), 'limn-snapshots-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

export const schema: Schema = {
  schemaId: 0,
  identifierFieldIds: [],
  fields: [
    { id: 1, name: 'n', required: false, type: 'int' },
    { id: 2, name: 's', required: false, type: 'string' },
  ],
}
export const byN: PartitionSpec = {
  specId: 0,
  fields: [{ sourceId: 1, fieldId: 1000, name: 'n', transform: { kind: 'identity' } }],
}

export interface Change {
  readonly operation?: SnapshotOperation
  readonly added?: readonly AddedFile[]
  readonly removed?: readonly DataFile[]
  readonly ref?: string
  readonly parent?: bigint | null
  readonly summary?: Readonly<Record<string, string>>
  readonly manifestMerging?: 'fast' | 'merge'
}

export interface SnapshotTable {
  readonly store: LocalStore
  readonly reader: ManifestReader
  /** Every path read from the store, in order. */
  readonly reads: StorePath[]
  metadata: TableMetadata
  apply(changes: readonly Update[]): void
  stage(change: Change): Promise<StagedSnapshot>
  /** Stages a change and applies it, its requirements checked. */
  commit(change: Change): Promise<StagedSnapshot>
  /** Of the current snapshot unless another is named. */
  manifests(snapshotId?: bigint | null): Promise<readonly ManifestFile[]>
  /** All entries of the current snapshot, deleted ones included, in the list's order. */
  entries(): Promise<readonly ManifestEntry[]>
}

let tables = 0

export function snapshotTable(
  options: { readonly formatVersion?: 2 | 3; readonly properties?: Readonly<Record<string, string>> } = {},
): SnapshotTable {
  const number = ++tables
  const reads: StorePath[] = []
  const store = new LocalStore(join(folder, `table ${number}`))
  const read = store.read.bind(store)
  store.read = (path, range, cancel) => {
    reads.push(path)
    return read(path, range, cancel)
  }
  const updates = createTableUpdates({
    tableUuid: `uuid-${number}`,
    location: `${store.root}/t`,
    schema,
    spec: byN,
    properties: options.properties ?? {},
    formatVersion: options.formatVersion ?? 2,
  })
  const randomness = seededRandomness(`snapshots ${number}`)
  let nextId = 100n
  let nextMs = 1_700_000_000_000
  const table: SnapshotTable = {
    store,
    reads,
    reader: new ManifestReader(store),
    metadata: applyUpdates(null, updates, { timestampMs: nextMs }),
    apply(changes: readonly Update[]): void {
      nextMs += 1000
      table.metadata = applyUpdates(table.metadata, changes, { timestampMs: nextMs })
    },
    stage(change: Change): Promise<StagedSnapshot> {
      const { added = [], removed = [], ref = 'main' } = change
      const current = table.metadata.refs[ref]?.snapshotId ?? table.metadata.currentSnapshotId
      return stageSnapshot({
        store,
        // Nothing is remembered between snapshots: what a commit opens shows in `reads`.
        manifests: new ManifestReader(store),
        steps: noSteps,
        randomness,
        base: table.metadata,
        parentSnapshotId: change.parent === undefined ? current : change.parent,
        ref,
        operation: change.operation ?? (removed.length === 0 ? 'append' : 'overwrite'),
        added,
        removed,
        snapshotId: nextId++,
        timestampMs: nextMs,
        ...(change.summary ? { summary: change.summary } : {}),
        ...(change.manifestMerging ? { manifestMerging: change.manifestMerging } : {}),
      })
    },
    async commit(change: Change): Promise<StagedSnapshot> {
      const staged = await table.stage(change)
      expect(checkRequirements(table.metadata, staged.requirements)).toBe(null)
      table.apply(staged.updates)
      return staged
    },
    manifests(snapshotId: bigint | null = table.metadata.currentSnapshotId): Promise<readonly ManifestFile[]> {
      const snapshot = snapshotId === null ? undefined : snapshotById(table.metadata, snapshotId)
      return snapshot ? table.reader.manifestsOf(snapshot) : Promise.resolve([])
    },
    async entries(): Promise<readonly ManifestEntry[]> {
      const lists = (await table.manifests()).map((manifest) => table.reader.entriesOf(manifest))
      return (await Promise.all(lists)).flat()
    },
  }
  return table
}

export function file(name: string, n: Value | null = 1, more: Partial<AddedFile> = {}): AddedFile {
  return {
    content: 0,
    path: storePath(`file:///data/${name}.parquet`),
    format: 'parquet',
    specId: 0,
    partition: [n],
    recordCount: 10n,
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
    ...more,
  }
}
