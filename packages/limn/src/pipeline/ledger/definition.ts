import { type TableId, tableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import type { Edge, Producer } from '../../dataset/index.ts'
import { allEdges, type Node, type Shape } from '../project/node.ts'

/** The definitions that ledger rows speak of by fingerprint: published in the commit that first uses them. */
export const definitionTable = tableId('limn.definition')

/** How a producer's rows come to be, as far as it can be written down. */
export type DefinedProducer =
  | { readonly kind: 'model'; readonly build: 'whole' | 'interval' }
  | {
      readonly kind: 'files'
      readonly glob: string
      readonly format: string
      readonly withdrawn: string
      readonly csv: unknown
    }
  | { readonly kind: 'function'; readonly version: string }
  | { readonly kind: 'iceberg'; readonly table: string; readonly ref: string }

/** A dataset as it was defined when a fingerprint was first used. */
export interface Definition {
  readonly dataset: TableId
  readonly fingerprint: string
  readonly checksHash: string
  /** Of a model, with its parameters standing; empty for a source. */
  readonly sql: string
  /** The syntax tree without positions; empty for a source. */
  readonly tree: string
  readonly contract: Contract
  readonly producer: DefinedProducer
  readonly shape: Shape
  readonly edges: Readonly<Record<string, Edge>>
  /** The file it stood in, relative to the lake. */
  readonly file: string
  /** The run that first used it. */
  readonly run: string
  readonly definedAtMs: number
  readonly version: string
}

/** A dataset's present definition, in the form in which it is remembered. */
export function definitionOfNode(node: Node): Omit<Definition, 'run' | 'definedAtMs' | 'version'> {
  return {
    dataset: node.id,
    fingerprint: node.fingerprint,
    checksHash: node.checksHash,
    sql: node.query?.text ?? '',
    tree: node.query?.canonical ?? '',
    contract: node.contract,
    producer: definedProducer(node.producer),
    shape: node.shape,
    edges: Object.fromEntries(allEdges(node)),
    file: node.file,
  }
}

function definedProducer(producer: Producer): DefinedProducer {
  if (producer.kind === 'model') return { kind: 'model', build: producer.build.kind }
  const { input } = producer
  switch (input.kind) {
    case 'files': {
      const { glob, format, withdrawn } = input
      return { kind: 'files', glob, format, withdrawn, csv: format === 'csv' ? input.csv : null }
    }
    case 'function':
      return { kind: 'function', version: input.version }
    case 'iceberg':
      return { kind: 'iceberg', table: input.table, ref: input.ref }
  }
}

/** The contract of `limn.definition`: analysts may read it like any table. */
export const definitionContract: Contract = {
  id: definitionTable,
  doc: 'One row per dataset, fingerprint and checks that a ledger row names: what the dataset was defined as.',
  owner: 'limn',
  grain: ['dataset', 'fingerprint', 'checks_hash'],
  keys: [],
  columns: {
    dataset: { type: 'string', doc: 'The dataset.' },
    fingerprint: { type: 'string', doc: 'Hash of everything that decides a build.' },
    checks_hash: { type: 'string', doc: 'Hash of the checks.' },
    sql: { type: 'string', doc: 'The SQL of a model, its interval as parameters; empty for a source.' },
    sql_tree: { type: 'string', doc: 'JSON: its syntax tree without positions; empty for a source.' },
    contract: { type: 'string', doc: 'JSON: the contract.' },
    producer: { type: 'string', doc: 'JSON: kind and settings of what makes the rows.' },
    shape: { type: 'string', doc: 'JSON: how the rows are divided into intervals.' },
    edges: { type: 'string', doc: 'JSON object: input dataset to what is read of it and what its rows touch.' },
    file: { type: 'string', doc: 'The file it stood in, relative to the lake.' },
    run_id: { type: 'string', doc: 'The run that first used it.' },
    defined_at: { type: 'timestamptz', doc: 'When the gate of that run had judged.' },
    limn_version: { type: 'string', doc: 'Version of limn.' },
  },
  partition: ['month(defined_at)'],
  checks: [],
  rejects: [],
  rejectBudget: {},
  tags: [],
}
