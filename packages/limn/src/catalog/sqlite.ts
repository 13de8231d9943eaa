import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  isTableId,
  LimnError,
  mapConcurrently,
  nameOf,
  namespaceOf,
  noSteps,
  type Randomness,
  randomUuid,
  type Steps,
  step,
  type TableId,
} from '../base/index.ts'
import {
  applyUpdates,
  type Catalog,
  type CommitOutcome,
  checkRequirements,
  decodeMetadata,
  encodeMetadata,
  type LoadedTable,
  metadataFolder,
  type TableCommit,
  type TableMetadata,
  type TableRename,
} from '../iceberg/index.ts'
import { explainSqlite, openSqlite, type Tx, transact } from '../state/index.ts'
import { type ObjectStore, type StorePath, storePath } from '../storage/index.ts'
import { SqliteEnvironments } from './sqlite-environments.ts'
import { SqliteTableNames } from './sqlite-names.ts'
import { SqlitePointers } from './sqlite-pointers.ts'
import { SqliteViews } from './sqlite-views.ts'

export interface SqliteCatalogOptions {
  readonly path: string
  /** The catalog's name in its tables. */
  readonly name: string
  readonly store: ObjectStore
  readonly randomness: Randomness
  readonly steps?: Steps
}

/** Commits are tried this often against pointers that others move, as long as the requirements still hold. */
/** Metadata files written at once: the file system answers their syncs together. */
const writesAtOnce = 8

const attemptsMax = 20

/**
 * An Iceberg catalog in SQLite, in the layout of Java's JdbcCatalog (schema version V1), which PyIceberg's SqlCatalog
 * shares. Any number of tables move in one transaction; readers see pointers of one instant.
 */
export class SqliteCatalog implements Catalog {
  readonly capabilities = { atomicCommit: true, atomicCreate: true, snapshotRead: true } as const
  private readonly options: SqliteCatalogOptions
  private readonly database: DatabaseSync
  private readonly steps: Steps
  private readonly metadata: MetadataFiles
  readonly views: SqliteViews
  readonly names: SqliteTableNames
  readonly environments: SqliteEnvironments
  readonly pointers: SqlitePointers

  constructor(options: SqliteCatalogOptions) {
    this.options = options
    this.steps = options.steps ?? noSteps
    this.metadata = new MetadataFiles(options.store, this.steps, options.randomness)
    this.database = openSqlite(options.path, 'catalog')
    this.guarded(() => this.database.exec(layout))
    this.views = new SqliteViews(options, this.database)
    this.names = new SqliteTableNames(options, this.database, this.steps)
    this.environments = new SqliteEnvironments(options, this.database, this.steps)
    this.pointers = new SqlitePointers(options, this.database, this.steps)
  }

  async listTables(): Promise<readonly TableId[]> {
    const rows = this.guarded(() =>
      this.database
        .prepare(
          "SELECT table_namespace, table_name FROM iceberg_tables WHERE catalog_name = ? AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)",
        )
        .all(this.options.name),
    )
    return rows
      .map((row) => `${row.table_namespace}.${row.table_name}`)
      .filter(isTableId)
      .sort()
  }

  async loadTables(ids: readonly TableId[]): Promise<ReadonlyMap<TableId, LoadedTable | null>> {
    const pointers = this.current()
    const out = new Map<TableId, LoadedTable | null>()
    for (const id of ids) {
      const location = pointers.get(id)
      out.set(id, location === undefined ? null : await this.metadata.load(id, location))
    }
    return out
  }

