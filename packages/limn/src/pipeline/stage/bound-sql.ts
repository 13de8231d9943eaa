import { invariant } from '../../base/index.ts'
import { formatMicros, type Interval } from '../../dataset/index.ts'
import { substituteParameters } from '../../sql/index.ts'
import type { Node } from '../project/node.ts'

/** The model's SQL for one build, parameters as literals. */
export function boundSql(node: Node, interval: Interval | null): string {
  invariant(node.query, `${node.id} is a model`)
  return boundQuery(node.query.text, node.shape, interval)
}

/** A query with its interval as literals of the interval column's type. */
export function boundQuery(text: string, shape: Node['shape'], interval: Interval | null): string {
  if (shape.kind !== 'interval' || interval === null) return text
  const type = shape.columnType === 'date' ? 'DATE' : shape.columnType === 'timestamptz' ? 'TIMESTAMPTZ' : 'TIMESTAMP'
  const literal = (at: number) => {
    const text = formatMicros(at).replace('T', ' ')
    return type === 'DATE' ? `DATE '${text.slice(0, 10)}'` : `${type} '${text}${type === 'TIMESTAMPTZ' ? '+00' : ''}'`
  }
  return substituteParameters(text, {
    interval_start: literal(interval.start),
    interval_end: literal(interval.end),
  })
}
