import { readAlterTable } from './alter.ts'
import { readDelete, readInsert, readMerge, readTruncate, readUpdate } from './change.ts'
import { readType } from './columns.ts'
import { readAlterView, readCreate, readDrop, readReplace } from './create.ts'
import { TokenReader } from './reader.ts'
import type { Call, Position, Query, Show, SqlText, Statement, TypeNode } from './tree.ts'

/** Words that begin a query of DuckDB's, read-only all of them. */
const queryHeads = ['SELECT', 'FROM', 'VALUES', 'TABLE', '(', 'PIVOT', 'UNPIVOT', 'SUMMARIZE'] as const
const heads = [
  'SELECT',
  'WITH',
  'INSERT',
  'UPDATE',
  'DELETE',
  'MERGE',
  'TRUNCATE',
  'CREATE',
  'REPLACE',
  'DROP',
  'ALTER',
  'SHOW',
  'DESCRIBE',
  'CALL',
] as const

/**
 * Reads one statement. The grammar of statements is Spark's with Iceberg's extensions, that of expressions and queries
 * DuckDB's; those stay text and are not judged here. Throws `sql/syntax` saying where, what was expected and which word
 * comes near; a trailing `;` is allowed.
 */
export function parseStatement(text: string): Statement {
  const reader = new TokenReader(text)
  const statement = readStatement(reader)
  reader.end()
  return statement
}

/** Reads a type by any of the spellings a statement may use. Throws `sql/syntax`. */
export function parseType(text: string): TypeNode {
  const reader = new TokenReader(text)
  const type = readType(reader)
  reader.end()
  return type
}

function readStatement(reader: TokenReader): Statement {
  const at = reader.here()
  if (queryHeads.some((word) => reader.looks(word))) return readQuery(reader, at)
  if (reader.looks('WITH')) return readWith(reader, at)
  if (reader.looks('DESC')) reader.skip()
  else if (reader.ended || !heads.some((word) => reader.looks(word))) throw reader.expected(...heads)
  switch (reader.peek(-1) === 'DESC' ? 'DESC' : reader.oneOf(...heads)) {
    case 'INSERT':
      return readInsert(reader, at, null)
    case 'UPDATE':
      return readUpdate(reader, at)
    case 'DELETE':
      return readDelete(reader, at)
    case 'MERGE':
      return readMerge(reader, at)
    case 'TRUNCATE':
      return readTruncate(reader, at)
    case 'CREATE':
      return readCreate(reader, at)
    case 'REPLACE':
      return readReplace(reader, at)
    case 'DROP':
      return readDrop(reader, at)
    case 'ALTER':
      return reader.oneOf('TABLE', 'VIEW') === 'VIEW' ? readAlterView(reader, at) : readAlterTable(reader, at)
    case 'SHOW':
      return readShow(reader, at)
    case 'CALL':
      return readCall(reader, at)
    default:
      return readDescribe(reader, at)
  }
}

function readQuery(reader: TokenReader, at: Position): Query {
  return { kind: 'query', at, query: reader.sqlText('a query') }
}

/** `WITH … SELECT` is a query; `WITH … INSERT` an insert whose query may name what stands before it. */
function readWith(reader: TokenReader, at: Position): Statement {
  const changes = ['INSERT', 'UPDATE', 'DELETE', 'MERGE']
  const found = reader.lookAhead(() => {
    reader.sqlText('a query', (one) => changes.some((word) => one.looks(word)) && one.peek(-1) === ')')
    return reader.peek()
  })
  if (!changes.includes(found)) return readQuery(reader, at)
  reader.skip()
  const ctes: SqlText = reader.sqlText('common table expressions', (one) => one.looks(found) && one.peek(-1) === ')')
  if (found !== 'INSERT')
    throw reader.error(reader.here().offset, `${found} does not take WITH before it.`, 'Put WITH into its query.')
  reader.skip()
  return readInsert(reader, at, ctes)
}

function readShow(reader: TokenReader, at: Position): Show {
  const word = reader.oneOf('TABLES', 'VIEWS', 'TBLPROPERTIES', 'CREATE', 'COLUMNS')
  switch (word) {
    case 'TABLES':
    case 'VIEWS': {
      const within = reader.accept('IN') || reader.accept('FROM')
      const namespace = within ? reader.name('a namespace') : null
      return { kind: 'show', at, what: { kind: word === 'VIEWS' ? 'views' : 'tables', namespace } }
    }
    case 'TBLPROPERTIES':
      return { kind: 'show', at, what: { kind: 'properties', table: reader.path('a table') } }
    case 'CREATE':
      if (reader.oneOf('TABLE', 'VIEW') === 'VIEW')
        return { kind: 'show', at, what: { kind: 'createView', view: reader.path('a view') } }
      return { kind: 'show', at, what: { kind: 'createTable', table: reader.path('a table') } }
    case 'COLUMNS':
      if (!reader.accept('FROM')) reader.expect('IN')
      return { kind: 'show', at, what: { kind: 'columns', table: reader.path('a table') } }
  }
}

/** `DESCRIBE [TABLE | VIEW] t` tells a table's columns or a view's, `DESCRIBE SELECT …` (DuckDB's) a query's. */
function readDescribe(reader: TokenReader, at: Position): Show | Query {
  if (['SELECT', 'WITH', 'FROM', 'VALUES', '('].some((word) => reader.looks(word))) {
    reader.skip(-1)
    return readQuery(reader, at)
  }
  if (!reader.accept('TABLE')) reader.accept('VIEW')
  return { kind: 'show', at, what: { kind: 'columns', table: reader.path('a table') } }
}

function readCall(reader: TokenReader, at: Position): Call {
  const procedure = reader.path('a procedure')
  reader.expect('(')
  if (reader.accept(')')) return { kind: 'call', at, procedure, arguments: [] }
  const given = reader.list(() => {
    const named = ['word', 'quoted'].includes(reader.kindAt()) && reader.peek(1) === '=' && reader.peek(2) === '>'
    // An argument's name may be a reserved word: `table => 'a.t'`.
    const at = reader.here()
    const name = named ? { at, text: reader.kindAt() === 'word' ? reader.word() : reader.name().text } : null
    if (named) reader.skip(2)
    return { name, value: reader.sqlText('a value', (one) => one.looks(',')) }
  })
  if (!reader.accept(')')) throw reader.expected(',', ')')
  return { kind: 'call', at, procedure, arguments: given }
}
