import { LimnError } from '../../base/index.ts'

/** Checked members of parsed JSON. What does not fit throws `iceberg/invalid-metadata`. */
export type Json = Readonly<Record<string, unknown>>

export function invalid(why: string, cause?: unknown): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `The table's metadata is damaged: ${why}.`,
    notDone: 'The table was not read.',
    remedy: 'Restore the metadata file, or point the catalog at an earlier one (previous_metadata_location).',
    cause,
  })
}

export function object(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw invalid(`${what} is not an object`)
}
export function list(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(`${what} is not a list`)
}
export function number(value: unknown, what: string): number {
  if (typeof value === 'number') return value
  throw invalid(`${what} is not a number`)
}
export function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw invalid(`${what} is not text`)
}
export function long(value: unknown, what: string): bigint {
  if (typeof value === 'bigint' || Number.isSafeInteger(value)) return BigInt(value as bigint | number)
  throw invalid(`${what} is not a whole number`)
}
export function id(value: unknown): bigint {
  return long(value, 'a snapshot id')
}
export function idOrNull(value: unknown): bigint | null {
  if (value === undefined || value === null) return null
  const found = id(value)
  return found === -1n ? null : found
}
