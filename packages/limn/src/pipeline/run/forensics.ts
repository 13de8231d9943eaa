import { LimnError, type RunId, type TableId } from '../../base/index.ts'
import { allChecks } from '../../contract/index.ts'
import { formatMicros, type Interval } from '../../dataset/index.ts'
import { type LoadedTable, snapshotById } from '../../iceberg/index.ts'
import { failingSql } from '../../quality/index.ts'
import { quoteIdentifier } from '../../sql/index.ts'
import { pinSnapshot } from '../../table/index.ts'
import type { PipelineContext } from '../context.ts'
import { diffRows } from '../diff/diff-rows.ts'
import { measuresOf, type RowDiff, type RowSide } from '../diff/row-diff.ts'
import type { LedgerRow } from '../ledger/ledger.ts'
import type { RunRecord } from '../ledger/run-state.ts'
import type { Node } from '../project/node.ts'
import { boundSql } from '../stage/bound-sql.ts'
import { viewOf } from '../stage/view.ts'
import { type CodeVersions, codeVersionsOf } from './code-versions.ts'
import { dropRefs, requireDropped } from './recover.ts'
import type { StagedWork } from './retry.ts'
import { stagedCatalog } from './run-catalog.ts'

/** A query that shows something of an unpublished run, read at that run. */
export interface Look {
  readonly dataset: TableId
  /** What the query shows, in a few words. */
  readonly shows: string
  readonly sql: string
}

/** Queries that show the rows at fault with failed checks, in the order given. */
export function looksAtChecks(
  context: PipelineContext,
  failed: readonly { readonly dataset: string; readonly check: string }[],
): readonly Look[] {
  return failed.flatMap(({ dataset, check: name }): Look[] => {
    const node = context.project.nodes.get(dataset as TableId)
    const check = node && allChecks(node.contract).find((one) => one.name === name)
    if (!node || !check) return []
    const interval = node.shape.kind === 'interval' ? node.shape : null
    return [{ dataset: node.id, shows: `at fault with ${name}`, sql: failingSql(check, node.contract, interval) }]
  })
}

/** Queries that show what an unpublished run has staged. */
export function looksAtStaged(context: PipelineContext, run: RunId): readonly Look[] {
  return worksOf(context, run).flatMap((work) =>
    work.table ? [{ dataset: work.dataset, shows: 'staged', sql: `SELECT * FROM ${work.dataset} LIMIT 20` }] : [],
  )
}

/** A query that shows the rows that made a build fail, where the error says which they are. */
export function looksAtError(context: PipelineContext, error: LimnError): readonly Look[] {
  const { dataset, interval } = error.context as { readonly dataset?: TableId; readonly interval?: Interval }
  const node = dataset === undefined ? undefined : context.project.nodes.get(dataset)
  if (error.kind !== 'run/row-outside-interval' || !interval || node?.shape.kind !== 'interval') return []
  // Its query is about rows of its own table that no statement of a person is bound to.
  if (node.self) return []
  const column = quoteIdentifier(node.shape.column)
  const at = (micros: number) => `TIMESTAMP '${formatMicros(micros).replace('T', ' ')}'`
  const inside = `${column} >= ${at(interval.start)} AND ${column} < ${at(interval.end)}`
  const sql = `SELECT * FROM (${boundSql(node, interval).trim()}) WHERE (${inside}) IS NOT TRUE`
  return [{ dataset: node.id, shows: 'outside their interval', sql }]
}

function worksOf(context: PipelineContext, run: RunId): readonly StagedWork[] {
  const rank = new Map(context.project.order.map((id, i) => [id, i]))
  return context.runs
    .works(run)
    .map((text) => JSON.parse(text) as StagedWork)
    .toSorted((a, b) => (rank.get(a.dataset) ?? 0) - (rank.get(b.dataset) ?? 0))
}

/** What a run changed of one dataset, or would have changed. */
export interface RunChange {
  readonly dataset: TableId
  readonly fingerprint: string
  /** By which definitions and which limn the rows were made, before and after. */
  readonly code: CodeVersions
  readonly diff: RowDiff
}

/**
 * What a run changed, dataset by dataset: main before against main after, by its rows of the ledger; of a run that did not
 * publish, main before against what it staged. Datasets whose snapshots have expired are left out and named in `gone`; in
 * `unchanged` those that it built or read with the result they had, so that nothing was written.
 */
export async function diffRun(
  context: PipelineContext,
  run: RunId,
  ledger: readonly LedgerRow[],
): Promise<{
  readonly changes: readonly RunChange[]
  readonly unchanged: readonly TableId[]
  readonly gone: readonly TableId[]
}> {
  const rows = ledger.filter((row) => row.run === run)
  const pairs = pairsOf(context, run, rows)
  const written = [...pairs].map(([dataset, pair]) => ({ dataset, ...pair }))
  const codes = await codeVersionsOf(context, run, ledger, written)
  const tables = await stagedCatalog(context, run).loadTables([...pairs.keys()], { signal: context.signal })
  const changes: RunChange[] = []
  const gone: TableId[] = []
  for (const [dataset, { before, after, fingerprint }] of pairs) {
    const node = context.project.nodes.get(dataset)
    const loaded = tables.get(dataset) ?? null
    const sides = loaded && sidesOf(node, loaded, before, after)
    if (!sides) {
      gone.push(dataset)
      continue
    }
    const shape = node?.shape.kind === 'interval' ? { column: node.shape.column, unit: node.shape.unit } : {}
    const diff = await diffRows(context, sides.before, sides.after, {
      ...shape,
      keys: node?.contract.keys ?? [],
      ...(node ? { measures: measuresOf(node.contract) } : {}),
      sample: 5,
    })
    const code = codes.get(dataset) ?? { before: [], others: null, after: { fingerprint, limn: null }, changes: [] }
    changes.push({ dataset, fingerprint, code, diff })
  }
  return { changes, unchanged: unchangedOf(context, run, rows, new Set(pairs.keys())), gone }
}

