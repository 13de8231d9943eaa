import { nearest } from '../../base/index.ts'
import type { Stop, TokenReader } from './reader.ts'
import type {
  ColumnDefinition,
  Path,
  PrimitiveName,
  Property,
  SortTerm,
  SqlText,
  StructField,
  Term,
  TypeNode,
} from './tree.ts'
import { isDigit } from './words.ts'

/**
 * Types by every name they go by. A type means in a statement what it means in DuckDB's expressions: TIMESTAMP has no
 * zone, unlike in Spark, whose TIMESTAMP is TIMESTAMPTZ here.
 */
const primitives: Readonly<Record<string, PrimitiveName>> = {
  BOOLEAN: 'boolean',
  BOOL: 'boolean',
  TINYINT: 'int',
  BYTE: 'int',
  SMALLINT: 'int',
  SHORT: 'int',
  INT: 'int',
  INTEGER: 'int',
  BIGINT: 'long',
  LONG: 'long',
  FLOAT: 'float',
  REAL: 'float',
  DOUBLE: 'double',
  DATE: 'date',
  TIME: 'time',
  TIMESTAMP: 'timestamp',
  TIMESTAMP_NTZ: 'timestamp',
  DATETIME: 'timestamp',
  TIMESTAMPTZ: 'timestamptz',
  TIMESTAMP_LTZ: 'timestamptz',
  TIMESTAMP_NS: 'timestamp_ns',
  TIMESTAMPTZ_NS: 'timestamptz_ns',
  STRING: 'string',
  VARCHAR: 'string',
  CHAR: 'string',
  TEXT: 'string',
  UUID: 'uuid',
  BINARY: 'binary',
  VARBINARY: 'binary',
  BLOB: 'binary',
  BYTES: 'binary',
  UNKNOWN: 'unknown',
  VARIANT: 'variant',
}
const composed = ['DECIMAL', 'NUMERIC', 'DEC', 'FIXED', 'STRUCT', 'ARRAY', 'LIST', 'MAP'] as const

/** Types nested deeper than this are refused: every reader of the table walks down them. */
const depthMax = 100

/** A type: Spark's, DuckDB's and Iceberg's spellings. */
export function readType(reader: TokenReader, depth = 0): TypeNode {
  if (depth > depthMax) throw tooDeep(reader)
  let type = readBareType(reader, depth)
  for (let level = depth; reader.looks('['); level++) {
    if (level > depthMax) throw tooDeep(reader)
    reader.skip()
    reader.expect(']')
    type = { kind: 'list', at: type.at, element: type }
  }
  return type
}

function tooDeep(reader: TokenReader): Error {
  return reader.error(
    reader.here().offset,
    `Types are nested deeper than ${depthMax} levels.`,
    'Make the type flatter.',
  )
}

function readBareType(reader: TokenReader, depth: number): TypeNode {
  const at = reader.here()
  if (reader.kindAt() !== 'word') throw reader.expected('a type')
  const word = reader.peek()
  const primitive = Object.hasOwn(primitives, word) ? primitives[word] : undefined
  if (primitive !== undefined) {
    reader.skip()
    if (primitive === 'string' && reader.looks('(')) reader.enclosed(() => reader.count('a length', 1, 2 ** 31))
    if (primitive === 'timestamp' && word === 'TIMESTAMP') {
      if (reader.accept('WITH', 'TIME', 'ZONE')) return { kind: 'primitive', at, name: 'timestamptz' }
      reader.accept('WITHOUT', 'TIME', 'ZONE')
    }
    return { kind: 'primitive', at, name: primitive }
  }
  switch (composed.find((one) => reader.accept(one))) {
    case 'DECIMAL':
    case 'NUMERIC':
    case 'DEC': {
      // Engines disagree on what it is without: DECIMAL(10,0) in Spark, DECIMAL(18,3) in DuckDB.
      if (!reader.looks('(')) throw reader.expected('(precision, scale)')
      reader.skip()
      const precision = reader.count('a precision', 1, 38)
      const scale = reader.accept(',') ? reader.count('a scale', 0, precision) : 0
      reader.expect(')')
      return { kind: 'decimal', at, precision, scale }
    }
    case 'FIXED': {
      const close = reader.accept('[') ? ']' : ')'
      if (close === ')') reader.expect('(')
      const length = reader.count('a length', 1, 2 ** 31 - 1)
      reader.expect(close)
      return { kind: 'fixed', at, length }
    }
    case 'STRUCT': {
      const close = opened(reader)
      const fields = reader.list(() => readStructField(reader, depth))
      if (!reader.accept(close)) throw reader.expected(',', close)
      return { kind: 'struct', at, fields }
    }
    case 'ARRAY':
    case 'LIST': {
      const close = opened(reader)
      const element = readType(reader, depth + 1)
      reader.expect(close)
      return { kind: 'list', at, element }
    }
    case 'MAP': {
      const close = opened(reader)
      const key = readType(reader, depth + 1)
      reader.expect(',')
      const value = readType(reader, depth + 1)
      reader.expect(close)
      return { kind: 'map', at, key, value }
    }
    default: {
      const close = nearest(word, [...Object.keys(primitives), ...composed])
      throw reader.error(
        at.offset,
        `${reader.textAt()} is no type of a column.`,
        close ? `Did you mean ${close}?` : 'Use for example INT, BIGINT, DECIMAL(18,2), STRING, DATE, TIMESTAMPTZ.',
      )
    }
  }
}

