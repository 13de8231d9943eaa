import { readFileSync } from 'node:fs'
import { LimnError, systemCode } from './errors.ts'

/** A system error in limn's words; others pass. */
export function explainSystemError(error: unknown, path: string, notDone: string): unknown {
  const code = systemCode(error)
  switch (code) {
    case undefined:
    case 'ABORT_ERR':
      return error
    case 'ENOSPC':
    case 'EDQUOT':
      return new LimnError('storage/full', {
        message: `The disk is full: ${path} could not be written.`,
        notDone,
        remedy: 'Free space and run again; what was published before is untouched.',
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new LimnError('storage/not-writable', {
        message: `No permission for ${path} (${code}).`,
        notDone,
        remedy: 'Let this user read and write the folder, or choose another warehouse in limn.config.ts.',
        cause: error,
      })
    case 'ENOENT':
      return new LimnError('storage/missing', {
        message: `${path} does not exist.`,
        notDone,
        remedy: 'A file that a table names is gone: restore it, or roll the table back.',
        cause: error,
      })
    default:
      return new LimnError('storage/failed', { message: `${path}: ${code}.`, notDone, cause: error })
  }
}

/** Whether a process of this host is there (signal 0). */
export function processAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/** What tells two processes of one id apart: the start time in clock ticks since boot. Linux only; elsewhere constant. */
export function processStart(pid: number): string {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return fields.slice(fields.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  } catch {
    return ''
  }
}
