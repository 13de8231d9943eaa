import { unreachable } from '../../base/index.ts'
import { quoteIdentifier, quoteText } from '../text.ts'
import { printAlterAction } from './print-alter.ts'
import type {
  Assignment,
  ColumnDefinition,
  CreateTable,
  CreateView,
  Insert,
  Merge,
  MergeAction,
  MergeClause,
  Name,
  Path,
  Property,
  Show,
  SqlText,
  Statement,
  Term,
  TypeNode,
} from './tree.ts'
import { isPlainName } from './words.ts'

/** A statement as text that reads back as an equal tree, positions aside. */
export function printStatement(statement: Statement): string {
  switch (statement.kind) {
    case 'query':
      return statement.query.text
    case 'insert':
      return printInsert(statement)
    case 'update':
      return `UPDATE ${printPath(statement.table)}${printAlias(statement.alias)} SET ${printAssignments(statement.set)}${printWhere(statement.where)}`
    case 'delete':
      return `DELETE FROM ${printPath(statement.table)}${printAlias(statement.alias)}${printWhere(statement.where)}`
    case 'truncate':
      return `TRUNCATE TABLE ${printPath(statement.table)}`
    case 'merge':
      return printMerge(statement)
    case 'createTable':
      return printCreateTable(statement)
    case 'dropTable':
      return `DROP TABLE ${statement.ifExists ? 'IF EXISTS ' : ''}${printPath(statement.table)}${statement.purge ? ' PURGE' : ''}`
    case 'createView':
      return printCreateView(statement)
    case 'dropView':
      return `DROP VIEW ${statement.ifExists ? 'IF EXISTS ' : ''}${printPath(statement.view)}`
    case 'alterView': {
      const { action } = statement
      const change = action.kind === 'replaceQuery' ? `AS ${action.query.text}` : printAlterAction(action)
      return `ALTER VIEW ${printPath(statement.view)} ${change}`
    }
    case 'alterTable':
      return `ALTER TABLE ${printPath(statement.table)} ${printAlterAction(statement.action)}`
    case 'show':
      return printShow(statement)
    case 'call': {
      const given = statement.arguments.map((one) => `${one.name ? `${printName(one.name)} => ` : ''}${one.value.text}`)
      return `CALL ${printPath(statement.procedure)}(${given.join(', ')})`
    }
    default:
      return unreachable(statement)
  }
}

export function printName(name: Name): string {
  return printWord(name.text)
}

function printWord(text: string): string {
  return isPlainName(text) ? text : quoteIdentifier(text)
}

export function printPath(path: Path): string {
  return path.parts.map(printWord).join('.')
}

function printAlias(alias: Name | null): string {
  return alias ? ` AS ${printName(alias)}` : ''
}

function printWhere(where: SqlText | null): string {
  return where ? ` WHERE ${where.text}` : ''
}

function printAssignments(set: readonly Assignment[]): string {
  return set.map((one) => `${printPath(one.column)} = ${one.value?.text ?? 'DEFAULT'}`).join(', ')
}

function enclosed(items: readonly string[]): string {
  return `(${items.join(', ')})`
}

function printInsert(statement: Insert): string {
  const { mode } = statement
  const head = statement.with ? `WITH ${statement.with.text} ` : ''
  let into = `INSERT INTO ${printPath(statement.table)}`
  if (mode.kind === 'overwrite') {
    const partition = mode.partition.map((one) => `${printPath(one.column)}${one.value ? ` = ${one.value.text}` : ''}`)
    into = `INSERT OVERWRITE ${printPath(statement.table)}${partition.length > 0 ? ` PARTITION ${enclosed(partition)}` : ''}`
  }
  const name = statement.byName ? ' BY NAME' : ''
  const where = mode.kind === 'replaceWhere' ? ` REPLACE WHERE ${mode.condition.text}` : ''
  const columns = statement.columns ? ` ${enclosed(statement.columns.map(printPath))}` : ''
  return `${head}${into}${name}${where}${columns} ${statement.query.text}`
}

function printMerge(statement: Merge): string {
  const { source } = statement
  const from = source.kind === 'query' ? `(${source.from.text}\n)` : source.from.text
  const names = source.columns.length > 0 ? ` ${enclosed(source.columns.map(printName))}` : ''
  return [
    `MERGE INTO ${printPath(statement.table)}${printAlias(statement.alias)}`,
    `USING ${from}${printAlias(source.alias)}${names}`,
    `ON ${statement.on.text}`,
    ...statement.clauses.map(printMergeClause),
  ].join('\n')
}

const whenWords: Readonly<Record<MergeClause['when'], string>> = {
  matched: 'MATCHED',
  notMatched: 'NOT MATCHED',
  notMatchedBySource: 'NOT MATCHED BY SOURCE',
}

function printMergeClause(clause: MergeClause): string {
  const condition = clause.condition ? ` AND ${clause.condition.text}` : ''
  return `WHEN ${whenWords[clause.when]}${condition} THEN ${printMergeAction(clause.action)}`
}

function printMergeAction(action: MergeAction): string {
  switch (action.kind) {
    case 'delete':
      return 'DELETE'
    case 'updateAll':
      return 'UPDATE SET *'
    case 'update':
      return `UPDATE SET ${printAssignments(action.set)}`
    case 'insertAll':
      return 'INSERT *'
    case 'insert': {
      const columns = action.columns ? `${enclosed(action.columns.map(printPath))} ` : ''
      return `INSERT ${columns}VALUES ${enclosed(action.values.map((one) => one?.text ?? 'DEFAULT'))}`
    }
  }
}

