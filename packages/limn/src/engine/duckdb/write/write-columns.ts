import { LimnError } from '../../../base/index.ts'
import { type Field, fixedLengthOf, isPrimitive, type Schema, type Type } from '../../../schema/index.ts'
import { quoteIdentifier, quoteText } from '../../../sql/index.ts'
import { duckTypeOf } from '../read/project.ts'

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
      (field) =>
        `${stored(field.type, quoteIdentifier(field.name), 0, [field.name])} AS ${quoteIdentifier(field.name)}`,
    )
    .join(', ')
}

/** An expression cast to how a type is stored; what holds a variant or an unknown field is built anew around it. */
function stored(type: Type, value: string, depth: number, path: readonly string[]): string {
  if (isPrimitive(type)) {
    if (type === 'variant') return storedVariant(value, path.length > 1)
    const length = fixedLengthOf(type)
    if (length !== null) return storedFixed(length, value, path.join('.'))
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
          return `${quoteIdentifier(field.name)} := ${stored(field.type, inner, depth, [...path, field.name])}`
        })
      return `CASE WHEN ${value} IS NULL THEN NULL ELSE struct_pack(${members.join(', ')}) END`
    }
    case 'list':
      return `list_transform(${value}, lambda ${item}: ${stored(type.element, item, depth + 1, [...path, 'element'])})`
    case 'map': {
      const key = stored(type.key, `struct_extract(${item}, 'key')`, depth + 1, [...path, 'key'])
      const inner = stored(type.value, `struct_extract(${item}, 'value')`, depth + 1, [...path, 'value'])
      return `map_from_entries(list_transform(map_entries(${value}), lambda ${item}: struct_pack(k := ${key}, v := ${inner})))`
    }
  }
}

/** Bytes; one of another length is an error. DuckDB puts a length before each value, which is taken off afterwards. */
function storedFixed(length: number, value: string, path: string): string {
  const bytes = `CAST(${value} AS BLOB)`
  const wrong = `error(${quoteText(`A value of ${path} does not have ${length} bytes.`)})`
  return `CASE WHEN octet_length(${bytes}) <> ${length} THEN ${wrong}::BLOB ELSE ${bytes} END`
}

/** DuckDB marks variants only where they are columns; elsewhere their bytes are written as a group and marked afterwards. */
function storedVariant(value: string, nested: boolean): string {
  const variant = `CAST(${value} AS VARIANT)`
  return nested ? `CASE WHEN ${value} IS NULL THEN NULL ELSE variant_to_parquet_variant(${variant}) END` : variant
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
