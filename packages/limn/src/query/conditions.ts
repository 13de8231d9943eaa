import type { TableId } from '../base/index.ts'
import { quoteIdentifier, type SqlText } from '../sql/index.ts'
import type { TableContext } from '../table/index.ts'
import { placed } from './rewrite.ts'
import { type BoundSelect, bindSelect, describeSelect, type SelectOptions } from './select.ts'

/** The table whose rows an expression is about, and the name the statement gives it. */
export interface Subject {
  readonly table: TableId
  readonly alias: string | null
}

/** An expression over a table's rows, checked against its columns, with the other tables it reads. */
export interface BoundExpression extends AsyncDisposable {
  readonly sql: string
  /** The tables that subqueries read, bound under the names they have in `sql`; the subject's rows are not. */
  readonly select: BoundSelect
  /** DuckDB's name of its type. */
  readonly type: string
}

/** `namespace.name [AS alias]`. */
export function subjectSql(subject: Subject): string {
  const name = subject.table.split('.').map(quoteIdentifier).join('.')
  return subject.alias === null ? name : `${name} AS ${quoteIdentifier(subject.alias)}`
}

/**
 * Binds an expression over a table's rows. Throws `sql/…` at its place in the statement for what is not understood,
 * before anything is read.
 */
export async function bindExpression(
  context: TableContext,
  subject: Subject,
  expression: SqlText,
  kind: 'condition' | 'value',
  options: SelectOptions = {},
): Promise<BoundExpression> {
  const word = kind === 'condition' ? 'WHERE' : 'SELECT'
  const text = placed(expression, `FROM ${subjectSql(subject)} ${word} `)
  const before = text.text.length - expression.text.length
  const select = await bindSelect(context, text, { ...options, subject: { table: subject.table, offset: before } })
  try {
    const [column] = await describeSelect(context, select)
    return {
      // Everything before the expression kept its length: it names no version.
      sql: select.sql.slice(before),
      select,
      type: column?.type ?? '',
      [Symbol.asyncDispose]: () => select[Symbol.asyncDispose](),
    }
  } catch (error) {
    await select[Symbol.asyncDispose]()
    throw error
  }
}