interface Pair {
  readonly before: bigint | null
  readonly after: bigint
  readonly fingerprint: string
  readonly intervals: readonly (Interval | null)[]
}

/** In the order of first mention. */
function unchangedOf(
  context: PipelineContext,
  run: RunId,
  rows: readonly LedgerRow[],
  written: ReadonlySet<TableId>,
): readonly TableId[] {
  const worked = worksOf(context, run).flatMap((work) => (work.ranges.length > 0 ? [work.dataset] : []))
  const told = rows
    .filter((row) => row.outcome === 'built' || row.outcome === 'kept')
    .map((row) => row.dataset as TableId)
  return [...new Set([...worked, ...told])].filter((dataset) => !written.has(dataset))
}

function pairsOf(context: PipelineContext, run: RunId, rows: readonly LedgerRow[]): ReadonlyMap<TableId, Pair> {
  const out = new Map<TableId, Pair>()
  for (const work of worksOf(context, run)) {
    if (!work.table) continue
    out.set(work.dataset, {
      before: work.base === null ? null : BigInt(work.base),
      after: BigInt(work.table.snapshotId),
      fingerprint: work.fingerprint,
      intervals: work.ranges.map((range) => range.interval),
    })
  }
  const writing = new Set(['landed', 'built', 'edited', 'refused'])
  for (const row of rows) {
    if (!writing.has(row.outcome) || row.outputSnapshot === null || row.outputSnapshot === row.baseSnapshot) continue
    const dataset = row.dataset as TableId
    if (out.has(dataset)) continue
    const { baseSnapshot, outputSnapshot, fingerprint } = row
    const own = rows.filter((one) => one.dataset === dataset && writing.has(one.outcome))
    const intervals = own.map((one) => one.interval)
    out.set(dataset, { before: baseSnapshot, after: outputSnapshot, fingerprint, intervals })
  }
  return out
}

function sidesOf(node: Node | undefined, loaded: LoadedTable, before: bigint | null, after: bigint) {
  const has = (id: bigint) => snapshotById(loaded.metadata, id) !== undefined
  if (!has(after) || (before !== null && !has(before))) return null
  const side = (id: bigint): RowSide => {
    const pin = pinSnapshot(loaded, id)
    return { kind: 'table', pin, keep: viewOf(node, pin).keep }
  }
  return { before: before === null ? ({ kind: 'none' } as const) : side(before), after: side(after) }
}

/** The record of an unpublished run that has ended. Throws `usage/unknown-run`, or `usage/argument` when it is no such run. */
export function requireUnpublished(context: PipelineContext, run: RunId): RunRecord {
  const found = context.runs.runs().find((one) => one.id === run)
  if (!found) {
    throw new LimnError('usage/unknown-run', {
      message: `There is no run ${run} here.`,
      notDone: 'Nothing was done.',
      remedy: 'List the runs with: limn runs ls',
    })
  }
  const going = found.phase === 'running' || found.phase === 'publishing'
  if (!going && found.phase !== 'published' && found.phase !== 'idle') return found
  const remedy = going
    ? context.runs.isAlive(run)
      ? `Let it finish, or stop it: limn runs cancel ${run}`
      : 'Its process is gone: the next limn run settles it.'
    : 'List the runs with: limn runs ls'
  throw new LimnError('usage/argument', {
    message: `Run ${run} ${going ? 'has not ended' : 'is published'}.`,
    notDone: 'Nothing was done.',
    remedy,
  })
}

/** Drops what an unpublished run staged, now instead of in a week. Nothing that is published changes. */
export async function discardRun(context: PipelineContext, run: RunId): Promise<readonly TableId[]> {
  requireUnpublished(context, run)
  const staged = context.runs.pointers(run).map((one) => one.table)
  const { dropped, left } = await dropRefs(context, run, () => true)
  requireDropped(left)
  await context.runs.dropStaged(run)
  return [...new Set([...staged, ...dropped.map((one) => one.table)])].sort()
}

/** Asks a run or backfill that is at work to stop. It ends as cancelled, and publishes nothing. */
export async function cancelRun(context: PipelineContext, run: RunId): Promise<void> {
  if (!context.runs.isAlive(run)) {
    throw new LimnError('usage/argument', {
      message: `Nothing of the name ${run} is at work.`,
      notDone: 'Nothing was asked to stop.',
      remedy: 'List the runs with limn runs ls, the backfills with limn backfill ls.',
    })
  }
  await context.runs.askToStop(run, `process ${context.pid} on ${context.host}`, context.clock.nowMs())
}
