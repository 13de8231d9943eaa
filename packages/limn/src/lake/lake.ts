import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename, resolve } from 'node:path'
import {
  type Clock,
  type LimnError,
  namespaceOf,
  noSteps,
  type Progress,
  type Randomness,
  type Steps,
  silentProgress,
  systemClock,
  systemRandomness,
  type TableId,
} from '../base/index.ts'
import {
  EnvironmentCatalog,
  type EnvironmentName,
  environmentName,
  ProductionCatalog,
  production,
  SqliteCatalog,
  unchangingCatalog,
} from '../catalog/index.ts'
import { buildGraph, type Interval, select } from '../dataset/index.ts'
import type { FileEngine } from '../engine/index.ts'
import { type Catalog, isUnder, ManifestReader } from '../iceberg/index.ts'
import {
  analyse,
  type Compiled,
  checkProject,
  compileModel,
  environmentFolder,
  folderIn,
  forkEnvironment,
  ownNamespaces,
  type PipelineContext,
  type PlanReport,
  type Project,
  pipelineMigrations,
  planRun,
  quarantineOf,
  type RunReport,
  type RunRequest,
  RunState,
  requireModels,
  run,
  schedulesOf,
  unknownEnvironment,
  writeLeaseOf,
} from '../pipeline/index.ts'
import { limnItself, type OwnerOf } from '../query/index.ts'
import { StateDatabase } from '../state/index.ts'
import { LocalStore, type StorePath } from '../storage/index.ts'
import type { LakeConfig } from './config.ts'
import { findLake, loadConfig, loadDatasets, requireDatasets } from './load.ts'
import { observedRun } from './observed.ts'
import { openEngine } from './open-engine.ts'

export interface OpenLakeOptions {
  /** Where to look for the lake, upward. Default: the working directory. */
  readonly cwd?: string
  /** Where to work: the name of an environment, or `prod`. Default: what the configuration says. */
  readonly environment?: string
  /** Makes a configured environment that is not there yet. Default false: it shows what production has. */
  readonly makeEnvironment?: boolean
  /** Another state database than the lake's own, for looking without leaving a trace. */
  readonly statePath?: string
  readonly progress?: Progress
  readonly signal?: AbortSignal
  readonly clock?: Clock
  readonly randomness?: Randomness
  /** How long a direct write waits for a table that a run holds. Default 60,000 ms. */
  readonly writeWaitMs?: number
  /** Named steps, for fault simulation. */
  readonly steps?: Steps
}

export interface RunOptions {
  /** Which datasets; none: all. */
  readonly select?: readonly string[]
  readonly range?: Interval | null
  readonly full?: boolean
  /** Rebuilt in the range although fresh, with what is downstream of them. Models only. */
  readonly restate?: readonly string[]
  /** A changed definition applies to intervals built from now on; old ones are accepted as they are. */
  readonly forwardOnly?: boolean
  /** Only what became stale through changes after this time, in milliseconds since the epoch. */
  readonly sinceMs?: number
  readonly waitMs?: number
  /** Builds intervals that are not complete yet, and says so. */
  readonly unsealed?: boolean
  /** The moment as of which intervals count as complete: that of a tick. Default: now. */
  readonly asOfMs?: number
}

/** A lake opened: its parts composed once. Dispose it to close its databases and engine. */
export class Lake implements AsyncDisposable {
  readonly folder: string
  readonly name: string
  readonly config: LakeConfig
  /** What it was opened with. */
  readonly openedWith: OpenLakeOptions
  private readonly parts: Parts
  private project: Promise<Project> | null = null

  private constructor(folder: string, config: LakeConfig, options: OpenLakeOptions, parts: Parts) {
    this.folder = folder
    this.name = config.name ?? basename(folder)
    this.config = config
    this.openedWith = options
    this.parts = parts
  }

  /** Opens the lake at or above `cwd`. Throws `usage/no-lake`, `config/…`, `storage/…`, `catalog/corrupt`. */
  static async open(options: OpenLakeOptions = {}): Promise<Lake> {
    const folder = findLake(options.cwd ?? process.cwd())
    const config = await loadConfig(folder)
    const wanted = options.environment ?? config.environment ?? production
    const environment = wanted === production ? null : environmentName(wanted)
    if (environment !== null && options.makeEnvironment) await makeEnvironment(options, config, environment)
    return new Lake(folder, config, options, await composeParts(folder, config, options, environment))
  }

