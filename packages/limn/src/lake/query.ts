import { LimnError, nearest, type RunId, runId, type TableId, tableId } from '../base/index.ts'
import { StagedCatalog } from '../catalog/index.ts'
import { parseMicros } from '../dataset/index.ts'
import type { ResultSet } from '../engine/index.ts'
import { snapshotAsOf, snapshotById } from '../iceberg/index.ts'
import { pinRefName, runBranch } from '../pipeline/index.ts'
import { quoteText } from '../sql/index.ts'
import { type PinnedTable, pinRef, pinSnapshot, readPinned, type TableContext } from '../table/index.ts'
import type { Lake } from './lake.ts'

/** What a query reads: main now, one table's snapshot, a branch or tag, the lake at a time, or a run's own view. */
export type At =
  | { readonly kind: 'now' }
  | { readonly kind: 'snapshot'; readonly snapshotId: bigint }
  | { readonly kind: 'ref'; readonly ref: string }
  | { readonly kind: 'time'; readonly timestampMs: number }
  | { readonly kind: 'run'; readonly run: RunId }

/** Reads `SNAPSHOT | BRANCH | TIME | run/ID`. A time without zone is UTC. */
export function parseAt(text: string | undefined): At {
  if (text === undefined) return { kind: 'now' }
  if (text.startsWith('run/')) return { kind: 'run', run: runId(text.slice(4)) }
  if (/^\d{5,}$/.test(text)) return { kind: 'snapshot', snapshotId: BigInt(text) }
  if (/^\d{4}-\d{2}/.test(text)) return { kind: 'time', timestampMs: Math.floor(parseMicros(text) / 1000) }
  return { kind: 'ref', ref: text }
}

/** Runs one SELECT over tables as they were at a point. Read-only. */
export async function query(lake: Lake, sql: string, at: At): Promise<ResultSet> {
  return withTables(lake, sql, at, (session) => session.rows(sql))
}

/** Writes the result of one SELECT as a Parquet file. */
export async function queryToParquet(lake: Lake, sql: string, at: At, file: string): Promise<void> {
  await withTables(lake, sql, at, (session) =>
    session.exec(`COPY (${sql}\n) TO ${quoteText(file)} (FORMAT parquet, COMPRESSION zstd)`),
  )
}

type SessionOf = Awaited<ReturnType<Lake['engine']['session']>>

async function withTables<T>(lake: Lake, sql: string, at: At, body: (session: SessionOf) => Promise<T>): Promise<T> {
  const parsed = await lake.engine.parse(sql)
  const context = await lake.context()
  const ids = [
    ...new Set(
      parsed.tables
        .filter((table) => table.schema !== null && table.schema !== 'information_schema')
        .map((table) => tableId(`${table.schema}.${table.name}`)),
    ),
  ]
  if (at.kind === 'snapshot' && ids.length !== 1) {
    throw new LimnError('usage/argument', {
      message: `--at with a snapshot id needs a query over one table; this one reads ${ids.length}.`,
      notDone: 'Nothing was read.',
      remedy: 'Use a time: --at 2026-01-31T12:00',
    })
  }
  const pins = await pinAll(lake, context, ids, at)
  const predicates = await lake.engine.filters(
    sql,
    new Map(
      pins.map((pin) => [
        pin.id,
        { columns: pin.metadata.schemas.find((one) => one.schemaId === pin.schemaId)?.fields ?? [] },
      ]),
    ),
  )
  const stack = new AsyncDisposableStack()
  await using _all = stack
  const bound = []
  for (const pin of pins) {
    const predicate = predicates.get(pin.id) ?? { kind: 'true' as const }
    bound.push(stack.use(await readPinned(context, pin, { predicate })).bound)
  }
  const session = stack.use(await lake.engine.session(bound, { signal: context.signal }))
  return await body(session)
}

async function pinAll(
  lake: Lake,
  _context: TableContext,
  ids: readonly TableId[],
  at: At,
): Promise<readonly PinnedTable[]> {
  const catalog = at.kind === 'run' ? await runCatalog(lake, at.run) : lake.catalog
  const loaded = await catalog.loadTables(ids)
  const known = await catalog.listTables()
  return ids.map((id) => {
    const table = loaded.get(id)
    if (!table) {
      const close = nearest(id, known)
      throw new LimnError('usage/unknown-table', {
        message: `There is no table ${id}.`,
        notDone: 'Nothing was read.',
        remedy: close ? `Did you mean ${close}?` : 'List the tables with: limn table ls',
      })
    }
    const pin = pinOne(table, at)
    if (pin) return pin
    throw new LimnError('usage/unknown-snapshot', {
      message: `${id} has nothing at ${describe(at)}.`,
      notDone: 'Nothing was read.',
      remedy: `List what it has: limn table history ${id}`,
    })
  })
}

function pinOne(table: Parameters<typeof pinRef>[0], at: At): PinnedTable | null {
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
      return pinRef(table, runBranch(at.run)) ?? pinRef(table, pinRefName(at.run)) ?? pinRef(table)
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
  }
}

/** The catalog as one run saw it: its unregistered tables over the registered ones. */
async function runCatalog(lake: Lake, run: RunId) {
  const { runs, store, steps, randomness, catalog } = await lake.context()
  if (!runs.runs().some((one) => one.id === run)) {
    throw new LimnError('usage/unknown-run', {
      message: `There is no run ${run}.`,
      remedy: 'List the runs with: limn runs ls',
    })
  }
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
