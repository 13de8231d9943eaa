import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  isTableId,
  LimnError,
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
  applyViewUpdates,
  checkViewRequirements,
  decodeViewMetadata,
  encodeViewMetadata,
  type LoadedView,
  metadataFolder,
  nameTaken,
  type ViewCatalog,
  type ViewCommit,
  type ViewCommitOutcome,
  type ViewMetadata,
} from '../iceberg/index.ts'
import { explainSqlite, type Tx, transact } from '../state/index.ts'
import { type ObjectStore, type StorePath, storePath } from '../storage/index.ts'

interface Cancel {
  readonly signal?: AbortSignal
}

/** Commits are tried this often against pointers that others move, as long as the requirements still hold. */
const attemptsMax = 20

/**
 * The views of a SQLite catalog, in the layout of Java's JdbcCatalog: rows of `iceberg_tables` whose type is VIEW, so that
 * the primary key keeps a view and a table from sharing a name.
 */
export class SqliteViews implements ViewCatalog {
  readonly name: string
  private readonly path: string
  private readonly store: ObjectStore
  private readonly randomness: Randomness
  private readonly steps: Steps
  private readonly database: DatabaseSync
  private readonly cache = new Map<StorePath, ViewMetadata>()

  constructor(
    options: {
      readonly path: string
      readonly name: string
      readonly store: ObjectStore
      readonly randomness: Randomness
      readonly steps?: Steps
    },
    database: DatabaseSync,
  ) {
    this.name = options.name
    this.path = options.path
    this.store = options.store
    this.randomness = options.randomness
    this.steps = options.steps ?? noSteps
    this.database = database
  }

  async listViews(): Promise<readonly TableId[]> {
    return [...this.pointers().keys()].filter(isTableId).sort()
  }

  async loadViews(ids: readonly TableId[]): Promise<ReadonlyMap<TableId, LoadedView | null>> {
    const pointers = ids.length === 0 ? new Map<string, StorePath>() : this.pointers()
    const out = new Map<TableId, LoadedView | null>()
    for (const id of ids) {
      const location = pointers.get(id)
      out.set(id, location === undefined ? null : await this.load(id, location))
    }
    return out
  }

  async commitView(change: ViewCommit, options: { readonly timestampMs: number } & Cancel): Promise<ViewCommitOutcome> {
    for (let attempt = 1; ; attempt++) {
      options.signal?.throwIfAborted()
      const base = (await this.loadViews([change.view])).get(change.view) ?? null
      const failed = checkViewRequirements(base?.metadata ?? null, change.requirements)
      if (failed) return { kind: 'conflict', requirement: failed }
      if (!base) this.requireNo('table', change.view)
      const next = await this.write(change, base, options.timestampMs)
      const moved = await step(this.steps, 'catalog.commit', change.view, () => this.swap(next, base))
      if (moved.kind === 'swapped') return { kind: 'committed', view: next }
      if (moved.kind === 'unknown') return this.settle(next, moved.cause)
      await this.store.delete([next.metadataLocation])
      if (attempt >= attemptsMax) return { kind: 'conflict', requirement: { type: 'pointer-moved' } }
      // Writers that met once should not meet again: a random pause, longer each time.
      await sleep(((this.randomness.bytes(1)[0] ?? 0) / 255) * 4 * attempt)
    }
  }

  async dropView(view: TableId): Promise<boolean> {
    return this.transact((tx) => {
      if (this.typeOf(view) !== 'view') return false
      tx.run(`DELETE FROM iceberg_tables WHERE ${named}`, this.key(view))
      return true
    })
  }

  async renameView(from: TableId, to: TableId): Promise<boolean> {
    return this.transact((tx) => {
      if (this.typeOf(from) !== 'view') return false
      const there = this.typeOf(to)
      if (there) throw nameTaken(to, there)
      tx.run(`UPDATE iceberg_tables SET table_namespace = ?, table_name = ? WHERE ${named}`, [
        namespaceOf(to),
        nameOf(to),
        ...this.key(from),
      ])
      this.addNamespace(tx, namespaceOf(to))
      return true
    })
  }

  /** Throws `usage/table-exists` when a view has the name. */
  requireNone(table: TableId): void {
    this.requireNo('view', table)
  }

  private requireNo(type: 'view' | 'table', name: TableId): void {
    if (this.guarded(() => this.typeOf(name)) === type) throw nameTaken(name, type)
  }

  private transact<T>(body: (tx: Tx) => T): T {
    return this.guarded(() => transact(this.database, body))
  }

  private guarded<T>(body: () => T): T {
    try {
      return body()
    } catch (cause) {
      if (cause instanceof LimnError) throw cause
      throw explainSqlite(cause, this.path, 'catalog')
    }
  }

