import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname, isAbsolute, join, normalize, resolve, sep } from 'node:path'
import {
  LimnError,
  makeFolder,
  noSteps,
  type Progress,
  type Steps,
  silentProgress,
  systemClock,
  systemRandomness,
} from '../../base/index.ts'
import { pointersIn, SqliteCatalog } from '../../catalog/index.ts'
import { openDuckDb } from '../../engine/index.ts'
import { ManifestReader, type Move, moved } from '../../iceberg/index.ts'
import { LocalStore, type ObjectStore, type StorePath, storePath } from '../../storage/index.ts'
import { type TableContext, type TreeReader, transplant, treeOf } from '../../table/index.ts'
import {
  type BackupRecord,
  backupIn,
  catalogFolder,
  formerProjectFolder,
  projectFolder,
  warehouseFolder,
} from './backup-record.ts'
import { type ConfigEdit, configName, optionIn, writeOption, writeWarehouse } from './config-file.ts'
import { type LeftOut, requireKept, restoreProject } from './project-files.ts'
import { rootsOf, verifyTransplant } from './verify.ts'

export interface Restored {
  readonly backup: string
  readonly folder: string
  readonly tables: number
  readonly files: number
  readonly bytes: number
  readonly outside: readonly string[]
  /** What of the project was not in the backup. */
  readonly leftOut: readonly LeftOut[]
  /** Null where the configuration needs no change. */
  readonly config: ConfigEdit | null
}

export interface RestoreOptions {
  /** Which backup of the folder. Default: the latest. */
  readonly id?: string
  readonly cwd?: string
  readonly progress?: Progress
  readonly signal?: AbortSignal
  readonly steps?: Steps
}

const marker = '.limn-restoring'
const usualCatalog = '.limn/catalog.db'

/**
 * Restores a backup into an empty folder: the project, the warehouse with every path changed to where it is now, and the
 * catalog last, so that a crash before leaves no lake, and restoring again goes on. The backup is read alone. Runs begin
 * with a new state database, made from the ledger (`rebuildState`). Throws `usage/folder-not-empty`,
 * `usage/unknown-backup`, `storage/missing`, `storage/corrupt`, and `config/invalid` when all is restored but the configuration
 * names places outside the lake's folder in a way that only a person should change.
 */
export async function restoreLake(backup: string, folder: string, options: RestoreOptions = {}): Promise<Restored> {
  const cwd = options.cwd ?? process.cwd()
  const [from, to] = [resolve(cwd, backup), resolve(cwd, folder)]
  const record = backupIn(from, options.id)
  requireEmpty(to, record.id)
  makeFolder(to)
  writeFileSync(join(to, marker), record.id)
  const warehouse = placeIn(to, record.warehouse, 'warehouse')
  const catalogPath = placeIn(to, record.catalog, usualCatalog)
  const { steps = noSteps, progress = silentProgress, signal = new AbortController().signal } = options
  const source = new LocalStore(join(from, warehouseFolder))
  const target = new LocalStore(warehouse, { steps })
  const move: Move = { from: record.root, to: target.root }
  const placeOf = (path: StorePath) => storePath(moved(path, { from: record.root, to: source.root }))
  await requireWhole(record, source)
  await requireKept(join(from, projectFolder), record.id, record.project ?? [])
  const kept = join(from, catalogFolder, `${record.id}.db`)
  const pointers = pointersIn(kept, record.lake)
  const cache = join(to, '.limn', 'cache')
  makeFolder(cache)
  const engine = await openDuckDb({
    threads: availableParallelism(),
    memoryLimit: '1GB',
    temporaryFolder: cache,
  })
  try {
    const reader = readerAt(source, placeOf)
    const tree = await treeOf(reader, rootsOf(pointers), { signal, progress })
    const put = { tree, move, source: reader, placeOf, target, engine, steps, signal, progress, copy: true }
    const done = await transplant(put)
    const path = `${catalogPath}.restoring`
    makeFolder(dirname(path))
    cpSync(kept, path)
    const catalog = new SqliteCatalog({ path, name: record.lake, store: target, randomness: systemRandomness, steps })
    try {
      const fresh: TableContext = {
        catalog,
        store: target,
        engine,
        manifests: new ManifestReader(target),
        clock: systemClock,
        randomness: systemRandomness,
        steps,
        signal,
      }
      await verifyTransplant({ before: tree, ...move, moved: done, target, old: null, fresh, progress, signal })
      await catalog.pointers.move(catalog.pointers.list(), done.metadata)
    } finally {
      catalog.close()
    }
    if (record.project) await restoreProject(join(from, projectFolder), record.project, to)
    else cpSync(join(from, formerProjectFolder, record.id), to, { recursive: true })
    const edits = settlePlaces(to, record, warehouse)
    renameSync(path, catalogPath)
    rmSync(join(to, marker))
    requireSettled(to, edits)
    return {
      backup: record.id,
      folder: to,
      tables: record.tables,
      files: done.files.size,
      bytes: [...done.files.values()].reduce((sum, one) => sum + one, 0),
      outside: record.outside,
      leftOut: record.leftOut ?? [],
      config: edits.find((one) => one.line.startsWith('warehouse')) ?? null,
    }
  } finally {
    engine.close()
  }
}