  /** The tables of the environment this lake was opened in, under their own names. */
  get catalog(): Catalog {
    return this.parts.catalog
  }

  /** The catalog itself, with the tables of every environment. */
  get base(): SqliteCatalog {
    return this.parts.base
  }

  /** What production has, whatever environment this lake was opened in. */
  production(): Catalog {
    const { base } = this
    return new ProductionCatalog(base, () => base.environments.list())
  }

  /** The environment this lake was opened in; null: production. */
  get environment(): EnvironmentName | null {
    return this.parts.environment ?? null
  }

  get engine(): FileEngine {
    return this.parts.engine
  }

  /** The datasets, loaded and analysed. Throws the first problem found in them, and where there are none. */
  loadProject(): Promise<Project> {
    this.project ??= loadDatasets(this.folder).then((loaded) => analyse(requireDatasets(loaded), this.parts.engine))
    return this.project
  }

  /** What planning and running need; tables can be read through it without a project too. */
  async context(project?: Project): Promise<PipelineContext> {
    const { signal, progress, clock, randomness, steps } = this.openedWith
    return {
      ...this.parts,
      clock: clock ?? systemClock,
      randomness: randomness ?? systemRandomness,
      steps: steps ?? noSteps,
      signal: signal ?? new AbortController().signal,
      folder: this.folder,
      project: project ?? emptyProject,
      progress: progress ?? silentProgress,
      host: hostname(),
      pid: process.pid,
      version: limnVersion(),
      holdForWrite: (table) => this.holdForWrite(table),
    }
  }

  /**
   * Says of a table which dataset owns it, if one does: its own table, that of its rejected rows, and limn's own. Needs the
   * definitions to load, not to be right.
   */
  async owners(): Promise<OwnerOf> {
    const owners = new Map<TableId, string>()
    for (const { dataset, file } of await loadDatasets(this.folder)) {
      owners.set(dataset.id, `the dataset in ${file}`)
      owners.set(quarantineOf(dataset.id), `the dataset in ${file}`)
    }
    return (table) => owners.get(table) ?? (ownNamespaces.has(namespaceOf(table)) ? limnItself : null)
  }

  private async holdForWrite(table: TableId): Promise<AsyncDisposable> {
    const lease = await this.parts.state.acquire(writeLeaseOf(table), `a direct write (process ${process.pid})`, {
      waitMs: this.openedWith.writeWaitMs ?? 60_000,
      signal: this.openedWith.signal ?? new AbortController().signal,
    })
    return { [Symbol.asyncDispose]: () => lease.release() }
  }

  /** Keeps runs and backfills from beginning until it is disposed. Throws `lease/held` while one is at work. */
  async hold(what: string): Promise<AsyncDisposable> {
    const lease = await this.parts.state.acquireAll(['run', 'backfill'], `${what} (process ${process.pid})`, {
      waitMs: 0,
      signal: this.openedWith.signal ?? new AbortController().signal,
    })
    return { [Symbol.asyncDispose]: () => lease.release() }
  }

  /** Resolves a selection. Throws `usage/unknown-dataset`. */
  async select(patterns: readonly string[]): Promise<ReadonlySet<TableId>> {
    const project = await this.loadProject()
    const graph = buildGraph(
      [...project.nodes.values()].map((node) => ({ id: node.id, inputs: [...node.edges.keys()], file: node.file })),
    )
    return new Set(select(graph, (id) => project.nodes.get(id)?.contract.tags ?? [], patterns))
  }

  async plan(options: RunOptions = {}): Promise<PlanReport> {
    const request = await this.request(options)
    return planRun(await this.context(await this.loadProject()), request)
  }

  async run(options: RunOptions = {}): Promise<RunReport> {
    const request = await this.request(options)
    const project = await this.loadProject()
    const [problem] = await checkProject(project, this.parts.engine, request.selected)
    if (problem) throw problem
    await this.parts.store.sweepScratch()
    const { name, folder, config } = this
    return observedRun({ name, folder, lineage: config.lineage }, await this.context(project), (context) =>
      run(context, request, { waitMs: options.waitMs ?? 0 }),
    )
  }

  async compile(id: TableId, range: Interval | null): Promise<Compiled> {
    return compileModel(await this.context(await this.loadProject()), id, range)
  }

  /** Problems of all datasets, without running anything. Throws when they cannot even be loaded. */
  async check(): Promise<readonly LimnError[]> {
    const project = await this.loadProject()
    schedulesOf(project, this.config.schedules)
    return checkProject(project, this.parts.engine)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.parts.engine.close()
    this.parts.base.close()
    this.parts.state.close()
  }