/** The clauses of CREATE from PARTITIONED BY on, each after a space. */
function printClauses(of: {
  readonly partitionedBy?: readonly Term[]
  readonly location?: string | null
  readonly comment: string | null
  readonly properties: readonly Property[]
}): string {
  const clauses = [
    of.partitionedBy && of.partitionedBy.length > 0
      ? `PARTITIONED BY ${enclosed(of.partitionedBy.map(printTerm))}`
      : '',
    typeof of.location === 'string' ? `LOCATION ${quoteText(of.location)}` : '',
    of.comment === null ? '' : `COMMENT ${quoteText(of.comment)}`,
    of.properties.length > 0 ? `TBLPROPERTIES ${printProperties(of.properties)}` : '',
  ]
  return clauses.map((clause) => (clause === '' ? '' : ` ${clause}`)).join('')
}

const createWords: Readonly<Record<CreateTable['create'], string>> = {
  create: 'CREATE',
  createOrReplace: 'CREATE OR REPLACE',
  replace: 'REPLACE',
}

function printCreateTable(statement: CreateTable): string {
  const unless = statement.ifNotExists ? ' IF NOT EXISTS' : ''
  const columns = statement.columns.length > 0 ? ` ${enclosed(statement.columns.map(printColumn))}` : ''
  const query = statement.query ? ` AS ${statement.query.text}` : ''
  return `${createWords[statement.create]} TABLE${unless} ${printPath(statement.table)}${columns}${printClauses(statement)}${query}`
}

function printCreateView(statement: CreateView): string {
  const unless = statement.ifNotExists ? ' IF NOT EXISTS' : ''
  const named = statement.columns.map((one) => `${printName(one.name)}${printComment(one.comment)}`)
  const columns = named.length > 0 ? ` ${enclosed(named)}` : ''
  return `${createWords[statement.create]} VIEW${unless} ${printPath(statement.view)}${columns}${printClauses(statement)} AS ${statement.query.text}`
}

export function printColumn(column: ColumnDefinition): string {
  return `${printName(column.name)} ${printType(column.type)}${printColumnOptions(column)}`
}

export function printColumnOptions(column: Omit<ColumnDefinition, 'name' | 'type'>): string {
  const required = column.required ? ' NOT NULL' : ''
  const value = column.defaultValue ? ` DEFAULT ${column.defaultValue.text}` : ''
  return `${required}${value}${printComment(column.comment)}`
}

function printComment(comment: string | null): string {
  return comment === null ? '' : ` COMMENT ${quoteText(comment)}`
}

export function printProperties(properties: readonly Property[]): string {
  return enclosed(properties.map((one) => `${quoteText(one.key)} = ${quoteText(one.value)}`))
}

/** A type by the names that mean the same to Spark and Iceberg, where there is one. */
export function printType(type: TypeNode): string {
  switch (type.kind) {
    case 'primitive':
      return typeNames[type.name]
    case 'decimal':
      return `DECIMAL(${type.precision}, ${type.scale})`
    case 'fixed':
      return `FIXED(${type.length})`
    case 'list':
      return `ARRAY<${printType(type.element)}>`
    case 'map':
      return `MAP<${printType(type.key)}, ${printType(type.value)}>`
    case 'struct': {
      const fields = type.fields.map(
        (field) =>
          `${printName(field.name)}: ${printType(field.type)}${field.required ? ' NOT NULL' : ''}${printComment(field.comment)}`,
      )
      return `STRUCT<${fields.join(', ')}>`
    }
  }
}

const typeNames: Readonly<Record<Extract<TypeNode, { kind: 'primitive' }>['name'], string>> = {
  boolean: 'BOOLEAN',
  int: 'INT',
  long: 'BIGINT',
  float: 'FLOAT',
  double: 'DOUBLE',
  date: 'DATE',
  time: 'TIME',
  timestamp: 'TIMESTAMP_NTZ',
  timestamptz: 'TIMESTAMP_LTZ',
  timestamp_ns: 'TIMESTAMP_NS',
  timestamptz_ns: 'TIMESTAMPTZ_NS',
  string: 'STRING',
  uuid: 'UUID',
  binary: 'BINARY',
  unknown: 'UNKNOWN',
  variant: 'VARIANT',
}

export function printTerm(term: Term): string {
  const column = printPath(term.column)
  switch (term.transform) {
    case 'identity':
      return column
    case 'bucket':
    case 'truncate':
      return `${term.transform}(${term.argument}, ${column})`
    case 'void':
      return `void(${column})`
    default:
      return `${term.transform}s(${column})`
  }
}

function printShow(statement: Show): string {
  const { what } = statement
  switch (what.kind) {
    case 'tables':
      return `SHOW TABLES${what.namespace ? ` IN ${printName(what.namespace)}` : ''}`
    case 'columns':
      return `DESCRIBE TABLE ${printPath(what.table)}`
    case 'properties':
      return `SHOW TBLPROPERTIES ${printPath(what.table)}`
    case 'createTable':
      return `SHOW CREATE TABLE ${printPath(what.table)}`
    case 'views':
      return `SHOW VIEWS${what.namespace ? ` IN ${printName(what.namespace)}` : ''}`
    case 'createView':
      return `SHOW CREATE VIEW ${printPath(what.view)}`
  }
}
