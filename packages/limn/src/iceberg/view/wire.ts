import { LimnError } from '../../base/index.ts'

/** Checked members of a view's JSON. What does not fit throws `iceberg/invalid-metadata`. */
export type Json = Readonly<Record<string, unknown>>

export function invalidView(why: string, cause?: unknown): LimnError {
  return new LimnError('iceberg/invalid-metadata', {
    message: `The view's metadata is damaged: ${why}.`,
    notDone: 'The view was not read.',
    remedy: 'Restore the metadata file, or point the catalog at an earlier one (previous_metadata_location).',
    cause,
  })
}

export function object(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw invalidView(`${what} is not an object`)
}

export function list(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw invalidView(`${what} is not a list`)
}

export function whole(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw invalidView(`${what} is not a whole number`)
}

export function text(value: unknown, what: string): string {
  if (typeof value === 'string') return value
  throw invalidView(`${what} is not text`)
}

export function maybeText(value: unknown, what: string): string | null {
  return value === undefined || value === null ? null : text(value, what)
}

/** A map from text to text. */
export function texts(value: unknown, what: string): Readonly<Record<string, string>> {
  const entries = Object.entries(object(value, what))
  return Object.fromEntries(entries.map(([key, one]) => [key, text(one, `${key} of ${what}`)]))
}
