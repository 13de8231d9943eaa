import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { counted, LimnError, makeFolder, mapConcurrently, step } from '../../base/index.ts'
import { pointersIn } from '../../catalog/index.ts'
import { isUnder, locationKey } from '../../iceberg/index.ts'
import type { PipelineContext } from '../../pipeline/index.ts'
import { LocalStore, type ObjectStore, type StorePath, storePath } from '../../storage/index.ts'
import { filesOfTree, outside, treeOf } from '../../table/index.ts'
import { type Lake, statePath } from '../lake.ts'
import {
  type BackupRecord,
  backupsIn,
  catalogFolder,
  projectFolder,
  recordFolder,
  warehouseFolder,
} from './backup-record.ts'
import { keepProject, listProject, type ProjectPlaces } from './project-files.ts'
import { rootsOf } from './verify.ts'

export interface BackedUp {
  readonly record: BackupRecord
  /** Copied now; the rest an earlier backup had. */
  readonly copied: { readonly files: number; readonly bytes: number }
}

const attemptsMax = 3
const filesAtOnce = 200

export interface BackupOptions {
  readonly cwd?: string
  /** False: files that sources deliver are not copied. Default true: without them the restored lake has no sources. */
  readonly deliveries?: boolean
}

/**
 * Copies a lake as of one instant: its catalog (the names of all environments), every file that a name leads to, the
 * ledger among them, and the project's own files (see `listProject`). What an earlier backup in the folder has is not copied again. The record is written last, so that a
 * crash leaves the earlier backups and no half one. Runs go on meanwhile; where one of them expired a file before it was
 * copied, a later instant is taken. Throws `storage/…`.
 */
export async function backupLake(lake: Lake, folder: string, options: BackupOptions = {}): Promise<BackedUp> {
  const path = resolve(options.cwd ?? process.cwd(), folder)
  const context = await lake.context()
  for (let attempt = 1; ; attempt++) {
    try {
      return await backupOnce(lake, context, path, options.deliveries ?? true)
    } catch (error) {
      if (!(error instanceof LimnError && error.kind === 'storage/missing') || attempt >= attemptsMax) throw error
      context.progress.note('A file was expired meanwhile: taking a later instant.')
    }
  }
}

async function backupOnce(
  lake: Lake,
  context: PipelineContext,
  path: string,
  withDeliveries: boolean,
): Promise<BackedUp> {
  const { store, signal, progress, clock, version } = context
  const madeAtMs = clock.nowMs()
  const id = new Date(madeAtMs).toISOString().replace(/[-:]/g, '').replace('.', '-').replace('Z', '')
  requireSameLake(path, lake.name, store.root)
  for (const name of [recordFolder, catalogFolder, projectFolder]) makeFolder(join(path, name))
  const catalog = join(path, catalogFolder, `${id}.db`)
  rmSync(`${catalog}.tmp`, { force: true })
  lake.base.pointers.copyTo(`${catalog}.tmp`)
  const pointers = pointersIn(`${catalog}.tmp`, lake.name)
  const tree = await treeOf(store, rootsOf(pointers), { signal, progress })
  const target: ObjectStore = new LocalStore(join(path, warehouseFolder), { steps: context.steps })
  const paths = filesOfTree(tree).filter((one) => isUnder(one, store.root))
  const { files, copied } = await copyFiles(context, paths, target)
  const listing = listProject(await placesOf(lake, path, withDeliveries))
  const project = await keepProject(lake.folder, listing.files, join(path, projectFolder), signal)
  renameSync(`${catalog}.tmp`, catalog)
  const record: BackupRecord = {
    format: 1,
    id,
    madeAtMs,
    version,
    lake: lake.name,
    root: store.root,
    warehouse: lake.config.warehouse ?? null,
    catalog: lake.config.catalog ?? null,
    tables: tree.tables.size,
    files,
    outside: outside(tree, store.root),
    project: project.files,
    leftOut: listing.leftOut,
    gone: tree.gone.map((one) => `${one.environment}: ${one.location} at ${one.snapshotId}`),
  }
  const file = join(path, recordFolder, `${id}.json`)
  writeFileSync(`${file}.tmp`, JSON.stringify(record), { flush: true })
  renameSync(`${file}.tmp`, file)
  return {
    record,
    copied: { files: copied.files + project.copied.files, bytes: copied.bytes + project.copied.bytes },
  }
}

