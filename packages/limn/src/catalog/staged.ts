import { LimnError, type Randomness, type Steps, step, type TableId } from '../base/index.ts'
import {
  type Catalog,
  type CommitOutcome,
  checkRequirements,
  type LoadedTable,
  nameTaken,
  type TableCommit,
  type ViewCatalog,
} from '../iceberg/index.ts'
import type { ObjectStore, StorePath } from '../storage/index.ts'
import { MetadataFiles } from './sqlite.ts'

/** Where the pointers of tables live that a run has made and not registered. */
export interface PointerStore {
  get(table: TableId): Promise<{ readonly metadataLocation: StorePath } | null>
  /** Moves a pointer if it still is `expected` (null: there is none). */
  compareAndSet(table: TableId, expected: StorePath | null, next: StorePath): Promise<boolean>
  list(): Promise<readonly TableId[]>
}

/**
 * A run's view of a catalog: its own unregistered tables over the registered ones. Commits to registered tables pass
 * through; a commit to an unregistered table writes its metadata and moves its pointer, seen by nobody else.
 */
export class StagedCatalog implements Catalog {
  readonly capabilities
  /** Runs stage no views: those of the catalog itself. */
  readonly views?: ViewCatalog
  private readonly real: Catalog
  private readonly pointers: PointerStore
  private readonly metadata: MetadataFiles
  private readonly steps: Steps
  private readonly settle: () => Promise<void>

  constructor(options: {
    readonly catalog: Catalog
    readonly pointers: PointerStore
    readonly store: ObjectStore
    readonly steps: Steps
    readonly randomness: Randomness
    /**
     * Pointers move before what they name is durable: for whoever lets nobody rely on them before the store is settled.
     * Default false.
     */
    readonly settlesItself?: boolean
  }) {
    this.real = options.catalog
    this.settle = options.settlesItself ? async () => undefined : () => options.store.settle()
    this.capabilities = options.catalog.capabilities
    if (options.catalog.views) this.views = options.catalog.views
    this.pointers = options.pointers
    this.steps = options.steps
    this.metadata = new MetadataFiles(options.store, options.steps, options.randomness)
  }

  async listTables(options: { readonly signal?: AbortSignal } = {}): Promise<readonly TableId[]> {
    return [...new Set([...(await this.real.listTables(options)), ...(await this.pointers.list())])].sort()
  }

  async loadTables(
    ids: readonly TableId[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<ReadonlyMap<TableId, LoadedTable | null>> {
    const out = new Map(await this.real.loadTables(ids, options))
    for (const id of ids) {
      const pointer = out.get(id) ? null : await this.pointers.get(id)
      if (pointer) out.set(id, await this.metadata.load(id, pointer.metadataLocation))
    }
    return out
  }

  async registerTable(
    table: TableId,
    metadataLocation: StorePath,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<LoadedTable | null> {
    return (await this.pointers.get(table)) ? null : this.real.registerTable(table, metadataLocation, options)
  }

  async commit(changes: readonly TableCommit[], options: Parameters<Catalog['commit']>[1]): Promise<CommitOutcome> {
    const registered = await this.real.loadTables(
      changes.map((change) => change.table),
      options,
    )
    const staged = changes.filter((change) => !registered.get(change.table))
    if (staged.length === 0) return this.real.commit(changes, options)
    const [change] = staged
    if (!change || changes.length > 1) {
      throw new LimnError('internal', { message: 'A commit mixes registered and staged tables.' })
    }
    const pointer = await this.pointers.get(change.table)
    if (!pointer && (await this.views?.loadViews([change.table], options))?.get(change.table))
      throw nameTaken(change.table, 'view')
    const base = pointer ? await this.metadata.load(change.table, pointer.metadataLocation) : null
    const failed = checkRequirements(base?.metadata ?? null, change.requirements)
    if (failed) return { kind: 'conflict', table: change.table, requirement: failed }
    const next = await this.metadata.write(change, base, options.timestampMs)
    await this.settle()
    const swapped = await step(this.steps, 'catalog.commit', `staged ${change.table}`, () =>
      this.pointers.compareAndSet(change.table, pointer?.metadataLocation ?? null, next.metadataLocation),
    )
    if (!swapped) return { kind: 'conflict', table: change.table, requirement: { type: 'pointer-moved' } }
    return { kind: 'committed', metadata: new Map([[change.table, next]]) }
  }
}
