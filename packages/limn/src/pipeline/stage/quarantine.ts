import type { RunId } from '../../base/index.ts'
import { type TableId, tableId } from '../../base/index.ts'
import type { BoundTable, Session, WrittenFile } from '../../engine/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { quarantineContractFor } from '../../quality/index.ts'
import { fieldByName } from '../../schema/index.ts'
import { quoteText } from '../../sql/index.ts'
import { bindFiles, leaseFiles, pinRef, putFiles, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Node } from '../project/node.ts'
import { type StagedTable, stageTable, type Target, targetOf } from './staged-table.ts'
import { tasksOfView, viewOf } from './view.ts'

/** A rejected row on its way to quarantine; `position` is its line or row number in the delivery, from 1. */
export interface RejectedRow {
  readonly delivery: number | null
  readonly path: string | null
  readonly position: number | null
  readonly reason: string
  readonly row: string
}

/**
 * Collects the rejected rows of one dataset during a run and stages them beside it. Rows are kept by scope (a delivery,
 * an interval); building a scope anew replaces its rows. The table comes into being with its first row.
 */
export interface QuarantineWriter {
  /** Whether the quarantine table exists already. */
  readonly exists: boolean
  /** Replaces scopes by a query's rows (columns of the quarantine without `_run`); returns their number. */
  replace(session: Session, sql: string, scopes: readonly string[], folder: string): Promise<number>
  /** Adds a query's rows (columns of the quarantine without `_run`) to what is there; returns their number. */
  add(session: Session, sql: string, folder: string): Promise<number>
  /**
   * Puts a query's rows (columns of the quarantine without `_run`) in the place of those for which `gone`, a condition over the
   * quarantine's columns as `o`, is true. The other rows of the scope stay, with the runs that rejected them. Returns their number.
   */
  merge(session: Session, sql: string, gone: string, scope: string, folder: string): Promise<number>
  /** Its rows, to be bound in the session of `merge`; null: there are none. */
  bind(stack: AsyncDisposableStack): Promise<BoundTable | null>
  /** Removes what scopes held. */
  clear(scopes: readonly string[]): void
  /** What was collected so far and where it goes, or null when nothing changed. */
  collected(): Collected | null
  /** Stages what was collected, or returns null when nothing changed. */
  stage(replaces: StagedTable | null): Promise<StagedTable | null>
}

/** Files of a quarantine that come and go, on the state of the table that they were worked out for. */
export interface Collected {
  readonly target: Target
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

/** The name under which the rows of a quarantine are bound. */
export const quarantined: TableId = tableId('limn_diff.quarantined')

export function quarantineOf(dataset: TableId): TableId {
  return tableId(`${dataset}_quarantine`)
}

export async function quarantineWriter(context: PipelineContext, run: RunId, node: Node): Promise<QuarantineWriter> {
  const contract = quarantineContractFor(node.contract)
  const base = (await context.catalog.loadTables([contract.id], { signal: context.signal })).get(contract.id) ?? null
  const registered = base && base.metadata.currentSnapshotId !== null ? base : null
  let made: Target | null = null
  // Most datasets reject nothing: then nobody asks for it.
  const targetNow = () => {
    made ??= targetOf(context, contract, registered)
    return made
  }
  const pin = registered && pinRef(registered)
  const tasks = pin ? await tasksOfView(context, viewOf(undefined, pin)) : []
  const old = tasks.map((task) => task.file)
  const added: DataFile[] = []
  const removed: DataFile[] = []
  const drop = (scopes: readonly string[]) => {
    if (old.length === 0) return
    const { schema, spec } = targetNow().layout
    const scopeField = fieldByName(schema, '_scope')
    const scopePosition = spec.fields.findIndex((field) => field.sourceId === scopeField?.id)
    const gone = new Set<unknown>(scopes)
    removed.push(...old.filter((file) => gone.has(file.partition[scopePosition]) && !removed.includes(file)))
  }
  const write = async (session: Session, rows: string, folder: string): Promise<number> => {
    const { layout } = targetNow()
    const written: readonly WrittenFile[] = await writeLocal(session, rows, layout, `${folder}/quarantine`)
    added.push(...(await putFiles(context, layout, written)))
    return written.reduce((total, file) => total + Number(file.recordCount), 0)
  }
  const ofRun = (sql: string) => `SELECT *, '${run}' AS _run FROM (${sql})`
  let bound = false
  return {
    exists: registered !== null,
    async replace(session, sql, scopes, folder) {
      drop(scopes)
      return await write(session, ofRun(sql), folder)
    },
    add: (session, sql, folder) => write(session, ofRun(sql), folder),
    async merge(session, sql, gone, scope, folder) {
      await session.exec(`CREATE TABLE limn_rejected AS ${ofRun(sql)}`)
      const count = async (what: string) => Number((await session.rows(`SELECT count(*) FROM ${what}`)).rows[0]?.[0])
      const fresh = await count('limn_rejected')
      const own = `${quarantined} AS o WHERE o._scope = ${quoteText(scope)}`
      const stale = bound ? await count(`${own} AND ${gone}`) : 0
      if (fresh + stale === 0) return 0
      if (stale === 0) await write(session, 'SELECT * FROM limn_rejected', folder)
      else {
        const names = targetNow()
          .layout.schema.fields.map(({ name }) => `"${name}"`)
          .join(', ')
        const kept = `SELECT ${names} FROM ${own} AND (${gone}) IS NOT TRUE`
        drop([scope])
        await write(session, `SELECT ${names} FROM limn_rejected UNION ALL ${kept}`, folder)
      }
      return fresh
    },
    async bind(stack) {
      if (!pin || tasks.length === 0) return null
      const lease = stack.use(await leaseFiles(context, tasks))
      bound = true
      return { ...bindFiles(pin, tasks, lease), id: quarantined }
    },
    clear: drop,
    collected: () => (added.length === 0 && removed.length === 0 ? null : { target: targetNow(), added, removed }),
    async stage(replaces) {
      if (added.length === 0 && removed.length === 0) return null
      return stageTable(context, run, targetNow(), { added, removed, summary: {} }, replaces)
    },
  }
}
