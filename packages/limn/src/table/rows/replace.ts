import { join } from 'node:path'
import type { TableId } from '../../base/index.ts'
import { applyUpdates, type DataFile, freshShape, partitionKey, type ScanTask } from '../../iceberg/index.ts'
import { type ChangeOptions, changeTable } from '../commit/commit.ts'
import type { TableContext } from '../context.ts'
import { liveTableTasks } from '../read/read.ts'
import type { TableShape } from '../shape/create.ts'
import { layoutOf, writeRows } from '../write/write.ts'
import type { RowSource } from './change.ts'
import { type ChangedFiles, changedFiles } from './target-rows.ts'

export interface ReplaceResult extends ChangedFiles {
  readonly snapshotId: bigint | null
  readonly written: number
}

/**
 * Replaces, in one snapshot, the partitions in which a query has rows by those rows; other partitions stay. Partitions are
 * those of the current spec: files of earlier specs stay too, unless the table is not partitioned, when everything goes.
 */
export function overwritePartitions(
  context: TableContext,
  table: TableId,
  rows: RowSource,
  options: ChangeOptions = {},
): Promise<ReplaceResult> {
  return changeTable(context, table, options, async ({ pin, layout, folder }) => {
    await using session = await context.engine.session(rows.tables ?? [], { signal: context.signal })
    const added = await writeRows(context, session, rows.sql, layout, join(folder, 'rows'))
    const whole = layout.spec.fields.every((field) => field.transform.kind === 'void')
    const keys = new Set(added.map(partitionKey))
    const live: readonly ScanTask[] = await liveTableTasks(context, pin)
    const removed = live.map((task) => task.file).filter((file) => whole || keys.has(partitionKey(file)))
    const result = { written: rowsOf(added), ...changedFiles(added, removed) }
    if (added.length === 0 && !whole) return { change: null, result }
    const within = whole
      ? ({ kind: 'rows', predicate: { kind: 'true' } } as const)
      : ({ kind: 'partitions', specId: layout.spec.specId, keys } as const)
    const serializable = (options.isolation ?? 'serializable') === 'serializable'
    return {
      change: {
        operation: 'overwrite',
        added,
        removed,
        written: added.map((file) => file.path),
        checks: serializable ? [{ kind: 'untouched', within }] : [{ kind: 'noAddedDeletes', within }],
        summary: { 'replace-partitions': 'true' },
      },
      result,
    }
  })
}

/**
 * Gives a table a new shape and new rows in one commit, keeping its identity and history: earlier snapshots stay readable,
 * columns of the same name keep their field ids. Properties are added to those there are.
 */
export function replaceTable(
  context: TableContext,
  table: TableId,
  shape: Pick<TableShape, 'schema' | 'spec' | 'sortOrder' | 'properties'>,
  rows: RowSource,
  options: ChangeOptions = {},
): Promise<ReplaceResult> {
  return changeTable(context, table, options, async ({ pin, folder }) => {
    const updates = freshShape(pin.metadata, shape)
    const next = applyUpdates(pin.metadata, updates, { timestampMs: pin.metadata.lastUpdatedMs })
    await using session = await context.engine.session(rows.tables ?? [], { signal: context.signal })
    const added = await writeRows(context, session, rows.sql, layoutOf(next), join(folder, 'rows'))
    const removed: readonly DataFile[] = (await liveTableTasks(context, pin)).map((task) => task.file)
    return {
      change: {
        operation: 'overwrite',
        added,
        removed: [],
        written: added.map((file) => file.path),
        updates,
        startsEmpty: true,
        checks: [{ kind: 'untouched', within: { kind: 'rows', predicate: { kind: 'true' } } }],
      },
      result: { written: rowsOf(added), ...changedFiles(added, removed) },
    }
  })
}

function rowsOf(files: readonly DataFile[]): number {
  return files.reduce((sum, file) => sum + Number(file.recordCount), 0)
}
