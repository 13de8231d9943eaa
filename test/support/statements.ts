import { tableId } from '../../packages/limn/src/base/index.ts'
import { executeStatement, type StatementOptions } from '../../packages/limn/src/query/index.ts'
import type { TableContext } from '../../packages/limn/src/table/index.ts'

/** A tree without positions, and its texts as plain strings. */
export function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf)
  if (typeof value !== 'object' || value === null) return value
  if ('travels' in value && 'text' in value) return value.text
  if ('parts' in value && Array.isArray(value.parts)) return value.parts.join('.')
  const rest = Object.entries(value).filter(([key]) => key !== 'at')
  if (rest.length === 1 && rest[0]?.[0] === 'text') return rest[0][1]
  return Object.fromEntries(rest.map(([key, item]) => [key, shapeOf(item)]))
}

/** Runs statements on tables that nobody owns, unless told otherwise. */
export function runner(context: TableContext, options: Partial<StatementOptions> = {}) {
  const run = (sql: string, more: Partial<StatementOptions> = {}) =>
    executeStatement(context, sql, { owner: () => null, ...options, ...more })
  return {
    run,
    /** The rows of a query. */
    rows: async (sql: string) => {
      const result = await run(sql)
      if (result.kind !== 'rows') throw new Error(`no query: ${sql}`)
      return result.result.rows
    },
    /** Ids of the snapshots main has had, first to last. */
    snapshots: async (table: string) => {
      const loaded = (await context.catalog.loadTables([tableId(table)])).get(tableId(table))
      return loaded?.metadata.snapshotLog.map((entry) => entry.snapshotId) ?? []
    },
  }
}
