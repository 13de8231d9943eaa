import { isRunId, LimnError, type RunId, runId, type TableId } from '../base/index.ts'
import { StagedCatalog } from '../catalog/index.ts'
import { parseMicros } from '../dataset/index.ts'
import type { ResultSet } from '../engine/index.ts'
import { type LoadedTable, snapshotAsOf, snapshotById } from '../iceberg/index.ts'
import { backfillBranch, pinRefName, runBranch } from '../pipeline/index.ts'
import { bindSelect, executeStatement, isReadOnly, runStatement, type StatementResult } from '../query/index.ts'
import { parseStatement, quoteText } from '../sql/index.ts'
import { type PinnedTable, pinRef, pinSnapshot, pinStaged, type TableContext } from '../table/index.ts'
import type { Lake } from './lake.ts'
import { liveRunsOf } from './live-runs.ts'

/** What a query reads: main now, one table's snapshot, a branch or tag, the lake at a time, or a run's or backfill's own view. */
export type At =
  | { readonly kind: 'now' }
  | { readonly kind: 'snapshot'; readonly snapshotId: bigint }
  | { readonly kind: 'ref'; readonly ref: string }
  | { readonly kind: 'time'; readonly timestampMs: number }
  | { readonly kind: 'run'; readonly run: RunId }
  | { readonly kind: 'backfill'; readonly backfill: RunId }

/** Reads `SNAPSHOT | BRANCH | TIME | run/ID | backfill/ID`. A time without zone is UTC. */
export function parseAt(text: string | undefined): At {
  if (text === undefined) return { kind: 'now' }
  if (text.startsWith('run/')) return { kind: 'run', run: runId(text.slice(4)) }
  if (text.startsWith('backfill/')) return { kind: 'backfill', backfill: backfillId(text.slice(9)) }
  if (/^\d{5,}$/.test(text)) return { kind: 'snapshot', snapshotId: BigInt(text) }
  if (/^\d{4}-\d{2}/.test(text)) return { kind: 'time', timestampMs: Math.floor(parseMicros(text) / 1000) }
  return { kind: 'ref', ref: text }
}

/** Throws `usage/unknown-backfill` for what is no name of one. */
export function backfillId(text: string): RunId {
  if (isRunId(text)) return text
  throw new LimnError('usage/unknown-backfill', {
    message: `"${text}" is not the id of a backfill.`,
    notDone: 'Nothing was done.',
    remedy: 'List them with: limn backfill ls',
  })
}

/** Runs one query over tables as they were at a point. Read-only. */
export async function query(lake: Lake, sql: string, at: At): Promise<ResultSet> {
  const statement = parseStatement(sql)
  if (!isReadOnly(statement)) throw notAQuery()
  const result = await runStatement(await contextAt(lake, at), statement, { owner: nobody, pin: pinnedAt(at) })
  if (result.kind !== 'rows') throw notAQuery()
  return result.result
}

/** Writes the result of one query as a Parquet file. */
export async function queryToParquet(lake: Lake, sql: string, at: At, file: string): Promise<void> {
  const statement = parseStatement(sql)
  if (statement.kind !== 'query') throw notAQuery()
  const context = await contextAt(lake, at)
  await using select = await bindSelect(context, statement.query, { pin: pinnedAt(at) })
  await using session = await lake.engine.session(select.bound, { signal: context.signal })
  await session.exec(`COPY (${select.sql}\n) TO ${quoteText(file)} (FORMAT parquet, COMPRESSION zstd)`)
}

/**
 * Runs one statement: a query at a point, or a change of a table that no dataset of the lake owns. A change is one commit:
 * it happens whole or not at all. With `dryRun` it is worked out and nothing is kept.
 */
export async function runSql(
  lake: Lake,
  sql: string,
  options: { readonly at?: At; readonly dryRun?: boolean } = {},
): Promise<StatementResult> {
  const at = options.at ?? { kind: 'now' }
  const statement = parseStatement(sql)
  if (isReadOnly(statement))
    return runStatement(await contextAt(lake, at), statement, { owner: nobody, pin: pinnedAt(at) })
  if (at.kind !== 'now')
    throw new LimnError('usage/argument', {
      message: '--at is for queries: what was is not changed.',
      notDone: 'Nothing was run.',
      remedy: 'Leave --at out. A branch is written by its name: INSERT INTO namespace.name.branch_x …',
    })
  const owner = await lake.owners()
  const live = (table: TableId) => liveRunsOf(lake, table)
  return executeStatement(await lake.context(), sql, { owner, live, ...(options.dryRun ? { dryRun: true } : {}) })
}

