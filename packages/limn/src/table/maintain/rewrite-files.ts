import { counted, giveBackMemory, LimnError, silentProgress, type TableId } from '../../base/index.ts'
import {
  type CommitCheck,
  type DataFile,
  danglingDeletes,
  deleteKindOf,
  deletesOfRewritten,
  fileKey,
  type Inventory,
  mightMatch,
  planRewrite,
  type RewriteFilesOptions,
  type RewriteGroup,
  type RewritePlan,
  type RewriteStrategy,
  readInventory,
  rewriteSizes,
  type SortField,
  schemaById,
  snapshotOfRef,
  specById,
  type TableMetadata,
  zOrderOf,
} from '../../iceberg/index.ts'
import { changeTable } from '../commit/commit.ts'
import { deleteDebris } from '../commit/commit-loop.ts'
import type { TableContext } from '../context.ts'
import { sumBytes } from '../read/read.ts'
import { changeMetadata, loadTable } from '../shape/alter.ts'
import { carriedSummary } from './carry.ts'
import type { MaintenanceOptions } from './removal.ts'
import { GroupWriter, type RewrittenGroup, type SkippedGroup } from './rewrite-groups.ts'

/** How rows are ordered when they are rewritten. */
export type RewriteOrder =
  | { readonly kind: 'bin-pack' }
  /** Default: the table's own sort order. One that the table does not have yet is added to it. */
  | { readonly kind: 'sort'; readonly fields?: readonly SortField[] }
  | { readonly kind: 'z-order'; readonly columns: readonly string[] }

export interface RewriteDataFilesOptions extends Omit<RewriteFilesOptions, 'strategy' | 'keep'>, MaintenanceOptions {
  /** Default: bin-pack. */
  readonly strategy?: RewriteOrder
  /** An SQL condition over the table's columns: files that cannot hold a row for which it is true are left alone. */
  readonly filter?: string
  /** Default `main`. */
  readonly branch?: string
  readonly summary?: Readonly<Record<string, string>>
}

/** What became of files: how many, their bytes and rows. */
export interface FileTotals {
  readonly files: number
  readonly bytes: number
  readonly rows: number
}

export interface RewriteDataFilesResult {
  /** What was planned on the snapshot found first. */
  readonly plan: RewritePlan
  /** Snapshots committed, in order; empty on a dry run or when there was nothing to do. */
  readonly snapshotIds: readonly bigint[]
  readonly groups: number
  readonly removed: FileTotals
  readonly added: FileTotals
  /** Delete files that went: those of rewritten files, and those that reach nothing any more. */
  readonly removedDeletes: number
  /** Groups left as they were, because others changed their files meanwhile. */
  readonly skipped: readonly SkippedGroup[]
}

/**
 * Writes data files of a branch anew: small ones joined, large ones cut, deletes applied, sorted or z-ordered where that
 * is asked for (see `planRewrite`). Rows stay as they are, their ids and sequence numbers with them: deletes made
 * meanwhile by equality apply to the new files as to the old. Appends meanwhile are no conflict; when rows of a rewritten
 * file are deleted meanwhile its group is read again, and a group whose files are gone is skipped. `commitsMax` above 1
 * commits as it goes: what is committed stays when a later commit fails, whose groups are then reported as skipped. One
 * group is read and written at a time. Throws `usage/unknown-table`, `usage/argument`, `catalog/conflict`,
 * `catalog/unknown-outcome`.
 */
