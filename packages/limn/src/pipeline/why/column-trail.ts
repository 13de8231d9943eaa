import type { TableId } from '../../base/index.ts'
import { columnItem, columnsNamed, rootOf, tablesJoined } from '../../sql/index.ts'
import type { Code, WhyBook } from './book.ts'
import { expressionText } from './code-change.ts'
import { serialized } from './variant.ts'

/** How one column of a dataset is computed. */
export interface ColumnStep {
  readonly dataset: TableId
  readonly column: string
  /** As SQL; null: it is delivered so, or it is not known. */
  readonly expression: string | null
  readonly from: readonly { readonly dataset: TableId; readonly column: string }[]
  /** What could not be followed; empty when nothing. */
  readonly note: string
}

/**
 * Follows a column down by the expressions that compute it, breadth first. An expression is followed where the outermost
 * SELECT computes it from tables it names; what a common table expression or a subquery does is said to be unknown.
 */
export async function columnTrail(
  book: WhyBook,
  table: TableId,
  column: string,
  codeOf: (dataset: TableId) => Promise<Code | null>,
): Promise<readonly ColumnStep[]> {
  await using session = await book.context.engine.session([], { signal: book.context.signal })
  const template = await serialized(session, 'SELECT 1')
  const out: ColumnStep[] = []
  const queue = [{ dataset: table, column }]
  const seen = new Set<string>()
  for (let next = queue.shift(); next; next = queue.shift()) {
    const key = `${next.dataset}.${next.column}`
    if (seen.has(key)) continue
    seen.add(key)
    const code = await codeOf(next.dataset)
    if (!code) {
      out.push({ ...next, expression: null, from: [], note: 'its definition is not remembered' })
      continue
    }
    if (code.source) {
      out.push({ ...next, expression: null, from: [], note: 'delivered so' })
      continue
    }
    const item = columnItem(code.tree, next.column)
    if (item === null) {
      const why =
        rootOf(code.tree)?.type === 'SELECT_NODE'
          ? 'no expression of its query has this name'
          : 'its query is no single SELECT'
      const shared = sameName(book, code, next.column)
      out.push({ ...next, expression: null, from: shared, note: shared.length > 0 ? `${why}; followed by name` : why })
      queue.push(...shared)
      continue
    }
    const { from, lost } = resolve(book, code, columnsNamed(item))
    const expression = await expressionText(session, item, template)
    out.push({ ...next, expression, from, note: lost.length > 0 ? `not followed: ${lost.join(', ')}` : '' })
    queue.push(...from)
  }
  return out
}

function hasColumn(book: WhyBook, dataset: TableId, column: string): boolean {
  return column in (book.context.project.nodes.get(dataset)?.contract.columns ?? {})
}

function sameName(book: WhyBook, code: Code, column: string): ColumnStep['from'] {
  return [...code.edges.keys()].filter((id) => hasColumn(book, id, column)).map((dataset) => ({ dataset, column }))
}

/** The inputs' columns that names in an expression stand for. */
function resolve(book: WhyBook, code: Code, names: readonly (readonly string[])[]) {
  const joined = tablesJoined(code.tree)
  const from: { dataset: TableId; column: string }[] = []
  const lost: string[] = []
  for (const path of names) {
    const [column = '', qualifier] = [path.at(-1), path.at(-2)]
    const tables = joined.filter(
      (one) => qualifier === undefined || one.alias.toLowerCase() === qualifier.toLowerCase(),
    )
    const found = tables.map((one) => one.table as TableId).filter((id) => hasColumn(book, id, column))
    if (found.length === 0) lost.push(path.join('.'))
    for (const dataset of found)
      if (!from.some((one) => one.dataset === dataset && one.column === column)) from.push({ dataset, column })
  }
  return { from, lost }
}
