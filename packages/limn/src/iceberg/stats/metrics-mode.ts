import { LimnError } from '../../base/index.ts'
import { type Field, fieldByName, isPrimitive, type Schema, type Type } from '../../schema/index.ts'

/**
 * How much a manifest keeps of a column (table properties `write.metadata.metrics.*`): `none` its size alone; `counts`
 * values, nulls and NaNs; `truncate` bounds too, strings and bytes cut to that length; `full` bounds as they are.
 */
export type MetricsMode =
  | { readonly kind: 'none' | 'counts' | 'full' }
  | { readonly kind: 'truncate'; readonly length: number }

export const defaultMetricsMode: MetricsMode = { kind: 'truncate', length: 16 }

const prefix = 'write.metadata.metrics.'

/** Throws `usage/argument` for what is no mode. */
export function metricsModeOf(text: string): MetricsMode {
  const word = text.trim().toLowerCase()
  if (word === 'none' || word === 'counts' || word === 'full') return { kind: word }
  const length = Number(/^truncate\((\d+)\)$/.exec(word)?.[1])
  if (Number.isSafeInteger(length) && length > 0) return { kind: 'truncate', length }
  throw new LimnError('usage/argument', {
    message: `${text} is no metrics mode.`,
    remedy: 'Use none, counts, truncate(16) or full.',
  })
}

/**
 * The mode of each column of a table: `…column.<name>` (nested names dotted, list and map levels `element`, `key`,
 * `value`), else `…default`, else `truncate(16)`. Where neither is set, columns past the first `…max-inferred-column-defaults`
 * (100, nested ones counted) keep none; columns of the sort order always keep bounds, as scans by them rely on it.
 */
export function metricsModes(
  properties: Readonly<Record<string, string>>,
  schema: Schema,
  sortedBy: readonly number[] = [],
): (fieldId: number) => MetricsMode {
  const modes = new Map<number, MetricsMode>()
  const fallback = properties[`${prefix}default`]
  const limit = fallback === undefined ? Number(properties[`${prefix}max-inferred-column-defaults`] ?? 100) : null
  const standard = fallback === undefined ? defaultMetricsMode : metricsModeOf(fallback)
  for (const [i, id] of leafIds(schema.fields).entries())
    modes.set(id, limit !== null && i >= limit ? { kind: 'none' } : standard)
  for (const id of sortedBy) {
    const mode = modes.get(id) ?? standard
    if (mode.kind === 'none' || mode.kind === 'counts') modes.set(id, defaultMetricsMode)
  }
  for (const [key, text] of Object.entries(properties)) {
    if (!key.startsWith(`${prefix}column.`)) continue
    const id = idOf(schema, key.slice(`${prefix}column.`.length))
    if (id !== undefined) modes.set(id, metricsModeOf(text))
  }
  return (id) => modes.get(id) ?? standard
}

function leafIds(fields: readonly Field[]): readonly number[] {
  return fields.flatMap((field) => (isPrimitive(field.type) ? [field.id] : leavesIn(field.type)))
}

function leavesIn(type: Type): readonly number[] {
  if (isPrimitive(type)) return []
  return leafIds(insideOf(type))
}

/** The levels of a type as fields. */
export function insideOf(type: Exclude<Type, string>): readonly Field[] {
  switch (type.type) {
    case 'struct':
      return type.fields
    case 'list':
      return [{ id: type.elementId, name: 'element', required: type.elementRequired, type: type.element }]
    case 'map':
      return [
        { id: type.keyId, name: 'key', required: true, type: type.key },
        { id: type.valueId, name: 'value', required: type.valueRequired, type: type.value },
      ]
  }
}

function idOf(schema: Pick<Schema, 'fields'>, name: string): number | undefined {
  const direct = fieldByName(schema, name)
  if (direct) return direct.id
  for (const field of schema.fields) {
    if (isPrimitive(field.type) || !name.startsWith(`${field.name}.`)) continue
    const inner = idOf({ fields: insideOf(field.type) }, name.slice(field.name.length + 1))
    if (inner !== undefined) return inner
  }
  return undefined
}
