import { appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ExitCode, LimnError, type SourceLocation } from '../base/index.ts'
import type { Io } from './io.ts'
import { toJson } from './text.ts'

/** Shows an error and gives the exit code. Never a bare stack trace: an unexpected error's goes to a log file. */
export function reportError(error: unknown, io: Io): ExitCode {
  const known = asLimnError(error)
  if (io.json) {
    io.out(toJson({ error: errorValue(known) }))
  } else {
    io.err(formatError(known, io))
  }
  return known.exitCode
}

export function errorValue(error: LimnError) {
  const { kind, message, notDone, remedy, location, context } = error
  return { kind, message, notDone, remedy, location, context }
}

export function formatError(error: LimnError, io: Io): string {
  const place = error.location ? ` ${formatLocation(error.location)}` : ''
  const lines = [`${io.paint.red(`error[${error.kind}]`)}${place}`, `  ${error.message}`]
  if (error.notDone) lines.push(`  Not done: ${error.notDone}`)
  if (error.remedy) lines.push(`  To do: ${error.remedy}`)
  return lines.join('\n')
}

export function formatLocation(location: SourceLocation): string {
  const line =
    location.line === undefined ? '' : `:${location.line}${location.column === undefined ? '' : `:${location.column}`}`
  return `${location.file}${line}`
}

function asLimnError(error: unknown): LimnError {
  if (error instanceof LimnError) return error
  if (error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR'))) {
    return new LimnError('interrupted', { message: 'Interrupted.', notDone: 'Nothing was published.', cause: error })
  }
  const log = join(tmpdir(), `limn-${process.pid}.log`)
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  if (process.env.LIMN_DEBUG === '1') process.stderr.write(`${text}\n`)
  else appendFileSync(log, `${text}\n`)
  return new LimnError('internal', {
    message: `limn failed in a way it does not know: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    notDone: 'Nothing was published unless limn runs ls says so.',
    remedy: `Please report it with ${log}.`,
    cause: error,
  })
}
