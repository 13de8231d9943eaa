import { readColumnDefinition, readProperties, readPropertyKey, readTerm } from './columns.ts'
import type { TokenReader } from './reader.ts'
import type {
  AlterView,
  ColumnDefinition,
  CreateTable,
  CreateView,
  DropTable,
  DropView,
  Position,
  Property,
  Term,
} from './tree.ts'

/** CREATE, REPLACE and DROP of tables and views, and ALTER VIEW. Each begins behind its first word. */

export function readCreate(reader: TokenReader, at: Position): CreateTable | CreateView {
  const replace = reader.accept('OR', 'REPLACE')
  if (reader.oneOf('TABLE', 'VIEW') === 'VIEW') return readView(reader, at, replace)
  return readTable(reader, at, replace ? 'createOrReplace' : 'create')
}

export function readReplace(reader: TokenReader, at: Position): CreateTable {
  reader.expect('TABLE')
  return readTable(reader, at, 'replace')
}

function ifNotExists(reader: TokenReader, allowed: boolean): boolean {
  const { offset } = reader.here()
  if (!reader.accept('IF', 'NOT', 'EXISTS')) return false
  if (allowed) return true
  throw reader.error(offset, 'A replaced thing may exist: IF NOT EXISTS contradicts OR REPLACE.', 'Keep one of them.')
}

function readTable(reader: TokenReader, at: Position, create: CreateTable['create']): CreateTable {
  const unless = ifNotExists(reader, create === 'create')
  const table = reader.path('a table')
  const { offset } = reader.here()
  const columns: readonly ColumnDefinition[] = reader.looks('(')
    ? reader.enclosed(() => readColumnDefinition(reader))
    : []
  requireDistinct(reader, columns)
  const clauses = readClauses(reader, true)
  const query = reader.accept('AS') ? reader.sqlText('a query') : null
  if (query === null && columns.length === 0) {
    if (reader.ended || reader.looks(';'))
      throw reader.error(offset, 'The table has no columns.', 'List them in parentheses, or write AS and a query.')
    throw reader.expected(...clauseWords(true), 'AS')
  }
  if (query !== null && columns.length > 0)
    throw reader.error(offset, 'Columns and a query are both given.', 'Leave the columns out: the query has them.')
  return { kind: 'createTable', at, create, ifNotExists: unless, table, columns, ...clauses, query }
}

function requireDistinct(reader: TokenReader, columns: readonly ColumnDefinition[]): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    const key = name.text.toLowerCase()
    if (seen.has(key))
      throw reader.error(name.at.offset, `There are two columns ${name.text}.`, 'Give each column its own name.')
    seen.add(key)
  }
}

function clauseWords(table: boolean): readonly string[] {
  return table ? ['USING', 'PARTITIONED BY', 'LOCATION', 'COMMENT', 'TBLPROPERTIES'] : ['COMMENT', 'TBLPROPERTIES']
}

/** The clauses between the columns and the query, in any order, each once. */
function readClauses(reader: TokenReader, table: boolean) {
  let partitionedBy: readonly Term[] = []
  let location: string | null = null
  let comment: string | null = null
  let properties: readonly Property[] = []
  const taken = new Set<string>()
  const once = (clause: string, ...words: readonly string[]) => {
    const { offset } = reader.here()
    if (!reader.accept(...words)) return false
    if (taken.has(clause)) throw reader.error(offset, `${clause} is given twice.`, 'Keep one of them.')
    taken.add(clause)
    return true
  }
  for (;;) {
    if (table && once('USING', 'USING')) readProvider(reader)
    else if (table && once('PARTITIONED BY', 'PARTITIONED', 'BY'))
      partitionedBy = reader.enclosed(() => readTerm(reader))
    else if (table && once('LOCATION', 'LOCATION')) location = reader.string('a location')
    else if (once('COMMENT', 'COMMENT')) comment = reader.string('a comment')
    else if (once('TBLPROPERTIES', 'TBLPROPERTIES')) properties = readProperties(reader)
    else return { partitionedBy, location, comment, properties }
  }
}

function readProvider(reader: TokenReader): void {
  const { at, text } = reader.name('iceberg')
  if (text.toLowerCase() !== 'iceberg')
    throw reader.error(at.offset, `limn makes no ${text} tables.`, 'Write USING iceberg, or leave USING out.')
}

function readView(reader: TokenReader, at: Position, replace: boolean): CreateView {
  const unless = ifNotExists(reader, !replace)
  const view = reader.path('a view')
  const columns = reader.looks('(')
    ? reader.enclosed(() => ({
        name: reader.name('a column'),
        comment: reader.accept('COMMENT') ? reader.string('a comment') : null,
      }))
    : []
  const { comment, properties } = readClauses(reader, false)
  if (!reader.accept('AS')) throw reader.expected(...clauseWords(false), 'AS')
  const query = reader.sqlText('a query')
  const create = replace ? 'createOrReplace' : 'create'
  return { kind: 'createView', at, create, ifNotExists: unless, view, columns, comment, properties, query }
}

export function readDrop(reader: TokenReader, at: Position): DropTable | DropView {
  const view = reader.oneOf('TABLE', 'VIEW') === 'VIEW'
  const ifExists = reader.accept('IF', 'EXISTS')
  if (view) return { kind: 'dropView', at, view: reader.path('a view'), ifExists }
  const table = reader.path('a table')
  return { kind: 'dropTable', at, table, ifExists, purge: reader.accept('PURGE') }
}

export function readAlterView(reader: TokenReader, at: Position): AlterView {
  const view = reader.path('a view')
  switch (reader.oneOf('SET', 'UNSET', 'RENAME', 'AS')) {
    case 'SET':
      reader.expect('TBLPROPERTIES')
      return { kind: 'alterView', at, view, action: { kind: 'setProperties', properties: readProperties(reader) } }
    case 'UNSET':
      return { kind: 'alterView', at, view, action: readUnset(reader) }
    case 'RENAME':
      reader.expect('TO')
      return { kind: 'alterView', at, view, action: { kind: 'rename', to: reader.path('a view') } }
    case 'AS':
      return { kind: 'alterView', at, view, action: { kind: 'replaceQuery', query: reader.sqlText('a query') } }
  }
}

/** `TBLPROPERTIES [IF EXISTS] (key, …)`. */
export function readUnset(reader: TokenReader) {
  reader.expect('TBLPROPERTIES')
  const ifExists = reader.accept('IF', 'EXISTS')
  return { kind: 'unsetProperties', keys: reader.enclosed(() => readPropertyKey(reader)), ifExists } as const
}
