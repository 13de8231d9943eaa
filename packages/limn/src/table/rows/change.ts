import { join } from 'node:path'
import { invariant, LimnError, type TableId } from '../../base/index.ts'
import type { Bound } from '../../engine/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { type ChangeOptions, changeTable } from '../commit/commit.ts'
import { schemaOfPin, type TableContext } from '../context.ts'
import { writeRows } from '../write/write.ts'
import {
  aliasOf,
  candidates,
  columnList,
  liveRows,
  openTarget,
  rowChecks,
  rowsWithout,
  sharedTable,
  sumsOf,
  targetName,
} from './target-rows.ts'

/** Rows to write: a query, and the tables it names. */
export interface RowSource {
  readonly sql: string
  readonly tables?: readonly Bound[]
}

export interface ChangeResult {
  readonly snapshotId: bigint
  /** Rows that came from the query; an overwrite's other rows stayed and were written again. */
  readonly inserted: number
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

/** Throws `usage/argument` for what is no query: callers in JavaScript have no types to tell them. */
export function requireRows(rows: RowSource, call: string): void {
  const given: unknown = rows
  if (typeof given === 'object' && given !== null && 'sql' in given && typeof given.sql === 'string') return
  throw new LimnError('usage/argument', {
    message: `${call} was given no rows.`,
    notDone: 'Nothing was written.',
    remedy: 'Say which: { sql: "SELECT …" }',
  })
}

/** Appends the rows of a query in one snapshot. Nothing is visible before the commit; a lost race is retried. */
export async function append(
  context: TableContext,
  table: TableId,
  rows: RowSource,
  options: ChangeOptions = {},
): Promise<ChangeResult> {
  requireRows(rows, 'append')
  return sure(
    await changeTable(context, table, options, async ({ layout, folder }) => {
      await using session = await context.engine.session(rows.tables ?? [], { signal: context.signal })
      const added = await writeRows(context, session, rows.sql, layout, folder)
      return {
        change: { operation: 'append', added, removed: [], written: writtenPaths(added) },
        result: { inserted: sumsOf(added).rows, added, removed: [] },
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
  requireRows(rows, 'overwrite')
  return sure(
    await changeTable(context, table, options, async ({ pin, layout, folder }) => {
      const tables = rows.tables ?? []
      const alias = aliasOf(table)
      const { fields } = schemaOfPin(pin)
      const condition = await context.engine.condition(
        filter,
        { id: table, alias, columns: fields },
        new Map(tables.map((one) => [one.id, one.schema.fields])),
      )
      const { whole, some } = await candidates(context, pin, condition)
      await using target = await openTarget(context, pin, some, tables)
      const from = `${targetName} AS ${quoteIdentifier(alias)}`
      await target.session.exec(`CREATE TABLE limn_hits AS SELECT _file, _pos FROM ${from} WHERE (${filter})`)
      const counted = await target.session.rows('SELECT _file, count(*) FROM limn_hits GROUP BY _file')
      const hits = new Map(counted.rows.map(([file, count]) => [String(file), BigInt(String(count))]))
      const hit = some.filter((task) => hits.has(task.file.path))
      const rewrite = hit.filter((task) => hits.get(task.file.path) !== liveRows(task))
      const fresh = await writeRows(context, target.session, rows.sql, layout, join(folder, 'new'))
      const added = [...fresh]
      if (rewrite.length > 0) {
        const lineage = pin.metadata.formatVersion >= 3
        await using source = await openTarget(context, pin, rewrite, tables)
        const extra = lineage ? ', _row_id, _last_updated_sequence_number' : ''
        const hits = await sharedTable(target.session, 'limn_hits')
        const kept = rowsWithout(hits, alias, `${columnList(fields)}${extra}`)
        added.push(...(await writeRows(context, source.session, kept, layout, join(folder, 'kept'), { lineage })))
      }
      const removed = [...whole, ...hit].map((task) => task.file)
      const checks = rowChecks({
        isolation: options.isolation ?? 'serializable',
        predicate: condition.atMost,
        rewritten: rewrite,
        referenced: [],
        vectors: false,
        keepsRows: false,
      })
      return {
        change: { operation: 'overwrite', added, removed, written: writtenPaths(added), checks },
        result: { inserted: sumsOf(fresh).rows, added, removed },
      }
    }),
  )
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
