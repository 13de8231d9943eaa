import { LimnError, type TableId } from '../base/index.ts'
import type { OutputColumn } from '../engine/index.ts'
import { quoteIdentifier, type SqlText } from '../sql/index.ts'
import type { TableContext } from '../table/index.ts'
import { placed } from './rewrite.ts'
import {
  describeSelect,
  namespacesBeside,
  type OpenTables,
  openTables,
  type PreparedSelect,
  prepareSelect,
  type ReadHead,
  type SelectOptions,
} from './select.ts'

/** What an expression of a statement may speak of. */
export interface Scope {
  /** The table whose rows it is about; whoever runs the statement binds them. */
  readonly subject: TableId
  /** What stands behind FROM. */
  readonly from: string
  /** Whether rows of the scope are the real ones: then files that no such row can meet are not opened. */
  readonly real: boolean
}

/** The rows of one table under the name the statement gives it. */
export function rowsOf(table: TableId, alias: string): Scope {
  return { subject: table, from: `${tableSql(table)} AS ${quoteIdentifier(alias)}`, real: true }
}

export function tableSql(table: TableId): string {
  return table.split('.').map(quoteIdentifier).join('.')
}

/**
 * The expressions and queries of one statement, each checked at its place in the text before anything is read, and the
 * tables they read, opened together: one session holds them all, under names that differ wherever the version does.
 */
export class Bindings {
  private readonly context: TableContext
  private readonly options: SelectOptions
  private readonly prepared: PreparedSelect[] = []

  constructor(context: TableContext, statement: unknown, options: SelectOptions) {
    this.context = context
    const text = JSON.stringify(statement, (_key, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    )
    this.options = { ...options, namespaces: namespacesBeside(text), views: new Map() }
  }

  /** A query as DuckDB reads it, and its columns. */
  async query(query: SqlText): Promise<{ readonly sql: string; readonly output: readonly OutputColumn[] }> {
    const prepared = await prepareSelect(this.context, query, this.options)
    const output = await describeSelect(this.context, prepared)
    this.prepared.push(prepared)
    return { sql: prepared.sql, output }
  }

  /**
   * An expression over a scope as DuckDB reads it. One value for each row: no aggregate and no window function, which would
   * be over whichever rows happen to be read together. Throws `sql/…` at its place in the statement.
   */
  async expression(scope: Scope, expression: SqlText, kind: 'condition' | 'value'): Promise<string> {
    const head = `FROM ${scope.from} `
    const open = kind === 'condition' ? 'WHERE (' : 'SELECT ('
    const text = placed(expression, head + open)
    const before = text.text.length - expression.text.length
    const above = text.text.slice(0, before).split('\n').length - expression.at.line
    const placedBack = (error: unknown) => {
      throw atItsPlace(error, expression, above)
    }
    const { sql, ...rest } = await prepareSelect(
      this.context,
      { ...text, text: `${text.text}\n)` },
      { ...this.options, subject: { table: scope.subject, offset: before } },
    ).catch(placedBack)
    // Everything before the expression kept its length: it names no version.
    const checked = kind === 'condition' ? sql : `${sql.replace('SELECT (', 'WHERE  (')} IS NULL`
    await describeSelect(this.context, { ...rest, sql: checked }).catch(placedBack)
    this.prepared.push({ ...rest, sql, ...(scope.real ? {} : { predicates: new Map() }) })
    return sql.slice(before, -1)
  }

  /** Branches that were read where they stood. */
  get heads(): readonly ReadHead[] {
    return this.prepared.flatMap((one) => one.heads)
  }

  /** Opens every table that was named but the subject. */
  open(): Promise<OpenTables> {
    return openTables(this.context, this.prepared)
  }
}

/**
 * An error at the place it has in the statement: the expression was checked so many lines further down, and what stands
 * behind it is its end.
 */
function atItsPlace(error: unknown, expression: SqlText, above: number): unknown {
  if (!(error instanceof LimnError)) return error
  const { line, column } = error.context
  if (typeof line !== 'number' || typeof column !== 'number') return error
  const lines = expression.text.trimEnd().split('\n')
  const last = expression.at.line + lines.length - 1
  const end = (lines.length === 1 ? expression.at.column : 1) + (lines.at(-1)?.length ?? 0)
  const place = line - above > last ? { line: last, column: end } : { line: line - above, column }
  return new LimnError(error.kind, {
    message: error.message.replace(`(line ${line}, column ${column})`, `(line ${place.line}, column ${place.column})`),
    ...(error.notDone === undefined ? {} : { notDone: error.notDone }),
    ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
    context: place,
    cause: error,
  })
}
