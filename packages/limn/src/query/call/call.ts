import { LimnError, nearest, type TableId } from '../../base/index.ts'
import type { OutputColumn, ResultSet } from '../../engine/index.ts'
import type { RefChange } from '../../iceberg/index.ts'
import type { Call } from '../../sql/index.ts'
import { alterRefs, cherryPickSnapshot, type LiveRuns, type TableContext } from '../../table/index.ts'
import { type OwnerOf, requireFree } from '../guard.ts'
import { loadTable, resolveName } from '../names.ts'
import { runAddFiles, runMigrate, runRegister, runSnapshot } from './adopt.ts'
import { Arguments } from './call-arguments.ts'
import {
  type Maintenance,
  runExpire,
  runPartitionStatistics,
  runRemoveOrphans,
  runRewriteDataFiles,
  runRewriteManifests,
  runRewritePositionDeletes,
  runTableStatistics,
} from './procedures.ts'

export interface CallOptions {
  readonly owner: OwnerOf
  /** Runs at work on a table: what they rely on stays. Default: there are none. */
  readonly live?: (table: TableId) => Promise<LiveRuns>
  readonly dryRun?: boolean
}

interface Procedure {
  /** By position; one is `table`. */
  readonly parameters: readonly string[]
  /** Moves what a table's readers see: not for a table that a dataset owns. */
  readonly moves: boolean
  /** The table is made by it, and is not there before. */
  readonly makes?: boolean
  readonly run: (input: Maintenance) => Promise<ResultSet>
}

/** Iceberg's procedures of Spark that limn has, with their parameters and what they tell. */
const procedures: Readonly<Record<string, Procedure>> = {
  rollback_to_snapshot: {
    parameters: ['table', 'snapshot_id'],
    moves: true,
    run: async (input) => {
      const snapshotId = input.given.required('snapshot_id', await input.given.long('snapshot_id'))
      return moveMain(input, { kind: 'rollback', snapshotId })
    },
  },
  rollback_to_timestamp: {
    parameters: ['table', 'timestamp'],
    moves: true,
    run: async (input) => {
      const timestampMs = input.given.required('timestamp', await input.given.time('timestamp'))
      return moveMain(input, { kind: 'rollback-to-time', timestampMs })
    },
  },
  set_current_snapshot: {
    parameters: ['table', 'snapshot_id', 'ref'],
    moves: true,
    run: async (input) => {
      const { given, context, table } = input
      const [id, ref] = [await given.long('snapshot_id'), await given.text('ref')]
      if ((id === undefined) === (ref === undefined))
        throw given.wrong('needs snapshot_id or ref, one of them', 'Write ref => … or snapshot_id => ….')
      const { refs } = (await loadTable(context, table)).metadata
      const snapshotId = id ?? (ref === undefined ? undefined : refs[ref]?.snapshotId)
      if (snapshotId === undefined)
        throw new LimnError('usage/unknown-ref', {
          message: `${table} has no branch or tag ${ref}.`,
          notDone: 'Nothing was run.',
          remedy: `It has: ${Object.keys(refs).sort().join(', ')}.`,
        })
      return moveMain(input, { kind: 'set-current-snapshot', snapshotId })
    },
  },
  cherrypick_snapshot: {
    parameters: ['table', 'snapshot_id'],
    moves: true,
    run: async ({ context, table, given }) => {
      const picked = given.required('snapshot_id', await given.long('snapshot_id'))
      const { snapshotId } = await cherryPickSnapshot(context, table, picked)
      return { columns: longs('source_snapshot_id', 'current_snapshot_id'), rows: [[picked, snapshotId]] }
    },
  },
  fast_forward: {
    parameters: ['table', 'branch', 'to'],
    moves: true,
    run: async ({ context, table, given }) => {
      const branch = given.required('branch', await given.text('branch'))
      const to = given.required('to', await given.text('to'))
      const before = (await loadTable(context, table)).metadata.refs[branch]?.snapshotId ?? null
      const { loaded } = await alterRefs(context, table, [{ kind: 'fast-forward', branch, to }])
      const columns = [{ name: 'branch_updated', type: 'VARCHAR' }, ...longs('previous_ref', 'updated_ref')]
      return { columns, rows: [[branch, before, loaded.metadata.refs[branch]?.snapshotId ?? null]] }
    },
  },
  expire_snapshots: {
    parameters: ['table', 'older_than', 'retain_last', 'snapshot_ids'],
    moves: false,
    run: runExpire,
  },
  remove_orphan_files: { parameters: ['table', 'older_than', 'dry_run'], moves: false, run: runRemoveOrphans },
  rewrite_data_files: {
    parameters: ['table', 'strategy', 'sort_order', 'options', 'where', 'branch'],
    moves: false,
    run: runRewriteDataFiles,
  },
  rewrite_manifests: { parameters: ['table', 'spec_id'], moves: false, run: runRewriteManifests },
  rewrite_position_delete_files: {
    parameters: ['table', 'options'],
    moves: false,
    run: runRewritePositionDeletes,
  },
  compute_table_stats: { parameters: ['table', 'snapshot_id', 'columns'], moves: false, run: runTableStatistics },
  compute_partition_stats: { parameters: ['table', 'snapshot_id'], moves: false, run: runPartitionStatistics },
  register_table: { parameters: ['table', 'metadata_file'], moves: true, makes: true, run: runRegister },
  add_files: {
    parameters: ['table', 'source_table', 'partition_filter', 'check_duplicate_files', 'parallelism', 'extra_columns'],
    moves: true,
    run: runAddFiles,
  },
  snapshot: {
    parameters: ['source_table', 'table', 'location', 'properties', 'parallelism'],
    moves: true,
    makes: true,
    run: runSnapshot,
  },
  migrate: {
    parameters: ['table', 'properties', 'parallelism', 'source_table'],
    moves: true,
    makes: true,
    run: runMigrate,
  },
}

