import type { TableId } from '../../base/index.ts'
import type { OutputColumn, ResultSet } from '../../engine/index.ts'
import { columnOf, currentSchema, type LoadedTable, type SortField } from '../../iceberg/index.ts'
import { parseStatement } from '../../sql/index.ts'
import {
  computePartitionStatistics,
  computeTableStatistics,
  expireSnapshots,
  type LiveRuns,
  type RewriteOrder,
  removeOrphans,
  rewriteDataFiles,
  rewriteManifests,
  rewritePositionDeletes,
  sumsOf,
  type TableContext,
} from '../../table/index.ts'
import { loadTable } from '../names.ts'
import { transformOf } from '../transforms.ts'
import type { Arguments } from './call-arguments.ts'

/** What a procedure works with. */
export interface Maintenance {
  readonly context: TableContext
  readonly table: TableId
  readonly given: Arguments
  readonly live: LiveRuns
  readonly dryRun: boolean
}

function counts(values: Readonly<Record<string, number>>): ResultSet {
  const columns: OutputColumn[] = Object.keys(values).map((name) => ({ name, type: 'BIGINT' }))
  return { columns, rows: [Object.values(values).map(BigInt)] }
}

export async function runExpire({ context, table, given, live, dryRun }: Maintenance): Promise<ResultSet> {
  const olderThan = await given.time('older_than')
  const retained = await given.count('retain_last')
  const snapshotIds = await given.longs('snapshot_ids')
  const { files } = await expireSnapshots(context, table, {
    dryRun,
    live,
    ...(olderThan === undefined ? {} : { maxSnapshotAgeMs: ageOf(given, context, olderThan) }),
    ...(retained === undefined ? {} : { minSnapshotsToKeep: retained }),
    ...(snapshotIds === undefined ? {} : { snapshotIds }),
  })
  return counts({
    deleted_data_files_count: files.data,
    deleted_delete_files_count: files.deletes,
    deleted_manifest_files_count: files.manifest,
    deleted_manifest_lists_count: files['manifest-list'],
    deleted_statistics_files_count: files.statistics,
  })
}

export async function runTableStatistics(input: Maintenance): Promise<ResultSet> {
  const { context, table, given } = input
  const snapshotId = await given.long('snapshot_id')
  const columns = await given.texts('columns')
  const options = defined({ snapshotId, columns })
  return pathOf('statistics_file', input, () => computeTableStatistics(context, table, options))
}

export async function runPartitionStatistics(input: Maintenance): Promise<ResultSet> {
  const { context, table, given } = input
  const options = defined({ snapshotId: await given.long('snapshot_id') })
  return pathOf('partition_statistics_file', input, () => computePartitionStatistics(context, table, options))
}

/** No row: the table has no snapshot, or nothing was to be done but to try. */
async function pathOf(
  name: string,
  { dryRun }: Maintenance,
  compute: () => Promise<{ readonly file: { readonly statisticsPath: string } } | null>,
): Promise<ResultSet> {
  const found = dryRun ? null : await compute()
  return { columns: [{ name, type: 'VARCHAR' }], rows: found ? [[found.file.statisticsPath]] : [] }
}

export async function runRemoveOrphans({ context, table, given, live, dryRun }: Maintenance): Promise<ResultSet> {
  const olderThan = await given.time('older_than')
  const asked = await given.flag('dry_run')
  const { plan } = await removeOrphans(context, table, {
    dryRun: dryRun || asked === true,
    live,
    ...(olderThan === undefined ? {} : { ageMs: ageOf(given, context, olderThan) }),
  })
  return {
    columns: [{ name: 'orphan_file_location', type: 'VARCHAR' }],
    rows: plan.orphans.map((one) => [String(one.path)]),
  }
}

function ageOf(given: Arguments, context: TableContext, olderThanMs: number): number {
  const age = context.clock.nowMs() - olderThanMs
  if (age >= 0) return age
  throw given.wrong('is given an older_than that lies ahead', 'Name a time that has been.')
}

const rewriteOptions = [
  'target-file-size-bytes',
  'min-file-size-bytes',
  'max-file-size-bytes',
  'max-file-group-size-bytes',
  'min-input-files',
  'rewrite-all',
  'delete-file-threshold',
  'delete-ratio-threshold',
  'partial-progress.enabled',
  'partial-progress.max-commits',
  'rewrite-job-order',
] as const

const jobOrders = {
  none: 'as-found',
  'bytes-asc': 'bytes-asc',
  'bytes-desc': 'bytes-desc',
  'files-asc': 'files-asc',
  'files-desc': 'files-desc',
} as const

