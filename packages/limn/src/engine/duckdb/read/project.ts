import { LimnError } from '../../../base/index.ts'
import { type DefaultValue, decimalOf, type Field, isPrimitive, type Type, type Value } from '../../../schema/index.ts'
import { duckType, quoteIdentifier, quoteText, sqlLiteral } from '../../../sql/index.ts'
import { type PhysicalColumn, type PhysicalType, physicalTypeText } from './physical.ts'

/**
 * How a field of the table is read from a file's column (specification, "Column Projection", "Schema Evolution"): by id at
 * every depth, promoted where the file is older, with defaults for what it lacks.
 */

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

/** A null of a type. What has no type yet reads as an integer, which any other type takes. */
export function nullOf(type: Type): string {
  return type === 'unknown' ? 'NULL' : `NULL::${duckTypeOf(type)}`
}

/** What a field of the table is in a file. */
export type Projection =
  /** Read as the table's own type, by DuckDB's own casts; filters reach the file. Null where the file lacks it. */
  | { readonly kind: 'plain' }
  /** Read as `type` and then computed from. */
  | { readonly kind: 'computed'; readonly type: string; readonly of: (column: string) => string }
  /** The file has no such column: every row holds this. */
  | { readonly kind: 'constant'; readonly sql: string }

/** `constant`: the value an identity partition gives a field that the file lacks; undefined: none. */
export function projectionOf(
  field: Field,
  column: PhysicalColumn | undefined,
  constant: Value | null | undefined,
): Projection {
  if (!column) {
    if (constant !== undefined && isPrimitive(field.type))
      return {
        kind: 'constant',
        sql: constant === null ? nullOf(field.type) : cast(sqlLiteral(field.type, constant), field.type),
      }
    if (field.initialDefault === undefined && field.type !== 'unknown') return { kind: 'plain' }
    return { kind: 'constant', sql: missing(field) }
  }
  if (isPlain(field.type, column.type)) return { kind: 'plain' }
  const type = column.type
  return { kind: 'computed', type: physicalTypeText(type), of: (name) => convert(field.type, type, name, field.name) }
}

/** What rows hold of a field that was added after they were written. */
function missing(field: Field): string {
  return field.initialDefault === undefined || field.type === 'unknown'
    ? nullOf(field.type)
    : cast(defaultSql(field.type, field.initialDefault), field.type)
}

function cast(sql: string, type: Type): string {
  return `(${sql})::${duckTypeOf(type)}`
}

/** An expression cast to a type, as views of tables have it; what has no type yet stays as it is. */
export function castSql(type: Type, sql: string): string {
  return type === 'unknown' ? `(${sql})` : `CAST((${sql}) AS ${duckTypeOf(type)})`
}

/** A default of any type as SQL. A struct's fields have defaults of their own. */
export function defaultSql(type: Type, value: DefaultValue | null | undefined): string {
  if (value === null || value === undefined) return nullOf(type)
  if (isPrimitive(type)) return sqlLiteral(type, value as Value)
  const kind = typeof value === 'object' && !(value instanceof Uint8Array) ? value.kind : 'value'
  if (kind !== type.type || typeof value !== 'object' || value instanceof Uint8Array)
    throw new LimnError('iceberg/invalid-metadata', {
      message: `A default value is no ${type.type}.`,
      notDone: 'The table was not read.',
    })
  switch (value.kind) {
    case 'struct': {
      if (isPrimitive(type) || type.type !== 'struct') return nullOf(type)
      const own = value.fields
      return structPack(
        type.fields.map((one) => [
          one.name,
          own.has(one.id) ? cast(defaultSql(one.type, own.get(one.id)), one.type) : missing(one),
        ]),
      )
    }
    case 'list':
      if (isPrimitive(type) || type.type !== 'list') return nullOf(type)
      return `[${value.elements.map((one) => defaultSql(type.element, one)).join(', ')}]`
    case 'map':
      if (isPrimitive(type) || type.type !== 'map') return nullOf(type)
      return `MAP {${value.entries.map(([key, one]) => `${defaultSql(type.key, key)}: ${defaultSql(type.value, one)}`).join(', ')}}`
  }
}

