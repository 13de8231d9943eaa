import { join } from 'node:path'
import type { TableId } from '../../base/index.ts'
import type { Bound } from '../../engine/index.ts'
import type { DataFile, ScanTask } from '../../iceberg/index.ts'
import { quoteIdentifier, quoteText } from '../../sql/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { type ChangeOptions, changeTable, type Worked, type Working } from '../commit/commit.ts'
import { schemaOfPin, type TableContext } from '../context.ts'
import { writeRows } from '../write/write.ts'
import { writePositionDeletes } from '../write/write-deletes.ts'
import {
  aliasOf,
  type ChangedFiles,
  candidates,
  changedFiles,
  columnList,
  isolationOf,
  liveRows,
  modeOf,
  openTarget,
  rowChecks,
  rowsWithout,
  sharedTable,
  targetName,
} from './target-rows.ts'

export interface DeleteRowsInput {
  /** An SQL condition over the table's columns. Rows for which it is true go; false and null stay. */
  readonly filter: string
  /** Qualifies columns in the filter. Default: the table's name without its namespace. */
  readonly alias?: string
  /** Tables that subqueries of the filter read. */
  readonly tables?: readonly Bound[]
}

export interface DeleteRowsResult extends ChangedFiles {
  /** Null when no row was to be deleted: nothing was committed. */
  readonly snapshotId: bigint | null
  readonly deleted: number
  /** Rows that stayed and were written again. */
  readonly copied: number
}

/**
 * Deletes rows in one snapshot. A file whose rows surely all match, by its partition and bounds, goes without being read.
 * Others are written again without the matching rows (`write.delete.mode` = `copy-on-write`, the default) or kept, with
 * delete files beside them (`merge-on-read`): position deletes in version 2, deletion vectors in version 3. Row ids stay.
 * Throws what `changeTable` does, and `sql/…` for a filter that does not fit the table.
 */
export function deleteRows(
  context: TableContext,
  table: TableId,
  input: DeleteRowsInput,
  options: ChangeOptions = {},
): Promise<DeleteRowsResult> {
  return changeTable(context, table, options, (working) => work(context, table, input, options, working))
}

/** Deletes every row, by metadata alone. */
export function truncateTable(
  context: TableContext,
  table: TableId,
  options: ChangeOptions = {},
): Promise<DeleteRowsResult> {
  return deleteRows(context, table, { filter: 'TRUE' }, options)
}

type Result = Omit<DeleteRowsResult, 'snapshotId'>

async function work(
  context: TableContext,
  table: TableId,
  input: DeleteRowsInput,
  options: ChangeOptions,
  working: Working,
): Promise<Worked<Result>> {
  const { pin, layout, folder } = working
  const alias = input.alias ?? aliasOf(table)
  const { fields } = schemaOfPin(pin)
  const tables = input.tables ?? []
  const condition = await context.engine.condition(
    input.filter,
    { id: table, alias, columns: fields },
    new Map(tables.map((one) => [one.id, one.schema.fields])),
  )
  const { whole, some } = await candidates(context, pin, condition)
  const mode = modeOf(pin, 'write.delete.mode')
  await using target = await openTarget(
    context,
    pin,
    [...some, ...whole.filter((task) => liveRows(task) === null)],
    tables,
  )
  const { session } = target
  const from = `${targetName} AS ${quoteIdentifier(alias)}`
  await session.exec(`CREATE TABLE limn_hits AS SELECT _file, _pos FROM ${from} WHERE (${input.filter})`)
  const { rows } = await session.rows('SELECT _file, count(*) FROM limn_hits GROUP BY _file')
  const hits = new Map(rows.map(([file, count]) => [String(file), BigInt(String(count))]))
  const drop: ScanTask[] = [...whole]
  const partly: ScanTask[] = []
  let deleted = 0n
  for (const task of whole) deleted += liveRows(task) ?? hits.get(task.file.path) ?? 0n
  for (const task of some) {
    const count = hits.get(task.file.path) ?? 0n
    deleted += count
    if (count === 0n) continue
    if (count === liveRows(task)) drop.push(task)
    else partly.push(task)
  }
  const removed: DataFile[] = drop.map((task) => task.file)
  const added: DataFile[] = []
  const written: StorePath[] = []
  let copied = 0n
  if (mode === 'copy-on-write' && partly.length > 0) {
    const lineage = pin.metadata.formatVersion >= 3
    await using source = await openTarget(context, pin, partly, tables)
    const extra = lineage ? ', _row_id, _last_updated_sequence_number' : ''
    const sql = rowsWithout(await sharedTable(session, 'limn_hits'), alias, `${columnList(fields)}${extra}`)
    const kept = await writeRows(context, source.session, sql, layout, join(folder, 'kept'), { lineage })
    added.push(...kept)
    written.push(...kept.map((file) => file.path))
    copied = kept.reduce((sum, file) => sum + file.recordCount, 0n)
    removed.push(...partly.map((task) => task.file))
  } else if (partly.length > 0) {
    const paths = drop.map((task) => quoteText(task.file.path))
    if (paths.length > 0) await session.exec(`DELETE FROM limn_hits WHERE _file IN (${paths.join(', ')})`)
    const { metadata } = pin
    const deletes = await writePositionDeletes(context, {
      metadata,
      layout,
      session,
      from: 'limn_hits',
      tasks: partly,
      folder: join(folder, 'deletes'),
    })
    added.push(...deletes.added)
    removed.push(...deletes.removed)
    written.push(...deletes.written)
  }
  const result = { deleted: Number(deleted), copied: Number(copied), ...changedFiles(added, removed) }
  if (added.length === 0 && removed.length === 0) return { change: null, result }
  const merged = mode === 'merge-on-read'
  const checks = rowChecks({
    isolation: isolationOf(pin, 'delete', options.isolation),
    predicate: condition.atMost,
    rewritten: merged ? [] : partly,
    referenced: merged ? partly : [],
    vectors: pin.metadata.formatVersion >= 3,
    keepsRows: false,
  })
  const operation = added.some((file) => file.content === 0) ? 'overwrite' : 'delete'
  return { change: { operation, added, removed, written, checks }, result }
}
