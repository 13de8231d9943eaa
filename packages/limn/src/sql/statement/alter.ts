import { readColumnOptions, readProperties, readSortTerm, readTerm, readType } from './columns.ts'
import { readUnset } from './create.ts'
import type { TokenReader } from './reader.ts'
import { readRef } from './refs.ts'
import type { AddedColumn, AlterAction, AlterTable, ColumnChange, ColumnPlace, Path, Position } from './tree.ts'

/** ALTER TABLE, Iceberg's extensions included. Begins behind `ALTER TABLE`. */
export function readAlterTable(reader: TokenReader, at: Position): AlterTable {
  const table = reader.path('a table')
  return { kind: 'alterTable', at, table, action: readAction(reader) }
}

function readAction(reader: TokenReader): AlterAction {
  const verb = reader.oneOf('ADD', 'ALTER', 'CHANGE', 'CREATE', 'DROP', 'RENAME', 'REPLACE', 'SET', 'UNSET', 'WRITE')
  switch (verb) {
    case 'ADD':
      return readAdd(reader)
    case 'ALTER':
    case 'CHANGE':
      return readAlterColumn(reader)
    case 'CREATE': {
      const replace = reader.accept('OR', 'REPLACE')
      return readRef(reader, reader.oneOf('BRANCH', 'TAG'), replace ? 'createOrReplace' : 'create')
    }
    case 'DROP':
      return readDrop(reader)
    case 'RENAME':
      return readRename(reader)
    case 'REPLACE':
      return readReplace(reader)
    case 'SET':
      return readSet(reader)
    case 'UNSET':
      return readUnset(reader)
    case 'WRITE':
      return readWrite(reader)
  }
}

function readAdd(reader: TokenReader): AlterAction {
  if (reader.accept('PARTITION', 'FIELD')) {
    const term = readTerm(reader)
    return { kind: 'addPartitionField', term, name: reader.accept('AS') ? reader.name() : null }
  }
  if (reader.looks('PARTITION')) reader.expect('PARTITION', 'FIELD')
  const word = reader.oneOf('COLUMN', 'COLUMNS', 'PARTITION FIELD')
  const columns =
    word !== 'PARTITION FIELD' && reader.looks('(')
      ? reader.enclosed(() => readAdded(reader))
      : reader.list(() => readAdded(reader))
  return { kind: 'addColumns', columns }
}

function readAdded(reader: TokenReader): AddedColumn {
  const column = reader.path('a column')
  const type = readType(reader)
  const before = readColumnOptions(reader)
  const place = readPlace(reader)
  // Spark has the place behind the comment, others before it.
  const after = place ? readColumnOptions(reader) : before
  return {
    column,
    type,
    required: before.required || after.required,
    defaultValue: before.defaultValue ?? after.defaultValue,
    comment: before.comment ?? after.comment,
    place,
  }
}

function readPlace(reader: TokenReader): ColumnPlace | null {
  if (reader.accept('FIRST')) return { kind: 'first' }
  return reader.accept('AFTER') ? { kind: 'after', column: reader.name('a column') } : null
}

function readAlterColumn(reader: TokenReader): AlterAction {
  reader.accept('COLUMN')
  const column = reader.path('a column')
  return { kind: 'alterColumn', column, change: readChange(reader) }
}

function readChange(reader: TokenReader): ColumnChange {
  const place = readPlace(reader)
  if (place) return { kind: 'place', place }
  switch (reader.oneOf('TYPE', 'COMMENT', 'SET', 'DROP', 'FIRST', 'AFTER')) {
    case 'TYPE':
      return { kind: 'type', type: readType(reader) }
    case 'COMMENT':
      return { kind: 'comment', comment: reader.string('a comment') }
    case 'SET':
      if (reader.oneOf('NOT', 'DEFAULT') === 'DEFAULT')
        return { kind: 'setDefault', value: reader.sqlText('a default value') }
      reader.expect('NULL')
      return { kind: 'setNotNull' }
    default:
      if (reader.oneOf('NOT', 'DEFAULT') === 'DEFAULT') return { kind: 'dropDefault' }
      reader.expect('NULL')
      return { kind: 'dropNotNull' }
  }
}

