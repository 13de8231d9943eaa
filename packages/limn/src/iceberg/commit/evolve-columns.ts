import { LimnError, nearest } from '../../base/index.ts'
import { canPromote, type DefaultValue, type Field, type Located, locateAll, type Type } from '../../schema/index.ts'
import type { FormatVersion } from '../spec/types.ts'

/**
 * A column by its names from the top, or by them joined with dots. `element`, `key` and `value` lead into lists and maps;
 * the first and last may be left out before a struct (`points.x` for `points.element.x`).
 */
export type ColumnPath = string | readonly string[]

export function columnText(column: ColumnPath): string {
  return typeof column === 'string' ? column : column.join('.')
}

/** The place a column path names, or undefined. A full path wins over a short one. */
export function findColumn(fields: readonly Field[], column: ColumnPath, caseSensitive: boolean): Located | undefined {
  const fold = (text: string) => (caseSensitive ? text : text.toLowerCase())
  const matches = (path: readonly string[]) =>
    typeof column === 'string'
      ? fold(path.join('.')) === fold(column)
      : path.length === column.length && path.every((name, i) => fold(name) === fold(column[i] ?? ''))
  const all = locateAll(fields)
  return all.find((one) => matches(one.path)) ?? all.find((one) => matches(one.shortPath))
}

/** Throws `schema/invalid-change` when there is no such column. */
export function columnOf(fields: readonly Field[], column: ColumnPath, caseSensitive: boolean): Located {
  const found = findColumn(fields, column, caseSensitive)
  if (found) return found
  const names = locateAll(fields).map((one) => one.path.join('.'))
  const close = nearest(columnText(column), names)
  throw invalidChange(
    `There is no column ${columnText(column)}`,
    close === null ? `The columns are: ${names.join(', ')}.` : `Did you mean ${close}?`,
  )
}

export function invalidChange(what: string, remedy?: string): LimnError {
  return new LimnError('schema/invalid-change', {
    message: `${what}.`,
    notDone: 'The table is unchanged.',
    ...(remedy === undefined ? {} : { remedy }),
  })
}

export function unsafeChange(what: string, remedy: string): LimnError {
  return new LimnError('schema/unsafe-change', { message: `${what}.`, notDone: 'The table is unchanged.', remedy })
}

/** Types and defaults that a format version does not have, or that the specification forbids, are refused by name. */
export function requireExpressible(field: Field, formatVersion: FormatVersion): void {
  for (const { field: one, path } of locateAll([field])) {
    const name = path.join('.')
    if (formatVersion < 3 && laterTypes.has(one.type))
      throw invalidChange(
        `${name} would be ${String(one.type)}, a type of format version 3; the table has version ${formatVersion}`,
        'Upgrade the table to format version 3 first.',
      )
    const hasDefault = one.initialDefault !== undefined || one.writeDefault !== undefined
    if (hasDefault && formatVersion < 3)
      throw invalidChange(
        `${name} would have a default value, which only format version 3 has; the table has version ${formatVersion}`,
        'Upgrade the table to format version 3 first.',
      )
    if (hasDefault && (one.type === 'unknown' || one.type === 'variant'))
      throw invalidChange(`A default value of ${name} is not possible: a column of type ${one.type} defaults to null`)
    if (one.type === 'unknown' && one.required)
      throw invalidChange(`${name} cannot be required: a column of type unknown holds nothing but nulls`)
  }
}

const laterTypes: ReadonlySet<Type> = new Set<Type>(['timestamp_ns', 'timestamptz_ns', 'unknown', 'variant'])

/** A default value of a column as the column's promoted type has it. */
export function promoteDefault(value: DefaultValue, from: Type, to: Type): DefaultValue {
  if (from === to || typeof value === 'object') return value
  if (from === 'int' && to === 'long') return BigInt(value as number)
  const microsPerDay = 86_400_000_000n
  if (from === 'date' && to === 'timestamp') return BigInt(value as number) * microsPerDay
  if (from === 'date' && to === 'timestamp_ns') return BigInt(value as number) * microsPerDay * 1000n
  return value
}

/** Throws `schema/unsafe-change` unless values of `from` may be read as `to` without a rewrite. */
export function requirePromotion(name: string, from: Type, to: Type, formatVersion: FormatVersion): void {
  if (canPromote(from, to, formatVersion)) return
  const shown = (type: Type) => (typeof type === 'string' ? type : type.type)
  const later = formatVersion < 3 && canPromote(from, to, 3)
  throw unsafeChange(
    `${name} cannot change from ${shown(from)} to ${shown(to)}: stored values could not be read as the new type`,
    later
      ? 'Format version 3 allows it: upgrade the table first.'
      : 'Add a column of the new type and fill it; int may become long, float double, a decimal wider.',
  )
}
