import { LimnError } from '../base/index.ts'
import {
  type DefaultValue,
  decimalOf,
  type Field,
  fixedLengthOf,
  isPrimitive,
  type Type,
  type Value,
} from '../schema/index.ts'
import { duckType, quoteText, type SqlText, sqlLiteral } from '../sql/index.ts'
import type { TableContext } from '../table/index.ts'
import { duckText } from './rewrite.ts'

/** What a row holds in a column that the statement gives no value: the column's default, or null. */
export function defaultSql(field: Field): string {
  return field.writeDefault === undefined ? 'NULL' : valueSql(field.type, field.writeDefault)
}

function valueSql(type: Type, value: DefaultValue | null): string {
  if (value === null) return 'NULL'
  if (isPrimitive(type)) return sqlLiteral(type, value as Value)
  if (typeof value !== 'object' || value instanceof Uint8Array) return 'NULL'
  if (type.type === 'list' && value.kind === 'list')
    return `[${value.elements.map((one) => valueSql(type.element, one)).join(', ')}]`
  if (type.type === 'map' && value.kind === 'map') {
    const entries = value.entries.map(([key, item]) => `${valueSql(type.key, key)}: ${valueSql(type.value, item)}`)
    return `MAP {${entries.join(', ')}}`
  }
  if (type.type !== 'struct' || value.kind !== 'struct') return 'NULL'
  const fields = type.fields.map((field) => {
    const given = value.fields.get(field.id)
    return `${quoteText(field.name)}: ${given === undefined ? defaultSql(field) : valueSql(field.type, given)}`
  })
  return `{${fields.join(', ')}}`
}

/**
 * The value of a column's DEFAULT, or null for NULL. It is worked out once, now: `DEFAULT now()` is the time of the
 * statement. Throws `sql/invalid` when it does not fit the type.
 */
export async function evaluateDefault(
  context: TableContext,
  expression: SqlText,
  type: Type,
): Promise<DefaultValue | null> {
  await using session = await context.engine.session([], { signal: context.signal })
  const cast = isPrimitive(type)
    ? `CAST((${duckText(expression.text)}\n) AS ${duckType(type)})`
    : `(${duckText(expression.text)}\n)`
  const { line, column } = expression.at
  try {
    const { rows } = await session.rows(
      `SELECT v IS NULL, ${isPrimitive(type) ? storedSql(type) : 'NULL'} FROM (SELECT ${cast} AS v)`,
    )
    const [isNull, cell] = rows[0] ?? []
    if (isNull === true) return null
    const value = isPrimitive(type) ? storedValue(type, cell) : undefined
    if (value !== undefined) return value
  } catch (cause) {
    if (!(cause instanceof LimnError) || !cause.kind.startsWith('sql/')) throw cause
    throw new LimnError('sql/invalid', {
      message: `Line ${line}, column ${column}: the default value cannot be worked out: ${cause.message}`,
      notDone: 'Nothing was run.',
      remedy: 'A default is one value without columns, of the type of its column.',
      cause,
    })
  }
  throw new LimnError('sql/invalid', {
    message: `Line ${line}, column ${column}: ${expression.text} is no default for a column of type ${isPrimitive(type) ? type : type.type}.`,
    notDone: 'Nothing was run.',
    remedy: isPrimitive(type) ? 'Write a value of that type.' : 'Leave the default out: it is null.',
  })
}

/** `v` in the form values are stored in: numbers since 1970 for times, text for decimals. */
function storedSql(type: Type): string {
  switch (type) {
    case 'date':
      return "(v - DATE '1970-01-01')::INTEGER"
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return 'epoch_us(v)'
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return 'epoch_ns(v)'
    case 'uuid':
      return 'lower(v::VARCHAR)'
    default:
      return decimalOf(type) ? "replace(v::VARCHAR, '.', '')" : 'v'
  }
}

function storedValue(type: Type, cell: unknown): Value | undefined {
  if (decimalOf(type)) return typeof cell === 'string' ? BigInt(cell) : undefined
  const length = fixedLengthOf(type)
  if (length !== null) return cell instanceof Uint8Array && cell.length === length ? cell : undefined
  switch (type) {
    case 'boolean':
      return typeof cell === 'boolean' ? cell : undefined
    case 'int':
    case 'date':
    case 'float':
    case 'double':
      return typeof cell === 'number' ? cell : undefined
    case 'long':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return typeof cell === 'bigint' || typeof cell === 'number' ? BigInt(cell) : undefined
    case 'string':
    case 'uuid':
      return typeof cell === 'string' ? cell : undefined
    case 'binary':
      return cell instanceof Uint8Array ? cell : undefined
    default:
      return undefined
  }
}