function readDrop(reader: TokenReader): AlterAction {
  switch (reader.oneOf('COLUMN', 'COLUMNS', 'PARTITION', 'IDENTIFIER', 'BRANCH', 'TAG')) {
    case 'PARTITION':
      reader.expect('FIELD')
      return { kind: 'dropPartitionField', term: readTerm(reader) }
    case 'IDENTIFIER':
      reader.expect('FIELDS')
      return { kind: 'dropIdentifierFields', columns: readPaths(reader) }
    case 'BRANCH':
      return { kind: 'dropRef', type: 'branch', ifExists: reader.accept('IF', 'EXISTS'), name: reader.name('a branch') }
    case 'TAG':
      return { kind: 'dropRef', type: 'tag', ifExists: reader.accept('IF', 'EXISTS'), name: reader.name('a tag') }
    default: {
      const ifExists = reader.accept('IF', 'EXISTS')
      return { kind: 'dropColumns', ifExists, columns: readPaths(reader) }
    }
  }
}

/** `a, b.c` with or without parentheses. */
function readPaths(reader: TokenReader): readonly Path[] {
  const one = () => reader.path('a column')
  return reader.looks('(') ? reader.enclosed(one) : reader.list(one)
}

function readRename(reader: TokenReader): AlterAction {
  if (reader.oneOf('TO', 'COLUMN') === 'TO') return { kind: 'rename', to: reader.path('a table') }
  const column = reader.path('a column')
  reader.expect('TO')
  return { kind: 'renameColumn', column, to: reader.name('a column') }
}

function readReplace(reader: TokenReader): AlterAction {
  const word = reader.oneOf('PARTITION', 'BRANCH', 'TAG')
  if (word !== 'PARTITION') return readRef(reader, word, 'replace')
  reader.expect('FIELD')
  const term = readTerm(reader)
  reader.expect('WITH')
  const by = readTerm(reader)
  return { kind: 'replacePartitionField', term, by, name: reader.accept('AS') ? reader.name() : null }
}

function readSet(reader: TokenReader): AlterAction {
  switch (reader.oneOf('TBLPROPERTIES', 'LOCATION', 'IDENTIFIER')) {
    case 'TBLPROPERTIES':
      return { kind: 'setProperties', properties: readProperties(reader) }
    case 'LOCATION':
      return { kind: 'setLocation', location: reader.string('a location') }
    case 'IDENTIFIER':
      reader.expect('FIELDS')
      return { kind: 'setIdentifierFields', columns: readPaths(reader) }
  }
}

/** Distribution and order in either order: `DISTRIBUTED BY PARTITION`, `[LOCALLY] ORDERED BY …`, `UNORDERED`. */
function readWrite(reader: TokenReader): AlterAction {
  let hash = false
  let order: 'unordered' | 'local' | 'global' | null = null
  let terms: Extract<AlterAction, { kind: 'writeOrder' }>['order'] = []
  for (;;) {
    if (!hash && reader.accept('DISTRIBUTED')) {
      reader.expect('BY', 'PARTITION')
      hash = true
    } else if (order === null && reader.accept('UNORDERED')) {
      order = 'unordered'
    } else if (order === null && (reader.looks('LOCALLY') || reader.looks('ORDERED'))) {
      order = reader.accept('LOCALLY') ? 'local' : 'global'
      reader.expect('ORDERED', 'BY')
      terms = reader.looks('(') ? reader.enclosed(() => readSortTerm(reader)) : reader.list(() => readSortTerm(reader))
    } else break
  }
  if (!hash && order === null) throw reader.expected('DISTRIBUTED', 'LOCALLY', 'ORDERED', 'UNORDERED')
  return { kind: 'writeOrder', distribution: hash ? 'hash' : order === 'global' ? 'range' : 'none', order: terms }
}
