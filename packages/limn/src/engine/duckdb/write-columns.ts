import { LimnError } from '../../base/index.ts'
import { type Field, fixedLengthOf, isPrimitive, type Schema, type Type } from '../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'
import { duckTypeOf } from './read/project.ts'

/** The columns of a data file: those of the schema, without columns of unknown type, which no file holds. */
export function fileColumns(schema: Schema): readonly Field[] {
  return schema.fields.filter((field) => field.type !== 'unknown')
}

/** A projection of a query to the columns of its file: cast to the schema's types, in its order, under its names. */
export function projection(columns: readonly Field[]): string {
  if (columns.length === 0) {
    throw new LimnError('iceberg/unsupported', {
      message: 'The table has no column that a file could hold: all are of unknown type.',
      notDone: 'Nothing was written.',
      remedy: 'Give a column a type first.',
    })
  }
  return columns
    .map(
      (field) => `${stored(field.type, quoteIdentifier(field.name), 0, field.name)} AS ${quoteIdentifier(field.name)}`,
    )
    .join(', ')
}

/** An expression cast to how a type is stored; what holds a variant or an unknown field is built anew around it. */
function stored(type: Type, value: string, depth: number, path: string): string {
  if (isPrimitive(type)) {
    if (type === 'variant') return `CAST(${value} AS VARIANT)`
    if (fixedLengthOf(type) !== null) return storedFixed(type, value, path)
    return `CAST(${value} AS ${duckTypeOf(type)})`
  }
  if (isPlain(type)) return `CAST(${value} AS ${duckTypeOf(type)})`
  const item = `item${depth}`
  switch (type.type) {
    case 'struct': {
      const members = type.fields
        .filter((field) => field.type !== 'unknown')
        .map((field) => {
          const inner = `struct_extract(${value}, ${quoteText(field.name)})`
          return `${quoteIdentifier(field.name)} := ${stored(field.type, inner, depth, `${path}.${field.name}`)}`
        })
      return `CASE WHEN ${value} IS NULL THEN NULL ELSE struct_pack(${members.join(', ')}) END`
    }
    case 'list':
      return `list_transform(${value}, lambda ${item}: ${stored(type.element, item, depth + 1, `${path}.element`)})`
    case 'map': {
      const key = stored(type.key, `struct_extract(${item}, 'key')`, depth + 1, `${path}.key`)
      const inner = stored(type.value, `struct_extract(${item}, 'value')`, depth + 1, `${path}.value`)
      return `map_from_entries(list_transform(map_entries(${value}), lambda ${item}: struct_pack(k := ${key}, v := ${inner})))`
    }
  }
}

/**
 * DuckDB has one type whose values Parquet keeps in 16 bytes of fixed length, UUID; its mark is taken off the footer
 * afterwards. Other lengths it would write as variable ones, which other readers do not take for a fixed type.
 */
function storedFixed(type: Type, value: string, path: string): string {
  const length = fixedLengthOf(type)
  if (length !== 16) {
    throw new LimnError('iceberg/unsupported', {
      message: `The column ${path} is of type ${String(type)}, which DuckDB cannot write.`,
      notDone: 'Nothing was written.',
      remedy: 'Use binary, or fixed[16].',
    })
  }
  const hex = `hex(CAST(${value} AS BLOB))`
  const wrong = `error(${quoteText(`A value of ${path} does not have 16 bytes.`)})`
  return `CASE WHEN ${value} IS NULL THEN NULL WHEN length(${hex}) <> 32 THEN ${wrong}::UUID ELSE CAST(${hex} AS UUID) END`
}

/** Whether DuckDB's cast to the type gives what is stored. */
function isPlain(type: Type): boolean {
  if (isPrimitive(type)) return type !== 'variant' && type !== 'unknown' && fixedLengthOf(type) === null
  switch (type.type) {
    case 'struct':
      return type.fields.every((field) => isPlain(field.type))
    case 'list':
      return isPlain(type.element)
    case 'map':
      return isPlain(type.key) && isPlain(type.value)
  }
}

/** COPY's option that puts field ids at every depth. */
export function fieldIds(columns: readonly Field[]): string {
  return `FIELD_IDS {${columns.map((field) => `${quoteIdentifier(field.name)}: ${idOf(field.id, field.type)}`).join(', ')}}`
}

function idOf(id: number, type: Type): string {
  if (isPrimitive(type)) return String(id)
  const inner = (members: readonly string[]) => `{${[`__duckdb_field_id: ${id}`, ...members].join(', ')}}`
  switch (type.type) {
    case 'struct':
      return inner(
        type.fields
          .filter((field) => field.type !== 'unknown')
          .map((field) => `${quoteIdentifier(field.name)}: ${idOf(field.id, field.type)}`),
      )
    case 'list':
      return inner([`element: ${idOf(type.elementId, type.element)}`])
    case 'map':
      return inner([`key: ${idOf(type.keyId, type.key)}`, `value: ${idOf(type.valueId, type.value)}`])
  }
}

/** The expression of a column by its field id, through structs, and its primitive type. */
export function columnSql(
  schema: Pick<Schema, 'fields'>,
  fieldId: number,
): { readonly sql: string; readonly type: Type } | null {
  for (const field of schema.fields) {
    const found = within(field, quoteIdentifier(field.name), fieldId)
    if (found) return found
  }
  return null
}

function within(field: Field, sql: string, fieldId: number): { readonly sql: string; readonly type: Type } | null {
  if (field.id === fieldId) return { sql, type: field.type }
  if (isPrimitive(field.type) || field.type.type !== 'struct') return null
  for (const inner of field.type.fields) {
    const found = within(inner, `struct_extract(${sql}, ${quoteText(inner.name)})`, fieldId)
    if (found) return found
  }
  return null
}