export async function runRewriteDataFiles(input: Maintenance): Promise<ResultSet> {
  const { context, table, given, dryRun } = input
  const options = given.options('options', rewriteOptions)
  const number = (key: (typeof rewriteOptions)[number]) => numberOf(given, options, key)
  const filter = await given.text('where')
  const branch = await given.text('branch')
  const partial = options.get('partial-progress.enabled') === 'true'
  const order = options.get('rewrite-job-order') ?? 'none'
  if (!isJobOrder(order)) throw given.wrong(`has no order ${order}`, `There are: ${Object.keys(jobOrders).join(', ')}.`)
  const { removed, added, removedDeletes, skipped } = await rewriteDataFiles(context, table, {
    dryRun,
    strategy: await strategyOf(input),
    order: jobOrders[order],
    ...defined({
      filter,
      branch,
      targetFileBytes: number('target-file-size-bytes'),
      minFileBytes: number('min-file-size-bytes'),
      maxFileBytes: number('max-file-size-bytes'),
      maxGroupBytes: number('max-file-group-size-bytes'),
      minInputFiles: number('min-input-files'),
      deletesPerFileMin: number('delete-file-threshold'),
      deleteRatioMin: number('delete-ratio-threshold'),
      // Spark's own default.
      commitsMax: partial ? (number('partial-progress.max-commits') ?? 10) : undefined,
    }),
    ...(options.get('rewrite-all') === 'true' ? { all: true } : {}),
  })
  return counts({
    rewritten_data_files_count: removed.files,
    added_data_files_count: added.files,
    rewritten_bytes_count: removed.bytes,
    failed_data_files_count: skipped.reduce((sum, { group }) => sum + group.files.length, 0),
    removed_delete_files_count: removedDeletes,
  })
}

function isJobOrder(text: string): text is keyof typeof jobOrders {
  return Object.hasOwn(jobOrders, text)
}

export async function runRewriteManifests({ context, table, given, dryRun }: Maintenance): Promise<ResultSet> {
  const specId = await given.count('spec_id')
  const { manifestsBefore, manifestsAfter, plan } = await rewriteManifests(context, table, {
    dryRun,
    ...(specId === undefined ? {} : { specId }),
  })
  const kept = plan.kept.length
  const done = plan.groups.length > 0
  return counts({
    rewritten_manifests_count: done ? manifestsBefore - kept : 0,
    added_manifests_count: done ? manifestsAfter - kept : 0,
  })
}

export async function runRewritePositionDeletes({ context, table, given, dryRun }: Maintenance): Promise<ResultSet> {
  const options = given.options('options', ['rewrite-all', 'min-input-files', 'target-file-size-bytes'])
  const { removed, added } = await rewritePositionDeletes(context, table, {
    dryRun,
    ...(options.get('rewrite-all') === 'true' ? { all: true } : {}),
    ...defined({
      minInputFiles: numberOf(given, options, 'min-input-files'),
      targetFileBytes: numberOf(given, options, 'target-file-size-bytes'),
    }),
  })
  const [before, after] = [sumsOf(removed), sumsOf(added)]
  return counts({
    rewritten_delete_files_count: before.files,
    added_delete_files_count: after.files,
    rewritten_bytes_count: before.bytes,
    added_bytes_count: after.bytes,
  })
}

function numberOf(given: Arguments, options: ReadonlyMap<string, string>, key: string): number | undefined {
  const text = options.get(key)
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value
  throw given.wrong(`is given ${key} = '${text}'`, 'Write a number that is not below zero.')
}

async function strategyOf({ context, table, given }: Maintenance): Promise<RewriteOrder> {
  const order = await given.text('sort_order')
  const strategy = (await given.text('strategy')) ?? (order === undefined ? 'binpack' : 'sort')
  if (strategy !== 'binpack' && strategy !== 'sort')
    throw given.wrong(`has no strategy ${strategy}`, "There are 'binpack' and 'sort'.")
  if (strategy === 'binpack') {
    if (order === undefined) return { kind: 'bin-pack' }
    throw given.wrong('sorts nothing by binpack', "Write strategy => 'sort', or leave sort_order out.")
  }
  if (order === undefined) return { kind: 'sort' }
  const interleaved = /^\s*zorder\s*\((.*)\)\s*$/i.exec(order)?.[1]
  if (interleaved !== undefined)
    return { kind: 'z-order', columns: interleaved.split(',').map((column) => column.trim()) }
  return { kind: 'sort', fields: sortFieldsOf(await loadTable(context, table), order) }
}

/** `id DESC NULLS LAST, bucket(4, k)` as fields of the table. */
function sortFieldsOf({ table, metadata }: LoadedTable, order: string): readonly SortField[] {
  const read = parseStatement(`ALTER TABLE ${table} WRITE ORDERED BY ${order}`)
  const { fields } = currentSchema(metadata)
  if (read.kind !== 'alterTable' || read.action.kind !== 'writeOrder') return []
  return read.action.order.map(({ term, direction, nulls }) => ({
    sourceId: columnOf(fields, term.column.parts, false).field.id,
    transform: transformOf(term),
    direction,
    nullOrder: nulls === 'first' ? 'nulls-first' : 'nulls-last',
  }))
}

function defined<T extends Readonly<Record<string, unknown>>>(
  values: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
