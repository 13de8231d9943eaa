import { LimnError, nearest } from '../base/index.ts'
import type { Field, Schema } from '../schema/index.ts'
import { type Path, quoteIdentifier } from '../sql/index.ts'
import { defaultSql } from './defaults.ts'
import { requiredSql } from './project.ts'

/** A column of a statement and the SQL of its new value; null: the column's default. */
export interface SetColumn {
  readonly column: Path
  readonly sql: string | null
}

/**
 * The new values of a table's top columns, by their names as the schema has them. A path into a struct (`p.x`) makes the
 * struct anew with its other fields kept; a struct that was null then has nulls in them. `row` gives the SQL of a
 * column's present value. Throws `sql/unknown-column`, and `sql/invalid` for a column that is set both whole and in part.
 */
export function newValues(
  schema: Schema,
  assignments: readonly SetColumn[],
  row: (field: Field) => string,
): ReadonlyMap<string, string> {
  const out = new Map<string, string>()
  for (const [field, own] of grouped(schema.fields, assignments, [])) {
    out.set(field.name, requiredSql(field, newValue(field, own, row(field), [field.name])))
  }
  return out
}

interface Step {
  readonly column: Path
  readonly sql: string | null
  /** Names of the path that lie below the field. */
  readonly below: readonly string[]
}

function grouped(
  fields: readonly Field[],
  assignments: readonly (SetColumn | Step)[],
  before: readonly string[],
): ReadonlyMap<Field, readonly Step[]> {
  const out = new Map<Field, Step[]>()
  for (const one of assignments) {
    const [name = '', ...below] = 'below' in one ? one.below : one.column.parts
    const field =
      fields.find((each) => each.name === name) ?? fields.find((each) => each.name.toLowerCase() === name.toLowerCase())
    if (!field) throw unknownColumn(fields, one.column, [...before, name])
    out.set(field, [...(out.get(field) ?? []), { column: one.column, sql: one.sql, below }])
  }
  return out
}

function newValue(field: Field, steps: readonly Step[], present: string, path: readonly string[]): string {
  const whole = steps.find((step) => step.below.length === 0)
  if (whole && steps.length > 1)
    throw new LimnError('sql/invalid', {
      message: `${path.join('.')} is set twice, whole and in part.`,
      notDone: 'Nothing was run.',
      remedy: 'Keep one of them.',
    })
  if (whole) return whole.sql ?? defaultSql(field)
  const { type } = field
  if (typeof type === 'string' || type.type !== 'struct') {
    const [first] = steps
    const { line = 1, column = 1 } = first?.column.at ?? {}
    throw new LimnError('sql/invalid', {
      message: `Line ${line}, column ${column}: ${path.join('.')} is no struct: there is nothing within it to set.`,
      notDone: 'Nothing was run.',
      remedy: `Set ${path.join('.')} as a whole.`,
    })
  }
  const changed = grouped(type.fields, steps, path)
  const parts = type.fields.map((inner) => {
    const name = quoteIdentifier(inner.name)
    const kept = `(${present}).${name}`
    const own = changed.get(inner)
    return `${name} := ${own ? newValue(inner, own, kept, [...path, inner.name]) : kept}`
  })
  return `struct_pack(${parts.join(', ')})`
}

function unknownColumn(fields: readonly Field[], path: Path, upTo: readonly string[]): LimnError {
  const { line, column } = path.at
  const names = fields.map((field) => field.name)
  const close = nearest(upTo.at(-1) ?? '', names)
  return new LimnError('sql/unknown-column', {
    message: `Line ${line}, column ${column}: there is no column ${upTo.join('.')}.`,
    notDone: 'Nothing was run.',
    remedy: close ? `Did you mean ${close}?` : `There are: ${names.join(', ')}.`,
  })
}
