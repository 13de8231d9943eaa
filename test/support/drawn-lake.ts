import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Lake, type OpenLakeOptions } from 'limn'
import { type TableId, tableId } from '../../packages/limn/dist/base/index.js'
import { environmentName } from '../../packages/limn/dist/catalog/index.js'
import type { Check } from '../../packages/limn/dist/contract/index.js'
import {
  buildGraph,
  type Dataset,
  files,
  type Interval,
  ingest,
  model,
  parseMicros,
  type Reads,
  type SealSpec,
  select,
} from '../../packages/limn/dist/dataset/index.js'
import { query } from '../../packages/limn/dist/lake/index.js'
import {
  analyse,
  dropEnvironment,
  forkEnvironment,
  type LoadedDataset,
  type PipelineContext,
  type PlanReport,
  type Project,
  type PromoteReport,
  planRun,
  promote,
  type RunReport,
  type RunRequest,
  requireModels,
  run,
} from '../../packages/limn/dist/pipeline/index.js'
import { temporaryFolder } from './lake.ts'

/** Lakes whose definitions are values of the test, so that a history of edits needs no process of its own. */

export interface DrawnModel {
  readonly name: string
  readonly by: 'hour' | 'day' | 'month' | 'whole'
  /** With `$interval_start` and `$interval_end`. */
  readonly sql: string
  readonly columns: Readonly<Record<string, 'long' | 'timestamp' | 'string' | 'double' | 'int'>>
  /** The interval column. Default: `day`. */
  readonly at?: string
  readonly edges?: Readonly<Record<string, { readonly reads?: Reads; readonly touches?: string }>>
  readonly keys?: readonly string[]
  readonly start?: string
  readonly end?: string
  readonly doc?: string
  readonly owner?: string
  readonly notNull?: readonly string[]
  /** A condition each row must meet, else nothing is published. */
  readonly mustHold?: string
  readonly partition?: readonly string[]
  readonly tags?: readonly string[]
  readonly seal?: SealSpec
}

export interface DrawnSource {
  readonly name: string
  readonly glob: string
  readonly columns: DrawnModel['columns']
  readonly mustHold?: string
}

/** A check that every row of a table meets a condition. */
function checksOf({ name, mustHold }: { readonly name: string; readonly mustHold?: string }) {
  if (mustHold === undefined) return {}
  const text = `SELECT * FROM ${name} WHERE NOT (${mustHold})`
  return {
    checks: (check: { sql(name: string, query: { kind: 'sql'; text: string }): Check }) => [
      check.sql('must hold', { kind: 'sql', text }),
    ],
  }
}

function datasetOf(one: DrawnModel): Dataset {
  const columns = Object.fromEntries(
    Object.entries(one.columns).map(([name, type]) => [
      name,
      { type, doc: name, ...(one.notNull?.includes(name) ? {} : { nulls: 'none' }) },
    ]),
  )
  const at = one.at ?? 'day'
  const ends = {
    start: one.start === undefined ? null : parseMicros(one.start),
    end: one.end === undefined ? null : parseMicros(one.end),
  }
  const query = () => ({ kind: 'sql' as const, text: one.sql })
  const build =
    one.by === 'whole'
      ? { kind: 'whole' as const, query }
      : { kind: 'interval' as const, column: at, unit: one.by, batch: one.by, ...ends, query }
  return model(one.name, {
    doc: one.doc ?? one.name,
    owner: one.owner ?? 'test',
    grain: [],
    keys: [...(one.keys ?? [])],
    columns,
    build,
    edges: { ...one.edges },
    ...(one.partition ? { partition: one.partition as readonly [] } : {}),
    ...(one.tags ? { tags: one.tags } : {}),
    ...(one.seal ? { seal: one.seal } : {}),
    ...checksOf(one),
  })
}

function loaded(dataset: Dataset, text: string | null): LoadedDataset {
  const file = `datasets/${dataset.id}.ts`
  return { dataset, file, query: text === null ? null : { text, origin: { file, line: 1, column: 1 } } }
}

export interface RunWish {
  readonly select?: readonly string[]
  readonly range?: readonly [string, string]
  readonly full?: boolean
  readonly restate?: readonly string[]
  readonly forwardOnly?: boolean
  readonly unsealed?: boolean
  /** The environment that it is of. Default: production. */
  readonly env?: string
}

type OpenOptions = Pick<OpenLakeOptions, 'clock' | 'steps'>

/** A lake in a folder, its definitions given anew for every run. */
export class DrawnLake implements AsyncDisposable {
  readonly folder: string
  readonly lake: Lake
  private readonly made: Disposable | null
  private readonly options: OpenOptions
  private readonly environments = new Map<string, Lake>()

  private constructor(folder: string, made: Disposable | null, lake: Lake, options: OpenOptions) {
    this.folder = folder
    this.made = made
    this.lake = lake
    this.options = options
  }