export async function rewriteDataFiles(
  context: TableContext,
  table: TableId,
  options: RewriteDataFilesOptions = {},
): Promise<RewriteDataFilesResult> {
  const branch = options.branch ?? 'main'
  const strategy = await settledStrategy(context, table, options)
  const { metadata } = await loadTable(context, table)
  // Columns that cannot be interleaved are refused before anything is planned.
  if (strategy.kind === 'z-order') zOrderOf(schemaById(metadata, metadata.currentSchemaId), strategy.columns, [])
  const snapshotId = snapshotOfRef(metadata, branch)
  const { manifests, signal } = context
  const matches = await keepOf(context, table, metadata, options.filter)
  const kept = new Set<string>()
  const inventory = await readInventory({
    manifests,
    metadata,
    snapshotId,
    // A z-order is scaled by the bounds of all files.
    statistics: strategy.kind === 'z-order',
    ...(matches ? { each: (file: DataFile) => matches(file) && kept.add(file.path) } : {}),
    signal,
  })
  const keep = matches ? { keep: (file: DataFile) => kept.has(file.path) } : {}
  const plan = planRewrite(metadata, inventory, { ...options, strategy, ...keep })
  const task = (options.progress ?? silentProgress).begin(`${table} rewrite data files`)
  const total = plan.commits.reduce((sum, groups) => sum + groups.length, 0)
  const tally = new Tally(plan)
  if (options.dryRun || total === 0) {
    task.end(total === 0 ? 'nothing to do' : `${counted(plan.files, 'file')} in ${counted(total, 'group')} (dry run)`)
    return tally.result()
  }
  await giveBackAfter(plan.files)
  const bytesMax = rewriteSizes(metadata.properties, { ...options, strategy }).group
  const writer = new GroupWriter(context, strategy, inventory.data, bytesMax, (done) =>
    task.update(`${done} of ${total} groups`),
  )
  for (const groups of plan.commits) {
    try {
      const { snapshotId: made, ...worked } = await commitGroups(
        context,
        table,
        branch,
        groups,
        writer,
        inventory,
        options,
      )
      writer.forget(worked.rewritten)
      tally.add(made, worked)
    } catch (error) {
      const lost = error instanceof LimnError ? error.kind : null
      // What may have been committed is never deleted.
      if (lost !== 'catalog/unknown-outcome') await deleteDebris(context, writer.takeUncommitted())
      if (plan.commits.length === 1 || lost !== 'catalog/conflict') {
        task.end('failed')
        throw error
      }
      tally.skip(groups, error instanceof Error ? error.message : String(error))
    }
  }
  const result = tally.result()
  task.end(`${result.removed.files} → ${result.added.files} files`)
  return result
}

/** Entries of more files than this leave a young generation that is worth collecting before other memory is needed. */
const filesManyFrom = 2000

async function giveBackAfter(files: number): Promise<void> {
  if (files > filesManyFrom) await giveBackMemory()
}

interface Worked {
  readonly rewritten: readonly RewrittenGroup[]
  readonly skipped: readonly SkippedGroup[]
  readonly removedDeletes: number
}

function commitGroups(
  context: TableContext,
  table: TableId,
  branch: string,
  groups: readonly RewriteGroup[],
  writer: GroupWriter,
  known: Inventory,
  options: RewriteDataFilesOptions,
) {
  const { manifests, signal } = context
  const summary = options.summary ?? {}
  return changeTable<Worked>(context, table, { branch, summary }, async ({ pin, layout, folder }) => {
    const { metadata, snapshotId } = pin
    const same = snapshotId === known.snapshotId
    const inventory = same ? known : await readInventory({ manifests, metadata, snapshotId, statistics: false, signal })
    const { rewritten, skipped, stale } = await writer.write({ pin, layout, folder, inventory, groups })
    // Outputs of a superseded attempt: read before others deleted rows of their files.
    await deleteDebris(context, stale)
    await giveBackAfter(groups.reduce((sum, group) => sum + group.files.length, 0))
    if (rewritten.length === 0) return { change: null, result: { rewritten, skipped, removedDeletes: 0 } }
    const added = rewritten.flatMap((one) => one.added)
    const removed = rewritten.flatMap((one) => one.group.files.map(({ entry }) => entry.file))
    const deletes = deletesGoing(metadata, inventory, rewritten)
    const seen = rewritten.flatMap((one) => one.group.files.map(({ entry }) => entry))
    const checks: readonly CommitCheck[] = [{ kind: 'noDeletesFor', files: seen, equality: 'ignore' }]
    return {
      change: {
        operation: 'replace',
        added,
        removed: [...removed, ...deletes],
        checks,
        summary: carriedSummary(metadata, snapshotId),
        // Kept for another attempt; `rewriteDataFiles` deletes what is not committed in the end.
        written: context.gathering ? added.map((file) => file.path) : [],
      },
      result: { rewritten, skipped, removedDeletes: deletes.length },
    }
  })
}

/** Deletes about rewritten files alone, and those that reach no file any more once the new files stand for the old. */
function deletesGoing(
  metadata: TableMetadata,
  inventory: Inventory,
  rewritten: readonly RewrittenGroup[],
): readonly DataFile[] {
  if (inventory.deletes.length === 0) return []
  const groups = rewritten.map((one) => one.group)
  const gone = new Set<string>(groups.flatMap((group) => group.files.map(({ entry }) => entry.file.path)))
  const added = rewritten.flatMap((one) =>
    one.added.map((file) => ({
      status: 1 as const,
      snapshotId: 0n,
      dataSequenceNumber: one.sequenceNumber,
      fileSequenceNumber: one.sequenceNumber,
      file,
    })),
  )
  const staying = inventory.data.filter((entry) => !gone.has(entry.file.path))
  const dead = (data: Inventory['data']) => danglingDeletes(metadata, { ...inventory, data }).map((one) => one.entry)
  const going = [
    ...deletesOfRewritten(groups, inventory),
    // Positions name files, and none names one that is new.
    ...dead(staying).filter(({ file }) => deleteKindOf(file) !== 'equality'),
    ...dead([...staying, ...added]),
  ]
  return [...new Map(going.map(({ file }) => [fileKey(file), file])).values()]
}

