import type { TableId } from '../../base/index.ts'
import {
  applyUpdates,
  type Catalog,
  type CommitOutcome,
  checkRequirements,
  decodeMetadata,
  type LoadedTable,
  ManifestReader,
  nameTaken,
  type TableCommit,
  type TableNames,
  type ViewCatalog,
} from '../../iceberg/index.ts'
import {
  type ByteRange,
  type Cancel,
  type FileLease,
  type ObjectInfo,
  type ObjectStore,
  type StorePath,
  storePath,
} from '../../storage/index.ts'
import type { TableContext } from '../../table/index.ts'
import { RehearsalViews } from './rehearsal-views.ts'

/**
 * A context in which everything is worked out and nothing happens: commits move tables in memory, files go nowhere.
 * Numbers that come out are those of the real run on the same tables.
 */
export function rehearsal(context: TableContext): TableContext {
  const store = new RehearsalStore(context.store)
  const { holdForWrite: _held, ...rest } = context
  return {
    ...rest,
    store,
    manifests: new ManifestReader(store),
    catalog: new RehearsalCatalog(context.catalog, store),
  }
}

/** Reads through; keeps what is written in memory. Data files that were put stay in their scratch folder as long as it lasts. */
class RehearsalStore implements ObjectStore {
  readonly root: StorePath
  private readonly real: ObjectStore
  private readonly written = new Map<StorePath, Uint8Array>()
  private readonly put = new Map<StorePath, string>()

  constructor(real: ObjectStore) {
    this.real = real
    this.root = real.root
  }

  async read(path: StorePath, range?: ByteRange, options?: Cancel): Promise<Uint8Array> {
    const bytes = this.written.get(path)
    if (bytes === undefined) return this.real.read(path, range, options)
    return range ? bytes.subarray(range.start, range.end) : bytes
  }

  async write(path: StorePath, bytes: Uint8Array, options: Cancel & { ifAbsent?: boolean } = {}) {
    if (options.ifAbsent && (await this.stat(path, options))) return 'exists' as const
    this.written.set(path, bytes)
    return 'written' as const
  }

  async putFile(local: string, path: StorePath): Promise<void> {
    this.put.set(path, local)
  }

  async putFiles(files: readonly { readonly local: string; readonly path: StorePath }[]): Promise<void> {
    for (const file of files) this.put.set(file.path, file.local)
  }

  async linkFiles(files: readonly { readonly from: StorePath; readonly to: StorePath }[]): Promise<void> {
    for (const { from, to } of files) this.put.set(to, this.put.get(from) ?? from)
  }

  async settle(): Promise<void> {
    // Nothing of it is to last.
  }

  scratch(options?: Cancel) {
    return this.real.scratch(options)
  }

  async lease(paths: readonly StorePath[], options?: Cancel): Promise<FileLease> {
    const lease = await this.real.lease(
      paths.filter((path) => !this.put.has(path)),
      options,
    )
    const mine = new Map(paths.flatMap((path) => (this.put.has(path) ? [[this.put.get(path), path] as const] : [])))
    return {
      localOf: (path) => this.put.get(path) ?? lease.localOf(path),
      pathOf: (local) => mine.get(local) ?? lease.pathOf(local),
      [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
    }
  }

  async stat(path: StorePath, options?: Cancel): Promise<ObjectInfo | null> {
    const bytes = this.written.get(path)
    return bytes ? { path, bytes: bytes.length, modifiedMs: 0 } : this.real.stat(path, options)
  }

  list(prefix: StorePath, options?: Cancel): AsyncIterable<ObjectInfo> {
    return this.real.list(prefix, options)
  }

  async delete(paths: readonly StorePath[]): Promise<void> {
    for (const path of paths) {
      this.written.delete(path)
      this.put.delete(path)
    }
  }
}

class RehearsalCatalog implements Catalog {
  readonly capabilities
  readonly views?: ViewCatalog
  private readonly real: Catalog
  private readonly store: ObjectStore
  private readonly moved = new Map<TableId, LoadedTable>()
  private readonly gone = new Set<TableId>()

  constructor(real: Catalog, store: ObjectStore) {
    this.real = real
    this.store = store
    this.capabilities = real.capabilities
    if (real.views) this.views = new RehearsalViews(real.views, this)
  }

  async listTables(options?: { readonly signal?: AbortSignal }): Promise<readonly TableId[]> {
    const all = new Set([...(await this.real.listTables(options)), ...this.moved.keys()])
    return [...all.difference(this.gone)].sort()
  }

  async loadTables(ids: readonly TableId[], options?: { readonly signal?: AbortSignal }) {
    const out = new Map<TableId, LoadedTable | null>(await this.real.loadTables(ids, options))
    for (const id of ids) {
      if (this.gone.has(id)) out.set(id, null)
      const moved = this.moved.get(id)
      if (moved) out.set(id, moved)
    }
    return out
  }

  readonly names: TableNames = {
    drop: async (table, metadataLocation) => {
      const there = (await this.loadTables([table])).get(table)
      if (there?.metadataLocation !== metadataLocation) return false
      this.moved.delete(table)
      this.gone.add(table)
      return true
    },
    rename: async (from, to) => {
      const tables = await this.loadTables([from, to])
      const there = tables.get(from)
      if (!there) return false
      if (tables.get(to)) throw nameTaken(to, 'table')
      if ((await this.views?.loadViews([to]))?.get(to)) throw nameTaken(to, 'view')
      this.moved.delete(from)
      this.gone.add(from)
      this.gone.delete(to)
      this.moved.set(to, { ...there, table: to })
      return true
    },
  }

  async registerTable(table: TableId, metadataLocation: StorePath): Promise<LoadedTable | null> {
    if ((await this.loadTables([table])).get(table)) return null
    const loaded = { table, metadataLocation, metadata: decodeMetadata(await this.store.read(metadataLocation)) }
    this.moved.set(table, loaded)
    this.gone.delete(table)
    return loaded
  }

  async commit(
    changes: readonly TableCommit[],
    options: { readonly timestampMs: number; readonly signal?: AbortSignal },
  ): Promise<CommitOutcome> {
    const bases = await this.loadTables(
      changes.map((change) => change.table),
      options,
    )
    for (const { table, requirements } of changes) {
      const requirement = checkRequirements(bases.get(table)?.metadata ?? null, requirements)
      if (requirement) return { kind: 'conflict', table, requirement }
      if (!bases.get(table) && (await this.views?.loadViews([table]))?.get(table)) throw nameTaken(table, 'view')
    }
    const next = changes.map(({ table, updates }): LoadedTable => {
      const metadata = applyUpdates(bases.get(table)?.metadata ?? null, updates, { timestampMs: options.timestampMs })
      return { table, metadata, metadataLocation: storePath(`${metadata.location}/metadata/rehearsal.metadata.json`) }
    })
    for (const one of next) {
      this.moved.set(one.table, one)
      this.gone.delete(one.table)
    }
    return { kind: 'committed', metadata: new Map(next.map((one) => [one.table, one])) }
  }
}
