import { LimnError, nearest } from '../base/index.ts'
import type { OutputColumn } from '../engine/index.ts'
import type { Field, Schema } from '../schema/index.ts'
import { type Path, quoteIdentifier, quoteText } from '../sql/index.ts'
import { defaultSql } from './defaults.ts'

/** A column that a statement names. Exact spelling wins over another case. Throws `sql/unknown-column`. */
export function topColumn(schema: Schema, path: Path, table: string): Field {
  const [name = '', ...inner] = path.parts
  const found =
    schema.fields.find((field) => field.name === name) ??
    schema.fields.find((field) => field.name.toLowerCase() === name.toLowerCase())
  if (found && inner.length === 0) return found
  const { line, column } = path.at
  const close = nearest(
    name,
    schema.fields.map((field) => field.name),
  )
  throw new LimnError('sql/unknown-column', {
    message: found
      ? `Line ${line}, column ${column}: ${path.parts.join('.')} is within a column; name the column.`
      : `Line ${line}, column ${column}: ${table} has no column ${name}.`,
    notDone: 'Nothing was run.',
    remedy:
      close && !found
        ? `Did you mean ${close}?`
        : `The columns are: ${schema.fields.map((one) => one.name).join(', ')}.`,
  })
}

/** Which of a query's columns a table's column takes; null: its default. */
export type Assigned = ReadonlyMap<Field, number>

/** By position: the columns listed, or all that are not given otherwise. Throws `sql/invalid` when the counts differ. */
export function assignByPosition(fields: readonly Field[], output: readonly OutputColumn[], table: string): Assigned {
  if (fields.length !== output.length)
    throw new LimnError('sql/invalid', {
      message: `${table} takes ${count(fields.length)} here (${fields.map((field) => field.name).join(', ')}), the query has ${count(output.length)}.`,
      notDone: 'Nothing was run.',
      remedy: 'List the columns the query fills: INSERT INTO t (a, b) SELECT …',
    })
  return new Map(fields.map((field, i) => [field, i]))
}

/** By name, case aside. Throws `sql/invalid` for a column of the query that the table does not take, or twice. */
export function assignByName(fields: readonly Field[], output: readonly OutputColumn[], table: string): Assigned {
  const assigned = new Map<Field, number>()
  for (const [i, column] of output.entries()) {
    const field =
      fields.find((one) => one.name === column.name) ??
      fields.find((one) => one.name.toLowerCase() === column.name.toLowerCase())
    if (!field || assigned.has(field)) {
      const close = nearest(
        column.name,
        fields.map((one) => one.name),
      )
      throw new LimnError('sql/invalid', {
        message: field
          ? `The query has two columns ${column.name}.`
          : `${table} takes no column ${column.name} from the query.`,
        notDone: 'Nothing was run.',
        remedy: close && !field ? `Did you mean ${close}?` : 'Rename the column in the query with AS.',
      })
    }
    assigned.set(field, i)
  }
  return assigned
}

function count(columns: number): string {
  return `${columns} ${columns === 1 ? 'column' : 'columns'}`
}

/**
 * A query's rows as rows of a table, in the schema's order. What is not assigned gets `given` or the column's default; a
 * null in a column that must have a value fails the query.
 */
export function projectionSql(
  sql: string,
  output: readonly OutputColumn[],
  schema: Schema,
  assigned: Assigned,
  given: ReadonlyMap<Field, string>,
): string {
  const names = output.map((_column, i) => `c${i}`)
  const columns = schema.fields.map((field) => {
    const position = assigned.get(field)
    const value = position === undefined ? (given.get(field) ?? defaultSql(field)) : `c${position}`
    return `${requiredSql(field, value)} AS ${quoteIdentifier(field.name)}`
  })
  return `SELECT ${columns.join(', ')} FROM (${sql}\n) AS q(${names.join(', ')})`
}

/** A value that must be there where the column says so. */
export function requiredSql(field: Field, value: string): string {
  if (!field.required) return value
  const message = `the column ${field.name} must have a value, and a row has none`
  return `CASE WHEN (${value}) IS NULL THEN error(${quoteText(message)}) ELSE (${value}) END`
}
