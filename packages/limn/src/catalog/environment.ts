import { LimnError, type TableId } from '../base/index.ts'
import type { Catalog, CommitOutcome, LoadedTable, TableCommit, TableNames, ViewCatalog } from '../iceberg/index.ts'
import type { StorePath } from '../storage/index.ts'
import { type EnvironmentName, nameIn, nameOutOf } from './environment-names.ts'
import type { EnvironmentRecord } from './sqlite-environments.ts'

interface Cancel {
  readonly signal?: AbortSignal
}

/**
 * An environment's tables under the names they have in production. Every call is passed on with names changed, so a
 * commit is as atomic as the catalog's own. Views are those of production, read over the environment's tables; they are
 * not changed here.
 */
export class EnvironmentCatalog implements Catalog {
  readonly capabilities
  readonly views?: ViewCatalog
  readonly names?: TableNames
  private readonly real: Catalog
  private readonly environment: EnvironmentName

  constructor(real: Catalog, environment: EnvironmentName) {
    this.real = real
    this.environment = environment
    this.capabilities = real.capabilities
    if (real.views) this.views = readOnlyViews(real.views, environment)
    const { names } = real
    if (names)
      this.names = {
        drop: (table, location, options) => names.drop(this.inside(table), location, options),
        rename: (from, to, options) => names.rename(this.inside(from), this.inside(to), options),
      }
  }

  async listTables(options: Cancel = {}): Promise<readonly TableId[]> {
    const all = await this.real.listTables(options)
    return all.flatMap((table) => nameOutOf(this.environment, table) ?? []).sort()
  }

  async loadTables(ids: readonly TableId[], options: Cancel = {}): Promise<ReadonlyMap<TableId, LoadedTable | null>> {
    const loaded = await this.real.loadTables(
      ids.map((id) => this.inside(id)),
      options,
    )
    return new Map(
      ids.map((table) => {
        const one = loaded.get(this.inside(table))
        return [table, one ? { ...one, table } : null]
      }),
    )
  }

  async commit(changes: readonly TableCommit[], options: Parameters<Catalog['commit']>[1]): Promise<CommitOutcome> {
    const renames = options.renames?.map((one) => ({ from: this.inside(one.from), to: this.inside(one.to) })) ?? []
    const outcome = await this.real.commit(
      changes.map((change) => ({ ...change, table: this.inside(change.table) })),
      { ...options, renames },
    )
    switch (outcome.kind) {
      case 'committed':
        return {
          kind: 'committed',
          metadata: new Map(
            [...outcome.metadata.values()].map((one) => {
              const table = this.outside(one.table)
              return [table, { ...one, table }]
            }),
          ),
        }
      case 'conflict':
        return { ...outcome, table: this.outside(outcome.table) }
      case 'unknown':
        return outcome
    }
  }

  async registerTable(table: TableId, location: StorePath, options: Cancel = {}): Promise<LoadedTable | null> {
    const made = await this.real.registerTable(this.inside(table), location, options)
    return made && { ...made, table }
  }

  private inside(table: TableId): TableId {
    return nameIn(this.environment, table)
  }

  private outside(table: TableId): TableId {
    return nameOutOf(this.environment, table) ?? table
  }
}

/**
 * Production's view of a catalog that holds environments too: their tables are not listed and not changed, and are read
 * when they are named in full (`dev__silver.flight`).
 */
export class ProductionCatalog implements Catalog {
  readonly capabilities
  readonly views?: ViewCatalog
  readonly names?: TableNames
  private readonly real: Catalog
  private readonly environments: () => readonly EnvironmentRecord[]

  constructor(real: Catalog, environments: () => readonly EnvironmentRecord[]) {
    this.real = real
    this.environments = environments
    this.capabilities = real.capabilities
    if (real.views) this.views = real.views
    const { names } = real
    if (names)
      this.names = {
        drop: (table, location, options) => names.drop(this.own(table), location, options),
        rename: (from, to, options) => names.rename(this.own(from), this.own(to), options),
      }
  }

  async listTables(options: Cancel = {}): Promise<readonly TableId[]> {
    const environments = this.environments()
    const all = await this.real.listTables(options)
    return all.filter((table) => !environments.some(({ name }) => nameOutOf(name, table) !== null))
  }

  loadTables(ids: readonly TableId[], options: Cancel = {}): Promise<ReadonlyMap<TableId, LoadedTable | null>> {
    return this.real.loadTables(ids, options)
  }

  async commit(changes: readonly TableCommit[], options: Parameters<Catalog['commit']>[1]): Promise<CommitOutcome> {
    for (const { table } of changes) this.own(table)
    for (const { from, to } of options.renames ?? []) [this.own(from), this.own(to)]
    return this.real.commit(changes, options)
  }

  async registerTable(table: TableId, location: StorePath, options: Cancel = {}): Promise<LoadedTable | null> {
    return this.real.registerTable(this.own(table), location, options)
  }

  /** The table, when it is not an environment's. Throws `usage/owned-table`. */
  private own(table: TableId): TableId {
    const environment = this.environments().find(({ name }) => nameOutOf(name, table) !== null)?.name
    if (environment === undefined) return table
    throw new LimnError('usage/owned-table', {
      message: `${table} is ${nameOutOf(environment, table)} of the environment ${environment}.`,
      notDone: 'It was not changed.',
      remedy: `Work there: --env ${environment}, and call the table by its own name.`,
    })
  }
}

function readOnlyViews(views: ViewCatalog, environment: EnvironmentName): ViewCatalog {
  const refuse = async (): Promise<never> => {
    throw new LimnError('usage/owned-table', {
      message: `Views belong to production; ${environment} reads them over its own tables.`,
      notDone: 'No view was changed.',
      remedy: 'Change the view in production: --env prod',
    })
  }
  return {
    name: views.name,
    listViews: (options) => views.listViews(options),
    loadViews: (ids, options) => views.loadViews(ids, options),
    commitView: refuse,
    dropView: refuse,
    renameView: refuse,
  }
}

/** A catalog in which nothing changes: what an environment shows before it is made. */
export function unchangingCatalog(real: Catalog, environment: EnvironmentName): Catalog {
  const refuse = async (): Promise<never> => {
    throw new LimnError('usage/unknown-environment', {
      message: `The environment ${environment} is not made yet.`,
      notDone: 'Nothing was changed.',
      remedy: `Make it: limn env create ${environment}. A run in it makes it too.`,
    })
  }
  return {
    capabilities: real.capabilities,
    ...(real.views ? { views: readOnlyViews(real.views, environment) } : {}),
    listTables: (options) => real.listTables(options),
    loadTables: (ids, options) => real.loadTables(ids, options),
    commit: refuse,
    registerTable: refuse,
  }
}
