import { LimnError, type TableId } from '../../base/index.ts'
import type { Catalog, CommitOutcome, LoadedTable, TableCommit } from '../../iceberg/index.ts'
import { checkRequirements } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import type { TableContext } from '../context.ts'
import { conflict, conflictOfEnd, discardWork } from './commit.ts'
import { commitPending, deleteDebris, Retries } from './commit-loop.ts'
import { type Gathering, type PendingItem, type PendingTable, stageItem, unstaged } from './commit-pending.ts'

export interface TransactionOptions {
  /**
   * When others changed what an operation relied on: `fail` (default) throws `catalog/conflict`; `redo` calls the body
   * again on the new state, so it must do nothing but change tables.
   */
  readonly onConflict?: 'redo' | 'fail'
}

/**
 * Several operations, on one table or many, as one commit: all of them happen or none. The body is given a context whose
 * catalog shows what the transaction did so far, and nobody else sees that before the commit. Every operation on tables
 * works in it, also creating tables and changing their shape; each makes its own snapshot. When others commit meanwhile,
 * each operation's checks decide, as for a single one. Throws `iceberg/unsupported` before anything is committed when the
 * catalog cannot commit several tables at once.
 */
export async function transaction<T>(
  context: TableContext,
  body: (context: TableContext) => Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  if (context.gathering) return await body(context)
  const retries = new Retries(context)
  await using held = new AsyncDisposableStack()
  const holds = new Map<TableId, Promise<void>>()
  const hold = (table: TableId) => {
    const known = holds.get(table)
    if (known) return known
    const holding = (async () => {
      const lease = await context.holdForWrite?.(table)
      if (lease) held.use(lease)
    })()
    holds.set(table, holding)
    return holding
  }
  for (;;) {
    const open = new Transaction(context, hold)
    const result = await open.run(body)
    const tables = open.tables()
    if (tables.length === 0) return result
    const ended = await commitPending(context, tables, retries)
    if (ended.kind === 'committed') return result
    await discardWork(context, tables)
    if (ended.kind === 'exhausted' || options.onConflict !== 'redo') throw conflictOfEnd(ended)
  }
}

/** The changes of a transaction so far, and a catalog that shows them. */
class Transaction implements Gathering {
  readonly hold: (table: TableId) => Promise<void>
  private readonly context: TableContext
  private readonly pending = new Map<TableId, PendingTable>()

  constructor(context: TableContext, hold: (table: TableId) => Promise<void>) {
    this.context = context
    this.hold = hold
  }

  async run<T>(body: (context: TableContext) => Promise<T>): Promise<T> {
    try {
      return await body({ ...this.context, catalog: new GatheringCatalog(this.context.catalog, this), gathering: this })
    } catch (error) {
      // Nothing was sent to the catalog, so nothing can name these files.
      const tables = this.tables()
      await deleteDebris(
        this.context,
        tables.flatMap((one) => one.staged?.written ?? []),
      )
      await discardWork(this.context, tables)
      throw error
    }
  }

  /** Tables with something to commit, in order of ids. */
  tables(): readonly PendingTable[] {
    return [...this.pending.values()].filter((one) => one.items.length > 0).sort((a, b) => (a.table < b.table ? -1 : 1))
  }

  async load(ids: readonly TableId[]): Promise<ReadonlyMap<TableId, LoadedTable | null>> {
    const missing = ids.filter((id) => !this.pending.has(id))
    if (missing.length > 0) {
      const loaded = await this.context.catalog.loadTables(missing, { signal: this.context.signal })
      // Seen once, a table stays as it was: the whole transaction reads one state of it.
      for (const id of missing) if (!this.pending.has(id)) this.pending.set(id, unstaged(id, loaded.get(id) ?? null))
    }
    return new Map(ids.map((id) => [id, this.seen(id)]))
  }

  seen(id: TableId): LoadedTable | null {
    const one = this.pending.get(id)
    const metadata = one?.staged?.metadata
    if (!one || !metadata) return null
    if (one.items.length === 0) return one.pinned
    const metadataLocation = one.pinned?.metadataLocation ?? (`${metadata.location}/metadata/pending` as StorePath)
    return { table: id, metadataLocation, metadata }
  }

  async add(table: TableId, item: PendingItem): Promise<void> {
    await this.load([table])
    const pending = this.pending.get(table)
    if (!pending?.staged) throw conflict(table, 'it is gone')
    if (pending.items.length === 0) requireAtomic(this.context.catalog, [...this.tables(), pending])
    const staged = await stageItem(this.context, pending.staged, item)
    if (typeof staged === 'string') throw conflict(table, staged)
    pending.items.push(item)
    pending.staged = staged
  }
}

function requireAtomic(catalog: Catalog, tables: readonly PendingTable[]): void {
  const creates = tables.some((one) => one.pinned === null)
  const { atomicCommit, atomicCreate } = catalog.capabilities
  if (tables.length === 1 || (atomicCommit && (atomicCreate || !creates))) return
  throw new LimnError('iceberg/unsupported', {
    message: creates
      ? 'The catalog cannot create a table in one commit with changes of others.'
      : 'The catalog cannot change several tables in one commit.',
    notDone: 'Nothing was committed.',
    remedy: 'Change the tables one by one, or keep them in a catalog with multi-table commits.',
    context: { tables: tables.map((one) => one.table) },
  })
}

class GatheringCatalog implements Catalog {
  readonly capabilities
  private readonly real: Catalog
  private readonly open: Transaction

  constructor(real: Catalog, open: Transaction) {
    this.real = real
    this.open = open
    this.capabilities = real.capabilities
  }

  async listTables(options: { readonly signal?: AbortSignal } = {}): Promise<readonly TableId[]> {
    const made = this.open.tables().map((one) => one.table)
    return [...new Set([...(await this.real.listTables(options)), ...made])].sort()
  }

  loadTables(ids: readonly TableId[]): Promise<ReadonlyMap<TableId, LoadedTable | null>> {
    return this.open.load(ids)
  }

  async registerTable(table: TableId): Promise<LoadedTable | null> {
    throw new LimnError('usage/argument', {
      message: `${table} cannot be registered within a transaction.`,
      notDone: 'Nothing was registered.',
      remedy: 'Register it before or after.',
    })
  }

  /** Makes the commits part of the transaction. A conflict is one with what the transaction has seen. */
  async commit(changes: readonly TableCommit[]): Promise<CommitOutcome> {
    const before = await this.open.load(changes.map((one) => one.table))
    for (const { table, requirements } of changes) {
      const failed = checkRequirements(before.get(table)?.metadata ?? null, requirements)
      if (failed) return { kind: 'conflict', table, requirement: failed }
    }
    for (const { table, requirements, updates } of changes) {
      await this.open.hold(table)
      await this.open.add(table, { kind: 'metadata', requirements, updates })
    }
    const after = await this.open.load(changes.map((one) => one.table))
    return {
      kind: 'committed',
      metadata: new Map([...after].flatMap(([id, one]) => (one ? [[id, one] as const] : []))),
    }
  }
}
