import type { TableId } from '../../base/index.ts'
import {
  applyViewUpdates,
  type Catalog,
  checkViewRequirements,
  type LoadedView,
  nameTaken,
  type ViewCatalog,
  type ViewCommit,
  type ViewCommitOutcome,
} from '../../iceberg/index.ts'
import { storePath } from '../../storage/index.ts'

interface Cancel {
  readonly signal?: AbortSignal
}

/** Views over those of another catalog, moved in memory alone. */
export class RehearsalViews implements ViewCatalog {
  readonly name: string
  private readonly real: ViewCatalog
  private readonly tables: Pick<Catalog, 'loadTables'>
  /** Null: dropped, or renamed to another. */
  private readonly moved = new Map<TableId, LoadedView | null>()

  constructor(real: ViewCatalog, tables: Pick<Catalog, 'loadTables'>) {
    this.name = real.name
    this.real = real
    this.tables = tables
  }

  async listViews(options?: Cancel): Promise<readonly TableId[]> {
    const all = new Set([...(await this.real.listViews(options)), ...this.moved.keys()])
    return [...all].filter((id) => this.moved.get(id) !== null).sort()
  }

  async loadViews(ids: readonly TableId[], options?: Cancel): Promise<ReadonlyMap<TableId, LoadedView | null>> {
    const out = new Map(await this.real.loadViews(ids, options))
    for (const id of ids) {
      const moved = this.moved.get(id)
      if (moved !== undefined) out.set(id, moved)
    }
    return out
  }

  async commitView(change: ViewCommit, options: { readonly timestampMs: number } & Cancel): Promise<ViewCommitOutcome> {
    const base = await this.load(change.view, options)
    const requirement = checkViewRequirements(base?.metadata ?? null, change.requirements)
    if (requirement) return { kind: 'conflict', requirement }
    if (!base) await this.requireNoTable(change.view, options)
    const metadata = applyViewUpdates(base?.metadata ?? null, change.updates, options)
    const metadataLocation = storePath(`${metadata.location}/metadata/rehearsal.metadata.json`)
    const view: LoadedView = { view: change.view, metadata, metadataLocation }
    this.moved.set(change.view, view)
    return { kind: 'committed', view }
  }

  async dropView(view: TableId, options?: Cancel): Promise<boolean> {
    if (!(await this.load(view, options))) return false
    this.moved.set(view, null)
    return true
  }

  async renameView(from: TableId, to: TableId, options?: Cancel): Promise<boolean> {
    const loaded = await this.load(from, options)
    if (!loaded) return false
    if (await this.load(to, options)) throw nameTaken(to, 'view')
    await this.requireNoTable(to, options)
    this.moved.set(from, null)
    this.moved.set(to, { ...loaded, view: to })
    return true
  }

  private async load(view: TableId, options?: Cancel): Promise<LoadedView | null> {
    return (await this.loadViews([view], options)).get(view) ?? null
  }

  private async requireNoTable(name: TableId, options?: Cancel): Promise<void> {
    const { signal } = options ?? {}
    if ((await this.tables.loadTables([name], signal ? { signal } : {})).get(name)) throw nameTaken(name, 'table')
  }
}
