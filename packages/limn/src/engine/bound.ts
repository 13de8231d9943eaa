import type { TableId } from '../base/index.ts'
import type { NameMapping } from '../iceberg/index.ts'
import type { Schema, Type, Value } from '../schema/index.ts'

/** A table under a name, at certain files: what the engine needs to know to read their rows by the specification. */
export interface BoundTable {
  readonly id: TableId
  /** Columns are found by field id: a renamed one keeps its values, one that a file lacks has its default. */
  readonly schema: Schema
  readonly files: readonly BoundFile[]
  /** For files that carry no field ids: which names stand for which id. Null or absent: by position, as Java does. */
  readonly nameMapping?: NameMapping | null
  /** Other schemas of the table: key columns of equality deletes may have been dropped since. */
  readonly olderSchemas?: readonly Schema[]
  /**
   * Adds `_file`, `_pos`, `_spec_id`, `_row_id` and `_last_updated_sequence_number` behind the columns. Row ids are null
   * where the format has none.
   */
  readonly metadataColumns?: boolean
}

/** A data file. Only `local` is needed for one that has just been written and is no table's yet. */
export interface BoundFile {
  readonly local: string
  /** As the manifest spells it. */
  readonly path?: string
  /** Default `parquet`. */
  readonly format?: 'parquet' | 'avro'
  readonly specId?: number
  /** Identifies the partition among files of the same bind; equality deletes are scoped by it. */
  readonly scope?: string
  readonly dataSequenceNumber?: bigint
  readonly firstRowId?: bigint
  /** Rows of the file, deleted ones too. A hint for the planner. */
  readonly recordCount?: bigint
  /** Values of identity-partitioned columns by field id: what a file that leaves the column out holds. */
  readonly constants?: ReadonlyMap<number, Value | null>
  readonly deletes?: readonly BoundDelete[]
}

/** A delete file that applies to a data file. One file is one object, shared by all it applies to. */
export type BoundDelete =
  | {
      readonly kind: 'positions'
      readonly local: string
      readonly path: string
      readonly format: 'parquet' | 'avro'
      readonly recordCount: bigint
    }
  | {
      readonly kind: 'vector'
      readonly local: string
      readonly path: string
      readonly offset: number
      readonly length: number
      readonly cardinality: bigint
    }
  | {
      readonly kind: 'equality'
      readonly local: string
      readonly path: string
      readonly format: 'parquet' | 'avro'
      readonly recordCount: bigint
      readonly equalityIds: readonly number[]
      readonly dataSequenceNumber: bigint
      /** The one it was written for. */
      readonly partition: string
      /** The partition whose rows it is compared with. Null: those of all. */
      readonly scope: string | null
    }

/**
 * A value of any type: a struct is its fields in order, a list its elements, a map a Map by key; primitives as in `Value`.
 */
export type Datum = Value | null | readonly Datum[] | ReadonlyMap<Value, Datum>

/** A table given by its rows, under a name. */
export interface BoundRows {
  readonly id: TableId
  readonly schema: Schema
  /**
   * Its rows in batches, from the first with each call. One batch is held at a time beside what the engine holds, which
   * may spill.
   */
  rows(): AsyncIterable<readonly (readonly Datum[])[]>
}

/** A query under a name, over what is bound before it. */
export interface BoundView {
  readonly id: TableId
  readonly schema: Schema
  /** Its columns are the schema's, in order and of their types, whatever their names. */
  readonly query: string
}

/** What a session may have under a name. */
export type Bound = BoundTable | BoundRows | BoundView

/** Columns of a bound table that are no field of its schema, in order; see the specification, "Reserved Field IDs". */
export const metadataColumns: readonly { readonly name: string; readonly type: Type }[] = [
  { name: '_file', type: 'string' },
  { name: '_pos', type: 'long' },
  { name: '_spec_id', type: 'int' },
  { name: '_row_id', type: 'long' },
  { name: '_last_updated_sequence_number', type: 'long' },
]
