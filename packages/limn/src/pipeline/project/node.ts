import type { TableId } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import type { EarlierReads, Edge, IntervalUnit, Producer, Timing } from '../../dataset/index.ts'
import type { QueryLineage } from '../../sql/index.ts'

/** How a dataset's rows are divided for planning. */
export type Shape =
  | { readonly kind: 'files' }
  | { readonly kind: 'function' }
  | { readonly kind: 'iceberg' }
  | { readonly kind: 'whole' }
  | {
      readonly kind: 'interval'
      readonly column: string
      readonly columnType: 'timestamp' | 'timestamptz' | 'date'
      readonly unit: IntervalUnit
      readonly batch: IntervalUnit
      readonly start: number | null
      readonly end: number | null
    }

/** Where the SQL of a model stands, so that an error in it can name file, line and column. */
export interface QueryOrigin {
  readonly file: string
  /** Line (from 1) of the text's first character in the file. */
  readonly line: number
  /** Column (from 1) of the text's first character. */
  readonly column: number
}

export interface ModelQuery {
  /** With `$interval_start` and `$interval_end` still standing. */
  readonly text: string
  readonly origin: QueryOrigin
  /** The syntax tree without positions: two spellings of one query are equal. */
  readonly canonical: string
}

/** The columns of an input that a dataset's result, or the times that the input's rows touch, can depend on. */
export interface ColumnsRead {
  readonly columns: ReadonlySet<string> | 'all'
  /** Whether a star takes whatever columns the input has: then one that is gone mattered too. */
  readonly starred: boolean
}

/** A dataset ready to be planned and run: its definition, bound to its inputs. */
export interface Node {
  readonly id: TableId
  readonly file: string
  readonly contract: Contract
  readonly producer: Producer
  readonly timing: Timing
  readonly shape: Shape
  readonly query: ModelQuery | null
  /** One edge per input, in order of ids; itself is not among them. */
  readonly edges: ReadonlyMap<TableId, Edge>
  /** Of a dataset built by interval that reads its own table: which of its earlier intervals. */
  readonly self?: EarlierReads
  /** Where the columns of a model's query come from; null for a source. */
  readonly lineage: QueryLineage | null
  /** By input, as `edges`; with `self`, of its own columns too. */
  readonly reads: ReadonlyMap<TableId, ColumnsRead>
  /** Hash of everything that decides a build's result, and of nothing else. */
  readonly fingerprint: string
  /** Hash of the checks, which are outside the fingerprint. */
  readonly checksHash: string
  /** Former names, latest first. */
  readonly renamedFrom?: readonly TableId[]
  /** Datasets its checks read, itself excluded. */
  readonly checkInputs: readonly TableId[]
}

/** What a dataset reads, in order of ids, its own table among it where it reads that. */
export function inputsOf(node: Pick<Node, 'id' | 'edges' | 'self'>): readonly TableId[] {
  return node.self ? [...node.edges.keys(), node.id].sort() : [...node.edges.keys()]
}

/** How a dataset reads an input, or its own table. */
export function edgeTo(node: Pick<Node, 'id' | 'edges' | 'self'>, input: TableId): Edge | undefined {
  return node.self && input === node.id ? { reads: node.self, touches: null } : node.edges.get(input)
}

/** Every edge of a dataset with the one to itself, as it is remembered and compared. */
export function allEdges(node: Pick<Node, 'id' | 'edges' | 'self'>): ReadonlyMap<TableId, Edge> {
  // The one to itself last, so that another name changes no order.
  return node.self ? new Map(node.edges).set(node.id, { reads: node.self, touches: null }) : node.edges
}

/** All datasets of a lake in topological order. */
export interface Project {
  readonly order: readonly TableId[]
  readonly nodes: ReadonlyMap<TableId, Node>
}
