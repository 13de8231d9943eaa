import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { LimnError, systemCode } from './errors.ts'
import { explainSystemError } from './system.ts'

/** Others may take away a parent meanwhile; where the system makes no folders it is always gone. */
const attemptsMax = 3

/**
 * Makes a folder and those above it; one that is there stays. Yields the uppermost folder that was not there, or undefined.
 * Always ends, unlike the system's own recursive way, which tries for ever where nothing can be made (`/proc`). Throws
 * `storage/not-writable`, `storage/full` and `storage/failed`, saying what was `notDone`.
 */
export function makeFolder(folder: string, notDone = 'Nothing was written.'): string | undefined {
  for (let attempt = 1; ; attempt++) {
    try {
      mkdirSync(folder)
      return folder
    } catch (error) {
      if (isFolder(folder)) return undefined
      if (systemCode(error) !== 'ENOENT' || dirname(folder) === folder) throw explained(error, folder, notDone)
      const above = makeFolder(dirname(folder), notDone)
      if (above !== undefined) {
        makeFolder(folder, notDone)
        return above
      }
      if (attempt >= attemptsMax) throw explained(error, folder, notDone)
    }
  }
}

function explained(error: unknown, folder: string, notDone: string): unknown {
  switch (systemCode(error)) {
    case 'ENOENT':
      return new LimnError('storage/not-writable', {
        message: `${folder} cannot be made: the system takes no folders there.`,
        notDone,
        remedy: 'Name a folder on a disk.',
        cause: error,
      })
    case 'EEXIST':
    case 'ENOTDIR':
      return new LimnError('storage/not-writable', {
        message: `${folder} cannot be made: it, or one above it, is a file.`,
        notDone,
        remedy: 'Name another folder, or take the file away.',
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new LimnError('storage/not-writable', {
        message: `${folder} cannot be made: no permission (${systemCode(error)}).`,
        notDone,
        remedy: 'Let this user write there, or name another folder.',
        cause: error,
      })
    default:
      return explainSystemError(error, folder, notDone)
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}
