import { LimnError } from '../../base/index.ts'
import { type Field, isPrimitive, type Type } from '../../schema/index.ts'
import { duckType, quoteIdentifier, quoteText } from '../../sql/index.ts'
import type { BoundTable } from '../engine.ts'

/** DuckDB's name for any type limn stores. Nested types keep their names. */
export function duckTypeOf(type: Type): string {
  if (isPrimitive(type)) return duckType(type)
  switch (type.type) {
    case 'struct':
      return `STRUCT(${type.fields.map((field) => `${quoteIdentifier(field.name)} ${duckTypeOf(field.type)}`).join(', ')})`
    case 'list':
      return `${duckTypeOf(type.element)}[]`
    case 'map':
      return `MAP(${duckTypeOf(type.key)}, ${duckTypeOf(type.value)})`
  }
}

/** The view that binds a table: its files read by field id, or no rows of its schema. */
export function viewSql(table: BoundTable): string {
  const [schema = '', name = ''] = table.id.split('.')
  const head = `CREATE OR REPLACE VIEW ${quoteIdentifier(schema)}.${quoteIdentifier(name)} AS`
  const fields = table.schema.fields
  for (const field of fields) requirePrimitive(table, field)
  if (table.files.length === 0) {
    const columns = fields.map((field) => `NULL::${duckTypeOf(field.type)} AS ${quoteIdentifier(field.name)}`)
    return `${head} SELECT ${columns.join(', ')} WHERE FALSE`
  }
  const files = table.files.map((file) => quoteText(file.local)).join(', ')
  const columns = fields.map(
    (field) =>
      `${field.id}: {name: ${quoteText(field.name)}, type: ${quoteText(duckTypeOf(field.type))}, default_value: NULL}`,
  )
  return `${head} SELECT * FROM read_parquet([${files}], schema = MAP {${columns.join(', ')}})`
}

/** Nested fields are matched by name in DuckDB, so that a renamed one would read as null: refused rather than wrong. */
function requirePrimitive(table: BoundTable, field: Field): void {
  if (isPrimitive(field.type)) return
  throw new LimnError('iceberg/unsupported', {
    message: `${table.id} has a nested column ${field.name}, which limn does not read yet.`,
    notDone: 'The table was not read.',
  })
}
