import { invariant, type TableId } from '../base/index.ts'
import type { BoundTable } from '../engine/index.ts'
import type { Predicate } from '../expr/index.ts'
import {
  type CommitCheck,
  type DataFile,
  type IsolationLevel,
  mightMatch,
  type ScanTask,
  schemaById,
  specById,
} from '../iceberg/index.ts'
import type { StorePath } from '../storage/index.ts'
import { bindFiles } from './bind.ts'
import { type ChangeOptions, changeTable } from './commit.ts'
import type { PinnedTable, TableContext } from './context.ts'
import { leaseFiles, liveTableTasks } from './read.ts'
import { type Layout, putFiles, writeLocal } from './write.ts'

/** Rows to write: a query, and the tables it names. */
export interface RowSource {
  readonly sql: string
  readonly tables?: readonly BoundTable[]
}

export interface ChangeResult {
  readonly snapshotId: bigint
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

/** Appends the rows of a query in one snapshot. Nothing is visible before the commit; a lost race is retried. */
export async function append(
  context: TableContext,
  table: TableId,
  rows: RowSource,
  options: ChangeOptions = {},
): Promise<ChangeResult> {
  return sure(
    await changeTable(context, table, options, async ({ layout, folder }) => {
      await using session = await context.engine.session(rows.tables ?? [], { signal: context.signal })
      const added = await putFiles(context, layout, await writeLocal(session, rows.sql, layout, folder))
      return {
        change: { operation: 'append', added, removed: [], written: writtenPaths(added) },
        result: { added, removed: [] },
      }
    }),
  )
}

/**
 * Replaces all rows for which `filter` (an SQL condition over the table's columns) is true by the rows of a query, in
 * one snapshot. Files whose rows all match are dropped, files without a match are kept, the others are rewritten without
 * the matching rows. Rows for which the filter is null stay.
 */
export async function overwrite(
  context: TableContext,
  table: TableId,
  filter: string,
  rows: RowSource,
  options: ChangeOptions = {},
): Promise<ChangeResult> {
  return sure(
    await changeTable(context, table, options, async ({ pin, layout, folder }) => {
      await using session = await context.engine.session(rows.tables ?? [], { signal: context.signal })
      const { drop, rewrite, predicate } = await filesUnder(context, pin, filter)
      const written = [...(await writeLocal(session, rows.sql, layout, `${folder}/new`))]
      if (rewrite.length > 0)
        written.push(...(await survivors(context, pin, rewrite, filter, layout, `${folder}/kept`)))
      const added = await putFiles(context, layout, written)
      const removed = [...drop, ...rewrite].map((task) => task.file)
      const checks = checksOf(options.isolation ?? 'serializable', predicate)
      return {
        change: { operation: 'overwrite', added, removed, written: writtenPaths(added), checks },
        result: { added, removed },
      }
    }),
  )
}

function checksOf(isolation: IsolationLevel, predicate: Predicate): readonly CommitCheck[] {
  const within = { kind: 'rows', predicate } as const
  const rows: CommitCheck = { kind: 'noAddedDeletes', within }
  return isolation === 'serializable' ? [rows, { kind: 'noAddedData', within }] : [rows]
}

function writtenPaths(files: readonly DataFile[]): readonly StorePath[] {
  return files.map((file) => file.path)
}

/** An append or overwrite always makes a snapshot, even of no rows. */
function sure<T extends { readonly snapshotId: bigint | null }>(result: T): T & { readonly snapshotId: bigint } {
  const { snapshotId } = result
  invariant(snapshotId !== null, 'a snapshot was made')
  return { ...result, snapshotId }
}

async function filesUnder(
  context: TableContext,
  pin: PinnedTable,
  filter: string,
): Promise<{ drop: readonly ScanTask[]; rewrite: readonly ScanTask[]; predicate: Predicate }> {
  const schema = schemaById(pin.metadata, pin.schemaId)
  const predicates = await context.engine.filters(
    `SELECT * FROM ${pin.id} WHERE ${filter}`,
    new Map([[pin.id, { columns: schema.fields }]]),
  )
  const predicate: Predicate = predicates.get(pin.id) ?? { kind: 'true' }
  const drop: ScanTask[] = []
  const rewrite: ScanTask[] = []
  for (const task of await liveTableTasks(context, pin)) {
    const { file } = task
    const spec = specById(pin.metadata, file.specId)
    if (!mightMatch(file, predicate, schema, spec)) continue
    const matching = await matchingRows(context, pin, task, filter)
    if (matching === 0n) continue
    if (matching === file.recordCount) drop.push(task)
    else rewrite.push(task)
  }
  return { drop, rewrite, predicate }
}

async function matchingRows(context: TableContext, pin: PinnedTable, task: ScanTask, filter: string): Promise<bigint> {
  await using lease = await leaseFiles(context, [task])
  await using session = await context.engine.session([bindFiles(pin, [task], lease)], { signal: context.signal })
  const { rows } = await session.rows(`SELECT count(*) FROM ${pin.id} WHERE ${filter}`)
  return BigInt(String(rows[0]?.[0] ?? 0))
}

async function survivors(
  context: TableContext,
  pin: PinnedTable,
  rewritten: readonly ScanTask[],
  filter: string,
  layout: Layout,
  folder: string,
) {
  await using lease = await leaseFiles(context, rewritten)
  await using session = await context.engine.session([bindFiles(pin, rewritten, lease)], { signal: context.signal })
  return await writeLocal(session, `SELECT * FROM ${pin.id} WHERE (${filter}) IS NOT TRUE`, layout, folder)
}
