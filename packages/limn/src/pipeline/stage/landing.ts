import type { SourceColumn } from '../../connect/index.ts'
import { deliveryColumns } from '../../dataset/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { quoteText } from '../../sql/index.ts'
import type { Delivery } from '../ledger/ledger.ts'
import type { Node } from '../project/node.ts'

/** What landing a source's deliveries came to; nothing of it is part of a snapshot yet. */
export interface Landing {
  readonly files: readonly DataFile[]
  readonly deliveries: readonly Delivery[]
  /** Ordinals no reader sees any more after this. */
  readonly superseded: readonly number[]
  /** Up to which time all rows have been handed over, in microseconds; absent or null: nothing new is known. */
  readonly watermark?: number | null
  /** Snapshots of tables outside that were read. */
  readonly inputs?: Readonly<Record<string, bigint>>
}

/** The columns a source hands over: the contract's, without those limn adds. */
export function sourceColumns(node: Node): readonly SourceColumn[] {
  return Object.entries(node.contract.columns)
    .filter(([name]) => !(name in deliveryColumns))
    .map(([name, column]) => ({ name, type: column.type, nullSentinels: column.nullSentinels ?? [] }))
}

/** Rows of a delivery with the columns that say which one. */
export function withDelivery(rows: string, ordinal: number, path: string, run: string): string {
  return `SELECT *, ${ordinal}::INTEGER AS _delivery, ${quoteText(path)} AS _path, ${quoteText(run)} AS _run FROM (${rows})`
}
