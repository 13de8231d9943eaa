import { appendFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asLimnError, type ExitCode, LimnError, type SourceLocation } from '../base/index.ts'
import type { Io } from './io.ts'
import { toJson } from './text.ts'

/** Shows an error and gives the exit code. Never a bare stack trace: an unexpected error's goes to a log file. */
export function reportError(error: unknown, io: Io): ExitCode {
  const known = explained(error)
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

/** What is told of an error; `errorValue` gives it as JSON. */
export type ToldError = Pick<LimnError, 'kind' | 'message' | 'notDone' | 'remedy' | 'location'>

export function formatError(error: ToldError, io: Io): string {
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

function explained(error: unknown): LimnError {
  const known = asLimnError(error)
  // An invariant that does not hold says all there is to say of it.
  if (known.kind !== 'internal' || known.cause === undefined) return known
  const { kind, message, notDone, context, cause } = known
  const remedy = `Please report it with ${logUnforeseen(cause)}.`
  return new LimnError(kind, { message, ...(notDone === undefined ? {} : { notDone }), remedy, context, cause })
}

/** Keeps the stack of an error that nobody foresaw, and says where. */
export function logUnforeseen(error: unknown): string {
  const log = join(tmpdir(), `limn-${process.pid}.log`)
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  if (process.env.LIMN_DEBUG === '1') process.stderr.write(`${text}\n`)
  else appendFileSync(log, `${text}\n`)
  return log
}