function structPack(fields: readonly (readonly [string, string])[]): string {
  return `struct_pack(${fields.map(([name, sql]) => `${quoteIdentifier(name)} := ${sql}`).join(', ')})`
}

/** Whether DuckDB may read the column as the wanted type itself. */
function isPlain(wanted: Type, stored: PhysicalType): boolean {
  if (isPrimitive(wanted)) return stored.kind === 'leaf' && isPlainLeaf(wanted, stored.duck)
  return physicalTypeText(stored) === duckTypeOf(wanted) && sameIds(wanted, stored)
}

/** Equal names and types do not make equal fields: a dropped one may have come back under its name. */
function sameIds(wanted: Type, stored: PhysicalType): boolean {
  if (isPrimitive(wanted)) return stored.kind === 'leaf'
  switch (wanted.type) {
    case 'struct':
      return (
        stored.kind === 'struct' &&
        wanted.fields.length === stored.fields.length &&
        wanted.fields.every((field, i) => {
          const one = stored.fields[i]
          return one !== undefined && one.id === field.id && sameIds(field.type, one.type)
        })
      )
    case 'list':
      return stored.kind === 'list' && sameIds(wanted.element, stored.element.type)
    case 'map':
      return stored.kind === 'map' && sameIds(wanted.key, stored.key.type) && sameIds(wanted.value, stored.value.type)
  }
}

/**
 * FLOAT is not among them: DuckDB takes a filter to the file by casting its constant to the file's type, so that a double
 * would be found equal to the float nearest to it.
 */
const widening: Readonly<Record<string, readonly string[]>> = {
  INTEGER: ['TINYINT', 'SMALLINT', 'UTINYINT', 'USMALLINT'],
  BIGINT: ['TINYINT', 'SMALLINT', 'INTEGER', 'UTINYINT', 'USMALLINT', 'UINTEGER'],
}

function isPlainLeaf(wanted: Type, stored: string): boolean {
  const own = duckTypeOf(wanted)
  if (own === stored || widening[own]?.includes(stored)) return true
  const [to, from] = [decimalOf(wanted), storedDecimal(stored)]
  return to !== null && from !== null && to.scale === from.scale && from.precision <= to.precision
}

function storedDecimal(duck: string) {
  return decimalOf(duck.toLowerCase() as Type)
}

/** The SQL that makes a stored value a value of the wanted type; the text itself where it is one already. */
function convert(wanted: Type, stored: PhysicalType, sql: string, at: string): string {
  if (isPlain(wanted, stored) && (isPrimitive(wanted) ? duckTypeOf(wanted) === physicalTypeText(stored) : true))
    return sql
  if (isPrimitive(wanted)) return convertLeaf(wanted, stored, sql, at)
  switch (wanted.type) {
    case 'struct': {
      if (stored.kind !== 'struct') throw mismatch(at, wanted, stored)
      const fields = wanted.fields.map((field) => {
        const own = stored.fields.find((one) => one.id === field.id)
        if (!own) return [field.name, missing(field)] as const
        return [
          field.name,
          convert(field.type, own.type, `struct_extract(${sql}, ${quoteText(own.name)})`, `${at}.${field.name}`),
        ] as const
      })
      return `CASE WHEN ${sql} IS NULL THEN NULL ELSE ${structPack(fields)} END`
    }
    case 'list': {
      if (stored.kind !== 'list') throw mismatch(at, wanted, stored)
      const element = variable(sql)
      const inner = convert(wanted.element, stored.element.type, element, `${at}.element`)
      return inner === element ? sql : `list_transform(${sql}, lambda ${element}: ${inner})`
    }
    case 'map': {
      if (stored.kind !== 'map') throw mismatch(at, wanted, stored)
      const entry = variable(sql)
      const key = convert(wanted.key, stored.key.type, `struct_extract(${entry}, 'key')`, `${at}.key`)
      const value = convert(wanted.value, stored.value.type, `struct_extract(${entry}, 'value')`, `${at}.value`)
      const pack = structPack([
        ['key', key],
        ['value', value],
      ])
      return `map_from_entries(list_transform(map_entries(${sql}), lambda ${entry}: ${pack}))`
    }
  }
}

