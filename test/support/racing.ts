import type { TableId } from '../../packages/limn/src/base/index.ts'
import type { Catalog, CommitOutcome, LoadedTable, TableCommit } from '../../packages/limn/src/iceberg/index.ts'

type Options = { readonly timestampMs: number; readonly signal?: AbortSignal }

/** A catalog over another whose commits can be met: something else happens first, or the answer is lost. */
export class MeddlingCatalog implements Catalog {
  readonly capabilities: Catalog['capabilities']
  commits = 0
  /** Called before the commit of that number (from 1) is passed on. */
  before: (commit: number) => Promise<void> = async () => undefined
  /**
   * `lost answer`: the commit happens, its answer is lost. `lost request`: it does not happen, nor does an answer come.
   * `late`: as before, and the request arrives right before the next one.
   */
  fate: (commit: number) => 'answered' | 'lost answer' | 'lost request' | 'late' = () => 'answered'
  private readonly real: Catalog
  private late: (() => Promise<unknown>) | null = null

  constructor(real: Catalog, capabilities: Partial<Catalog['capabilities']> = {}) {
    this.real = real
    this.capabilities = { ...real.capabilities, ...capabilities }
  }

  listTables(options?: { readonly signal?: AbortSignal }) {
    return this.real.listTables(options)
  }

  loadTables(ids: readonly TableId[]): Promise<ReadonlyMap<TableId, LoadedTable | null>> {
    return this.real.loadTables(ids)
  }

  registerTable(table: TableId, metadataLocation: LoadedTable['metadataLocation']) {
    return this.real.registerTable(table, metadataLocation)
  }

  async commit(changes: readonly TableCommit[], options: Options): Promise<CommitOutcome> {
    const number = ++this.commits
    await this.before(number)
    if (this.late) {
      const late = this.late
      this.late = null
      await late()
    }
    const fate = this.fate(number)
    const lost: CommitOutcome = { kind: 'unknown', cause: new Error('the connection was cut') }
    if (fate === 'late') this.late = () => this.real.commit(changes, options)
    if (fate === 'late' || fate === 'lost request') return lost
    const outcome = await this.real.commit(changes, options)
    return fate === 'lost answer' ? lost : outcome
  }
}
