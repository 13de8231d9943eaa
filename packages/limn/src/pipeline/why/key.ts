import { LimnError, type TableId } from '../../base/index.ts'
import { addUnits, floorTo, IntervalSet, parseMicros } from '../../dataset/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'
import type { Point, WhyBook } from './book.ts'

/** The columns by which one row of a table is asked for: its keys, else its grain. */
export function keysOf(book: WhyBook, table: TableId): readonly string[] {
  const contract = book.context.project.nodes.get(table)?.contract
  return contract?.keys.length ? contract.keys : (contract?.grain ?? [])
}

/** One row by the values of its keys, in their order, as conditions. Throws `usage/argument` for too few or too many. */
export function keyConditions(book: WhyBook, table: TableId, key: readonly string[] | null): readonly string[] {
  if (key === null) return []
  const names = keysOf(book, table)
  if (names.length !== key.length)
    throw new LimnError('usage/argument', {
      message: `${table} has ${names.length === 0 ? 'no keys' : `the keys ${names.join(', ')}`}; ${key.length} ${key.length === 1 ? 'value was' : 'values were'} given.`,
      notDone: 'Nothing was looked up.',
      remedy:
        names.length === 0 ? 'Say which rows with --where.' : `Write --key with ${names.length} values, in that order.`,
    })
  return names.map((name, i) =>
    key[i] === 'null' ? `${quoteIdentifier(name)} IS NULL` : `${quoteIdentifier(name)} = ${quoteText(key[i] ?? '')}`,
  )
}

/** The interval that a key names by its time. */
export function timesOfKey(book: WhyBook, point: Point, key: readonly string[] | null): IntervalSet | null {
  const { shape } = point
  if (key === null || shape?.kind !== 'interval') return null
  const value = key[keysOf(book, point.dataset).indexOf(shape.column)]
  if (value === undefined || !/^\d{4}-\d{2}/.test(value)) return null
  const start = floorTo(shape.unit, parseMicros(value))
  return IntervalSet.of([{ start, end: addUnits(shape.unit, start, 1) }])
}
