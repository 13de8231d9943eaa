import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { LimnError, type TableId } from '../base/index.ts'
import { type CatalogLayout, catalogLayout, production, upgradeCatalogLayout } from '../catalog/index.ts'
import { lackingColumns, ownContracts, pipelineMigrations } from '../pipeline/index.ts'
import { type MigrationStanding, migrationsOf } from '../state/index.ts'
import { Lake, limnVersion, type OpenLakeOptions, statePath } from './lake.ts'
import { findLake, loadConfig } from './load.ts'

/** What this limn would change in a lake that an earlier one wrote, part by part. */
export interface UpgradeReport {
  readonly version: string
  readonly catalog: { readonly layout: CatalogLayout | null; readonly pending: boolean }
  readonly state: readonly ({ readonly environment: string } & MigrationStanding)[]
  /** Columns that limn's own tables lack; the next run adds them. */
  readonly tables: readonly { readonly table: TableId; readonly columns: readonly string[] }[]
  /** Datasets whose next run builds something, because the meaning of builds or a definition is another. */
  readonly rebuilt: readonly TableId[]
  readonly done: boolean
}

/**
 * Says what a newer limn changes in a lake, and does it unless `dryRun`: the catalog's layout, then the migrations of the
 * state databases of production and of every environment. Looking changes no file. Throws `config/newer-lake` for a lake
 * that a newer limn wrote.
 */
export async function upgradeLake(
  options: OpenLakeOptions & { readonly dryRun?: boolean } = {},
): Promise<UpgradeReport> {
  const folder = findLake(options.cwd ?? process.cwd())
  const config = await loadConfig(folder)
  const path = resolve(folder, config.catalog ?? '.limn/catalog.db')
  const layout = catalogLayout(path)
  const state = [{ environment: production, ...migrationsOf(statePath(folder, config, null), pipelineMigrations) }]
  for (const one of state) if ((one.version ?? 0) > one.newest) throw newer(one.version ?? 0, one.newest)
  const catalog = { layout, pending: layout === 'V0' }
  const pending = catalog.pending || state.some((one) => one.pending.length > 0)
  if (options.dryRun && pending) return { version: limnVersion(), catalog, state, tables: [], rebuilt: [], done: false }
  if (catalog.pending) upgradeCatalogLayout(path)
  using scratch = temporaryState()
  const aside = options.dryRun ? { statePath: scratch.path } : {}
  await using lake = await Lake.open({ ...options, ...aside, cwd: folder, environment: production })
  for (const { name } of lake.base.environments.list()) {
    state.push({ environment: name, ...migrationsOf(statePath(folder, config, name), pipelineMigrations) })
    if (options.dryRun) continue
    await using _there = await Lake.open({ ...options, cwd: folder, environment: name })
  }
  // Sources are not asked: what they hand over has nothing to do with an upgrade.
  const models = [...(await lake.loadProject()).nodes.values()].filter((node) => node.producer.kind === 'model')
  const { plan } =
    models.length > 0 ? await lake.plan({ select: models.map((node) => node.id) }) : { plan: { items: [] } }
  const rebuilt = plan.items.filter((item) => item.reason === 'definition-changed').map((item) => item.dataset)
  return {
    version: limnVersion(),
    catalog,
    state,
    tables: await columnsToCome(lake),
    rebuilt: [...new Set(rebuilt)],
    done: options.dryRun !== true,
  }
}

async function columnsToCome(lake: Lake): Promise<UpgradeReport['tables']> {
  const loaded = await lake.catalog.loadTables(ownContracts.map((one) => one.id))
  return ownContracts.flatMap((contract) => {
    const table = loaded.get(contract.id)
    const columns = table ? lackingColumns(contract, table) : []
    return columns.length === 0 ? [] : [{ table: contract.id, columns }]
  })
}

function newer(version: number, newest: number): LimnError {
  return new LimnError('config/newer-lake', {
    message: `This lake was written by a newer limn (state version ${version}; this limn knows ${newest}).`,
    notDone: 'Nothing was read or changed.',
    remedy: 'Update limn: npm install limn@latest',
  })
}

/** A state database that is thrown away. */
function temporaryState(): Disposable & { readonly path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'limn-upgrade-'))
  return { path: join(folder, 'state.db'), [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}
