import { LimnError } from '../base/index.ts'
import type { OutputColumn } from '../engine/index.ts'
import type { Field, Schema } from '../schema/index.ts'
import { lexSql, type Merge, type MergeClause, type MergeSource, quoteIdentifier, type SqlText } from '../sql/index.ts'
import {
  aliasOf,
  layoutOf,
  mergeRows,
  type MergeAction as RowAction,
  type MergeClause as RowClause,
  type TableContext,
} from '../table/index.ts'
import { again } from './again.ts'
import { newValues } from './assignments.ts'
import { Bindings, rowsOf, type Scope, tableSql } from './bindings.ts'
import { type OwnerOf, targetOf } from './guard.ts'
import { loadTarget } from './names.ts'
import { requiredSql, topColumn } from './project.ts'
import type { RowsChanged } from './result.ts'
import { followed, placed } from './rewrite.ts'
import { readAtOf, type SelectOptions } from './select.ts'
import { changedOf } from './totals.ts'

/** Runs a MERGE in one snapshot. */
export function runMerge(
  context: TableContext,
  statement: Merge,
  owner: OwnerOf,
  options: SelectOptions,
): Promise<RowsChanged> {
  const target = targetOf(statement.table, owner)
  return again(async () => {
    const { schema } = layoutOf((await loadTarget(context, target)).metadata)
    const bindings = new Bindings(context, statement, options)
    const { sql, output } = await bindings.query(sourceQuery(statement.source))
    const row = statement.alias?.text ?? aliasOf(target.table)
    const from = sourceAlias(statement, row)
    const given = output.map(({ name, type }) => `CAST(NULL AS ${type}) AS ${quoteIdentifier(name)}`)
    const sourceSql = `(SELECT ${given.join(', ')}) AS ${quoteIdentifier(from)}`
    const subject = target.table
    const targetSql = `${tableSql(subject)} AS ${quoteIdentifier(row)}`
    const plan = new ClausePlan(bindings, schema, output, {
      row,
      from,
      both: { subject, from: `${targetSql}, ${sourceSql}`, real: false },
      source: { subject, from: sourceSql, real: false },
      target: { ...rowsOf(subject, row), real: false },
    })
    const on = await bindings.expression(plan.names.both, statement.on, 'condition')
    const clauses: RowClause[] = []
    for (const clause of statement.clauses) clauses.push(await plan.clause(clause))
    await using open = await bindings.open()
    const change = await mergeRows(
      context,
      target.table,
      { source: { sql, tables: open.bound }, on, clauses, targetAlias: row, sourceAlias: from },
      { branch: target.branch, onConflict: 'fail', ...readAtOf(bindings.heads, target) },
    )
    const { inserted, updated, deleted, copied } = change
    return changedOf('merge', target, change, { inserted, updated, deleted, copied })
  })
}

/** The source as a query; its columns under the names the statement gives them. */
function sourceQuery({ kind, from, columns }: MergeSource): SqlText {
  const names = columns.map((name) => quoteIdentifier(name.text)).join(', ')
  const alias = columns.length > 0 ? ` AS limn_given(${names})` : ''
  if (kind === 'table') return followed(placed(from, 'SELECT * FROM '), alias)
  return columns.length > 0 ? followed(placed(from, 'SELECT * FROM ('), `)${alias}`) : placed(from)
}

function sourceAlias(statement: Merge, row: string): string {
  const { alias, from, kind } = statement.source
  const travelled = from.travels[0]?.table
  // Of `namespace.name.branch_x` the name, as in a query.
  const named = kind === 'table' ? (travelled ?? from.text.split('.').map(unquoted))[1] : undefined
  const name = alias?.text ?? named ?? (row === 'source' ? 'source_row' : 'source')
  if (name.toLowerCase() !== row.toLowerCase()) return name
  const { line, column } = from.at
  throw new LimnError('sql/invalid', {
    message: `Line ${line}, column ${column}: the table and its source are both called ${name}.`,
    notDone: 'Nothing was run.',
    remedy: 'Give them aliases: MERGE INTO a.t AS t USING b.t AS s ON …',
  })
}

