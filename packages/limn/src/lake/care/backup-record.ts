import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LimnError } from '../../base/index.ts'
import type { LeftOut, ProjectFile } from './project-files.ts'

/** What one backup consists of. Backups in one folder share files; each has its record and its copy of the catalog. */
export interface BackupRecord {
  readonly format: 1
  /** Names the backup, in order of time: `20260131T120000`. */
  readonly id: string
  readonly madeAtMs: number
  readonly version: string
  /** The catalog's name for the lake. */
  readonly lake: string
  /** Where the warehouse was, as metadata names it. */
  readonly root: string
  /** As the configuration says them, where it does. */
  readonly warehouse: string | null
  readonly catalog: string | null
  readonly tables: number
  /** Relative to the warehouse, with length. */
  readonly files: readonly (readonly [path: string, bytes: number])[]
  /** Files that tables name outside the warehouse: they are not in the backup. */
  readonly outside: readonly string[]
  /** The project's own files. Absent: made by an earlier limn, which kept some of them in a folder of their own. */
  readonly project?: readonly ProjectFile[]
  /** What of the lake's folder is not in the backup, and what the project reads from elsewhere. */
  readonly leftOut?: readonly LeftOut[]
  /** Former states of environments' tables that were gone. */
  readonly gone?: readonly string[]
}

export const recordFolder = 'backups'
export const catalogFolder = 'catalogs'
export const warehouseFolder = 'warehouse'
/** Files of projects by their content. */
export const projectFolder = 'project'
/** Where an earlier limn put them, by backup. */
export const formerProjectFolder = 'projects'

/** Records of a backup folder, oldest first. */
export function backupsIn(folder: string): readonly BackupRecord[] {
  const path = join(folder, recordFolder)
  if (!existsSync(path)) return []
  return readdirSync(path)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(path, name), 'utf8')) as BackupRecord)
}

/** The latest backup of a folder, or the one named. Throws `usage/unknown-backup`. */
export function backupIn(folder: string, id: string | undefined): BackupRecord {
  const all = backupsIn(folder)
  const found = id === undefined ? all.at(-1) : all.find((one) => one.id === id)
  if (found) return found
  throw new LimnError('usage/unknown-backup', {
    message: id === undefined ? `There is no backup in ${folder}.` : `There is no backup ${id} in ${folder}.`,
    notDone: 'Nothing was restored.',
    remedy:
      all.length === 0
        ? 'Make one: limn lake backup FOLDER'
        : `Those there are: ${all.map((one) => one.id).join(', ')}`,
  })
}
