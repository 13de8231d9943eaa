import { LimnError } from '../base/index.ts'
import type { Schedule, ScheduleText } from '../dataset/index.ts'
import type { LineageConfig } from '../observe/index.ts'
import type { Notify } from '../pipeline/index.ts'

/** What the embedded engine may take of the machine. Sizes are written as `512MB` or `4GB` (powers of 1000) or `4GiB`. */
export interface EngineConfig {
  /** Threads that work on one query. Default: the number of processors. */
  readonly threads?: number
  /**
   * Memory for the engine's rows, hash tables and sorts; what does not fit is spilled to `tempDir`. Default `1GB`. The process
   * takes more than that: limn's own part, and what the allocator keeps; docs/running-in-production.md says how much.
   */
  readonly memory?: string
  /** Where the engine spills, and copies of files stand that it cannot read as they are. Default `.limn/cache`. */
  readonly tempDir?: string
  /** The most that may be spilled at a time; beyond it a run fails. Default: nine tenths of what is free there. */
  readonly tempSize?: string
  /**
   * Whether bytes of data files that were read stay in `memory` for the next reader. Default `false`: on a local disk the operating
   * system keeps them. For a warehouse on a network mount.
   */
  readonly fileCache?: boolean
  /** How many rows of manifests are kept decoded. Default 20,000, about 30 MB. */
  readonly manifestCache?: number
}

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
  /** Where OpenLineage events of runs go. Default: nowhere. */
  readonly lineage?: LineageConfig
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
  'lineage',
] as const

/** The options that an environment knows. */
export const environmentOptions = ['doc', 'engine'] as const

/** Describes a lake: one catalog, one warehouse, one state database. `export default defineLake({ … })` in `limn.config.ts`. */
export function defineLake(config: LakeConfig): LakeConfig {
  return config
}

/** How a value of the configuration is told to be right, and how it is written. */
type Rule = readonly [test: (value: unknown) => boolean, wanted: string]

const positive: Rule = [(value) => Number.isInteger(value) && Number(value) >= 1, 'a whole number, 1 or more']
const size: Rule = [
  (value) => typeof value === 'string' && /^\d+(\.\d+)?\s*([KMGT]i?B|B)$/i.test(value.trim()),
  'a size such as 512MB or 4GB',
]

/** A field that is added has to say what is right for it. */
const engineRules: { readonly [Name in keyof Required<EngineConfig>]: Rule } = {
  threads: positive,
  memory: size,
  tempDir: [(value) => typeof value === 'string' && value !== '', 'a folder'],
  tempSize: size,
  fileCache: [(value) => typeof value === 'boolean', 'true or false'],
  manifestCache: positive,
}

const lineageRules: { readonly [Name in keyof Required<LineageConfig>]: Rule } = {
  to: [(value) => typeof value === 'string' && value !== '', 'stdout, an http(s) address or a file'],
  namespace: [(value) => typeof value === 'string' && value !== '', 'a namespace, such as limn://sales'],
  headers: [
    (value) =>
      typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string'),
    'an object of texts',
  ],
  retries: [(value) => Number.isInteger(value) && Number(value) >= 0, 'a whole number, 0 or more'],
  timeoutMs: positive,
}

/** Throws `config/invalid` for an option of a group that limn does not know, or a value that means nothing. */
export function requireOptions(config: LakeConfig, file: string): void {
  requireGroup('engine', config.engine, engineRules, file)
  for (const [name, { engine }] of Object.entries(config.environments ?? {}))
    requireGroup(`environments.${name}.engine`, engine, engineRules, file)
  requireGroup('lineage', config.lineage, lineageRules, file)
  if (config.lineage && config.lineage.to === undefined)
    throw invalid(file, 'lineage.to is missing.', lineageRules.to[1])
}

function requireGroup(group: string, given: unknown, rules: Readonly<Record<string, Rule>>, file: string): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null) throw invalid(file, `The option ${group} is no object.`, 'an object')
  for (const [name, value] of Object.entries(given)) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined
    if (!rule)
      throw invalid(file, `limn does not know the option ${group}.${name}.`, `one of ${Object.keys(rules).join(', ')}`)
    const [fits, wanted] = rule
    // A header may be a secret.
    const shown = name === 'headers' ? 'not right' : JSON.stringify(value)
    if (value !== undefined && !fits(value)) throw invalid(file, `${group}.${name} is ${shown}.`, wanted)
  }
}

function invalid(file: string, message: string, wanted: string): LimnError {
  return new LimnError('config/invalid', {
    message,
    notDone: 'The lake was not opened.',
    remedy: `Write ${wanted}.`,
    location: { file },
  })
}
