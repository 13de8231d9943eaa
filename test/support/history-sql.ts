import { type Column, type Draw, literal, type Operation, rowsSql } from './histories.ts'
import { type Assigned, type Assignments, type Condition, type Row, type Scalar, sqlOf } from './naive-table.ts'

type Merge = Extract<Operation, { kind: 'merge' }>

/** An operation as a statement, spelled one way or another; null: it has no statement of its own. */
export function statementOf(
  draw: Draw,
  table: string,
  columns: readonly Column[],
  operation: Operation,
): string | null {
  const typeOf = (name: string) => columns.find((one) => one.name === name)?.type ?? 'string'
  const condition = (where: Condition, prefix = '') =>
    sqlOf(where, (column, value) => literal(typeOf(column), value), prefix)
  const set = (to: Assignments, row: string, source: string) =>
    Object.entries(to)
      .map(([column, how]) => `"${column}" = ${assigned(how, typeOf(column), row, source)}`)
      .join(', ')
  const alias = ['', 'AS x', '"Żółw"'][draw(3)] ?? ''
  const row = ['', 'x.', '"Żółw".'][['', 'AS x', '"Żółw"'].indexOf(alias)] ?? ''
  const rows = (given: readonly Row[]) => rowsSql(columns, given)
  switch (operation.kind) {
    case 'append':
      return draw(2) === 0
        ? `INSERT INTO ${table} ${rows(operation.rows)}`
        : `INSERT INTO ${table} BY NAME ${rowsSql([...columns].reverse(), operation.rows)}`
    case 'overwrite':
      return `INSERT INTO ${table} REPLACE WHERE ${condition(operation.where)} ${rows(operation.rows)}`
    case 'delete':
      return `DELETE FROM ${table} ${alias} WHERE ${condition(operation.where, row)}`
    case 'update':
      return `UPDATE ${table} ${alias} SET ${set(operation.set, row, '')} WHERE ${condition(operation.where, row)};`
    case 'merge':
      return mergeOf(draw, table, columns, operation, { condition, set })
    case 'addColumn': {
      const { column, initial } = operation
      const value = initial === null ? '' : ` DEFAULT ${literal(column.type, initial)}`
      return `ALTER TABLE ${table} ADD COLUMN "${column.name}" ${column.type}${value}`
    }
    case 'dropColumn':
      return `ALTER TABLE ${table} DROP COLUMN ${operation.name}`
    case 'renameColumn':
      return `ALTER TABLE ${table} RENAME COLUMN ${operation.from} TO ${operation.to}`
    case 'widenColumn':
      return `ALTER TABLE ${table} ALTER COLUMN ${operation.name} TYPE BIGINT`
    case 'compact':
      return `CALL system.rewrite_data_files(table => '${table}', options => map('min-input-files', '1'))`
    case 'rewriteManifests':
      return `CALL system.rewrite_manifests('${table}')`
    case 'expire':
      return `CALL system.expire_snapshots('${table}', now(), 2)`
    default:
      return null
  }
}

function assigned(how: Assigned, type: Column['type'], row: string, source: string): string {
  switch (how.to) {
    case 'value':
      return literal(type, how.value as Scalar)
    case 'column':
      return `${row}"${how.column}"`
    case 'source':
      return `${source}"${how.column}"`
    case 'plus':
      return `${row}"${how.column}" + ${how.by}`
  }
}

/** Names are those of the statement, or bare where a clause has one side alone. */
function mergeOf(
  draw: Draw,
  table: string,
  columns: readonly Column[],
  { source, clauses }: Merge,
  say: {
    readonly condition: (where: Condition, prefix: string) => string
    readonly set: (to: Assignments, row: string, source: string) => string
  },
): string {
  const [into, row] = draw(2) === 0 ? [table, `${table.split('.')[1]}.`] : [`${table} AS "to"`, '"to".']
  const renamed = draw(2) === 0
  const names = columns.map((one) => `"${one.name}"`)
  const from = `(${rowsSql(columns, source)}) AS given${renamed ? ` (${names.join(', ')})` : ''}`
  const spoken = clauses.map((clause) => {
    const bare = draw(2) === 0
    const one = clause.when === 'notMatched' ? 'given.' : row
    const prefix = bare && clause.when !== 'matched' ? '' : one
    const and = clause.and ? ` AND ${say.condition(clause.and, prefix)}` : ''
    const when = { matched: 'MATCHED', notMatched: 'NOT MATCHED', notMatchedBySource: 'NOT MATCHED BY SOURCE' }[
      clause.when
    ]
    const listed = `INSERT (${names.join(', ')}) VALUES (${names.join(', ')})`
    const action =
      clause.act === 'delete'
        ? 'DELETE'
        : clause.act === 'insert'
          ? draw(2) === 0
            ? 'INSERT *'
            : listed
          : `UPDATE SET ${say.set(clause.set, prefix, 'given.')}`
    return `WHEN ${when}${and} THEN ${action}`
  })
  return `MERGE INTO ${into} USING ${from} ON ${row}id = given.id\n${spoken.join('\n')}`
}
