/**
 * The one family of errors. Every error a person can meet says what happened, what did not happen and what to do,
 * under a stable kind that scripts may rely on. The list of kinds is closed: a new kind is added here, with its exit code.
 */

/** Exit codes of the command line: 0 done, 1 failed, 2 usage or configuration, 3 a gate refused, 4 changes pending, 130 interrupted. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 130

/** Every kind of error, with the exit code the command line ends with. */
export const errorKinds = {
  'usage/argument': 2,
  'usage/no-lake': 2,
  'usage/unknown-dataset': 2,
  'usage/empty-selection': 2,
  'usage/unknown-table': 2,
  'usage/unknown-run': 2,
  'usage/unknown-backfill': 2,
  'usage/unknown-snapshot': 2,
  'usage/owned-table': 2,
  'usage/in-use': 2,
  'usage/unknown-backup': 2,
  'usage/unknown-environment': 2,
  'usage/environment-exists': 2,
  'environment/stale': 1,
  'environment/conflict': 1,
  'usage/table-exists': 2,
  'usage/node-too-old': 2,
  'usage/folder-not-empty': 2,
  'config/invalid': 2,
  'config/load': 2,
  'config/newer-lake': 2,
  'dataset/duplicate-name': 2,
  'dataset/cycle': 2,
  'dataset/invalid': 2,
  'dataset/unknown-reference': 2,
  'dataset/type-error': 2,
  'contract/invalid': 2,
  'contract/mismatch': 2,
  'contract/breaking-change': 2,
  'sql/syntax': 2,
  'sql/unknown-column': 2,
  'sql/unknown-table': 2,
  'sql/invalid': 2,
  'sql/not-read-only': 2,
  'sql/failed': 1,
  'source/missing': 1,
  'source/vanished': 1,
  'source/unreadable': 1,
  'source/schema': 1,
  'source/over-reject-budget': 3,
  'source/failed': 1,
  'source/changed-while-read': 1,
  'run/row-outside-interval': 1,
  'run/in-doubt': 1,
  'run/fenced': 1,
  'run/conflict': 1,
  'run/not-append': 1,
  'backfill/over-budget': 1,
  'backfill/overtaken': 1,
  'gate/refused': 3,
  'lease/held': 1,
  'lease/lost': 1,
  'storage/not-writable': 1,
  'storage/full': 1,
  'storage/missing': 1,
  'storage/not-yours': 1,
  'storage/corrupt': 1,
  'storage/failed': 1,
  'table/ambiguous-merge': 1,
  'table/null-in-required': 1,
  'table/invalid-change': 2,
  'catalog/conflict': 1,
  'catalog/unknown-outcome': 1,
  'catalog/corrupt': 1,
  'schema/unsafe-change': 2,
  'schema/invalid-change': 2,
  'table/unsafe-change': 2,
  'usage/unknown-ref': 2,
  'usage/unknown-view': 2,
  'iceberg/invalid-metadata': 1,
  'iceberg/unsupported': 1,
  'engine/failed': 1,
  interrupted: 130,
  internal: 1,
} as const satisfies Record<string, ExitCode>

export type ErrorKind = keyof typeof errorKinds

/** A place in a file a person can open; line and column count from 1. */
export interface SourceLocation {
  readonly file: string
  readonly line?: number
  readonly column?: number
}

export interface LimnErrorOptions {
  /** What happened, as one sentence without trailing advice. */
  readonly message: string
  /** What did not happen because of it: "Nothing was published.", "The table is unchanged." */
  readonly notDone?: string
  /** What the reader can do next. */
  readonly remedy?: string
  readonly location?: SourceLocation
  /** Values that explain the error, JSON-safe. */
  readonly context?: Readonly<Record<string, unknown>>
  /** True when the same call may succeed if simply repeated. Default false. */
  readonly retryable?: boolean
  readonly cause?: unknown
}

export class LimnError extends Error {
  override readonly name = 'LimnError'
  readonly kind: ErrorKind
  readonly notDone: string | undefined
  readonly remedy: string | undefined
  readonly location: SourceLocation | undefined
  readonly context: Readonly<Record<string, unknown>>
  readonly retryable: boolean

  constructor(kind: ErrorKind, options: LimnErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.notDone = options.notDone
    this.remedy = options.remedy
    this.location = options.location
    this.context = options.context ?? {}
    this.retryable = options.retryable ?? false
  }

  get exitCode(): ExitCode {
    return errorKinds[this.kind]
  }
}

/** An error as one of the family: what nobody foresaw is `internal`, with the error as its cause. */
export function asLimnError(error: unknown): LimnError {
  if (error instanceof LimnError) return error
  if (error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR')))
    return new LimnError('interrupted', { message: 'Interrupted.', notDone: 'Nothing was published.', cause: error })
  return new LimnError('internal', {
    message: `limn failed in a way it does not know: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    notDone: 'Nothing was published unless limn runs ls says so.',
    remedy: 'This is a defect in limn; please report it with what it was about.',
    cause: error,
  })
}

/** Throws `internal` when a fact the code relies on does not hold: a defect of limn, never of the input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) {
    throw new LimnError('internal', {
      message: `An invariant of limn does not hold: ${message}`,
      remedy: 'This is a defect in limn; please report it with the command you ran.',
    })
  }
}

/** For the default branch of an exhaustive switch: fails to compile when a case is missing. */
export function unreachable(value: never): never {
  throw new LimnError('internal', { message: `Unreachable case: ${JSON.stringify(value)}` })
}

/** The code of a Node system error (`ENOSPC`, `EACCES`, …), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}