  async commit(changes: readonly TableCommit[], options: Parameters<Catalog['commit']>[1]): Promise<CommitOutcome> {
    const renames = options.renames ?? []
    for (let attempt = 1; ; attempt++) {
      options.signal?.throwIfAborted()
      const bases = await this.loadTables(changes.map((change) => change.table))
      for (const change of changes) {
        const failed = checkRequirements(bases.get(change.table)?.metadata ?? null, change.requirements)
        if (failed) return { kind: 'conflict', table: change.table, requirement: failed }
        if (!bases.get(change.table)) this.views.requireNone(change.table)
      }
      const next = await mapConcurrently(changes, writesAtOnce, (change) =>
        this.metadata.write(change, bases.get(change.table) ?? null, options.timestampMs),
      )
      await this.options.store.settle()
      const detail = [...changes.map((change) => change.table), ...renames.map((one) => `${one.from}→${one.to}`)].join(
        ' ',
      )
      const moved = await step(this.steps, 'catalog.commit', detail, () => this.swap(next, bases, renames))
      if (moved.kind === 'swapped') return { kind: 'committed', metadata: new Map(next.map((one) => [one.table, one])) }
      if (moved.kind === 'unknown') return this.settle(next, renames, moved.cause)
      await this.options.store.delete(next.map((one) => one.metadataLocation))
      if (attempt >= attemptsMax)
        return { kind: 'conflict', table: moved.table, requirement: { type: 'pointer-moved' } }
      // Writers that met once should not meet again: a random pause, longer each time.
      await sleep(((this.options.randomness.bytes(1)[0] ?? 0) / 255) * 4 * attempt)
    }
  }

  async registerTable(table: TableId, metadataLocation: StorePath): Promise<LoadedTable | null> {
    const loaded = await this.metadata.load(table, metadataLocation)
    const { name, store } = this.options
    await store.settle()
    const inserted = await step(this.steps, 'catalog.commit', `register ${table}`, () =>
      this.guarded(() =>
        transact(this.database, (tx) => {
          const there = tx.get(
            'SELECT 1 FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?',
            [name, namespaceOf(table), nameOf(table)],
          )
          if (there) return false
          insertTable(tx, name, loaded)
          return true
        }),
      ),
    )
    return inserted ? loaded : null
  }

  close(): void {
    this.database.close()
  }

  private current(): ReadonlyMap<string, StorePath> {
    const rows = this.guarded(() =>
      this.database
        .prepare(
          "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables WHERE catalog_name = ? AND (iceberg_type = 'TABLE' OR iceberg_type IS NULL)",
        )
        .all(this.options.name),
    )
    return new Map(
      rows.map((row) => [`${row.table_namespace}.${row.table_name}`, storePath(String(row.metadata_location))]),
    )
  }

  /** Moves all pointers in one transaction if none has moved since the bases were read. */
  private swap(
    next: readonly LoadedTable[],
    bases: ReadonlyMap<TableId, LoadedTable | null>,
    renames: readonly TableRename[],
  ):
    | { readonly kind: 'swapped' }
    | { readonly kind: 'moved'; readonly table: TableId }
    | { readonly kind: 'unknown'; readonly cause: unknown } {
    const name = this.options.name
    let committing = false
    try {
      transact(this.database, (tx) => {
        for (const table of next) {
          const namespace = namespaceOf(table.table)
          const base = bases.get(table.table)?.metadataLocation ?? null
          const current = tx.get<{ metadata_location: string }>(
            'SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?',
            [name, namespace, nameOf(table.table)],
          )
          if ((current?.metadata_location ?? null) !== base) throw new PointerMoved(table.table)
          if (base === null) {
            insertTable(tx, name, table)
          } else {
            tx.run(
              'UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?',
              [table.metadataLocation, base, name, namespace, nameOf(table.table)],
            )
          }
        }
        for (const { from, to } of renames) if (!this.names.renameIn(tx, from, to)) throw new PointerMoved(from)
        committing = true
      })
      return { kind: 'swapped' }
    } catch (cause) {
      if (cause instanceof PointerMoved) return { kind: 'moved', table: cause.table }
      if (committing) return { kind: 'unknown', cause }
      if (cause instanceof LimnError) throw cause
      throw explainSqlite(cause, this.options.path, 'catalog')
    }
  }

  /** An error while committing: the pointers say whether it happened. */
  private settle(next: readonly LoadedTable[], renames: readonly TableRename[], cause: unknown): CommitOutcome {
    try {
      const pointers = this.current()
      const named = new Map(renames.map((one) => [one.from, one.to]))
      if (next.every((one) => pointers.get(named.get(one.table) ?? one.table) === one.metadataLocation)) {
        return { kind: 'committed', metadata: new Map(next.map((one) => [one.table, one])) }
      }
    } catch {
      return { kind: 'unknown', cause }
    }
    throw explainSqlite(cause, this.options.path, 'catalog')
  }

