import { LimnError, type RunId } from '../../base/index.ts'
import { IntervalSet } from '../../dataset/index.ts'
import type { DataFile, TableCommit } from '../../iceberg/index.ts'
import type { PipelineContext } from '../context.ts'
import type { Judgement } from '../run/gate.ts'
import { type Cell, prepareAppend } from './append.ts'
import { definitionTable } from './definition.ts'
import { prepareDefinitions } from './definition-store.ts'
import { isPublishedOutcome, type LedgerRow, ledgerTable, verdictTable } from './ledger.ts'
import { ledgerContract, verdictContract } from './ledger-contracts.ts'
import { readLedger } from './ledger-read.ts'
import { standingOf } from './standing.ts'

/** Ledger rows and verdicts to be committed, `seq` still to be given. */
export interface RunRecordRows {
  readonly rows: readonly Omit<LedgerRow, 'seq'>[]
  readonly verdicts: readonly Judgement[]
  readonly judgedAtMs: number
  readonly run: RunId
  /** The last ledger row that the run knew of when it planned: what it says of rows it did not write holds up to there. */
  readonly basedOn?: number
}

/** What a ledger commit is made of, on the state of the ledger tables it was prepared for. */
export interface PreparedRecord {
  readonly commits: readonly TableCommit[]
  /** Files to delete once it is certain that the commit did not happen. */
  readonly files: readonly DataFile[]
  /** Rows of this very run that the ledger has already: somebody has settled it. Then nothing else is prepared. */
  readonly known: readonly LedgerRow[]
  /** Datasets of which this run has deliveries, and another has published some since it planned. */
  readonly landedTwice: readonly string[]
}

/**
 * Writes the files of a ledger append and prepares its commit: to `limn.run`, to `limn.check_result` when there are
 * verdicts, and to `limn.definition` when a fingerprint or checks appear for the first time. Prepared anew for every
 * attempt, because `seq` follows what others have published.
 */
export async function prepareRecord(context: PipelineContext, record: RunRecordRows): Promise<PreparedRecord> {
  const own = [ledgerTable, verdictTable, definitionTable]
  const tables = await context.catalog.loadTables(own, { signal: context.signal })
  const ledger = tables.get(ledgerTable) ?? null
  const { lastSeq } = await standingOf(context, ledger)
  const since = record.basedOn ?? 0
  // Nobody has written since the run planned, as a rule: then there is nothing to look at.
  const before = lastSeq > since ? await readLedger(context, ledger, since) : []
  const known = before.filter((row) => row.run === record.run)
  if (known.length > 0) return { commits: [], files: [], known, landedTwice: [] }
  const landed = (rows: readonly Pick<LedgerRow, 'dataset' | 'outcome'>[]) =>
    new Set(rows.flatMap((row) => (row.outcome === 'landed' ? [row.dataset] : [])))
  const landedTwice = record.basedOn === undefined ? [] : [...landed(record.rows).intersection(landed(before))]
  if (landedTwice.length > 0) return { commits: [], files: [], known: [], landedTwice }
  const first = lastSeq + 1
  const rows = stillTrue(record, before).map((row, i) => ledgerCells({ ...row, seq: first + i }))
  const verdicts = record.verdicts.map((one) => verdictCells(one, record))
  const found = await Promise.all([
    prepareAppend(context, ledgerContract, ledger, rows, 'started_at'),
    verdicts.length === 0
      ? null
      : prepareAppend(context, verdictContract, tables.get(verdictTable) ?? null, verdicts, 'judged_at'),
    prepareDefinitions(context, tables.get(definitionTable) ?? null, record),
  ])
  const parts = found.flatMap((part) => part ?? [])
  return {
    commits: parts.map((part) => part.commit),
    files: parts.flatMap((part) => part.files),
    known: [],
    landedTwice,
  }
}

/**
 * The rows of a record without those that others have overtaken: a run that found intervals unchanged and wrote nothing says
 * nothing of them any more once somebody has published them anew, nor that the dataset passes checks which it did not judge
 * those rows by. What it wrote needs no such care: main must be where it was for that to be published.
 */
export function stillTrue({ rows, basedOn }: RunRecordRows, later: readonly LedgerRow[]): RunRecordRows['rows'] {
  const newer = basedOn === undefined ? [] : later.filter((row) => isPublishedOutcome(row.outcome))
  if (newer.length === 0) return rows
  return rows.flatMap((row) => {
    const wroteNothing = row.outcome === 'carried' || row.outcome === 'kept' || row.outcome === 'accepted'
    if (!wroteNothing && row.outcome !== 'checked') return [row]
    const own = newer.filter((one) => one.dataset === row.dataset && one.outcome !== 'checked')
    const last = own.at(-1)
    if (last === undefined) return [row]
    if (row.outcome === 'checked' || row.interval === null || own.some((one) => one.interval === null)) return []
    const gone = IntervalSet.of(own.flatMap((one) => (one.interval ? [one.interval] : [])))
    const left = IntervalSet.of([row.interval]).minus(gone)
    return left.intervals.map((interval) => ({ ...row, interval, checksHash: last.checksHash }))
  })
}

function timestamp(ms: number): bigint {
  return BigInt(ms) * 1000n
}

function ledgerCells(row: LedgerRow): readonly Cell[] {
  const ids = Object.fromEntries(Object.entries(row.inputs).map(([name, id]) => [name, String(id)]))
  return [
    BigInt(row.seq),
    row.run,
    row.dataset,
    row.outcome,
    row.reason,
    row.planned,
    row.interval && BigInt(row.interval.start),
    row.interval && BigInt(row.interval.end),
    row.fingerprint,
    row.checksHash,
    JSON.stringify(row.deliveries),
    JSON.stringify(ids),
    row.baseSnapshot,
    row.outputSnapshot,
    BigInt(row.rows),
    BigInt(row.files),
    BigInt(row.bytes),
    BigInt(row.quarantined),
    timestamp(row.startedAtMs),
    timestamp(row.judgedAtMs),
    row.seconds,
    row.version,
    row.host,
    row.message,
  ]
}

function verdictCells(one: Judgement, record: RunRecordRows): readonly Cell[] {
  return [
    record.run,
    one.dataset,
    one.check,
    one.kind,
    one.severity,
    one.scope,
    one.outcome,
    BigInt(one.failures),
    BigInt(one.judged),
    one.snapshotId,
    one.explanation,
    JSON.stringify(one.sample),
    timestamp(record.judgedAtMs),
  ]
}

/** How often a record is prepared anew because others wrote the ledger meanwhile: many runs may end at once. */
const recordAttemptsMax = 10

/**
 * Commits ledger rows and verdicts alone: how a run is remembered that published nothing. A run the ledger knows
 * already is left as it stands there, and its rows are returned; else null.
 */
export async function commitRecord(
  context: PipelineContext,
  record: RunRecordRows,
): Promise<readonly LedgerRow[] | null> {
  for (let attempt = 1; ; attempt++) {
    const prepared = await prepareRecord(context, record)
    if (prepared.known.length > 0) return prepared.known
    const outcome = await context.catalog.commit(prepared.commits, {
      timestampMs: context.clock.nowMs(),
      signal: context.signal,
    })
    if (outcome.kind === 'committed') return null
    if (outcome.kind === 'conflict') await context.store.delete(prepared.files.map((file) => file.path))
    if (attempt < recordAttemptsMax) continue
    throw new LimnError('catalog/conflict', {
      message: 'The record of the run could not be committed.',
      notDone: 'No dataset was changed.',
      remedy: 'Run again; the state database remembers the run.',
      retryable: true,
    })
  }
}