  /** What has a name. Catalogs of the older layout know tables alone, and give no type. */
  private typeOf(name: TableId): 'view' | 'table' | null {
    const row = this.database.prepare(`SELECT iceberg_type FROM iceberg_tables WHERE ${named}`).get(...this.key(name))
    return row ? (row.iceberg_type === 'VIEW' ? 'view' : 'table') : null
  }

  private key(name: TableId): readonly [string, string, string] {
    return [this.name, namespaceOf(name), nameOf(name)]
  }

  private addNamespace(tx: Tx, namespace: string): void {
    tx.run(
      "INSERT OR IGNORE INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) VALUES (?, ?, 'exists', 'true')",
      [this.name, namespace],
    )
  }

  private pointers(): ReadonlyMap<string, StorePath> {
    const rows = this.guarded(() =>
      this.database
        .prepare(
          "SELECT table_namespace, table_name, metadata_location FROM iceberg_tables WHERE catalog_name = ? AND iceberg_type = 'VIEW'",
        )
        .all(this.name),
    )
    return new Map(
      rows.map((row) => [`${row.table_namespace}.${row.table_name}`, storePath(String(row.metadata_location))]),
    )
  }

  private async load(view: TableId, metadataLocation: StorePath): Promise<LoadedView> {
    let metadata = this.cache.get(metadataLocation)
    if (!metadata) {
      metadata = await this.decode(view, metadataLocation)
      this.remember(metadataLocation, metadata)
    }
    return { view, metadataLocation, metadata }
  }

  private async decode(view: TableId, location: StorePath): Promise<ViewMetadata> {
    try {
      return decodeViewMetadata(await this.store.read(location))
    } catch (cause) {
      if (!(cause instanceof LimnError)) throw cause
      throw new LimnError(cause.kind, {
        message: `${view}: ${cause.message}`,
        notDone: cause.notDone ?? 'The view was not read.',
        remedy: cause.remedy ?? `Restore ${location}.`,
        context: { view, metadataLocation: location },
        cause,
      })
    }
  }

  private async write(change: ViewCommit, base: LoadedView | null, timestampMs: number): Promise<LoadedView> {
    const metadata = applyViewUpdates(base?.metadata ?? null, change.updates, { timestampMs })
    const version = base ? versionOf(base.metadataLocation) + 1 : 0
    const name = `${String(version).padStart(5, '0')}-${randomUuid(this.randomness)}.metadata.json`
    const metadataLocation = storePath(`${metadataFolder(metadata)}/${name}`)
    await step(this.steps, 'metadata.write', metadataLocation, () =>
      this.store.write(metadataLocation, encodeViewMetadata(metadata)),
    )
    this.remember(metadataLocation, metadata)
    return { view: change.view, metadataLocation, metadata }
  }

  /** Moves the pointer if it has not moved since the base was read. */
  private swap(
    next: LoadedView,
    base: LoadedView | null,
  ): { readonly kind: 'swapped' | 'moved' } | { readonly kind: 'unknown'; readonly cause: unknown } {
    let committing = false
    try {
      const kind = transact(this.database, (tx) => {
        const current = tx.get<{ metadata_location: string }>(
          `SELECT metadata_location FROM iceberg_tables WHERE ${named}`,
          this.key(next.view),
        )
        if ((current?.metadata_location ?? null) !== (base?.metadataLocation ?? null)) return 'moved'
        if (base === null) {
          tx.run(
            "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location, iceberg_type) VALUES (?, ?, ?, ?, NULL, 'VIEW')",
            [...this.key(next.view), next.metadataLocation],
          )
          this.addNamespace(tx, namespaceOf(next.view))
        } else {
          tx.run(
            `UPDATE iceberg_tables SET metadata_location = ?, previous_metadata_location = ? WHERE ${named} AND iceberg_type = 'VIEW'`,
            [next.metadataLocation, base.metadataLocation, ...this.key(next.view)],
          )
        }
        committing = true
        return 'swapped'
      })
      return { kind }
    } catch (cause) {
      if (committing) return { kind: 'unknown', cause }
      throw explainSqlite(cause, this.path, 'catalog')
    }
  }

  /** An error while committing: the pointer says whether it happened. */
  private settle(next: LoadedView, cause: unknown): ViewCommitOutcome {
    try {
      if (this.pointers().get(next.view) === next.metadataLocation) return { kind: 'committed', view: next }
    } catch {
      return { kind: 'unknown', cause }
    }
    throw explainSqlite(cause, this.path, 'catalog')
  }

  private remember(location: StorePath, metadata: ViewMetadata): void {
    if (this.cache.size > 500) this.cache.clear()
    this.cache.set(location, metadata)
  }
}

const named = 'catalog_name = ? AND table_namespace = ? AND table_name = ?'

function versionOf(location: StorePath): number {
  return Number(/(\d+)-[^/]*$/.exec(location)?.[1] ?? 0)
}
