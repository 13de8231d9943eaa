import type { Schedule, ScheduleText } from '../dataset/index.ts'
import type { Notify } from '../pipeline/index.ts'

/** Options of a lake; every path is relative to the folder of `limn.config.ts`. */
export interface LakeConfig {
  /** The lake's name, as it stands in the catalog. Default: the folder's name. */
  readonly name?: string
  /** Where tables are written. Default `warehouse`. */
  readonly warehouse?: string
  /** The SQLite catalog. Default `.limn/catalog.db`. */
  readonly catalog?: string
  /** The state database. Default `.limn/state.db`. */
  readonly state?: string
  /** When groups of datasets are run, by selection: `{ 'tag:daily': '0 6 * * * in Europe/Berlin' }`. A dataset's own goes before. */
  readonly schedules?: Readonly<Record<string, Schedule | ScheduleText>>
  /** Who is told of what, by owner of datasets (`*`: every owner): `{ ops: [{ on: ['failed'], webhook: env('OPS_URL') }] }`. */
  readonly notify?: Notify
  readonly engine?: EngineConfig
  /** Where commands work that do not say: the name of an environment, or `prod`. Default `prod`. */
  readonly environment?: string
  /** Environments that a run may make when they are first used, by name. */
  readonly environments?: Readonly<Record<string, EnvironmentConfig>>
}

export interface EngineConfig {
  /** Threads of DuckDB. Default: the number of processors. */
  readonly threads?: number
  /** Memory DuckDB may use, for example `2GB`. Default `1GB`. Not a cap on the process. */
  readonly memoryLimit?: string
}

/** What is different in an environment; what is left out is as in production. */
export interface EnvironmentConfig {
  /** What it is for, in a sentence. */
  readonly doc?: string
  readonly engine?: EngineConfig
}

/** The options that a lake knows. */
export const lakeOptions = [
  'name',
  'warehouse',
  'catalog',
  'state',
  'engine',
  'schedules',
  'notify',
  'environment',
  'environments',
] as const

/** The options that an environment knows. */
export const environmentOptions = ['doc', 'engine'] as const

/** Describes a lake: one catalog, one warehouse, one state database. `export default defineLake({ … })` in `limn.config.ts`. */
export function defineLake(config: LakeConfig): LakeConfig {
  return config
}