function unquoted(part: string): string {
  return part.trim().replace(/^["`](.*)["`]$/, '$1')
}

interface Names {
  readonly row: string
  readonly from: string
  readonly both: Scope
  readonly source: Scope
  readonly target: Scope
}

/** Binds clauses, each in the scope that SQL gives it. */
class ClausePlan {
  readonly names: Names
  private readonly bindings: Bindings
  private readonly schema: Schema
  private readonly output: readonly OutputColumn[]

  constructor(bindings: Bindings, schema: Schema, output: readonly OutputColumn[], names: Names) {
    this.bindings = bindings
    this.schema = schema
    this.output = output
    this.names = names
  }

  async clause({ when, condition, action, at }: MergeClause): Promise<RowClause> {
    const { names, schema } = this
    const scope = when === 'matched' ? names.both : when === 'notMatched' ? names.source : names.target
    const bind = (text: SqlText, kind: 'condition' | 'value') => this.bound(when, scope, text, kind)
    const and = condition ? { and: await bind(condition, 'condition') } : {}
    const done = (act: RowAction): RowClause => ({ when, ...and, action: act })
    switch (action.kind) {
      case 'delete':
        return done({ kind: 'delete' })
      case 'update': {
        const set = []
        for (const { column, value } of action.set) set.push({ column, sql: value && (await bind(value, 'value')) })
        const values = newValues(schema, set, (field) => this.present(field))
        return done({ kind: 'update', set: Object.fromEntries(values) })
      }
      case 'updateAll':
        return done({ kind: 'update', set: this.everything(at) })
      case 'insertAll':
        return done({ kind: 'insert', values: this.everything(at) })
      case 'insert': {
        const columns = action.columns?.map((path) => topColumn(schema, path, names.row)) ?? schema.fields
        if (columns.length !== action.values.length)
          throw new LimnError('sql/invalid', {
            message: `Line ${at.line}, column ${at.column}: there are ${action.values.length} values for ${columns.length} columns (${columns.map((one) => one.name).join(', ')}).`,
            notDone: 'Nothing was run.',
            remedy: 'Give one value per column, or list the columns: INSERT (a, b) VALUES (…).',
          })
        const twice = columns.find((field, i) => columns.indexOf(field) !== i)
        if (twice)
          throw new LimnError('sql/invalid', {
            message: `${twice.name} is given twice.`,
            notDone: 'Nothing was run.',
            remedy: 'Keep one of them.',
          })
        const values: Record<string, string> = {}
        for (const [i, field] of columns.entries()) {
          const value = action.values[i] ?? null
          if (value) values[field.name] = requiredSql(field, await bind(value, 'value'))
        }
        return done({ kind: 'insert', values })
      }
    }
  }

  /**
   * A row without a match has no source, but is written in one pass with others that have: a bare column that both have
   * is the table's there.
   */
  private async bound(
    when: MergeClause['when'],
    scope: Scope,
    text: SqlText,
    kind: 'condition' | 'value',
  ): Promise<string> {
    const sql = await this.bindings.expression(scope, text, kind)
    if (when !== 'notMatchedBySource') return sql
    if (!this.namesShared(sql)) return sql
    const columns = this.schema.fields.map((field) => `${this.present(field)} AS ${quoteIdentifier(field.name)}`)
    return `(SELECT (${sql}) FROM (SELECT ${columns.join(', ')}) AS ${quoteIdentifier(this.names.row)})`
  }

  /** Whether a bare name in a text is that of a column of both. */
  private namesShared(sql: string): boolean {
    const shared = new Set(
      this.schema.fields.flatMap((field) => (this.sourceColumn(field) ? [field.name.toLowerCase()] : [])),
    )
    return lexSql(sql).some(
      ({ start, end }) => sql[start - 1] !== '.' && shared.has(unquoted(sql.slice(start, end)).toLowerCase()),
    )
  }

  private present(field: Field): string {
    return `${quoteIdentifier(this.names.row)}.${quoteIdentifier(field.name)}`
  }

  private sourceColumn(field: Field): OutputColumn | undefined {
    return (
      this.output.find((one) => one.name === field.name) ??
      this.output.find((one) => one.name.toLowerCase() === field.name.toLowerCase())
    )
  }

  /** Every column of the table from the source, by name. */
  private everything(at: MergeClause['at']): Readonly<Record<string, string>> {
    const entries = this.schema.fields.map((field): [string, string] => {
      const column = this.sourceColumn(field)
      if (!column)
        throw new LimnError('sql/unknown-column', {
          message: `Line ${at.line}, column ${at.column}: the source has no column ${field.name}, which * takes from it.`,
          notDone: 'Nothing was run.',
          remedy: 'Add it to the source, or name the columns one by one.',
        })
      const value = `${quoteIdentifier(this.names.from)}.${quoteIdentifier(column.name)}`
      return [field.name, requiredSql(field, value)]
    })
    return Object.fromEntries(entries)
  }
}