function opened(reader: TokenReader): string {
  return reader.oneOf('<', '(') === '<' ? '>' : ')'
}

function readStructField(reader: TokenReader, depth: number): StructField {
  const name = reader.name('a field')
  reader.accept(':')
  const type = readType(reader, depth + 1)
  const required = reader.accept('NOT', 'NULL')
  const comment = reader.accept('COMMENT') ? reader.string('a comment') : null
  return { name, type, required, comment }
}

const endsDefault: Stop = (reader) =>
  reader.looks(',') ||
  reader.looks('COMMENT') ||
  reader.looks('NOT', 'NULL') ||
  reader.looks('FIRST') ||
  reader.looks('AFTER')

/** What may follow a column's type, in any order, each once. */
export interface ColumnOptions {
  readonly required: boolean
  readonly defaultValue: SqlText | null
  readonly comment: string | null
}

export function readColumnOptions(reader: TokenReader): ColumnOptions {
  let required = false
  let defaultValue: SqlText | null = null
  let comment: string | null = null
  for (;;) {
    if (!required && reader.accept('NOT', 'NULL')) required = true
    else if (defaultValue === null && reader.accept('DEFAULT'))
      defaultValue = reader.sqlText('a default value', endsDefault)
    else if (comment === null && reader.accept('COMMENT')) comment = reader.string('a comment')
    else return { required, defaultValue, comment }
  }
}

export function readColumnDefinition(reader: TokenReader): ColumnDefinition {
  const name = reader.name('a column')
  return { name, type: readType(reader), ...readColumnOptions(reader) }
}

const transforms: Readonly<Record<string, Term['transform']>> = {
  IDENTITY: 'identity',
  VOID: 'void',
  YEAR: 'year',
  YEARS: 'year',
  MONTH: 'month',
  MONTHS: 'month',
  DAY: 'day',
  DAYS: 'day',
  DATE: 'day',
  HOUR: 'hour',
  HOURS: 'hour',
  DATE_HOUR: 'hour',
  BUCKET: 'bucket',
  TRUNCATE: 'truncate',
}

/** `column`, `days(column)`, `bucket(16, column)`, `truncate(column, 4)`: a number may stand on either side. */
export function readTerm(reader: TokenReader): Term {
  const at = reader.here()
  if (reader.kindAt() !== 'word' || reader.peek(1) !== '(')
    return { at, transform: 'identity', argument: null, column: reader.path('a column or a transform') }
  const word = reader.peek()
  const transform = Object.hasOwn(transforms, word) ? transforms[word] : undefined
  if (transform === undefined) {
    const close = nearest(word, Object.keys(transforms))
    throw reader.error(
      at.offset,
      `${reader.textAt()} is no transform.`,
      close
        ? `Did you mean ${close.toLowerCase()}?`
        : 'Use a column, or years, months, days, hours, bucket(N, column), truncate(N, column).',
    )
  }
  reader.skip(2)
  const takes = transform === 'bucket' || transform === 'truncate'
  const what = transform === 'bucket' ? 'a number of buckets' : 'a width'
  let argument: number | null = null
  if (takes && reader.isInteger()) {
    argument = reader.count(what, 1, 2 ** 31 - 1)
    reader.expect(',')
  }
  const column: Path = reader.path('a column')
  if (takes && argument === null) {
    if (!reader.accept(',')) throw reader.expected(`, and ${what}`)
    argument = reader.count(what, 1, 2 ** 31 - 1)
  }
  reader.expect(')')
  return { at, transform, argument, column }
}

/** `term [ASC | DESC] [NULLS FIRST | LAST]`; by default ascending, nulls first where ascending and last where not. */
export function readSortTerm(reader: TokenReader): SortTerm {
  const term = readTerm(reader)
  const direction = reader.accept('DESC') ? 'desc' : 'asc'
  if (direction === 'asc') reader.accept('ASC')
  if (!reader.accept('NULLS')) return { term, direction, nulls: direction === 'asc' ? 'first' : 'last' }
  return { term, direction, nulls: reader.oneOf('FIRST', 'LAST') === 'FIRST' ? 'first' : 'last' }
}

/** `('key' = 'value', write.format.default = 'parquet', …)`. A key given twice is an error. */
export function readProperties(reader: TokenReader): readonly Property[] {
  const seen = new Set<string>()
  return reader.enclosed(() => {
    const at = reader.here()
    const key = readPropertyKey(reader)
    if (seen.has(key)) throw reader.error(at.offset, `The property ${key} is given twice.`, 'Keep one of them.')
    seen.add(key)
    reader.accept('=')
    return { at, key, value: readPropertyValue(reader) }
  })
}

export function readPropertyKey(reader: TokenReader): string {
  return reader.kindAt() === 'string' ? reader.string() : reader.path('a property').parts.join('.')
}

function readPropertyValue(reader: TokenReader): string {
  if (reader.kindAt() === 'string') return reader.string()
  for (const word of ['TRUE', 'FALSE']) if (reader.accept(word)) return word.toLowerCase()
  const sign = reader.accept('-') ? '-' : ''
  if (reader.kindAt() !== 'word' || !isDigit(reader.textAt().charCodeAt(0)))
    throw reader.expected('a string, a number, true or false')
  const whole = String(reader.integer())
  return reader.accept('.') ? `${sign}${whole}.${reader.word()}` : `${sign}${whole}`
}