/** Where a lake has what is not of its project. A project that does not load tells of no deliveries: all files are kept. */
async function placesOf(lake: Lake, backup: string, withDeliveries: boolean): Promise<ProjectPlaces> {
  const { folder, config } = lake
  const database = (path: string, why: string) =>
    ['', '-wal', '-shm', '-journal'].map((end) => ({
      path: `${resolve(folder, path)}${end}`,
      why: end === '' ? why : '',
    }))
  const environments = lake.base.environments.list().map((one) => one.name)
  const states = [null, ...environments].map((one) => statePath(folder, config, one))
  const project = await lake.loadProject().catch(() => null)
  const sources = [...(project?.nodes.values() ?? [])].flatMap(({ producer }) =>
    producer.kind === 'source' && producer.input.kind === 'files' ? [producer.input.glob] : [],
  )
  return {
    folder,
    others: [
      { path: resolve(folder, config.warehouse ?? 'warehouse'), why: 'the warehouse, whose files are copied by name' },
      { path: backup, why: 'the backup itself' },
      ...database(config.catalog ?? '.limn/catalog.db', 'the catalog, which is copied as of one instant'),
      ...states.flatMap((path) => database(path, 'made anew from the lake')),
    ],
    deliveries: [...new Set(sources)].sort(),
    withDeliveries,
  }
}

/** Backups of one folder share files by their path in the warehouse: they are of one lake, at one place. */
function requireSameLake(path: string, lake: string, root: string): void {
  const other = backupsIn(path).find((one) => one.lake !== lake || one.root !== root)
  if (!other) return
  throw new LimnError('usage/folder-not-empty', {
    message: `The backups in ${path} are of the lake ${other.lake} with its warehouse at ${other.root}; this one is ${lake} at ${root}.`,
    notDone: 'No backup was made; those there are as they were.',
    remedy: 'Name another folder: the files of a lake that has moved are not those that are there.',
  })
}

async function copyFiles(
  { store, steps, signal, progress }: PipelineContext,
  paths: readonly StorePath[],
  target: ObjectStore,
): Promise<{ readonly files: (readonly [string, number])[]; readonly copied: { files: number; bytes: number } }> {
  const task = progress.begin('copy')
  const files: (readonly [string, number])[] = []
  const copied = { files: 0, bytes: 0 }
  const rest = (path: StorePath) => locationKey(path).slice(locationKey(store.root).length + 1)
  const placeOf = (path: StorePath) => storePath(`${target.root}/${rest(path)}`)
  for (let at = 0; at < paths.length; at += filesAtOnce) {
    signal.throwIfAborted()
    const some = paths.slice(at, at + filesAtOnce)
    const sizes = await mapConcurrently(some, 16, async (one) => {
      const info = await store.stat(one, { signal })
      if (info) return info.bytes
      throw new LimnError('storage/missing', {
        message: `${one}, which a table names, is not there.`,
        notDone: 'The backup was not made; earlier ones are as they were.',
        remedy: 'Restore the file, or repair the table: limn table health',
      })
    })
    const there = await mapConcurrently(some, 16, (one) => target.stat(placeOf(one), { signal }))
    const wanted = some.filter((_one, i) => there[i]?.bytes !== sizes[i])
    await target.delete(wanted.map(placeOf), { signal })
    const links = wanted.map((one) => ({ from: one, to: placeOf(one) }))
    await step(steps, 'file.put', `${links.length} files`, () => target.linkFiles(links, { signal, copy: true }))
    for (const [i, one] of some.entries()) {
      files.push([rest(one), sizes[i] ?? 0])
      if (there[i]?.bytes === sizes[i]) continue
      copied.files++
      copied.bytes += sizes[i] ?? 0
    }
    task.update(`${files.length} of ${paths.length}`)
  }
  task.end(`${counted(copied.files, 'file')}, ${files.length - copied.files} were there`)
  return { files, copied }
}
