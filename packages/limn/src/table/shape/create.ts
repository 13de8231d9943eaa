import { LimnError, randomUuid, type TableId } from '../../base/index.ts'
import { createTableUpdates, type LoadedTable, type PartitionSpec, type SortOrder } from '../../iceberg/index.ts'
import type { Schema } from '../../schema/index.ts'
import { committed, conflict } from '../commit/commit.ts'
import { transaction } from '../commit/transaction.ts'
import type { TableContext } from '../context.ts'
import { append, type ChangeResult, type RowSource, requireRows } from '../rows/change.ts'

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

/** Creates an empty table. Throws `catalog/conflict` when it exists, `usage/argument` for what is no shape. */
export async function createTable(context: TableContext, table: TableId, shape: TableShape): Promise<LoadedTable> {
  requireShape(table, shape, 'createTable')
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
 * `catalog/conflict` when it exists, `usage/argument` for what is no shape or no query.
 */
export async function createTableAs(
  context: TableContext,
  table: TableId,
  shape: TableShape,
  rows: RowSource,
): Promise<ChangeResult> {
  requireShape(table, shape, 'createTableAs')
  requireRows(rows, 'createTableAs')
  return transaction(context, async (inside) => {
    await createTable(inside, table, shape)
    return append(inside, table, rows)
  })
}

/** Callers in JavaScript have no types to tell them what is missing. */
function requireShape(table: TableId, shape: TableShape, call: string): void {
  const { location, schema, spec } = membersOf(shape)
  const missing = [
    ...(typeof location === 'string' ? [] : ['location']),
    ...(Array.isArray(membersOf(schema).fields) ? [] : ['schema']),
    ...(Array.isArray(membersOf(spec).fields) ? [] : ['spec']),
  ]
  if (missing.length === 0) return
  throw new LimnError('usage/argument', {
    message: `${call} was given no ${missing.join(', no ')} for ${table}.`,
    notDone: 'Nothing was created.',
    remedy:
      'Say what the table is like: { location, schema: { schemaId, fields, identifierFieldIds }, spec: { specId, fields } }',
  })
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
