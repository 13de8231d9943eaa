import { LimnError } from '../base/index.ts'

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
  readonly engine?: EngineConfig
}

/** Describes a lake: one catalog, one warehouse, one state database. `export default defineLake({ … })` in `limn.config.ts`. */
export function defineLake(config: LakeConfig): LakeConfig {
  return config
}

/** How a value of the engine's configuration is told to be right, and how it is written. */
type Rule = readonly [test: (value: unknown) => boolean, wanted: string]

const positive: Rule = [(value) => Number.isInteger(value) && Number(value) >= 1, 'a whole number, 1 or more']
const size: Rule = [
  (value) => typeof value === 'string' && /^\d+(\.\d+)?\s*([KMGT]i?B|B)$/i.test(value.trim()),
  'a size such as 512MB or 4GB',
]

/** A field that is added has to say what is right for it. */
const rules: { readonly [Name in keyof Required<EngineConfig>]: Rule } = {
  threads: positive,
  memory: size,
  tempDir: [(value) => typeof value === 'string' && value !== '', 'a folder'],
  tempSize: size,
  fileCache: [(value) => typeof value === 'boolean', 'true or false'],
  manifestCache: positive,
}

/** Throws `config/invalid` for an option of the engine that limn does not know, or a value that means nothing. */
export function requireEngine(engine: unknown, file: string): void {
  if (engine === undefined) return
  if (typeof engine !== 'object' || engine === null) throw invalid(file, 'The option engine is no object.', 'an object')
  for (const [name, value] of Object.entries(engine)) {
    const rule = Object.entries(rules).find(([known]) => known === name)?.[1]
    if (!rule)
      throw invalid(file, `limn does not know the option engine.${name}.`, `one of ${Object.keys(rules).join(', ')}`)
    const [fits, wanted] = rule
    if (value !== undefined && !fits(value)) throw invalid(file, `engine.${name} is ${JSON.stringify(value)}.`, wanted)
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