  /** A new lake in a temporary folder, which goes with it. */
  static async open(name: string): Promise<DrawnLake> {
    const made = temporaryFolder(name)
    return DrawnLake.at(made.folder, {}, made)
  }

  /** The lake of a folder, or a new one there. The folder stays, unless `made` disposes of it. */
  static async at(folder: string, options: OpenOptions = {}, made: Disposable | null = null): Promise<DrawnLake> {
    writeFileSync(
      join(folder, 'limn.config.ts'),
      "import { defineLake } from 'limn'\nexport default defineLake({ name: 'drawn' })\n",
    )
    return new DrawnLake(folder, made, await Lake.open({ cwd: folder, ...options }), options)
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true })
    writeFileSync(join(this.folder, path), text)
  }

  async project(sources: readonly DrawnSource[], models: readonly DrawnModel[]): Promise<Project> {
    const landed = sources.map(({ name, glob, columns, mustHold }) =>
      loaded(
        ingest(name, {
          doc: name,
          owner: 'test',
          from: files(glob, { format: 'csv', withdrawn: 'remove' }),
          columns: Object.fromEntries(
            Object.entries(columns).map(([column, type]) => [column, { type, doc: column, nulls: 'none' }]),
          ),
          ...checksOf({ name, ...(mustHold === undefined ? {} : { mustHold }) }),
        }),
        null,
      ),
    )
    return analyse([...landed, ...models.map((one) => loaded(datasetOf(one), one.sql))], this.lake.engine)
  }

  private async request(
    project: Project,
    wish: RunWish,
  ): Promise<{ readonly context: PipelineContext; readonly request: RunRequest }> {
    const graph = buildGraph(
      [...project.nodes.values()].map((node) => ({ id: node.id, inputs: [...node.edges.keys()], file: node.file })),
    )
    const chosen = (patterns: readonly string[]): ReadonlySet<TableId> => new Set(select(graph, () => [], patterns))
    const restate = wish.restate ? chosen(wish.restate) : null
    if (restate) requireModels(project, restate)
    const range: Interval | null = wish.range
      ? { start: parseMicros(wish.range[0]), end: parseMicros(wish.range[1]) }
      : null
    return {
      context: await (await this.at(wish.env)).context(project),
      request: {
        selected: restate ? chosen([...restate].map((id) => `${id}+`)) : chosen(wish.select ?? []),
        full: wish.full ?? false,
        range,
        ...(restate ? { restate } : {}),
        ...(wish.forwardOnly ? { forwardOnly: true } : {}),
        ...(wish.unsealed ? { unsealed: true } : {}),
      },
    }
  }

  /** The lake, or one of its environments. */
  private async at(env: string | undefined): Promise<Lake> {
    if (env === undefined) return this.lake
    const there =
      this.environments.get(env) ?? (await Lake.open({ cwd: this.folder, environment: env, ...this.options }))
    this.environments.set(env, there)
    return there
  }

  async createEnvironment(project: Project, name: string): Promise<void> {
    await forkEnvironment(await this.lake.context(project), this.lake.base.environments, environmentName(name))
  }

  async dropEnvironment(project: Project, name: string): Promise<void> {
    await this.environments.get(name)?.[Symbol.asyncDispose]()
    this.environments.delete(name)
    await dropEnvironment(await this.lake.context(project), this.lake.base.environments, environmentName(name))
  }

  /** Publishes what an environment changed, and makes it anew, as `limn env promote` does. */
  async promote(project: Project, name: string): Promise<PromoteReport> {
    const there = await (await this.at(name)).context(project)
    const report = await promote(await this.lake.context(project), there, environmentName(name))
    if (report.outcome === 'published') {
      await this.dropEnvironment(project, name)
      await this.createEnvironment(project, name)
    }
    return report
  }

  /** Rows of a query as text. */
  async query(sql: string, env?: string): Promise<readonly string[]> {
    const { rows } = await query(await this.at(env), sql, { kind: 'now' })
    return rows.map((row) => row.map(String).join(' '))
  }

  async plan(project: Project, wish: RunWish = {}): Promise<PlanReport> {
    const { context, request } = await this.request(project, wish)
    return planRun(context, request)
  }

  async run(project: Project, wish: RunWish = {}): Promise<RunReport> {
    const { context, request } = await this.request(project, wish)
    return run(context, request, { waitMs: 0 })
  }

  /** All rows of a table as text, in order; none when it does not exist. */
  async rows(name: string, columns: readonly string[]): Promise<readonly string[]> {
    if (!(await this.lake.catalog.listTables()).includes(tableId(name))) return []
    const list = columns.map((column) => `"${column}"::VARCHAR`).join(', ')
    const { rows } = await query(this.lake, `SELECT ${list} FROM ${name}`, { kind: 'now' })
    return rows.map((row) => JSON.stringify(row)).sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const there of this.environments.values()) await there[Symbol.asyncDispose]()
    await this.lake[Symbol.asyncDispose]()
    this.made?.[Symbol.dispose]()
  }
}
