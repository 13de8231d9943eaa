import { randomPositiveLong } from '../../base/index.ts'
import type { Contract } from '../../contract/index.ts'
import {
  type DataFile,
  type LoadedTable,
  partitionKey,
  type Requirement,
  type ScanTask,
  stageSnapshot,
  type TableCommit,
  type Update,
} from '../../iceberg/index.ts'
import { bindFiles, leaseFiles, liveTableTasks, pinRef, putFiles, writeLocal } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { targetOf } from '../stage/staged-table.ts'

/** A month of one of limn's own tables is rewritten into one file when it has more files than this. */
const filesPerMonthMax = 100

/** Said in the summary of every snapshot that this module makes: such a snapshot takes no row away. */
export const appendProperty = 'limn.append'

export type Cell = string | number | bigint | boolean | null

/**
 * Writes the files of an append to one of limn's own tables and prepares its commit, on the state of the table it was given.
 * A month with too many files is rewritten into one on the way.
 */
export async function prepareAppend(
  context: PipelineContext,
  contract: Contract,
  loaded: LoadedTable | null,
  rows: readonly (readonly Cell[])[],
  timeColumn: string,
): Promise<{ readonly commit: TableCommit; readonly files: readonly DataFile[] }> {
  const target = targetOf(context, contract, loaded)
  const columns = Object.entries(contract.columns).map(([name, column]) => ({ name, type: column.type }))
  await using scratch = await context.store.scratch({ signal: context.signal })
  const crowded = loaded ? await crowdedMonths(context, loaded) : []
  // Rows that are rewritten get the columns that an earlier release did not have.
  const main = loaded && pinRef(loaded)
  const pin = main && { ...main, metadata: target.evolved, schemaId: target.layout.schema.schemaId }
  await using lease = await leaseFiles(context, crowded)
  const bound = pin && crowded.length > 0 ? [bindFiles(pin, crowded, lease)] : []
  await using session = await context.engine.session(bound, { signal: context.signal })
  await session.ingest('limn_rows', columns, rows)
  const names = columns.map((column) => `"${column.name}"`).join(', ')
  const old = bound.length > 0 ? ` UNION ALL SELECT ${names} FROM ${contract.id}` : ''
  const written = await writeLocal(
    session,
    `SELECT ${names} FROM limn_rows${old} ORDER BY "${timeColumn}"`,
    target.layout,
    scratch.folder,
  )
  const files = await putFiles(context, target.layout, written)
  const staged = await stageSnapshot({
    store: context.store,
    manifests: context.manifests,
    steps: context.steps,
    randomness: context.randomness,
    base: target.evolved,
    parentSnapshotId: target.evolved.currentSnapshotId,
    ref: 'main',
    operation: crowded.length > 0 ? 'overwrite' : 'append',
    added: files,
    removed: crowded.map((task) => task.file),
    snapshotId: randomPositiveLong(context.randomness),
    timestampMs: context.clock.nowMs(),
    schemaId: target.layout.schema.schemaId,
    summary: { [appendProperty]: 'true' },
    signal: context.signal,
  })
  const requirements: readonly Requirement[] = loaded ? staged.requirements : [{ type: 'assert-create' }]
  const current: readonly Update[] = target.evolves
    ? [
        { action: 'set-current-schema', schemaId: target.layout.schema.schemaId },
        { action: 'set-default-spec', specId: target.layout.spec.specId },
      ]
    : []
  const updates: readonly Update[] = [...target.updates, ...staged.updates, ...current]
  return { commit: { table: contract.id, requirements, updates }, files }
}

/** Live files of months that have too many. */
async function crowdedMonths(context: PipelineContext, loaded: LoadedTable): Promise<readonly ScanTask[]> {
  const pin = pinRef(loaded)
  const months = new Map<string, ScanTask[]>()
  for (const task of pin ? await liveTableTasks(context, pin) : []) {
    const key = partitionKey(task.file)
    months.set(key, [...(months.get(key) ?? []), task])
  }
  return [...months.values()].filter((month) => month.length > filesPerMonthMax).flat()
}
