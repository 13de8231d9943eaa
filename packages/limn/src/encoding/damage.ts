import { LimnError } from '../base/index.ts'

/** The error for bytes that are not what their format says: `iceberg/invalid-metadata`. */
export function damaged(what: string, why: string, cause?: unknown): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `${what} is damaged: ${why}.`,
    notDone: 'The table was not read.',
    remedy: 'Restore the file, or roll the table back to an earlier snapshot.',
    cause,
  })
}
