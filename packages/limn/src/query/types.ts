import { LimnError } from '../base/index.ts'
import { assignFieldIds, type Field, type Type } from '../schema/index.ts'
import { type ColumnDefinition, parseType, printType, type TypeNode } from '../sql/index.ts'

/** A type of a statement as a type of a schema; ids within it are 0. */
export function typeOf(node: TypeNode): Type {
  switch (node.kind) {
    case 'primitive':
      return node.name
    case 'decimal':
      return `decimal(${node.precision},${node.scale})`
    case 'fixed':
      return `fixed[${node.length}]`
    case 'list':
      return { type: 'list', elementId: 0, elementRequired: false, element: typeOf(node.element) }
    case 'map':
      return {
        type: 'map',
        keyId: 0,
        key: typeOf(node.key),
        valueId: 0,
        valueRequired: false,
        value: typeOf(node.value),
      }
    case 'struct':
      return {
        type: 'struct',
        fields: node.fields.map((field) => ({
          id: 0,
          name: field.name.text,
          required: field.required,
          type: typeOf(field.type),
          ...(field.comment === null ? {} : { doc: field.comment }),
        })),
      }
  }
}

/** A type as a statement spells it. */
export function typeText(type: Type): string {
  return printType(nodeOf(type))
}

const nowhere = { offset: 0, line: 1, column: 1 }

/** A schema's type as a statement's. */
export function nodeOf(type: Type): TypeNode {
  const at = nowhere
  if (typeof type === 'string') return parseType(type)
  switch (type.type) {
    case 'list':
      return { kind: 'list', at, element: nodeOf(type.element) }
    case 'map':
      return { kind: 'map', at, key: nodeOf(type.key), value: nodeOf(type.value) }
    case 'struct':
      return {
        kind: 'struct',
        at,
        fields: type.fields.map((field) => ({
          name: { at, text: field.name },
          type: nodeOf(field.type),
          required: field.required,
          comment: field.doc ?? null,
        })),
      }
  }
}

/** Columns of a statement as fields with ids from 1. Defaults are the caller's: they need an engine. */
export function fieldsOf(columns: readonly ColumnDefinition[]): readonly Field[] {
  return assignFieldIds(
    columns.map((column) => ({
      id: 0,
      name: column.name.text,
      required: column.required,
      type: typeOf(column.type),
      ...(column.comment === null ? {} : { doc: column.comment }),
    })),
  ).fields
}

/** DuckDB's types that Iceberg lacks, by the narrowest that holds their values. */
const widened: Readonly<Record<string, Type>> = {
  UTINYINT: 'int',
  USMALLINT: 'int',
  UINTEGER: 'long',
  UBIGINT: 'decimal(20,0)',
  HUGEINT: 'decimal(38,0)',
  TIMESTAMP_S: 'timestamp',
  TIMESTAMP_MS: 'timestamp',
  JSON: 'string',
}

/** The column type that holds what a query puts out, by DuckDB's name of it. Throws `sql/invalid` where none does. */
export function columnTypeOf(column: { readonly name: string; readonly type: string }): Type {
  const plain = Object.hasOwn(widened, column.type) ? widened[column.type] : undefined
  if (plain !== undefined) return plain
  if (column.type.startsWith('ENUM(')) return 'string'
  try {
    return typeOf(parseType(withWidened(column.type)))
  } catch (cause) {
    if (!(cause instanceof LimnError) || cause.kind !== 'sql/syntax') throw cause
    throw new LimnError('sql/invalid', {
      message: `The column ${column.name} is ${column.type}, which no column of a table can be.`,
      notDone: 'Nothing was run.',
      remedy: 'Cast it in the query, for example to STRING or BIGINT.',
      cause,
    })
  }
}

/** The same within nested types: `HUGEINT[]`. */
function withWidened(type: string): string {
  return type
    .split(/([A-Z_]+)/)
    .map((word) => {
      const known = Object.hasOwn(widened, word) ? widened[word] : undefined
      return typeof known === 'string' ? known : word
    })
    .join('')
}
