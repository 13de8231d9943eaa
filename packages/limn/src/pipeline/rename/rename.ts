import { LimnError, newRunId, type RunId, type TableId } from '../../base/index.ts'
import type { Catalog, TableCommit, TableRename } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import { type LedgerRow, renamedPrefix } from '../ledger/ledger.ts'
import { prepareRecord } from '../ledger/ledger-store.ts'
import { runRow } from '../run/recover.ts'
import { quarantineOf } from '../stage/quarantine.ts'

const attemptsMax = 10

/** A name that changes, with the definition that the ledger row is to state; null: of no dataset. */
export interface RecordedRename extends TableRename {
  readonly fingerprint: string
  readonly checksHash: string
  readonly message: string
}

/**
 * Datasets that say they were called otherwise and whose table still is: the former name's table is there, the present
 * name's is not. In graph order.
 */
export async function pendingRenames(context: PipelineContext): Promise<readonly TableRename[]> {
  const { project, catalog, signal } = context
  const renamed = project.order.flatMap((id) => {
    const former = project.nodes.get(id)?.renamedFrom ?? []
    return former.length > 0 ? [{ id, former }] : []
  })
  if (renamed.length === 0) return []
  const ids = renamed.flatMap(({ id, former }) => [id, ...former])
  const loaded = await catalog.loadTables([...ids, ...ids.map(quarantineOf)], { signal })
  return renamed.flatMap(({ id, former }): TableRename[] => {
    if (loaded.get(id)) return []
    const from = former.find((one) => loaded.get(one))
    if (from === undefined) return []
    const own = { from, to: id }
    const beside = { from: quarantineOf(from), to: quarantineOf(id) }
    return loaded.get(beside.from) && !loaded.get(beside.to) ? [own, beside] : [own]
  })
}

/** The context in which pending renames look made: tables and standing under their new names. Reads alone. */
export async function asRenamed(context: PipelineContext): Promise<PipelineContext> {
  const renames = await pendingRenames(context)
  return renames.length === 0 ? context : { ...context, renames, catalog: renamedCatalog(context.catalog, renames) }
}

function renamedCatalog(real: Catalog, renames: readonly TableRename[]): Catalog {
  const fromOf = new Map(renames.map((one) => [one.to, one.from]))
  const toOf = new Map(renames.map((one) => [one.from, one.to]))
  return {
    capabilities: real.capabilities,
    ...(real.views ? { views: real.views } : {}),
    listTables: async (options) => (await real.listTables(options)).map((id) => toOf.get(id) ?? id).sort(),
    loadTables: async (ids, options) => {
      const loaded = await real.loadTables(
        ids.map((id) => fromOf.get(id) ?? id),
        options,
      )
      return new Map(
        ids.map((table) => {
          const one = toOf.has(table) ? null : (loaded.get(fromOf.get(table) ?? table) ?? null)
          return [table, one && { ...one, table }]
        }),
      )
    },
    commit: (changes, options) => real.commit(changes, options),
    registerTable: (table, location, options) => real.registerTable(table, location, options),
  }
}

/** Makes the renames that definitions ask for, before a run plans. */
export async function renameDatasets(context: PipelineContext): Promise<readonly TableRename[]> {
  const renames = await pendingRenames(context)
  if (renames.length === 0) return []
  await commitRenames(
    context,
    renames.map((one) => {
      const node = context.project.nodes.get(one.to)
      return { ...one, fingerprint: node?.fingerprint ?? '', checksHash: node?.checksHash ?? '', message: '' }
    }),
  )
  for (const { from, to } of renames) context.progress.note(`${from} is ${to} now, with its history.`)
  return renames
}

/**
 * Gives tables other names and the ledger the rows that say so, in one catalog commit; `changes` are of the tables by
 * their old names. Throws `catalog/conflict`, `usage/table-exists`.
 */
export async function commitRenames(
  context: PipelineContext,
  renames: readonly RecordedRename[],
  changes: readonly TableCommit[] = [],
): Promise<RunId> {
  const { catalog, clock, randomness, host, signal, store } = context
  const run = newRunId(clock.nowMs(), Buffer.from(randomness.bytes(3)).readUIntBE(0, 3))
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const nowMs = clock.nowMs()
    const rows = renames.map((one): Omit<LedgerRow, 'seq'> => {
      const own = { id: run, startedAtMs: nowMs, message: one.message, host }
      const { fingerprint, checksHash } = one
      const reason = `${renamedPrefix}${one.from}`
      return { ...runRow(context, own, 'renamed', nowMs), dataset: one.to, reason, fingerprint, checksHash }
    })
    const prepared = await prepareRecord(context, { run, rows, verdicts: [], judgedAtMs: nowMs })
    const outcome = await catalog.commit([...changes, ...prepared.commits], { timestampMs: nowMs, renames, signal })
    switch (outcome.kind) {
      case 'committed':
        for (const { from, to } of renames) await context.runs.renameTable(from, to)
        return run
      case 'conflict':
        await store.delete(
          prepared.files.map((file) => file.path),
          { signal },
        )
        continue
      case 'unknown':
        throw new LimnError('catalog/unknown-outcome', {
          message: 'Whether the tables have their new names is not known: the catalog did not answer.',
          notDone: 'Nothing else was changed.',
          remedy: 'Look: limn table ls. Then run again.',
          cause: outcome.cause,
        })
    }
  }
  throw new LimnError('catalog/conflict', {
    message: `Others kept changing the lake while ${renames.map((one: TableRename): TableId => one.from).join(', ')} was to be renamed.`,
    notDone: 'Every table has the name it had.',
    remedy: 'Try again when it is quieter.',
    retryable: true,
  })
}