const nobody = () => null

function notAQuery(): LimnError {
  return new LimnError('sql/not-read-only', {
    message: 'Only a query is allowed here.',
    notDone: 'Nothing was run.',
    remedy: 'Write a SELECT.',
  })
}

async function contextAt(lake: Lake, at: At): Promise<TableContext> {
  const context = await lake.context()
  switch (at.kind) {
    case 'run':
      return { ...context, catalog: await runCatalog(lake, at.run) }
    case 'backfill':
      return { ...context, catalog: await catalogWithStaged(lake, at.backfill) }
    default:
      return context
  }
}

/** Where a query reads the tables that it names without a version. */
function pinnedAt(at: At): (loaded: LoadedTable) => PinnedTable | null {
  const seen = new Set<TableId>()
  return (loaded) => {
    seen.add(loaded.table)
    if (at.kind === 'snapshot' && seen.size > 1)
      throw new LimnError('usage/argument', {
        message: `--at with a snapshot id needs a query over one table; this one reads ${[...seen].join(', ')}.`,
        notDone: 'Nothing was read.',
        remedy: 'Use a time, --at 2026-01-31T12:00, or say it of the table: FROM t VERSION AS OF 123.',
      })
    const pin = pinOne(loaded, at)
    if (pin) return pin
    throw new LimnError('usage/unknown-snapshot', {
      message: `${loaded.table} has nothing at ${describe(at)}.`,
      notDone: 'Nothing was read.',
      remedy: `List what it has: limn table history ${loaded.table}`,
    })
  }
}

function pinOne(table: LoadedTable, at: At): PinnedTable | null {
  switch (at.kind) {
    case 'now':
      return pinRef(table)
    case 'snapshot':
      return snapshotById(table.metadata, at.snapshotId) ? pinSnapshot(table, at.snapshotId) : null
    case 'ref':
      return pinRef(table, at.ref)
    case 'time': {
      const snapshotId = snapshotAsOf(table.metadata, at.timestampMs)
      return snapshotId === null ? null : pinSnapshot(table, snapshotId)
    }
    case 'run':
      return pinStaged(table, runBranch(at.run)) ?? pinRef(table, pinRefName(at.run)) ?? pinRef(table)
    case 'backfill':
      return pinStaged(table, backfillBranch(at.backfill)) ?? pinRef(table)
  }
}

function describe(at: At): string {
  switch (at.kind) {
    case 'now':
      return 'main'
    case 'snapshot':
      return `snapshot ${at.snapshotId}`
    case 'ref':
      return at.ref
    case 'time':
      return new Date(at.timestampMs).toISOString()
    case 'run':
      return `run/${at.run}`
    case 'backfill':
      return `backfill/${at.backfill}`
  }
}

/** The catalog as one run saw it: its unregistered tables over the registered ones. */
export async function runCatalog(lake: Lake, run: RunId) {
  const { runs } = await lake.context()
  if (!runs.runs().some((one) => one.id === run)) {
    throw new LimnError('usage/unknown-run', {
      message: `There is no run ${run}.`,
      remedy: 'List the runs with: limn runs ls',
    })
  }
  return catalogWithStaged(lake, run)
}

/** The catalog with the unregistered tables of a run or backfill; nothing can be written through it. */
async function catalogWithStaged(lake: Lake, run: RunId) {
  const { runs, store, steps, randomness, catalog } = await lake.context()
  const pointers = new Map(runs.pointers(run).map((one) => [one.table, one.metadataLocation]))
  return new StagedCatalog({
    catalog,
    store,
    steps,
    randomness,
    pointers: {
      get: async (table) => {
        const metadataLocation = pointers.get(table)
        return metadataLocation === undefined ? null : { metadataLocation }
      },
      compareAndSet: async () => false,
      list: async () => [...pointers.keys()],
    },
  })
}
