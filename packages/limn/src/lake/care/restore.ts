import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import {
  LimnError,
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
import { type BackupRecord, backupIn, catalogFolder, projectFolder, warehouseFolder } from './backup-record.ts'
import { type ConfigEdit, writeWarehouse } from './config-file.ts'
import { rootsOf, verifyTransplant } from './verify.ts'

export interface Restored {
  readonly backup: string
  readonly folder: string
  readonly tables: number
  readonly files: number
  readonly bytes: number
  readonly outside: readonly string[]
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

/**
 * Restores a backup into an empty folder: the project, the warehouse with every path changed to where it is now, and the
 * catalog last, so that a crash before leaves no lake, and restoring again goes on. The backup is read alone. Runs begin
 * with a new state database, made from the ledger (`rebuildState`). Throws `usage/folder-not-empty`,
 * `usage/unknown-backup`, `storage/missing`, `storage/corrupt`.
 */
export async function restoreLake(backup: string, folder: string, options: RestoreOptions = {}): Promise<Restored> {
  const cwd = options.cwd ?? process.cwd()
  const [from, to] = [resolve(cwd, backup), resolve(cwd, folder)]
  const record = backupIn(from, options.id)
  requireEmpty(to, record.id)
  mkdirSync(to, { recursive: true })
  writeFileSync(join(to, marker), record.id)
  const warehouse = placeIn(to, record.warehouse, 'warehouse')
  const catalogPath = placeIn(to, record.catalog, '.limn/catalog.db')
  const { steps = noSteps, progress = silentProgress, signal = new AbortController().signal } = options
  const source = new LocalStore(join(from, warehouseFolder))
  const target = new LocalStore(warehouse, { steps })
  const move: Move = { from: record.root, to: target.root }
  const placeOf = (path: StorePath) => storePath(moved(path, { from: record.root, to: source.root }))
  await requireWhole(record, source)
  const kept = join(from, catalogFolder, `${record.id}.db`)
  const pointers = pointersIn(kept, record.lake)
  const cache = join(to, '.limn', 'cache')
  mkdirSync(cache, { recursive: true })
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
    mkdirSync(dirname(path), { recursive: true })
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
    cpSync(join(from, projectFolder, record.id), to, { recursive: true })
    const config = record.warehouse !== null && isAbsolute(record.warehouse) ? writeWarehouse(to, warehouse) : null
    renameSync(path, catalogPath)
    rmSync(join(to, marker))
    return {
      backup: record.id,
      folder: to,
      tables: record.tables,
      files: done.files.size,
      bytes: [...done.files.values()].reduce((sum, one) => sum + one, 0),
      outside: record.outside,
      config,
    }
  } finally {
    engine.close()
  }
}

/** A place of the configuration in the new folder; one that was named in full gets the usual place within it. */
function placeIn(folder: string, said: string | null, usual: string): string {
  return resolve(folder, said === null || isAbsolute(said) ? usual : said)
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