async function keepOf(
  context: TableContext,
  table: TableId,
  metadata: TableMetadata,
  filter: string | undefined,
): Promise<((file: DataFile) => boolean) | null> {
  if (filter === undefined) return null
  const schema = schemaById(metadata, metadata.currentSchemaId)
  const alias = table.slice(table.indexOf('.') + 1)
  const { atMost } = await context.engine.condition(filter, { id: table, alias, columns: schema.fields })
  return (file) => mightMatch(file, atMost, schema, specById(metadata, file.specId))
}

/** The strategy with a sort order of the table's; one that it lacks is added, unless nothing is to be changed. */
async function settledStrategy(
  context: TableContext,
  table: TableId,
  options: RewriteDataFilesOptions,
): Promise<RewriteStrategy> {
  const strategy = options.strategy ?? { kind: 'bin-pack' }
  if (strategy.kind !== 'sort') return strategy
  const { fields } = strategy
  const { metadata } = await loadTable(context, table)
  const known = orderOf(metadata, fields)
  if (known) return { kind: 'sort', order: known }
  const order = { orderId: nextOrderId(metadata), fields: fields ?? [] }
  if (options.dryRun) return { kind: 'sort', order }
  const { loaded } = await changeMetadata(context, table, (now) => ({
    requirements: [{ type: 'assert-table-uuid', uuid: now.metadata.tableUuid }],
    updates: orderOf(now.metadata, fields)
      ? []
      : [{ action: 'add-sort-order', sortOrder: { ...order, orderId: nextOrderId(now.metadata) } }],
  }))
  return { kind: 'sort', order: orderOf(loaded.metadata, fields) ?? order }
}

function nextOrderId(metadata: TableMetadata): number {
  return metadata.sortOrders.reduce((max, one) => Math.max(max, one.orderId), 0) + 1
}

function orderOf(metadata: TableMetadata, fields: readonly SortField[] | undefined) {
  if (fields !== undefined && fields.length > 0) {
    const text = JSON.stringify(fields.map(sortFieldText))
    return metadata.sortOrders.find((one) => JSON.stringify(one.fields.map(sortFieldText)) === text)
  }
  const own = metadata.sortOrders.find((one) => one.orderId === metadata.defaultSortOrderId)
  if (own && own.fields.length > 0) return own
  throw new LimnError('usage/argument', {
    message: 'The table has no sort order.',
    notDone: 'Nothing was rewritten.',
    remedy: 'Name the columns to sort by, or give the table an order: ALTER TABLE … WRITE ORDERED BY …',
  })
}

function sortFieldText(field: SortField): string {
  return JSON.stringify([field.sourceId, field.transform, field.direction, field.nullOrder])
}

/** Adds up what was done. */
class Tally {
  private readonly plan: RewritePlan
  private readonly snapshotIds: bigint[] = []
  private readonly rewritten: RewrittenGroup[] = []
  private readonly skipped: SkippedGroup[] = []
  private removedDeletes = 0

  constructor(plan: RewritePlan) {
    this.plan = plan
  }

  add(snapshotId: bigint | null, worked: Worked): void {
    if (snapshotId !== null) this.snapshotIds.push(snapshotId)
    this.rewritten.push(...worked.rewritten)
    this.skipped.push(...worked.skipped)
    this.removedDeletes += worked.removedDeletes
  }

  skip(groups: readonly RewriteGroup[], why: string): void {
    for (const group of groups) this.skipped.push({ group, why })
  }

  result(): RewriteDataFilesResult {
    return {
      plan: this.plan,
      snapshotIds: this.snapshotIds,
      groups: this.rewritten.length,
      removed: totalsOf(this.rewritten.flatMap((one) => one.group.files.map(({ entry }) => entry.file))),
      added: totalsOf(this.rewritten.flatMap((one) => one.added)),
      removedDeletes: this.removedDeletes,
      skipped: this.skipped,
    }
  }
}

function totalsOf(files: readonly DataFile[]): FileTotals {
  return {
    files: files.length,
    bytes: sumBytes(files),
    rows: files.reduce((sum, file) => sum + Number(file.recordCount), 0),
  }
}