/** Runs CALL [catalog.]system.procedure(…). Throws `usage/argument` for a procedure or parameter that there is not. */
export async function runCall(context: TableContext, call: Call, options: CallOptions): Promise<ResultSet> {
  const { parts, at } = call.procedure
  const name = (parts.at(-1) ?? '').toLowerCase()
  const within = parts.at(-2)?.toLowerCase() ?? 'system'
  const procedure = within === 'system' && Object.hasOwn(procedures, name) ? procedures[name] : undefined
  if (!procedure) {
    const close = nearest(name, Object.keys(procedures))
    throw new LimnError('usage/argument', {
      message: `Line ${at.line}, column ${at.column}: there is no procedure ${parts.join('.')}.`,
      notDone: 'Nothing was run.',
      remedy: close ? `Did you mean system.${close}?` : `There are: ${Object.keys(procedures).join(', ')}.`,
    })
  }
  const given = new Arguments(context, call, name, procedure.parameters)
  const { table, part } = resolveName(given.required('table', await given.text('table')).split('.'))
  if (part.kind !== 'rows') throw given.wrong('is about a table as a whole', `Write table => '${table}'.`)
  if (procedure.moves) requireFree(table, options.owner)
  if (!procedure.makes) await loadTable(context, table)
  const live = procedure.makes ? {} : ((await options.live?.(table)) ?? {})
  return procedure.run({ context, table, given, live, dryRun: options.dryRun === true })
}

export function longs(...names: readonly string[]): readonly OutputColumn[] {
  return names.map((name) => ({ name, type: 'BIGINT' }))
}

async function moveMain({ context, table }: Maintenance, change: RefChange): Promise<ResultSet> {
  const before = (await loadTable(context, table)).metadata.currentSnapshotId
  const { loaded } = await alterRefs(context, table, [change])
  const after = loaded.metadata.currentSnapshotId
  return { columns: longs('previous_snapshot_id', 'current_snapshot_id'), rows: [[before, after]] }
}