  private guarded<T>(body: () => T): T {
    try {
      return body()
    } catch (cause) {
      throw explainSqlite(cause, this.options.path, 'catalog')
    }
  }
}

function insertTable(tx: Tx, catalog: string, { table, metadataLocation }: LoadedTable): void {
  const namespace = namespaceOf(table)
  tx.run(
    'INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location, iceberg_type) VALUES (?, ?, ?, ?, NULL, ?)',
    [catalog, namespace, nameOf(table), metadataLocation, 'TABLE'],
  )
  tx.run(
    "INSERT OR IGNORE INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true')",
    [catalog, namespace],
  )
}

class PointerMoved extends Error {
  readonly table: TableId
  constructor(table: TableId) {
    super(`the pointer of ${table} moved`)
    this.table = table
  }
}

const layout = `
CREATE TABLE IF NOT EXISTS iceberg_tables (
  catalog_name VARCHAR(255) NOT NULL,
  table_namespace VARCHAR(255) NOT NULL,
  table_name VARCHAR(255) NOT NULL,
  metadata_location VARCHAR(1000),
  previous_metadata_location VARCHAR(1000),
  iceberg_type VARCHAR(5),
  PRIMARY KEY (catalog_name, table_namespace, table_name));
CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
  catalog_name VARCHAR(255) NOT NULL,
  namespace VARCHAR(255) NOT NULL,
  property_key VARCHAR(255) NOT NULL,
  property_value VARCHAR(1000),
  PRIMARY KEY (catalog_name, namespace, property_key));`

/** Metadata files: read with a cache, for they never change. Durable once the store is settled, before a pointer moves. */
export class MetadataFiles {
  private readonly store: ObjectStore
  private readonly steps: Steps
  private readonly randomness: Randomness
  private readonly cache = new Map<StorePath, TableMetadata>()

  constructor(store: ObjectStore, steps: Steps, randomness: Randomness) {
    this.store = store
    this.steps = steps
    this.randomness = randomness
  }

  async load(table: TableId, metadataLocation: StorePath): Promise<LoadedTable> {
    let metadata = this.cache.get(metadataLocation)
    if (!metadata) {
      metadata = await this.decode(table, metadataLocation)
      this.remember(metadataLocation, metadata)
    }
    return { table, metadataLocation, metadata }
  }

  /** Applies a commit to its base and writes the metadata file of the result. */
  async write(change: TableCommit, base: LoadedTable | null, timestampMs: number): Promise<LoadedTable> {
    const metadata = applyUpdates(base?.metadata ?? null, change.updates, {
      timestampMs,
      ...(base ? { previousMetadataLocation: base.metadataLocation } : {}),
    })
    const version = base ? versionOf(base.metadataLocation) + 1 : 0
    const name = `${String(version).padStart(5, '0')}-${randomUuid(this.randomness)}.metadata.json`
    const metadataLocation = storePath(`${metadataFolder(metadata)}/${name}`)
    await step(this.steps, 'metadata.write', metadataLocation, () =>
      this.store.write(metadataLocation, encodeMetadata(metadata), { later: true }),
    )
    this.remember(metadataLocation, metadata)
    return { table: change.table, metadataLocation, metadata }
  }

  private async decode(table: TableId, location: StorePath): Promise<TableMetadata> {
    try {
      return decodeMetadata(await this.store.read(location))
    } catch (cause) {
      if (!(cause instanceof LimnError)) throw cause
      throw new LimnError(cause.kind, {
        message: `${table}: ${cause.message}`,
        notDone: cause.notDone ?? 'The table was not read.',
        remedy: cause.remedy ?? `Restore ${location}.`,
        context: { table, metadataLocation: location },
        cause,
      })
    }
  }

  private remember(location: StorePath, metadata: TableMetadata): void {
    if (this.cache.size > 500) this.cache.clear()
    this.cache.set(location, metadata)
  }
}

function versionOf(location: StorePath): number {
  return Number(/(\d+)-[^/]*$/.exec(location)?.[1] ?? 0)
}
