import type { RunId } from '../../base/index.ts'
import { type TableId, tableId } from '../../base/index.ts'
import type { Session, WrittenFile } from '../../engine/index.ts'
import type { DataFile } from '../../iceberg/index.ts'
import { quarantineContractFor } from '../../quality/index.ts'
import { fieldByName } from '../../schema/index.ts'
import { pinRef, putFiles, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Node } from '../project/node.ts'
import { type StagedTable, stageTable, type Target, targetOf } from './staged-table.ts'
import { filesOfView, viewOf } from './view.ts'

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
  const old = pin ? await filesOfView(context, viewOf(undefined, pin)) : []
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
  return {
    exists: registered !== null,
    async replace(session, sql, scopes, folder) {
      drop(scopes)
      const rows = `SELECT *, '${run}' AS _run FROM (${sql})`
      const written: readonly WrittenFile[] = await writeLocal(
        session,
        rows,
        targetNow().layout,
        `${folder}/quarantine`,
      )
      added.push(...(await putFiles(context, targetNow().layout, written)))
      return written.reduce((total, file) => total + Number(file.recordCount), 0)
    },
    clear: drop,
    collected: () => (added.length === 0 && removed.length === 0 ? null : { target: targetNow(), added, removed }),
    async stage(replaces) {
      if (added.length === 0 && removed.length === 0) return null
      return stageTable(context, run, targetNow(), { added, removed, summary: {} }, replaces)
    },
  }
}
