import { LimnError } from '../../base/index.ts'

/** How values stand in the Avro rows of manifests and manifest lists; whatever else stands there is damage. */

export type Row = Readonly<Record<string, unknown>>

/** What does not fit together in a file that decodes as Avro is damage too. */
export function orDamaged<T>(what: string, path: string, body: () => T): T {
  try {
    return body()
  } catch (cause) {
    throw asDamaged(what, path, cause)
  }
}

export function asDamaged(what: string, path: string, cause: unknown): LimnError {
  if (cause instanceof LimnError) return cause
  return new LimnError('iceberg/invalid-metadata', {
    message: `A ${what} is damaged: ${cause instanceof Error ? cause.message : String(cause)}${path === '' ? '' : ` (${path})`}.`,
    notDone: 'The table was not read.',
    remedy: 'Restore the file, or roll the table back to an earlier snapshot.',
    cause,
  })
}

export function oneOf<T extends number>(known: readonly T[], value: unknown, what: string): T {
  const found = known.find((one) => one === Number(value))
  if (found !== undefined) return found
  throw new LimnError('iceberg/invalid-metadata', {
    message: `A manifest holds ${what} ${String(value)}, which does not exist.`,
    notDone: 'The table was not read.',
  })
}

export function longOf(value: unknown, what: string): bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return BigInt(value as bigint | number)
  throw new RangeError(`${what} is not a whole number`)
}

export function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw new RangeError(`${what} is not text`)
}

export function optionalLong(row: Row, key: string, name: 'contentOffset' | 'contentSizeInBytes' | 'firstRowId') {
  return row[key] === null || row[key] === undefined ? {} : { [name]: row[key] as bigint }
}