/** A lambda's parameter that the text around it does not use. */
function variable(sql: string): string {
  for (let i = 0; ; i++) if (!sql.includes(`e_${i}`)) return `e_${i}`
}

function convertLeaf(wanted: Type, stored: PhysicalType, sql: string, at: string): string {
  if (wanted === 'unknown') return 'NULL'
  if (wanted === 'variant') return variantSql(stored, sql, at)
  if (stored.kind !== 'leaf') throw mismatch(at, wanted, stored)
  const own = duckTypeOf(wanted)
  if (own === stored.duck) return sql
  if (stored.duck === 'BLOB') {
    // Some writers leave the annotation of text out; a cast would escape its bytes.
    if (own === 'VARCHAR') return `decode(${sql})`
    if (own === 'UUID') return `hex(${sql})::UUID`
  }
  if (own === 'BLOB') {
    if (stored.duck === 'VARCHAR') return `encode(${sql})`
    if (stored.duck === 'UUID') return `unhex(replace(${sql}::VARCHAR, '-', ''))`
  }
  if (own === 'TIMESTAMP_NS' && stored.duck === 'TIMESTAMP WITH TIME ZONE') return `${sql}::TIMESTAMP::TIMESTAMP_NS`
  if (own === 'TIMESTAMP WITH TIME ZONE' && stored.duck === 'TIMESTAMP_NS') return `${sql}::TIMESTAMP::TIMESTAMPTZ`
  if (!castable.has(`${family(stored.duck)}>${family(own)}`)) throw mismatch(at, wanted, stored)
  return `${sql}::${own}`
}

/** Groups of types that may stand for each other in a file; a cast between groups would invent values. */
const castable: ReadonlySet<string> = new Set([
  'integer>integer',
  'float>float',
  'decimal>decimal',
  'integer>decimal',
  'instant>instant',
  'date>date',
  'date>instant',
  'time>time',
  'boolean>boolean',
  'text>text',
])

function family(duck: string): string {
  if (duck.startsWith('DECIMAL')) return 'decimal'
  if (duck.startsWith('TIMESTAMP')) return 'instant'
  if (duck.startsWith('TIME')) return 'time'
  if (/^U?(TINY|SMALL|BIG)?INT(EGER)?$/.test(duck)) return 'integer'
  switch (duck) {
    case 'FLOAT':
    case 'DOUBLE':
      return 'float'
    case 'DATE':
      return 'date'
    case 'BOOLEAN':
      return 'boolean'
    case 'VARCHAR':
    case 'JSON':
    case 'ENUM':
      return 'text'
    default:
      return duck
  }
}

function variantSql(stored: PhysicalType, sql: string, at: string): string {
  if (stored.kind === 'leaf' && stored.duck === 'VARIANT') return sql
  if (stored.kind !== 'struct') throw mismatch(at, 'variant', stored)
  const has = (name: string) => stored.fields.some((one) => one.name === name)
  if (!has('metadata') || !has('value') || has('typed_value')) throw mismatch(at, 'variant', stored)
  return `variant_bytes_to_variant(struct_extract(${sql}, 'metadata') || struct_extract(${sql}, 'value'))`
}

function mismatch(at: string, wanted: Type, stored: PhysicalType): LimnError {
  const text = isPrimitive(wanted) ? wanted : wanted.type
  return new LimnError('iceberg/unsupported', {
    message: `Column ${at} is ${text} in the table and ${physicalTypeText(stored)} in a data file, which is no promotion.`,
    notDone: 'The table was not read.',
    remedy: 'Rewrite the file with the engine that wrote it.',
  })
}
