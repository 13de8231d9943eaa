import { type TableId, tableId } from '../../packages/limn/src/base/index.ts'
import { buildGraph, noTiming } from '../../packages/limn/src/dataset/index.ts'
import type { LedgerRow } from '../../packages/limn/src/pipeline/ledger/ledger.ts'
import type { Node, Project } from '../../packages/limn/src/pipeline/project/node.ts'

/** A project that is nothing but its graph: datasets built whole, by what they read. */
export function projectOf(inputs: Readonly<Record<string, readonly string[]>>): Project {
  const nodes = new Map<TableId, Node>()
  for (const [name, reads] of Object.entries(inputs)) {
    const id = tableId(name)
    nodes.set(id, {
      id,
      file: 'x',
      shape: { kind: 'whole' },
      query: null,
      fingerprint: 'f',
      checksHash: 'c',
      checkInputs: [],
      timing: noTiming,
      lineage: null,
      reads: new Map(),
      edges: new Map(reads.map((input) => [tableId(input), { reads: { kind: 'all' }, touches: null }])),
      contract: {
        id,
        doc: '',
        owner: '',
        grain: [],
        keys: [],
        columns: {},
        partition: [],
        checks: [],
        rejects: [],
        rejectBudget: {},
        tags: [],
      },
      producer: { kind: 'model', build: { kind: 'whole', query: () => ({ kind: 'sql', text: '' }) }, edges: {} },
    })
  }
  const graph = buildGraph([...nodes.values()].map((node) => ({ id: node.id, inputs: [...node.edges.keys()] })))
  return { order: graph.order, nodes }
}

/** A ledger row; what is not given says nothing. */
export function ledgerRow(given: Partial<LedgerRow>): LedgerRow {
  return {
    seq: 1,
    run: '20260101T000000-000001',
    dataset: 'x.y',
    outcome: 'built',
    reason: '',
    planned: '[]',
    interval: null,
    fingerprint: 'f',
    checksHash: 'c',
    deliveries: [],
    inputs: {},
    baseSnapshot: null,
    outputSnapshot: null,
    rows: 0,
    files: 0,
    bytes: 0,
    quarantined: 0,
    startedAtMs: 0,
    judgedAtMs: 0,
    seconds: 0,
    version: '0',
    host: 'h',
    message: '',
    ...given,
  }
}
