import { type Field, locateAll } from '../../schema/index.ts'
import {
  childrenOf,
  type MappedField,
  nameMappingFromText,
  nameMappingOf,
  nameMappingProperty,
  nameMappingToText,
} from '../spec/name-mapping.ts'
import type { Update } from '../spec/types.ts'

/**
 * A name mapping after a change of the schema: a renamed column answers to its new name too, a new one is added, a dropped
 * one stays, so that old files mean what they meant. A name given to another column at the same level leaves the one that
 * had it.
 */
export function evolveNameMapping(
  mapping: readonly MappedField[],
  before: readonly Field[],
  after: readonly Field[],
): readonly MappedField[] {
  const old = new Map(before.map((field) => [field.id, field]))
  const given = new Map<string, number>()
  for (const field of after) if (old.get(field.id)?.name !== field.name) given.set(field.name, field.id)
  const known = mapping.map((one): MappedField => {
    const field = after.find((candidate) => candidate.id === one.fieldId)
    const kept = one.names.filter((name) => !given.has(name) || given.get(name) === one.fieldId)
    if (!field) return { ...one, names: kept }
    const was = old.get(field.id)
    const own = given.get(field.name) === field.id && !kept.includes(field.name) ? [field.name] : []
    return {
      ...one,
      names: [...kept, ...own],
      fields: evolveNameMapping(one.fields, was ? childrenOf(was.type) : [], childrenOf(field.type)),
    }
  })
  const mapped = new Set(mapping.map((one) => one.fieldId))
  // A column that was there before without being mapped was left out on purpose.
  const fresh = after.filter((field) => !old.has(field.id) && !mapped.has(field.id))
  return [...known, ...nameMappingOf(fresh)]
}

/** Properties that name one column each: what follows is the column's full name. */
const columnProperties = [
  'write.metadata.metrics.column.',
  'write.parquet.bloom-filter-enabled.column.',
  'write.parquet.bloom-filter-fpp.column.',
  'write.parquet.bloom-filter-ndv.column.',
] as const

/** Updates that keep a table's properties about columns true when columns are added, renamed or dropped. */
export function propertyUpdates(
  properties: Readonly<Record<string, string>>,
  before: readonly Field[],
  after: readonly Field[],
): readonly Update[] {
  const set: Record<string, string> = {}
  const removals: string[] = []
  const text = properties[nameMappingProperty]
  if (text !== undefined) {
    const next = nameMappingToText(evolveNameMapping(nameMappingFromText(text), before, after))
    if (next !== nameMappingToText(nameMappingFromText(text))) set[nameMappingProperty] = next
  }
  const names = new Map(locateAll(after).map((one) => [one.field.id, one.path.join('.')]))
  const ids = new Map(locateAll(before).map((one) => [one.path.join('.'), one.field.id]))
  for (const [key, value] of Object.entries(properties)) {
    const prefix = columnProperties.find((one) => key.startsWith(one))
    const id = prefix === undefined ? undefined : ids.get(key.slice(prefix.length))
    if (prefix === undefined || id === undefined) continue
    const now = names.get(id)
    if (now !== undefined) set[prefix + now] = value
    if (now === undefined || prefix + now !== key) removals.push(key)
  }
  const changed = Object.fromEntries(Object.entries(set).filter(([key, value]) => properties[key] !== value))
  const gone = removals.filter((key) => !(key in set))
  return [
    ...(Object.keys(changed).length > 0 ? [{ action: 'set-properties', updates: changed } as const] : []),
    ...(gone.length > 0 ? [{ action: 'remove-properties', removals: gone } as const] : []),
  ]
}
