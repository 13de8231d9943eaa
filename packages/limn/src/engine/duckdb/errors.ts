import { type ErrorKind, LimnError } from '../../base/index.ts'
import { offsetToPosition } from '../../sql/index.ts'
import type { TextOrigin } from '../engine.ts'

interface DuckError {
  readonly exception_type?: string
  readonly exception_message?: string
  readonly error_message?: string
  readonly error_type?: string
  readonly error_subtype?: string
  readonly position?: string
  readonly candidates?: string
}

/** DuckDB's error as it gives it with `errors_as_json`, whatever stands before the JSON. */
export function parseDuckError(error: unknown): DuckError {
  const text = error instanceof Error ? error.message : String(error)
  const brace = text.indexOf('{')
  if (brace >= 0) {
    try {
      return JSON.parse(text.slice(brace)) as DuckError
    } catch {
      return { exception_message: text }
    }
  }
  return { exception_message: text }
}

/**
 * Whether DuckDB gave itself up: after an internal error, which damaged files can cause, its instance answers nothing any
 * more.
 */
export function isInvalidated(error: unknown): boolean {
  const { exception_type: type = '', exception_message: message = '' } = parseDuckError(error)
  return /^(fatal|internal)$/i.test(type) || /^(FATAL|INTERNAL) Error|database has been invalidated/.test(message)
}

const subtypes: Readonly<Record<string, ErrorKind>> = {
  SYNTAX_ERROR: 'sql/syntax',
  COLUMN_NOT_FOUND: 'sql/unknown-column',
  MISSING_ENTRY: 'sql/unknown-table',
}

/** Says what DuckDB said of a query, with its place in the file. `shift` is where the query begins in what was run. */
export function explainQuery(
  error: unknown,
  sql: string,
  options: {
    readonly origin?: TextOrigin | undefined
    readonly shift?: number
    readonly toOriginal?: (offset: number) => number
    readonly text?: string
  },
): LimnError {
  if (error instanceof LimnError) return error
  const found = parseDuckError(error)
  const message = (found.exception_message ?? found.error_message ?? 'the query is not valid').trim()
  const kind =
    subtypes[found.error_subtype ?? ''] ??
    (found.exception_type === 'Parser' || found.error_type === 'parser' ? 'sql/syntax' : 'sql/invalid')
  const offset = found.position === undefined ? null : Number(found.position) - (options.shift ?? 0)
  const text = options.text ?? sql
  const place =
    offset === null || offset < 0
      ? null
      : offsetToPosition(text, options.toOriginal ? options.toOriginal(offset) : offset)
  const origin = options.origin
  const lines = message.split('\n').filter((line) => !line.startsWith('LINE ') && !/^\s*\^/.test(line))
  return new LimnError(kind, {
    message: `${lines.join(' ')}${place && !origin ? ` (line ${place.line}, column ${place.column})` : ''}`,
    notDone: 'Nothing was run.',
    remedy: found.candidates ? `Did you mean ${found.candidates.split(',').join(' or ')}?` : 'Correct the SQL.',
    ...(origin ? { location: placeIn(origin, place) } : {}),
    ...(place && !origin ? { context: { line: place.line, column: place.column } } : {}),
    cause: error,
  })
}

function placeIn(origin: TextOrigin, place: { readonly line: number; readonly column: number } | null) {
  if (!place) return origin
  return {
    file: origin.file,
    line: origin.line + place.line - 1,
    column: place.line === 1 ? origin.column + place.column - 1 : place.column,
  }
}

/** An error while a query ran, in limn's words. */
export function explainRun(error: unknown, sql: string): LimnError {
  if (error instanceof LimnError) return error
  const found = parseDuckError(error)
  const message = (found.exception_message ?? 'the query failed').trim().split('\n')[0] ?? ''
  const type = found.exception_type ?? ''
  if (/No space left|could not write|ENOSPC/i.test(message)) {
    return new LimnError('storage/full', {
      message: `The disk is full: ${message}`,
      notDone: 'Nothing was published.',
      remedy: 'Free space and run again; what was published before is untouched.',
      cause: error,
    })
  }
  if (/Permission denied/i.test(message)) {
    return new LimnError('storage/not-writable', {
      message,
      notDone: 'Nothing was published.',
      remedy: 'Let this user read and write the folder.',
      cause: error,
    })
  }
  if (type === 'Interrupt' || /interrupted/i.test(message))
    return new LimnError('interrupted', { message: 'The query was interrupted.', cause: error })
  if (type === 'Parser' || type === 'Binder' || type === 'Catalog') return explainQuery(error, sql, {})
  return new LimnError('sql/failed', {
    message: `The query failed: ${message}`,
    notDone: 'Nothing was published.',
    remedy: type === 'Out of Memory' ? roomFor(message) : 'Look at the values it reads; limn compile shows the SQL.',
    cause: error,
  })
}

/** What does not fit in memory is spilled: either there was no room for that, or too little to work in. */
function roomFor(message: string): string {
  return /offload|max_temp_directory_size/i.test(message)
    ? 'What is spilled takes more than it may: more of engine.tempSize in limn.config.ts, or a larger disk for engine.tempDir.'
    : 'Give more memory, or fewer threads to share it (engine.memory, engine.threads in limn.config.ts); build by interval what is built whole.'
}
