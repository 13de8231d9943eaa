import { LimnError } from '../../base/index.ts'
import { parseJson } from '../../encoding/index.ts'
import type { TableMetadata } from './types.ts'

/** Which column names of files without field ids stand for which field (specification, "Name Mapping Serialization"). */
export type NameMapping = readonly MappedField[]
export interface MappedField {
  readonly fieldId: number | null
  readonly names: readonly string[]
  /** Fields inside: of a struct by name, of a list as `element`, of a map as `key` and `value`. */
  readonly fields: NameMapping
}

export const nameMappingProperty = 'schema.name-mapping.default'

/** The mapping a table states; null when it states none. Throws `iceberg/invalid-metadata` for one that is malformed. */
export function nameMappingOf(metadata: Pick<TableMetadata, 'properties'>): NameMapping | null {
  const text = metadata.properties[nameMappingProperty]
  if (text === undefined) return null
  try {
    return fieldsFrom(parseJson(text))
  } catch (cause) {
    throw new LimnError('iceberg/invalid-metadata', {
      message: `The table's name mapping cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`,
      notDone: 'The table was not read: files without field ids would be read wrongly.',
      remedy: `Correct the property ${nameMappingProperty}.`,
      cause,
    })
  }
}

function fieldsFrom(json: unknown): NameMapping {
  if (!Array.isArray(json)) throw new TypeError('a list of fields is expected')
  return json.map((one: unknown): MappedField => {
    if (typeof one !== 'object' || one === null) throw new TypeError('a field is expected')
    const { 'field-id': id, names, fields } = one as Readonly<Record<string, unknown>>
    if (id !== undefined && id !== null && !Number.isInteger(id)) throw new TypeError('a field id is no whole number')
    if (!Array.isArray(names) || names.some((name) => typeof name !== 'string'))
      throw new TypeError('a field has no list of names')
    return {
      fieldId: (id as number | null | undefined) ?? null,
      names: names as readonly string[],
      fields: fields === undefined || fields === null ? [] : fieldsFrom(fields),
    }
  })
}
