import { createHash } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  copyFileSync,
  createReadStream,
  existsSync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, isAbsolute, join, matchesGlob, relative, resolve, sep } from 'node:path'
import { LimnError, makeFolder } from '../../base/index.ts'
import { configName } from './config-file.ts'

/** One of the project's own files, as a backup has it. */
export interface ProjectFile {
  /** Relative to the lake's folder. */
  readonly path: string
  readonly bytes: number
  readonly sha256: string
  readonly mode: number
}

/** What lies in or beside the lake's folder and is not in a backup, and why. */
export interface LeftOut {
  readonly path: string
  readonly why: string
}

export interface ProjectListing {
  /** Relative to the lake's folder, in order of paths. */
  readonly files: readonly string[]
  readonly leftOut: readonly LeftOut[]
}

/** What else is known of a lake, to tell its project from what is made by running it. */
export interface ProjectPlaces {
  readonly folder: string
  /** The warehouse, the catalog, the state and the backup itself, absolute. Why is empty: part of another, and not listed. */
  readonly others: readonly { readonly path: string; readonly why: string }[]
  /** Globs of sources, relative to the lake's folder. */
  readonly deliveries: readonly string[]
  /** False: files that sources deliver are left out. */
  readonly withDeliveries: boolean
}

const made: Readonly<Record<string, string>> = {
  node_modules: 'npm ci has it back',
  '.git': 'history of the code, which has its own home',
  '.limn': 'made anew from the lake',
}

/**
 * Lists a project's files: all of the lake's folder, but for what is made by running it or by npm, other lakes and backups, and
 * files that may hold secrets. Links are followed to files within the folder alone. What is left out is listed, and what
 * the project reads from elsewhere.
 */
export function listProject(places: ProjectPlaces): ProjectListing {
  const { folder } = places
  const files: string[] = []
  const leftOut: LeftOut[] = []
  const visit = (at: string) => {
    for (const name of readdirSync(at).sort()) {
      const full = join(at, name)
      const path = relative(folder, full).split(sep).join('/')
      const why = reasonToLeave(places, full, path, name)
      if (why === '') continue
      if (why !== null) leftOut.push({ path, why })
      else if (lstatSync(full).isDirectory()) visit(full)
      else files.push(path)
    }
  }
  visit(folder)
  for (const path of files) leftOut.push(...importsBeyond(folder, path))
  for (const glob of places.deliveries)
    if (isBeyond(folder, resolve(folder, glob))) leftOut.push({ path: glob, why: 'a source outside the lake’s folder' })
  if (!files.includes('package.json'))
    leftOut.push({ path: 'package.json', why: 'the lake’s folder has none: limn comes from a folder above' })
  return { files, leftOut }
}

function reasonToLeave(
  { folder, others, deliveries, withDeliveries }: ProjectPlaces,
  full: string,
  path: string,
  name: string,
): string | null {
  const known = made[name]
  if (known !== undefined) return known
  const other = others.find((one) => one.path === full)
  if (other) return other.why
  if (/^\.env(\.|$)/.test(name)) return 'may hold secrets'
  const link = lstatSync(full)
  if (link.isSymbolicLink()) {
    if (!existsSync(full)) return 'a link to nothing'
    if (statSync(full).isDirectory()) return 'a link to a folder'
    if (isBeyond(realpathSync(folder), realpathSync(full))) return 'a link to a file outside the lake’s folder'
  } else if (link.isDirectory()) {
    if (existsSync(join(full, configName))) return 'another lake'
    if (existsSync(join(full, 'backups')) && existsSync(join(full, 'catalogs'))) return 'a backup'
  } else if (!link.isFile()) return 'not a file'
  if (!withDeliveries && deliveries.some((glob) => matchesGlob(path, glob))) return 'a delivery'
  return null
}

/** Modules that a file of code imports from outside the lake's folder by a relative path. */
function importsBeyond(folder: string, path: string): readonly LeftOut[] {
  if (!/\.[cm]?[jt]s$/.test(path)) return []
  const text = readFileSync(join(folder, path), 'utf8')
  const named = [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*['"](\.{1,2}\/[^'"\n]+)['"]/g)].map(
    ([, one]) => one ?? '',
  )
  const beyond = named.filter((one) => isBeyond(folder, resolve(folder, dirname(path), one)))
  return [...new Set(beyond)].map((one) => ({ path: one, why: `outside the lake’s folder, and ${path} imports it` }))
}

function isBeyond(folder: string, path: string): boolean {
  const inside = relative(folder, path)
  return inside.startsWith('..') || isAbsolute(inside)
}

/**
 * Puts a project's files into a folder by their content, so that backups share what has not changed. A crash leaves files
 * that no record names. Throws `storage/missing` for a file that went meanwhile.
 */
export async function keepProject(
  folder: string,
  files: readonly string[],
  to: string,
  signal: AbortSignal,
): Promise<{
  readonly files: readonly ProjectFile[]
  readonly copied: { readonly files: number; readonly bytes: number }
}> {
  makeFolder(to)
  const out: ProjectFile[] = []
  const copied = { files: 0, bytes: 0 }
  for (const path of files) {
    signal.throwIfAborted()
    const from = join(folder, path)
    if (!existsSync(from)) throw went(path)
    let sha256 = await hashOf(from)
    if (!existsSync(join(to, sha256))) {
      const copy = join(to, `${sha256}.tmp`)
      rmSync(copy, { force: true })
      copyFileSync(from, copy)
      // What was written meanwhile is kept as it was copied, under the name of just that.
      sha256 = await hashOf(copy)
      chmodSync(copy, 0o644)
      synced(copy)
      renameSync(copy, join(to, sha256))
      copied.files++
      copied.bytes += statSync(join(to, sha256)).size
    }
    const { size: bytes } = statSync(join(to, sha256))
    out.push({ path, bytes, sha256, mode: statSync(from).mode & 0o777 })
  }
  return { files: out, copied }
}

/** Puts the kept files where they were in the project. Throws `storage/missing` and `storage/corrupt`. */
export async function restoreProject(from: string, files: readonly ProjectFile[], to: string): Promise<void> {
  for (const { path, mode, sha256 } of files) {
    const full = join(to, path)
    makeFolder(dirname(full))
    copyFileSync(join(from, sha256), full)
    chmodSync(full, mode | 0o200)
  }
}

/** Throws `storage/missing` or `storage/corrupt` where a kept file is not what it was. */
export async function requireKept(from: string, backup: string, files: readonly ProjectFile[]): Promise<void> {
  for (const { path, sha256 } of files) {
    const there = existsSync(join(from, sha256))
    if (there && (await hashOf(join(from, sha256))) === sha256) continue
    throw new LimnError(there ? 'storage/corrupt' : 'storage/missing', {
      message: `${path} of the backup ${backup} is not ${there ? 'as it was' : 'there'}.`,
      notDone: 'Nothing was restored.',
      remedy: 'Restore another backup of the folder: limn lake restore … --backup ID',
    })
  }
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

function synced(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function went(path: string): LimnError {
  return new LimnError('storage/missing', {
    message: `${path} of the project went while it was copied.`,
    notDone: 'The backup was not made; earlier ones are as they were.',
    remedy: 'Make it again.',
    retryable: true,
  })
}
