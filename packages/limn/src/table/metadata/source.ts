import type { Datum } from '../../engine/index.ts'
import type { TableMetadata } from '../../iceberg/index.ts'
import type { Field, Schema, Type } from '../../schema/index.ts'
import type { TableContext } from '../context.ts'

/** What metadata tables are read from. Store and engine open delete files alone. */
export interface Source extends Pick<TableContext, 'manifests' | 'store' | 'engine' | 'signal'> {
  readonly metadata: TableMetadata
}

/** Rows in batches, values in the order of the schema's columns. */
export type Rows = AsyncGenerator<readonly (readonly Datum[])[]>

/** Rows handed over at a time. */
export const batchRowsMax = 2048

export function column(id: number, name: string, type: Type, required = false): Field {
  return { id, name, required, type }
}

export function schemaOf(fields: readonly Field[]): Schema {
  return { schemaId: 0, identifierFieldIds: [], fields }
}

/** Milliseconds as an instant of limn's: microseconds. */
export function microsOf(timestampMs: number): bigint {
  return BigInt(Math.trunc(timestampMs)) * 1000n
}
