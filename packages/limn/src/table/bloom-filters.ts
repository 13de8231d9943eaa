import { LimnError } from '../base/index.ts'
import type { BloomFilterWish } from '../engine/index.ts'
import { isPrimitive, locateAll, type Schema } from '../schema/index.ts'

const prefix = 'write.parquet.bloom-filter'
const falseRateDefault = 0.01
const bytesMaxDefault = 1024 * 1024

/**
 * The Bloom filters that a table's properties ask for, by field id: `write.parquet.bloom-filter-enabled.column.<c>` is
 * `true`, with `…-fpp.column.<c>` (default 0.01), `…-ndv.column.<c>` (default: as many distinct values as a row group has)
 * and, of all columns, `…-max-bytes` (default 1 MiB). Nested columns go by their full names, levels of lists and maps being
 * `element`, `key` and `value`. Names of no column are passed over, as others do who write the same table. Throws
 * `usage/argument` for a value that is none.
 */
export function bloomFiltersOf(
  properties: Readonly<Record<string, string>>,
  schema: Schema,
): ReadonlyMap<number, BloomFilterWish> {
  const out = new Map<number, BloomFilterWish>()
  const enabled = Object.entries(properties).filter(
    ([key, value]) => key.startsWith(`${prefix}-enabled.column.`) && value.trim().toLowerCase() === 'true',
  )
  if (enabled.length === 0) return out
  const columns = new Map(locateAll(schema.fields).map((one) => [one.path.join('.'), one.field]))
  const bytesMax = numberOf(properties, `${prefix}-max-bytes`, atLeast32) ?? bytesMaxDefault
  for (const [key] of enabled) {
    const name = key.slice(`${prefix}-enabled.column.`.length)
    const field = columns.get(name)
    if (!field || !isPrimitive(field.type)) continue
    const falseRate = numberOf(properties, `${prefix}-fpp.column.${name}`, aRate) ?? falseRateDefault
    const distinct = numberOf(properties, `${prefix}-ndv.column.${name}`, aCount)
    out.set(field.id, { falseRate, bytesMax, ...(distinct === null ? {} : { distinct }) })
  }
  return out
}

interface Wanted {
  readonly words: string
  readonly holds: (value: number) => boolean
}

const aRate: Wanted = { words: 'a number between 0 and 1', holds: (value) => value > 0 && value < 1 }
const aCount: Wanted = { words: 'a whole number above 0', holds: (value) => Number.isSafeInteger(value) && value > 0 }
const atLeast32: Wanted = {
  words: 'a whole number of bytes, 32 or more',
  holds: (value) => Number.isSafeInteger(value) && value >= 32,
}

function numberOf(properties: Readonly<Record<string, string>>, name: string, wanted: Wanted): number | null {
  const text = properties[name]
  if (text === undefined) return null
  const value = Number(text)
  if (text.trim() !== '' && wanted.holds(value)) return value
  throw new LimnError('usage/argument', {
    message: `The table's property ${name} is "${text}".`,
    notDone: 'Nothing was written.',
    remedy: `Set it to ${wanted.words}.`,
  })
}
