import { randomUuid, type TableId } from '../base/index.ts'
import { createTableUpdates, type LoadedTable, type PartitionSpec, type SortOrder } from '../iceberg/index.ts'
import type { Schema } from '../schema/index.ts'
import { append, type ChangeResult, type RowSource } from './change.ts'
import { committed, conflict } from './commit.ts'
import type { TableContext } from './context.ts'
import { transaction } from './transaction.ts'

/** What a new table is like. */
export interface TableShape {
  readonly location: string
  readonly schema: Schema
  readonly spec: PartitionSpec
  readonly sortOrder?: SortOrder
  /** Default 2. */
  readonly formatVersion?: 2 | 3
  readonly properties?: Readonly<Record<string, string>>
}

/** Creates an empty table. Throws `catalog/conflict` when it exists. */
export async function createTable(context: TableContext, table: TableId, shape: TableShape): Promise<LoadedTable> {
  const updates = createTableUpdates({
    ...shape,
    tableUuid: randomUuid(context.randomness),
    properties: shape.properties ?? {},
  })
  const outcome = await context.catalog.commit([{ table, requirements: [{ type: 'assert-create' }], updates }], {
    timestampMs: context.clock.nowMs(),
    signal: context.signal,
  })
  const loaded = committed(outcome, table).get(table)
  if (!loaded) throw conflict(table, 'it was not created')
  return loaded
}

/**
 * Creates a table with the rows of a query, in one commit: there is no moment at which it is there and empty. Throws
 * `catalog/conflict` when it exists.
 */
export async function createTableAs(
  context: TableContext,
  table: TableId,
  shape: TableShape,
  rows: RowSource,
): Promise<ChangeResult> {
  return transaction(context, async (inside) => {
    await createTable(inside, table, shape)
    return append(inside, table, rows)
  })
}
