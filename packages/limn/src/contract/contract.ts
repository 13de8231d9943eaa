import type { TableId } from '../base/index.ts'
import type { PrimitiveType } from '../schema/index.ts'
import type { Check } from './checks.ts'
import type { MaintainPolicy } from './maintain.ts'

/** Whether a measure may be summed: over every dimension, over all but time, or not at all. */
export type Additivity = 'additive' | 'semi-additive' | 'non-additive'

export interface ColumnContract {
  readonly type: PrimitiveType
  readonly doc?: string
  /** Unit of a measure: `min`, `mi`, `EUR`. */
  readonly unit?: string
  readonly additivity?: Additivity
  /** What null means. A column without it is required: a null in it fails the gate. */
  readonly nulls?: string
  /** Texts in a source that stand for null, besides the format's own. Needs `nulls`. */
  readonly nullSentinels?: readonly string[]
}

export type Columns = Readonly<Record<string, ColumnContract>>

/** `month(scheduled_at)`, `day(day)`, `bucket(16, id)`, `truncate(4, code)`, or a column's own name for identity. */
export type PartitionTerm = string

/** Rows of a model for which `when` (an SQL condition over its columns) is true go to quarantine instead of the table. */
export interface RejectRule {
  readonly name: string
  readonly when: string
  /** Said of each rejected row. Default: the name. */
  readonly reason?: string
}

/** How many rejected rows of one delivery or build are tolerated; more is an error and nothing is published. */
export interface RejectBudget {
  /** Rows. Default 0. */
  readonly rows?: number
  /** Share of the rows read, 0…1. Default 0. The larger of the two allowances counts. */
  readonly ratio?: number
}

/**
 * What a backfill may change of an interval and still be published without being asked about. `rows`: the share of its rows
 * that may come, go or change, 0…1; not limited where only `sums` are stated. `sums`: by how much the sum of a column may
 * move, below 1 a share of the sum before, else an amount; of other columns nothing is asked.
 */
export interface Tolerance {
  readonly rows?: number
  readonly sums?: Readonly<Record<string, number>>
}

/** What a dataset promises. A value: it is validated, compared and enforced, and executes nothing. */
export interface Contract {
  readonly id: TableId
  readonly doc: string
  readonly owner: string
  /** The columns that say what one row is. */
  readonly grain: readonly string[]
  /** Together unique and never null; empty when the dataset promises no key (bronze). */
  readonly keys: readonly string[]
  readonly columns: Columns
  readonly partition: readonly PartitionTerm[]
  readonly checks: readonly Check[]
  readonly rejects: readonly RejectRule[]
  readonly rejectBudget: RejectBudget
  readonly tags: readonly string[]
  /** How `limn maintain` keeps the table in order. Default: `MaintainPolicy`'s. */
  readonly maintain?: MaintainPolicy
  /** What a backfill may change without approval. Default: nothing. */
  readonly tolerance?: Tolerance
}
