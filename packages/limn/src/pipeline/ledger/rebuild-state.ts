import { type RunId, runId, type TableId } from '../../base/index.ts'
import { isUnder, type LoadedTable } from '../../iceberg/index.ts'
import type { StorePath } from '../../storage/index.ts'
import { requestIn } from '../backfill/branch.ts'
import { BackfillState, parseRequest } from '../backfill/request.ts'
import type { PipelineContext } from '../context.ts'
import { stagedMetadata } from '../stage/staged-table.ts'
import { type LedgerRow, ledgerTable, outcomeOfRun } from './ledger.ts'
import { readLedger } from './ledger-read.ts'
import type { Phase } from './run-state.ts'

export interface RebuiltState {
  /** Runs that the ledger knows. */
  readonly recorded: number
  /** Runs that left branches or pins and no row: the next run settles them. */
  readonly inDoubt: readonly RunId[]
  readonly refs: number
  /** Backfills whose branches say what was asked of them. */
  readonly backfills: readonly RunId[]
  /** Tables that runs staged and did not publish, found by their metadata in the warehouse. */
  readonly staged: number
}

/**
 * Fills the state database from the lake: runs from the ledger, what they left behind from the refs of tables, and tables
 * that were staged and never published from the metadata that stands in the warehouse. What it has already stays. What a
 * ledger does not say is gone: leases, caches and process ids. Caches fill themselves.
 */
export async function rebuildState(context: PipelineContext): Promise<RebuiltState> {
  const { catalog, runs, clock, signal } = context
  const ids = await catalog.listTables({ signal })
  const tables = await catalog.loadTables(ids, { signal })
  const rows = await readLedger(context, tables.get(ledgerTable) ?? null)
  const ended = [...Map.groupBy(rows, (row) => row.run)].flatMap(([id, own]) => recordOf(id, own) ?? [])
  const refs = ids.flatMap((table) =>
    Object.entries(tables.get(table)?.metadata.refs ?? {}).flatMap(([ref, to]) => {
      const run = runOfRef(ref)
      return run === null ? [] : [{ run, table, ref, snapshotId: to.snapshotId }]
    }),
  )
  const staged = await stagedTables(
    context,
    [...tables.values()].flatMap((one) => one?.metadata.location ?? []),
  )
  const known = new Set(ended.map((one) => one.id))
  const inDoubt = [...new Set([...refs, ...staged].map((one) => one.run))].filter((run) => !known.has(run)).sort()
  await runs.adopt({
    runs: [
      ...ended,
      ...inDoubt.map((id) => ({
        id,
        phase: 'running' as const,
        host: '',
        startedAtMs: startOf(id),
        endedAtMs: null,
        message: '',
        recorded: false,
      })),
    ],
    refs,
    pointers: staged,
    nowMs: clock.nowMs(),
  })
  const backfills = await rebuildBackfills(context, [...tables.values()])
  return { recorded: ended.length, inDoubt, refs: refs.length, backfills, staged: staged.length }
}

/** What was asked of a backfill stands in the first snapshot of each of its branches. */
async function rebuildBackfills(
  context: PipelineContext,
  tables: readonly (LoadedTable | null)[],
): Promise<readonly RunId[]> {
  const backfills = new BackfillState(context.state)
  const found = new Set<RunId>()
  for (const loaded of tables)
    for (const [ref, to] of Object.entries(loaded?.metadata.refs ?? {})) {
      const id = ref.startsWith('backfill/') ? parseRun(ref.slice('backfill/'.length)) : null
      const request = id && loaded && requestIn(loaded.metadata, to.snapshotId)
      if (!id || !loaded || !request) continue
      if (!found.has(id)) await backfills.create(id, parseRequest(request), startOf(id))
      await context.runs.noteRef(id, loaded.table, ref, to.snapshotId)
      found.add(id)
    }
  return [...found].sort()
}

function recordOf(text: string, rows: readonly LedgerRow[]) {
  const phase: Phase = outcomeOfRun(rows)
  const id = parseRun(text)
  if (id === null) return null
  return {
    id,
    phase,
    host: rows[0]?.host ?? '',
    startedAtMs: Math.min(...rows.map((row) => row.startedAtMs)),
    endedAtMs: Math.max(...rows.map((row) => row.judgedAtMs)),
    message: rows.find((row) => row.message !== '')?.message ?? '',
    recorded: true,
  }
}

function runOfRef(ref: string): RunId | null {
  const [kind, id, ...rest] = ref.split('/')
  return (kind === 'run' || kind === 'limn-pin') && id !== undefined && rest.length === 0 ? parseRun(id) : null
}

function parseRun(text: string): RunId | null {
  try {
    return runId(text)
  } catch {
    return null
  }
}

/** A run's id begins with when it began. */
function startOf(id: RunId): number {
  const [, y, m, d, hh, mm, ss] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)/.exec(id) ?? []
  return Date.parse(`${y}-${m}-${d}T${hh}:${mm}:${ss}Z`)
}

/** The latest metadata of tables that no catalog has, with a run's branch in it. */
async function stagedTables(
  context: PipelineContext,
  registered: readonly string[],
): Promise<readonly { readonly run: RunId; readonly table: TableId; readonly metadataLocation: StorePath }[]> {
  const { store, signal, project } = context
  const out = new Map<string, { run: RunId; table: TableId; metadataLocation: StorePath; updatedMs: number }>()
  const homes = [...project.nodes.keys()].map((table) => ({
    table,
    folder: `${context.locate?.(table) ?? `${store.root}/${table.replace('.', '/')}`}`,
  }))
  for (const { table, folder } of homes) {
    if (registered.some((location) => isUnder(location, folder))) continue
    for await (const info of store.list(folder as StorePath, { signal })) {
      if (!info.path.endsWith('.metadata.json')) continue
      const metadata = await stagedMetadata(store, info.path, signal)
      if (!metadata) continue
      for (const ref of Object.keys(metadata.refs)) {
        const run = runOfRef(ref)
        if (run === null) continue
        const key = `${run} ${table}`
        const before = out.get(key)
        if (before && before.updatedMs >= metadata.lastUpdatedMs) continue
        out.set(key, { run, table, metadataLocation: info.path, updatedMs: metadata.lastUpdatedMs })
      }
    }
  }
  return [...out.values()]
}
