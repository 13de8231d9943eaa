import type { Stop, TokenReader } from './reader.ts'
import type {
  Assignment,
  Delete,
  Insert,
  InsertMode,
  Merge,
  MergeAction,
  MergeClause,
  MergeSource,
  Path,
  Position,
  SqlText,
  Truncate,
  Update,
} from './tree.ts'

/** Statements that change rows. Each begins behind its first word. */

const queryWords = ['SELECT', 'WITH', 'VALUES', 'FROM', 'TABLE', '('] as const

function startsQuery(reader: TokenReader): boolean {
  return queryWords.some((word) => reader.looks(word))
}

/** A condition before a query, whose words may also stand within an expression. */
const beforeQuery: Stop = (reader) =>
  ['SELECT', 'WITH', 'VALUES', 'FROM', 'TABLE'].some((word) => reader.looks(word)) &&
  !reader.looks('WITH', 'TIME') &&
  !(reader.looks('FROM') && reader.peek(-1) === 'DISTINCT')

export function readInsert(reader: TokenReader, at: Position, ctes: SqlText | null): Insert {
  const overwrite = reader.oneOf('INTO', 'OVERWRITE') === 'OVERWRITE'
  reader.accept('TABLE')
  const table = reader.path('a table')
  let mode: InsertMode = { kind: 'append' }
  const namedFirst = reader.accept('BY', 'NAME')
  if (reader.looks('PARTITION')) {
    const { offset } = reader.here()
    if (!overwrite)
      throw reader.error(offset, 'PARTITION belongs to INSERT OVERWRITE.', 'Write the values as columns of the query.')
  }
  if (overwrite) {
    const partition = reader.accept('PARTITION')
      ? reader.enclosed(() => ({
          column: reader.path('a partition column'),
          value: reader.accept('=') ? reader.sqlText('a value', (one) => one.looks(',')) : null,
        }))
      : []
    mode = { kind: 'overwrite', partition }
  } else if (reader.accept('REPLACE')) {
    reader.expect('WHERE')
    mode = { kind: 'replaceWhere', condition: reader.sqlText('a condition', beforeQuery) }
  }
  const byName = namedFirst || reader.accept('BY', 'NAME')
  // `(SELECT …)` is a query, `(a, b)` are columns.
  const listed = !byName && reader.looks('(') && !queryWords.some((word) => reader.peek(1) === word)
  const columns: readonly Path[] | null = listed ? reader.enclosed(() => reader.path('a column')) : null
  if (!startsQuery(reader)) throw reader.expected('SELECT', 'VALUES', 'FROM', 'WITH', 'TABLE')
  const query = reader.sqlText('a query')
  return { kind: 'insert', at, table, mode, columns, byName, with: ctes, query }
}

export function readUpdate(reader: TokenReader, at: Position): Update {
  const table = reader.path('a table')
  const alias = reader.alias()
  reader.expect('SET')
  const set = readAssignments(reader, (one) => one.looks('WHERE'))
  return { kind: 'update', at, table, alias, set, where: readWhere(reader) }
}

export function readDelete(reader: TokenReader, at: Position): Delete {
  reader.expect('FROM')
  const table = reader.path('a table')
  const alias = reader.alias()
  return { kind: 'delete', at, table, alias, where: readWhere(reader) }
}

export function readTruncate(reader: TokenReader, at: Position): Truncate {
  reader.accept('TABLE')
  return { kind: 'truncate', at, table: reader.path('a table') }
}

function readWhere(reader: TokenReader): SqlText | null {
  return reader.accept('WHERE') ? reader.sqlText('a condition') : null
}

function readAssignments(reader: TokenReader, stop: Stop): readonly Assignment[] {
  const taken = new Set<string>()
  return reader.list(() => {
    const column = reader.path('a column')
    const key = column.parts.join('\u0000').toLowerCase()
    if (taken.has(key))
      throw reader.error(column.at.offset, `${column.parts.join('.')} is set twice.`, 'Keep one of them.')
    taken.add(key)
    reader.expect('=')
    return { column, value: readValue(reader, (one) => one.looks(',') || stop(one)) }
  })
}

/** An expression, or null for a lone DEFAULT. */
function readValue(reader: TokenReader, stop: Stop): SqlText | null {
  if (reader.accept('DEFAULT')) return null
  return reader.sqlText('an expression', stop)
}

