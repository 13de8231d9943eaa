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
  readonly engine?: {
    /** Threads of DuckDB. Default: the number of processors. */
    readonly threads?: number
    /** Memory DuckDB may use, for example `2GB`. Default `1GB`. Not a cap on the process. */
    readonly memoryLimit?: string
  }
  /** When groups of datasets are run, by selection: `{ 'tag:daily': '0 6 * * * in Europe/Berlin' }`. A dataset's own goes before. */
  readonly schedules?: Readonly<Record<string, Schedule | ScheduleText>>
  /** Who is told of what, by owner of datasets (`*`: every owner): `{ ops: [{ on: ['failed'], webhook: env('OPS_URL') }] }`. */
  readonly notify?: Notify
}

/** Describes a lake: one catalog, one warehouse, one state database. `export default defineLake({ … })` in `limn.config.ts`. */
export function defineLake(config: LakeConfig): LakeConfig {
  return config
}