  private async request(options: RunOptions): Promise<RunRequest> {
    const { select: patterns = [], restate = [], full = false, range = null, forwardOnly, sinceMs } = options
    const { unsealed, asOfMs } = options
    const common = {
      full,
      range,
      ...(forwardOnly === true ? { forwardOnly } : {}),
      ...(sinceMs === undefined ? {} : { sinceMs }),
      ...(unsealed === true ? { unsealed } : {}),
      ...(asOfMs === undefined ? {} : { asOfMs }),
    }
    if (restate.length === 0) return { ...common, selected: await this.select(patterns) }
    const restated = await this.select(restate)
    requireModels(await this.loadProject(), restated)
    const downstream = await this.select([...restated].map((id) => `${id}+`))
    const more = patterns.length > 0 ? await this.select(patterns) : []
    return { ...common, selected: new Set([...downstream, ...more]), restate: restated }
  }
}

interface Parts {
  readonly store: LocalStore
  readonly catalog: Catalog
  readonly base: SqliteCatalog
  readonly environment?: EnvironmentName
  readonly locate?: (table: TableId) => StorePath
  readonly state: StateDatabase
  readonly runs: RunState
  readonly engine: FileEngine
  readonly manifests: ManifestReader
}

const emptyProject: Project = { order: [], nodes: new Map() }

async function composeParts(
  folder: string,
  config: LakeConfig,
  options: OpenLakeOptions,
  environment: EnvironmentName | null,
): Promise<Parts> {
  const steps = options.steps ?? noSteps
  const randomness = options.randomness ?? systemRandomness
  const warehouse = resolve(folder, config.warehouse ?? 'warehouse')
  const { root } = new LocalStore(warehouse)
  const own = environment && environmentFolder(root, environment)
  const store = new LocalStore(warehouse, { steps, ...(own ? { changes: (path) => isUnder(path, own) } : {}) })
  const base = new SqliteCatalog({
    path: resolve(folder, config.catalog ?? '.limn/catalog.db'),
    name: config.name ?? basename(folder),
    store,
    steps,
    randomness,
  })
  const catalog = catalogOf(base, config, environment)
  const state = new StateDatabase({
    path: options.statePath ?? statePath(folder, config, environment),
    migrations: pipelineMigrations,
    steps,
    ...(options.clock ? { clock: options.clock } : {}),
  })
  const settings = { ...config.engine, ...(environment ? config.environments?.[environment]?.engine : {}) }
  const engine = await openEngine(folder, settings)
  const { manifestCache } = settings
  const manifests = new ManifestReader(store, manifestCache === undefined ? {} : { entriesMax: manifestCache })
  const parts = { store, catalog, base, state, runs: new RunState(state), engine, manifests }
  return environment ? { ...parts, environment, locate: (table) => folderIn(root, environment, table) } : parts
}

/** Of an environment that is not made yet, but may be: what production has, and nothing changes. */
function catalogOf(base: SqliteCatalog, config: LakeConfig, environment: EnvironmentName | null): Catalog {
  const own = new ProductionCatalog(base, () => base.environments.list())
  if (environment === null) return own
  if (base.environments.list().some((one) => one.name === environment)) return new EnvironmentCatalog(base, environment)
  if (config.environments && environment in config.environments) return unchangingCatalog(own, environment)
  const unknown = unknownEnvironment(base.environments, environment, 'work')
  base.close()
  throw unknown
}

/** Runs and leases of an environment are its own: it neither waits for production nor keeps it waiting. */
export function statePath(folder: string, config: LakeConfig, environment: EnvironmentName | null): string {
  const path = resolve(folder, config.state ?? '.limn/state.db')
  return environment ? `${path.replace(/\.db$/, '')}.${environment}.db` : path
}

async function makeEnvironment(
  options: OpenLakeOptions,
  config: LakeConfig,
  environment: EnvironmentName,
): Promise<void> {
  if (!config.environments || !(environment in config.environments)) return
  await using lake = await Lake.open({ ...options, environment: production, makeEnvironment: false })
  const { environments } = lake.base
  if (environments.list().some((one) => one.name === environment)) return
  await forkEnvironment(await lake.context(), environments, environment)
}

let version: string | null = null

/** The version of this limn, from its package file. */
export function limnVersion(): string {
  version ??= (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string })
    .version
  return version
}