const beforeWhen: Stop = (reader) => reader.looks('WHEN', 'MATCHED') || reader.looks('WHEN', 'NOT', 'MATCHED')

export function readMerge(reader: TokenReader, at: Position): Merge {
  reader.expect('INTO')
  const table = reader.path('a table')
  const alias = reader.alias()
  reader.expect('USING')
  const source = readMergeSource(reader)
  reader.expect('ON')
  const on = reader.sqlText('a condition', beforeWhen)
  const clauses: MergeClause[] = []
  while (reader.looks('WHEN')) clauses.push(readMergeClause(reader))
  if (clauses.length === 0) throw reader.expected('WHEN')
  requireOrder(reader, clauses)
  return { kind: 'merge', at, table, alias, source, on, clauses }
}

/** A clause without a condition takes every row that reaches it: one behind it would never be reached. */
function requireOrder(reader: TokenReader, clauses: readonly MergeClause[]): void {
  const closed = new Set<MergeClause['when']>()
  for (const clause of clauses) {
    if (closed.has(clause.when))
      throw reader.error(
        clause.at.offset,
        'This clause is never reached: an earlier one of its kind has no condition.',
        'Give the earlier one a condition, or put it last.',
      )
    if (clause.condition === null) closed.add(clause.when)
  }
}

function readMergeSource(reader: TokenReader): MergeSource {
  const query = reader.looks('(')
  let from: SqlText
  if (query) {
    reader.skip()
    if (!startsQuery(reader)) throw reader.expected('SELECT', 'VALUES', 'FROM', 'WITH')
    from = reader.sqlText('a query')
    reader.expect(')')
  } else {
    from = readSourceTable(reader)
  }
  const alias = reader.alias()
  const columns = alias && reader.looks('(') ? reader.enclosed(() => reader.name('a column')) : []
  return { kind: query ? 'query' : 'table', from, alias, columns }
}

/** A table's name and its version: up to the alias or ON. */
function readSourceTable(reader: TokenReader): SqlText {
  if (!reader.isName()) throw reader.expected('a table', '(')
  const whole = reader.lookAhead(() => reader.sqlText('a table', (one) => one.looks('ON')))
  const travel = whole.travels[0]
  if (travel?.start === 0) {
    const end = whole.at.offset + travel.end
    return reader.sqlText('a table', (one) => (one.token?.start ?? 0) >= end)
  }
  const start = reader.here().offset
  const path = reader.lookAhead(() => {
    reader.path('a table')
    return reader.here().offset
  })
  return reader.sqlText('a table', (one) => (one.token?.start ?? start) >= path)
}

function readMergeClause(reader: TokenReader): MergeClause {
  const at = reader.here()
  reader.expect('WHEN')
  const not = reader.accept('NOT')
  reader.expect('MATCHED')
  let when: MergeClause['when'] = not ? 'notMatched' : 'matched'
  if (not && reader.accept('BY') && reader.oneOf('SOURCE', 'TARGET') === 'SOURCE') when = 'notMatchedBySource'
  const condition = reader.accept('AND') ? reader.sqlText('a condition', (one) => one.looks('THEN')) : null
  reader.expect('THEN')
  return { at, when, condition, action: readMergeAction(reader, when) }
}

function readMergeAction(reader: TokenReader, when: MergeClause['when']): MergeAction {
  if (when === 'notMatched') {
    reader.expect('INSERT')
    if (reader.accept('*')) return { kind: 'insertAll' }
    const columns = reader.looks('(') ? reader.enclosed(() => reader.path('a column')) : null
    const { offset } = reader.here()
    reader.expect('VALUES')
    const values = reader.enclosed(() => readValue(reader, (one) => one.looks(',')))
    if (columns && columns.length !== values.length)
      throw reader.error(
        offset,
        `There are ${values.length} values for ${columns.length} columns.`,
        'Give one value per column.',
      )
    return { kind: 'insert', columns, values }
  }
  if (reader.oneOf('UPDATE', 'DELETE') === 'DELETE') return { kind: 'delete' }
  reader.expect('SET')
  if (when === 'matched' && reader.accept('*')) return { kind: 'updateAll' }
  return { kind: 'update', set: readAssignments(reader, beforeWhen) }
}
