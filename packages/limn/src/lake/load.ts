import { existsSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { LimnError } from '../base/index.ts'
import { environmentName } from '../catalog/index.ts'
import { type Dataset, isDataset } from '../dataset/index.ts'
import { type LoadedDataset, queryOf } from '../pipeline/index.ts'
import { environmentOptions, type LakeConfig, lakeOptions, requireOptions } from './config.ts'

const configName = 'limn.config.ts'

/** The folder of the nearest `limn.config.ts`, from `cwd` upward. Throws `usage/no-lake`. */
export function findLake(cwd: string): string {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, configName))) return folder
    if (dirname(folder) === folder) {
      throw new LimnError('usage/no-lake', {
        message: `No ${configName} in ${cwd} or any folder above it.`,
        remedy: 'Change into a lake, or make one: limn init my-lake',
      })
    }
  }
}

/** Reads `limn.config.ts`. Throws `config/load` or `config/invalid`. */
export async function loadConfig(folder: string): Promise<LakeConfig> {
  const file = join(folder, configName)
  const loaded = await importFile(folder, file)
  const config: unknown = loaded.default
  if (typeof config !== 'object' || config === null) {
    throw new LimnError('config/invalid', {
      message: `${configName} has no default export.`,
      remedy: "Write: import { defineLake } from 'limn'; export default defineLake({})",
      location: { file: configName },
    })
  }
  requireKnown(config, lakeOptions, 'an option')
  const { environments } = config as LakeConfig
  for (const [name, one] of Object.entries(environments ?? {})) {
    environmentName(name)
    requireKnown(one, environmentOptions, `of the environment ${name} an option`)
  }
  requireOptions(config, configName)
  return config
}

function requireKnown(value: object, known: readonly string[], what: string): void {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    throw new LimnError('config/invalid', {
      message: `${configName} has ${what} "${key}" that limn does not know.`,
      remedy: `The options are ${known.join(', ')}.`,
      location: { file: configName },
    })
  }
}

/**
 * Loads `datasets/**\/*.ts` in path order; every exported definition registers. A dataset exported twice from one
 * module is one dataset; two definitions of one name are both returned, and the graph refuses them.
 */
export async function loadDatasets(folder: string): Promise<readonly LoadedDataset[]> {
  const paths: string[] = []
  for await (const path of glob('datasets/**/*.ts', { cwd: folder })) {
    if (!path.endsWith('.d.ts')) paths.push(path.replaceAll('\\', '/'))
  }
  paths.sort()
  const seen = new Map<Dataset, LoadedDataset>()
  const together = await importTogether(paths.map((path) => join(folder, path)))
  for (const [i, path] of paths.entries()) {
    const exported = together[i] ?? (await importFile(folder, join(folder, path)))
    for (const value of Object.values(exported)) {
      if (!isDataset(value) || seen.has(value)) continue
      seen.set(value, { dataset: value, file: path, query: await readQuery(folder, path, value) })
    }
  }
  return [...seen.values()]
}

/** Refuses a lake that defines nothing. */
export function requireDatasets(loaded: readonly LoadedDataset[]): readonly LoadedDataset[] {
  if (loaded.length > 0) return loaded
  throw new LimnError('config/invalid', {
    message: 'The lake has no datasets.',
    notDone: 'Nothing was run.',
    remedy: 'Export a model(…) or ingest(…) from a file in datasets/.',
  })
}

async function readQuery(folder: string, file: string, dataset: Dataset): Promise<LoadedDataset['query']> {
  const query = queryOf(dataset.producer)
  if (!query) return null
  if (query.kind === 'sql') {
    const at = query.at
    const inLake = at ? relative(folder, at.file).replaceAll('\\', '/') : file
    return { text: query.text, origin: { file: inLake, line: at?.line ?? 1, column: at?.column ?? 1 } }
  }
  const path = join(dirname(file), query.path).replaceAll('\\', '/')
  try {
    return { text: await readFile(join(folder, path), 'utf8'), origin: { file: path, line: 1, column: 1 } }
  } catch (cause) {
    throw new LimnError('dataset/invalid', {
      message: `${dataset.id} names the SQL file ${query.path}, which cannot be read.`,
      notDone: 'Nothing was run.',
      remedy: `Create ${path}, or correct the path: it is relative to ${basename(file)}.`,
      location: { file },
      cause,
    })
  }
}

/**
 * Imports files, in order, by one module that names them all: each import by itself walks all of limn's own modules again. None
 * where one of them fails: imported by themselves they say which.
 */
async function importTogether(files: readonly string[]): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const exports = files.map((file, i) => `export * as file${i} from ${JSON.stringify(pathToFileURL(file).href)}`)
  try {
    const module = await import(`data:text/javascript,${encodeURIComponent(exports.join('\n'))}`)
    return files.map((_file, i) => (module as Readonly<Record<string, Record<string, unknown>>>)[`file${i}`] ?? {})
  } catch {
    return []
  }
}

async function importFile(folder: string, file: string): Promise<Readonly<Record<string, unknown>>> {
  const name = relative(folder, file)
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (cause) {
    if (cause instanceof LimnError) throw cause
    throw explainImport(folder, name, cause)
  }
}

/** Says in limn's words what Node said of a project file. */
function explainImport(folder: string, name: string, cause: unknown): LimnError {
  const text = cause instanceof Error ? cause.message : String(cause)
  const location = locate(folder, name, cause)
  if (/before initialization/.test(text)) {
    return new LimnError('dataset/cycle', {
      message: `The files of datasets import each other in a cycle, and one is used before it is defined: ${text}.`,
      notDone: 'Nothing was run.',
      remedy: "Use the other dataset inside the build's callback, or name it: ref('namespace.name').",
      location,
      cause,
    })
  }
  return new LimnError('config/load', {
    message: `${name} could not be loaded: ${text.split('\n')[0]}`,
    notDone: 'Nothing was run.',
    remedy: 'Correct the file; `limn check` also checks its types.',
    location,
    cause,
  })
}

function locate(folder: string, name: string, cause: unknown): { file: string; line?: number; column?: number } {
  const stack = cause instanceof Error ? (cause.stack ?? '') : ''
  for (const line of stack.split('\n')) {
    const match = /(file:\/\/[^\s)]+?):(\d+)(?::(\d+))?\)?$/.exec(line.trim())
    const url = match?.[1]
    if (!match || !url) continue
    const file = fileURLToPath(url)
    if (relative(folder, file).startsWith('..') || file.includes('node_modules')) continue
    return {
      file: relative(folder, file),
      line: Number(match[2]),
      ...(match[3] === undefined ? {} : { column: Number(match[3]) }),
    }
  }
  return { file: name }
}
