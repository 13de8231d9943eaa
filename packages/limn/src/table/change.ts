import { LimnError, randomPositiveLong, randomUuid, type TableId } from '../base/index.ts'
import type { BoundTable, Session } from '../engine/index.ts'
import {
  type CommitOutcome,
  createTableUpdates,
  type DataFile,
  type LoadedTable,
  mightMatch,
  type PartitionSpec,
  type ScanTask,
  type SnapshotOperation,
  schemaById,
  specById,
  stageSnapshot,
  type TableMetadata,
} from '../iceberg/index.ts'
import type { Schema } from '../schema/index.ts'
import { bindFiles } from './bind.ts'
import { type PinnedTable, pinRef, type TableContext } from './context.ts'
import { leaseFiles, liveTableTasks } from './read.ts'
import { type Layout, putFiles, writeLocal } from './write.ts'

/** Commits are tried this often before a conflict is reported; each attempt reads the table anew. */
const attempts = 5

/** Rows to write: a query, and the tables it names. */
export interface RowSource {
  readonly sql: string
  readonly tables?: readonly BoundTable[]
}

export interface ChangeOptions {
  /** Branch to write. Default `main`; a branch that does not exist starts at `main`. */
  readonly branch?: string
  readonly summary?: Readonly<Record<string, string>>
}

