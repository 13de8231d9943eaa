import type { Progress, TableId } from '../base/index.ts'
import type { EnvironmentName } from '../catalog/index.ts'
import type { Catalog, TableRename } from '../iceberg/index.ts'
import type { StateDatabase } from '../state/index.ts'
import { folderOf, type TableContext } from '../table/index.ts'
import type { RunState } from './ledger/run-state.ts'
import type { Project } from './project/node.ts'

/** Everything planning and running needs; composed once by `lake`. */
export interface PipelineContext extends TableContext {
  /** The lake's folder: sources' globs are relative to it. */
  readonly folder: string
  readonly state: StateDatabase
  readonly runs: RunState
  readonly project: Project
  readonly progress: Progress
  readonly host: string
  readonly pid: number
  readonly version: string
  /** The environment this is of; absent: production. */
  readonly environment?: EnvironmentName
  /** Renames that the next run will make: whoever only looks sees them made. */
  readonly renames?: readonly TableRename[]
}

/** Where a dataset's table lives in the warehouse. */
export function tableLocation(context: PipelineContext, id: TableId): string {
  return folderOf(context, id)
}

/** The name of the lease that whoever writes a table past a run holds meanwhile. */
export function writeLeaseOf(table: TableId): string {
  return `write ${table}`
}

/** The context with tables served by another catalog (staged ones over the real one). */
export function withCatalog(context: PipelineContext, catalog: Catalog): PipelineContext {
  return { ...context, catalog }
}
