import { LimnError, nearest, type TableId } from '../base/index.ts'
import { ancestors, descendants, type Graph } from './graph.ts'

/**
 * Datasets named by patterns, in topological order: `silver.flight`, `+x` with all it depends on, `x+` with all that
 * depends on it, `gold.*`, `tag:daily`. No pattern selects all. A pattern that matches nothing throws
 * `usage/unknown-dataset` with the nearest name.
 */
export function select(
  graph: Graph,
  tagsOf: (id: TableId) => readonly string[],
  patterns: readonly string[],
): readonly TableId[] {
  if (patterns.length === 0) return graph.order
  const chosen = new Set<TableId>()
  for (const pattern of patterns) {
    const up = pattern.startsWith('+')
    const down = pattern.endsWith('+')
    const body = pattern.slice(up ? 1 : 0, down ? -1 : undefined)
    const matched = graph.order.filter(matcher(body, tagsOf))
    if (matched.length === 0) throw unknown(graph, tagsOf, pattern, body)
    for (const id of matched) {
      chosen.add(id)
      if (up) for (const other of ancestors(graph, id)) chosen.add(other)
      if (down) for (const other of descendants(graph, id)) chosen.add(other)
    }
  }
  return graph.order.filter((id) => chosen.has(id))
}

function matcher(body: string, tagsOf: (id: TableId) => readonly string[]): (id: TableId) => boolean {
  if (body.startsWith('tag:')) return (id) => tagsOf(id).includes(body.slice(4))
  if (!body.includes('*')) return (id) => id === body
  const form = new RegExp(
    `^${body
      .replaceAll(/[^a-z0-9_*.]/g, '')
      .replaceAll('.', '\\.')
      .split('*')
      .join('[a-z0-9_]*')}$`,
  )
  return (id) => form.test(id)
}

function unknown(graph: Graph, tagsOf: (id: TableId) => readonly string[], pattern: string, body: string): LimnError {
  const tags = graph.order.flatMap((id) => tagsOf(id).map((tag) => `tag:${tag}`))
  const close = nearest(body, [...graph.order, ...tags])
  return new LimnError('usage/unknown-dataset', {
    message: `"${pattern}" selects no dataset.`,
    notDone: 'Nothing was run.',
    remedy: close ? `Did you mean ${close}?` : `The datasets are ${graph.order.join(', ')}.`,
  })
}