export interface ChangeResult {
  readonly snapshotId: bigint
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

/** The layout new files of a table get: its current schema and default spec. */
export function layoutOf(metadata: TableMetadata): Layout {
  return {
    location: metadata.location,
    schema: schemaById(metadata, metadata.currentSchemaId),
    spec: specById(metadata, metadata.defaultSpecId),
  }
}

/** Creates an empty table. Throws `catalog/conflict` when it exists. */
export async function createTable(
  context: TableContext,
  table: TableId,
  shape: {
    readonly location: string
    readonly schema: Schema
    readonly spec: PartitionSpec
    readonly properties?: Readonly<Record<string, string>>
  },
): Promise<LoadedTable> {
  const updates = createTableUpdates({
    tableUuid: randomUuid(context.randomness),
    location: shape.location,
    schema: shape.schema,
    spec: shape.spec,
    properties: shape.properties ?? {},
  })
  const outcome = await context.catalog.commit([{ table, requirements: [{ type: 'assert-create' }], updates }], {
    timestampMs: context.clock.nowMs(),
    signal: context.signal,
  })
  const loaded = committed(outcome, table).get(table)
  if (!loaded) throw conflict(table, 'it was not created')
  return loaded
}

/** Appends the rows of a query in one snapshot. Nothing is visible before the commit; a lost race is retried. */
export function append(
  context: TableContext,
  table: TableId,
  rows: RowSource,
  options: ChangeOptions = {},
): Promise<ChangeResult> {
  return change(
    context,
    table,
    options,
    async (session, _pin, layout, folder) => {
      const written = await writeLocal(session, rows.sql, layout, folder)
      return { operation: 'append', added: await putFiles(context, layout, written), removed: [] }
    },
    rows.tables ?? [],
  )
}

/**
 * Replaces all rows for which `filter` (an SQL condition over the table's columns) is true by the rows of a query, in
 * one snapshot. Files whose rows all match are dropped, files without a match are kept, the others are rewritten without
 * the matching rows. Rows for which the filter is null stay.
 */
export function overwrite(
  context: TableContext,
  table: TableId,
  filter: string,
  rows: RowSource,
  options: ChangeOptions = {},
): Promise<ChangeResult> {
  return change(
    context,
    table,
    options,
    async (session, pin, layout, folder) => {
      const { drop, rewrite } = await filesUnder(context, pin, filter)
      const written = [...(await writeLocal(session, rows.sql, layout, `${folder}/new`))]
      if (rewrite.length > 0)
        written.push(...(await survivors(context, pin, rewrite, filter, layout, `${folder}/kept`)))
      const removed = [...drop, ...rewrite].map((task) => task.file)
      return { operation: 'overwrite', added: await putFiles(context, layout, written), removed }
    },
    rows.tables ?? [],
  )
}

interface FileChange {
  readonly operation: SnapshotOperation
  readonly added: readonly DataFile[]
  readonly removed: readonly DataFile[]
}

async function change(
  context: TableContext,
  table: TableId,
  options: ChangeOptions,
  work: (session: Session, pin: PinnedTable, layout: Layout, folder: string) => Promise<FileChange>,
  tables: readonly BoundTable[],
): Promise<ChangeResult> {
  const branch = options.branch ?? 'main'
  await using _held = await context.holdForWrite?.(table)
  for (let attempt = 1; ; attempt++) {
    const loaded = (await context.catalog.loadTables([table], { signal: context.signal })).get(table)
    if (!loaded) {
      throw new LimnError('usage/unknown-table', {
        message: `There is no table ${table}.`,
        notDone: 'Nothing was written.',
        remedy: 'List the tables with: limn table ls',
      })
    }
    const pin = pinRef(loaded, branch) ?? pinRef(loaded)
    if (!pin) throw conflict(table, `branch ${branch} is gone`)
    await using scratch = await context.store.scratch({ signal: context.signal })
    await using session = await context.engine.session(tables, { signal: context.signal })
    const files = await work(session, pin, layoutOf(loaded.metadata), scratch.folder)
    const snapshotId = randomPositiveLong(context.randomness)
    const staged = await stageSnapshot({
      store: context.store,
      manifests: context.manifests,
      steps: context.steps,
      randomness: context.randomness,
      base: loaded.metadata,
      parentSnapshotId: pin.snapshotId,
      ref: branch,
      operation: files.operation,
      added: files.added,
      removed: files.removed,
      snapshotId,
      timestampMs: context.clock.nowMs(),
      summary: options.summary ?? {},
      signal: context.signal,
    })
    const outcome = await context.catalog.commit(
      [{ table, requirements: staged.requirements, updates: staged.updates }],
      {
        timestampMs: context.clock.nowMs(),
        signal: context.signal,
      },
    )
    if (outcome.kind === 'conflict' && attempt < attempts) {
      await context.store.delete([...staged.written, ...files.added.map((file) => file.path)], {
        signal: context.signal,
      })
      continue
    }
    committed(outcome, table)
    return { snapshotId, added: files.added, removed: files.removed }
  }
}

/** Throws unless the commit is known to have happened. */
export function committed(outcome: CommitOutcome, table: TableId): ReadonlyMap<TableId, LoadedTable> {
  switch (outcome.kind) {
    case 'committed':
      return outcome.metadata
    case 'conflict':
      throw conflict(outcome.table, `a requirement failed (${outcome.requirement.type})`)
    case 'unknown':
      throw new LimnError('catalog/unknown-outcome', {
        message: `It is not known whether the commit to ${table} happened.`,
        remedy: 'Look at the table: limn table history. Files of the attempt were left in place.',
        cause: outcome.cause,
      })
  }
}

function conflict(table: TableId, why: string): LimnError {
  return new LimnError('catalog/conflict', {
    message: `${table} was changed by someone else: ${why}.`,
    notDone: 'Nothing was committed.',
    remedy: 'Run the command again.',
    retryable: true,
  })
}

async function filesUnder(
  context: TableContext,
  pin: PinnedTable,
  filter: string,
): Promise<{ drop: readonly ScanTask[]; rewrite: readonly ScanTask[] }> {
  if (pin.snapshotId === null) return { drop: [], rewrite: [] }
  const schema = schemaById(pin.metadata, pin.schemaId)
  const predicates = await context.engine.filters(
    `SELECT * FROM ${pin.id} WHERE ${filter}`,
    new Map([[pin.id, { columns: schema.fields }]]),
  )
  const predicate = predicates.get(pin.id) ?? { kind: 'true' }
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
  return { drop, rewrite }
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
