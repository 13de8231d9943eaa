import type { TableId } from '../../base/index.ts'
import { stringifyJson } from '../../encoding/index.ts'
import { columnItem, lineageOf } from '../../sql/index.ts'
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
 * Follows a column down by the expressions that compute it, breadth first, through common table expressions and subqueries.
 * Columns that only decide which rows there are are not followed.
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
    const lineage = lineageOf(stringifyJson(code.tree), columnsOf(book))
    const found = lineage.columns.find((one) => one.name === next.column)
    if (!found) {
      out.push({ ...next, expression: null, from: [], note: 'no expression of its query is known by this name' })
      continue
    }
    const from: { dataset: TableId; column: string }[] = []
    const whole: string[] = []
    for (const [id, columns] of [...found.uses].sort(([a], [b]) => (a < b ? -1 : 1)))
      if (columns === 'all') whole.push(id)
      else for (const one of [...columns].sort()) from.push({ dataset: id as TableId, column: one })
    const item = found.tree ?? columnItem(code.tree, next.column)
    const expression = item === null ? next.column : await expressionText(session, item, template)
    const note = whole.length > 0 ? `which columns of ${whole.join(', ')} it uses is not known` : ''
    out.push({ ...next, expression, from, note })
    queue.push(...from)
  }
  return out
}

/** The columns of every dataset, by its contract. */
function columnsOf(book: WhyBook): ReadonlyMap<string, readonly string[]> {
  return new Map(
    [...book.context.project.nodes].map(([id, node]): readonly [string, readonly string[]] => [
      id,
      Object.keys(node.contract.columns),
    ]),
  )
}
