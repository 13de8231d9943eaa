import { randomBytes } from 'node:crypto'
import {
  accessSync,
  closeSync,
  constants,
  fsync,
  mkdtempSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { access, copyFile, link, open, opendir, readFile, rename, rm, stat, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import {
  explainSystemError,
  LimnError,
  makeFolder,
  mapConcurrently,
  noSteps,
  processAlive,
  type Steps,
  step,
  systemCode,
} from '../base/index.ts'
import {
  type ByteRange,
  type Cancel,
  type FileLease,
  type ObjectInfo,
  type ObjectStore,
  type StorePath,
  storePath,
  type WriteOptions,
} from './store.ts'
import { Unsynced } from './unsynced.ts'

const scheme = 'file://'
const scratchName = '.scratch'

/** Up to so many bytes are written in place: asking a thread for it takes longer. */
const smallBytesMax = 256 * 1024

/** Up to so many files are looked at in place. */
const fewFiles = 16

/** The local file of a `file://` location. */
export function localFile(path: StorePath): string {
  if (path.startsWith(scheme)) return path.slice(scheme.length)
  if (path.startsWith('file:/')) return path.slice('file:'.length)
  if (path.startsWith('/')) return path
  throw new LimnError('storage/failed', {
    message: `${path} is not a local file.`,
    remedy: 'This lake is on a local disk.',
  })
}

/** A folder as an object store. Files and their folders are synced before `write` and `putFiles` return. */
export class LocalStore implements ObjectStore {
  readonly root: StorePath
  private readonly folder: string
  private readonly steps: Steps
  private readonly changes: (path: StorePath) => boolean
  private readonly known = new Set<string>()
  private readonly unsynced = new Unsynced(syncPath)

  /** With `changes`, only files of which it says so are written or deleted; reading is free. Default: all of the folder. */
  constructor(
    folder: string,
    options: { readonly steps?: Steps; readonly changes?: (path: StorePath) => boolean } = {},
  ) {
    this.folder = resolve(folder)
    this.root = storePath(`${scheme}${this.folder}`)
    this.steps = options.steps ?? noSteps
    this.changes = options.changes ?? (() => true)
  }

  async read(path: StorePath, range?: ByteRange, options: Cancel = {}): Promise<Uint8Array> {
    return guard(path, 'It was not read.', async () => {
      if (!range) return await readFile(localFile(path), options.signal ? { signal: options.signal } : {})
      await using file = await open(localFile(path), 'r')
      const bytes = new Uint8Array(range.end - range.start)
      const { bytesRead } = await file.read(bytes, 0, bytes.length, range.start)
      return bytes.subarray(0, bytesRead)
    })
  }

  async write(
    path: StorePath,
    bytes: Uint8Array,
    options: WriteOptions & { ifAbsent?: boolean } = {},
  ): Promise<'written' | 'exists'> {
    options.signal?.throwIfAborted()
    const target = this.inside(path)
    return step(this.steps, 'file.write', path, () =>
      guard(path, 'It was not written.', async () => {
        if (options.later && !options.ifAbsent && bytes.length <= smallBytesMax) {
          this.writeLater(target, bytes)
          return 'written'
        }
        await this.makeFolder(dirname(target))
        const temporary = `${target}.${randomBytes(4).toString('hex')}.tmp`
        try {
          await writeSynced(temporary, bytes)
          if (options.ifAbsent) {
            try {
              await link(temporary, target)
            } catch (error) {
              if (systemCode(error) === 'EEXIST') return 'exists'
              throw error
            } finally {
              await unlink(temporary)
            }
          } else {
            await rename(temporary, target)
          }
        } catch (error) {
          await rm(temporary, { force: true })
          throw error
        }
        await syncPath(dirname(target))
        return 'written'
      }),
    )
  }

  /** Whole when it appears, as every file. */
  private writeLater(target: string, bytes: Uint8Array): void {
    this.makeFolderLater(dirname(target))
    const temporary = `${target}.${randomBytes(4).toString('hex')}.tmp`
    try {
      const file = openSync(temporary, 'wx')
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
      } finally {
        closeSync(file)
      }
      renameSync(temporary, target)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    this.unsynced.addFile(target)
  }

  async settle(): Promise<void> {
    await guard(this.root, 'What was written may not last.', () => this.unsynced.settle())
  }

  putFile(local: string, path: StorePath, options: WriteOptions = {}): Promise<void> {
    return this.putFiles([{ local, path }], options)
  }

  async putFiles(
    files: readonly { readonly local: string; readonly path: StorePath }[],
    options: WriteOptions = {},
  ): Promise<void> {
    const folders = new Set<string>()
    const targets = files.map((file) => ({ ...file, target: this.inside(file.path) }))
    if (options.later) {
      for (const { local, path, target } of targets) {
        options.signal?.throwIfAborted()
        await guard(path, 'It was not written.', async () => {
          this.makeFolderLater(dirname(target))
          renameSync(local, target)
        })
        this.unsynced.addFile(target)
      }
      return
    }
    for (const { target, path } of targets) {
      const folder = dirname(target)
      if (!folders.has(folder)) await guard(path, 'It was not written.', () => this.makeFolder(folder))
      folders.add(folder)
    }
    await mapConcurrently(targets, 16, async ({ local, path, target }) => {
      options.signal?.throwIfAborted()
      await guard(path, 'It was not written.', async () => {
        await syncPath(local)
        await rename(local, target)
      })
    })
    await mapConcurrently([...folders], 16, (folder) =>
      guard(storePath(folder), 'It was not synced.', () => syncPath(folder)),
    )
  }

  async scratch(): Promise<AsyncDisposable & { readonly folder: string }> {
    const parent = join(this.folder, scratchName)
    const folder = await guard(storePath(parent), 'Nothing was written.', async () => {
      const prefix = join(parent, `${process.pid}-`)
      try {
        return mkdtempSync(prefix)
      } catch (error) {
        if (!isAbsence(error)) throw error
        makeFolder(parent)
        return mkdtempSync(prefix)
      }
    })
    return { folder, [Symbol.asyncDispose]: () => removeScratch(folder) }
  }

  /** Removes scratch folders left by processes that are gone. */
  async sweepScratch(): Promise<void> {
    const parent = join(this.folder, scratchName)
    try {
      for await (const entry of await opendir(parent)) {
        const pid = Number(entry.name.split('-')[0])
        if (pid !== process.pid && !processAlive(pid))
          await rm(join(parent, entry.name), { recursive: true, force: true })
      }
    } catch (error) {
      if (!isAbsence(error)) throw error
    }
  }

  async lease(paths: readonly StorePath[]): Promise<FileLease> {
    const names = new Map<string, StorePath>()
    const few = paths.length <= fewFiles
    await mapConcurrently([...paths], 32, async (path) => {
      const local = localFile(path)
      await guard(path, 'It was not read.', async () =>
        few ? accessSync(local, constants.R_OK) : await access(local, constants.R_OK),
      )
      names.set(local, path)
    })
    return {
      localOf: (path) => localFile(path),
      pathOf: (local) => names.get(local),
      [Symbol.asyncDispose]: async () => undefined,
    }
  }

  async stat(path: StorePath): Promise<ObjectInfo | null> {
    try {
      const info = await stat(localFile(path))
      return { path, bytes: info.size, modifiedMs: info.mtimeMs }
    } catch (error) {
      if (isAbsence(error)) return null
      throw explainSystemError(error, path, 'It was not read.')
    }
  }

  async *list(prefix: StorePath): AsyncIterable<ObjectInfo> {
    const found: string[] = []
    const walk = async (folder: string): Promise<void> => {
      try {
        for await (const entry of await opendir(folder)) {
          const path = join(folder, entry.name)
          if (entry.isDirectory()) await walk(path)
          else found.push(path)
        }
      } catch (error) {
        if (!isAbsence(error)) throw explainSystemError(error, storePath(folder), 'It was not listed.')
      }
    }
    await walk(localFile(prefix))
    found.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    for (const path of found) {
      const info = await this.stat(storePath(`${scheme}${path}`))
      if (info) yield info
    }
  }

  async delete(paths: readonly StorePath[]): Promise<void> {
    await mapConcurrently([...paths], 16, (path) =>
      guard(path, 'It was not deleted.', async () => {
        const local = this.inside(path)
        await rm(local, { force: true })
        this.unsynced.forget(local)
      }),
    )
  }

  private inside(path: StorePath): string {
    const local = resolve(localFile(path))
    if (local.startsWith(`${this.folder}/`)) {
      if (this.changes(storePath(`${scheme}${local}`))) return local
      throw new LimnError('storage/not-yours', {
        message: `${path} belongs to another environment of the lake.`,
        notDone: 'Nothing was written or deleted.',
        remedy: 'An environment changes files of its own folders only.',
      })
    }
    throw new LimnError('storage/failed', {
      message: `${path} is outside the warehouse ${this.folder}.`,
      notDone: 'Nothing was written or deleted.',
      remedy: 'limn changes files of its own warehouse only; the warehouse of a lake moves with limn lake relocate.',
    })
  }

  async linkFiles(
    files: readonly { readonly from: StorePath; readonly to: StorePath }[],
    options: Cancel & { readonly copy?: boolean } = {},
  ): Promise<void> {
    const folders = new Set<string>()
    await mapConcurrently([...files], 16, async ({ from, to }) => {
      options.signal?.throwIfAborted()
      const target = this.inside(to)
      await guard(to, 'It was not written.', async () => {
        await this.makeFolder(dirname(target))
        folders.add(dirname(target))
        if (options.copy !== true && (await linked(localFile(from), target))) return
        await copied(localFile(from), target)
      })
    })
    await mapConcurrently([...folders], 16, (folder) =>
      guard(storePath(folder), 'It was not synced.', () => syncPath(folder)),
    )
  }

  /** Makes a folder and syncs every parent that gained an entry; the folder itself is synced with the first file in it. */
  private async makeFolder(folder: string): Promise<void> {
    if (this.known.has(folder)) {
      await this.unsynced.settleAbove(folder)
      return
    }
    const first = makeFolder(folder)
    await Promise.all(gainedBy(folder, first).map(syncPath))
    await this.unsynced.settleAbove(folder)
    this.known.add(folder)
  }

  private makeFolderLater(folder: string): void {
    if (this.known.has(folder)) return
    const first = makeFolder(folder)
    for (const one of gainedBy(folder, first)) this.unsynced.addFolder(one)
    this.known.add(folder)
  }
}

/** Folders that gained an entry when a folder was made and `first` is the uppermost one that was not there. */
function gainedBy(folder: string, first: string | undefined): readonly string[] {
  const gained: string[] = []
  if (first === undefined) return gained
  for (let at = dirname(folder); at.length >= dirname(first).length; at = dirname(at)) {
    gained.push(at)
    if (at === dirname(first) || at === dirname(at)) break
  }
  return gained
}

/** Nothing is there, nor could be: what would be its folder may be a file. */
function isAbsence(error: unknown): boolean {
  const code = systemCode(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Gives a file a second name. False: the file system has none. One that is there already stays. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST') return true
    if (code === 'EXDEV' || code === 'EPERM' || code === 'ENOTSUP' || code === 'EMLINK') return false
    throw error
  }
}

/** The file appears when it is whole. */
async function copied(from: string, to: string): Promise<void> {
  const temporary = `${to}.${randomBytes(4).toString('hex')}.tmp`
  try {
    await copyFile(from, temporary)
    await syncPath(temporary)
    await rename(temporary, to)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'w')
  await file.writeFile(bytes)
  await file.sync()
}

/** As a rule all files have been put elsewhere, and the folder is empty. */
async function removeScratch(folder: string): Promise<void> {
  try {
    rmdirSync(folder)
  } catch {
    await rm(folder, { recursive: true, force: true })
  }
}

const synced = promisify(fsync)

/** A file or a folder. */
async function syncPath(path: string): Promise<void> {
  const file = openSync(path, 'r')
  try {
    await synced(file)
  } finally {
    closeSync(file)
  }
}

async function guard<T>(path: StorePath, notDone: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    throw explainSystemError(error, path, notDone)
  }
}
