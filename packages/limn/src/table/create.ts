import { join } from 'node:path'
import { randomPositiveLong, randomUuid, type TableId } from '../base/index.ts'
import {
  applyUpdates,
  createTableUpdates,
  type LoadedTable,
  type PartitionSpec,
  type SortOrder,
  stageSnapshot,
} from '../iceberg/index.ts'
import type { Schema } from '../schema/index.ts'
import type { ChangeResult, RowSource } from './change.ts'
import { committed, conflict } from './commit.ts'
import type { TableContext } from './context.ts'
import { sumsOf } from './target-rows.ts'
import { layoutOf, writeRows } from './write.ts'

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
  const { store, manifests, steps, randomness, clock, signal } = context
  const timestampMs = clock.nowMs()
  const created = createTableUpdates({
    ...shape,
    tableUuid: randomUuid(randomness),
    properties: shape.properties ?? {},
  })
  const base = applyUpdates(null, created, { timestampMs })
  await using scratch = await store.scratch({ signal })
  await using session = await context.engine.session(rows.tables ?? [], { signal })
  const added = await writeRows(context, session, rows.sql, layoutOf(base), join(scratch.folder, 'rows'))
  const snapshotId = randomPositiveLong(randomness)
  const staged = await stageSnapshot({
    store,
    manifests,
    steps,
    randomness,
    base,
    parentSnapshotId: null,
    ref: 'main',
    operation: 'append',
    added,
    removed: [],
    snapshotId,
    timestampMs,
    signal,
  })
  const outcome = await context.catalog.commit(
    [{ table, requirements: [{ type: 'assert-create' }], updates: [...created, ...staged.updates] }],
    { timestampMs, signal },
  )
  if (outcome.kind === 'conflict')
    await store.delete([...added.map((file) => file.path), ...staged.written], { signal })
  committed(outcome, table)
  return { snapshotId, inserted: sumsOf(added).rows, added, removed: [] }
}