/** A place of the configuration in the new folder; one that was not within the lake's gets the usual place. */
function placeIn(folder: string, said: string | null, usual: string): string {
  return resolve(folder, said === null || isElsewhere(said) ? usual : said)
}

/** Whether a place of the configuration is outside the lake's folder: then it is the other lake's. */
function isElsewhere(said: string): boolean {
  return isAbsolute(said) || normalize(said).split(sep)[0] === '..'
}

/** Changes what the restored configuration says of places outside its folder, and names the lake as its catalog does. */
function settlePlaces(to: string, record: BackupRecord, warehouse: string): readonly ConfigEdit[] {
  const text = readFileSync(join(to, configName), 'utf8')
  const edits: ConfigEdit[] = []
  if (record.warehouse !== null && isElsewhere(record.warehouse)) edits.push(writeWarehouse(to, warehouse))
  if (record.catalog !== null && isElsewhere(record.catalog)) edits.push(writeOption(to, 'catalog', usualCatalog))
  const state = optionIn(text, 'state')
  if (state !== null && isElsewhere(state)) edits.push(writeOption(to, 'state', '.limn/state.db'))
  // Without a name a lake goes by its folder's, and its catalog by that of the folder it was in.
  if (!/\bname\s*:/.test(text) && basename(to) !== record.lake) edits.push(writeOption(to, 'name', record.lake))
  return edits
}

/** A configuration that still names places of the other lake is put aside: nothing may be run by it. */
function requireSettled(to: string, edits: readonly ConfigEdit[]): void {
  const byHand = edits.filter((one) => !one.changed)
  if (byHand.length === 0) return
  renameSync(join(to, configName), join(to, `${configName}.edit`))
  throw new LimnError('config/invalid', {
    message: `The lake is restored in ${to}, but its ${configName} names places of the lake that was, in a way that only a person should change.`,
    notDone: `The configuration was put beside as ${configName}.edit, so that nothing is run by it.`,
    remedy: `Write into it: ${byHand.map((one) => one.line).join(', ')}. Then name it ${configName}.`,
  })
}

/** Reads files of the lake that was by the names they had. */
function readerAt(source: ObjectStore, placeOf: (path: StorePath) => StorePath): TreeReader {
  return {
    read: (path, range, options) => source.read(placeOf(path), range, options),
    stat: (path, options) => source.stat(placeOf(path), options),
  }
}

async function requireWhole(record: BackupRecord, source: LocalStore): Promise<void> {
  for (const [path, bytes] of record.files) {
    const info = await source.stat(storePath(`${source.root}/${path}`))
    if (info?.bytes === bytes) continue
    throw new LimnError(info ? 'storage/corrupt' : 'storage/missing', {
      message: `${path} of the backup ${record.id} ${info ? `has ${info.bytes} bytes instead of ${bytes}` : 'is not there'}.`,
      notDone: 'Nothing was restored.',
      remedy: 'Restore another backup of the folder: limn lake restore … --backup ID',
    })
  }
}

function requireEmpty(folder: string, id: string): void {
  if (!existsSync(folder) || readdirSync(folder).length === 0) return
  if (existsSync(join(folder, marker))) return
  throw new LimnError('usage/folder-not-empty', {
    message: `${folder} has files already.`,
    notDone: `The backup ${id} was not restored.`,
    remedy: 'Name a new or empty folder.',
  })
}
