import { LimnError, nearest, type TableId } from '../base/index.ts'

export interface GraphNode {
  readonly id: TableId
  readonly inputs: readonly TableId[]
  readonly file?: string
}

/** Datasets and what they read. `order` is topological, by id among those that are ready. */
export interface Graph {
  readonly order: readonly TableId[]
  readonly inputs: ReadonlyMap<TableId, readonly TableId[]>
}

/** Throws `dataset/duplicate-name`, `dataset/unknown-reference` or `dataset/cycle`. */
export function buildGraph(nodes: readonly GraphNode[]): Graph {
  const byId = new Map<TableId, GraphNode>()
  for (const node of nodes) {
    const other = byId.get(node.id)
    if (other) {
      throw new LimnError('dataset/duplicate-name', {
        message: `Two datasets are named ${node.id}: in ${other.file ?? '?'} and ${node.file ?? '?'}.`,
        notDone: 'Nothing was run.',
        remedy: 'Rename one of them.',
        ...(node.file === undefined ? {} : { location: { file: node.file } }),
      })
    }
    byId.set(node.id, node)
  }
  for (const node of nodes) for (const input of node.inputs) requireKnown(byId, node, input)
  return { order: order(byId), inputs: new Map(nodes.map((node) => [node.id, node.inputs])) }
}

function requireKnown(byId: ReadonlyMap<TableId, GraphNode>, node: GraphNode, input: TableId): void {
  if (byId.has(input)) return
  const close = nearest(input, byId.keys())
  throw new LimnError('dataset/unknown-reference', {
    message: `${node.id} reads ${input}, which no dataset defines.`,
    notDone: 'Nothing was run.',
    remedy: close ? `Did you mean ${close}?` : 'Define it, or correct the name.',
    ...(node.file === undefined ? {} : { location: { file: node.file } }),
  })
}

function order(byId: ReadonlyMap<TableId, GraphNode>): readonly TableId[] {
  const out: TableId[] = []
  const placed = new Set<TableId>()
  const waiting = [...byId.values()].sort((a, b) => (a.id < b.id ? -1 : 1))
  while (waiting.length > 0) {
    const at = waiting.findIndex((node) => node.inputs.every((input) => placed.has(input)))
    const [ready] = at < 0 ? [] : waiting.splice(at, 1)
    if (!ready) throw cycle(byId, waiting)
    placed.add(ready.id)
    out.push(ready.id)
  }
  return out
}

function cycle(byId: ReadonlyMap<TableId, GraphNode>, stuck: readonly GraphNode[]): LimnError {
  const inCycle = new Set(stuck.map((node) => node.id))
  const path: TableId[] = []
  for (let at = stuck[0]?.id; at !== undefined; at = byId.get(at)?.inputs.find((input) => inCycle.has(input))) {
    const again = path.indexOf(at)
    if (again >= 0) {
      path.splice(0, again)
      path.push(at)
      break
    }
    path.push(at)
  }
  const files = [...new Set(path.flatMap((id) => byId.get(id)?.file ?? []))]
  const [file] = files
  return new LimnError('dataset/cycle', {
    message: `Datasets read each other in a cycle: ${path.join(' ← ')} (${files.join(', ')}).`,
    notDone: 'Nothing was run.',
    remedy: 'Break the cycle: one of them must not read the other.',
    ...(file === undefined ? {} : { location: { file } }),
  })
}

/** Everything a dataset depends on, itself excluded. */
export function ancestors(graph: Graph, id: TableId): ReadonlySet<TableId> {
  const out = new Set<TableId>()
  const visit = (at: TableId) => {
    for (const input of graph.inputs.get(at) ?? []) {
      if (out.has(input)) continue
      out.add(input)
      visit(input)
    }
  }
  visit(id)
  return out
}

/** Everything that depends on a dataset, itself excluded. */
export function descendants(graph: Graph, id: TableId): ReadonlySet<TableId> {
  return new Set(graph.order.filter((other) => ancestors(graph, other).has(id)))
}
